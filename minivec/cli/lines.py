"""A file of JSON lines as objects to import; a line that is none is set aside with its number and the reason."""

from __future__ import annotations

import json
import os
import stat
from array import array
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from minivec.errors import InvalidInput
from minivec.types.object import ImportReport, Outcome

_BESIDE_PROPERTIES = ("uuid", "vectors", "vector")
_BLOCK = 2**20
_ONE_A_LINE = "Write one JSON object a line, in UTF-8."


class ObjectLines:
    """The objects of a stream, once; it knows which line each came from and how many lines a file has."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hint = count_lines(stream)
        self._numbers = array("Q")
        self._refused: list[Outcome] = []

    def __length_hint__(self) -> int:
        return self._hint

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for number, line in enumerate(self._stream, 1):
            if not line.strip():
                continue
            try:
                draft = read_object(line)
            except InvalidInput as error:
                self._refused.append(
                    Outcome(index=number, status="refused", code=error.code, reason=error.message, hint=error.hint)
                )
                continue
            self._numbers.append(number)
            yield draft

    def judged(self, report: ImportReport) -> ImportReport:
        """The report with lines' numbers, from 1, in place of objects', and with the lines that held no object."""
        placed = [replace(outcome, index=self._numbers[outcome.index]) for outcome in report.outcomes]
        outcomes = sorted([*placed, *self._refused], key=lambda outcome: outcome.index)
        return ImportReport(outcomes=tuple(outcomes), seconds=report.seconds)


def read_object(line: bytes) -> dict[str, Any]:
    """The object of a line in its JSON form; a flat one becomes its properties. Raises InvalidInput."""
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"The line is not JSON: {error.msg} at character {error.pos + 1}.", hint=_ONE_A_LINE
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        what = "UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON of a usual depth"
        raise InvalidInput(f"The line is not {what}.", hint=_ONE_A_LINE) from error
    if not isinstance(value, dict):
        raise InvalidInput("The line is JSON, but not an object.", hint=_ONE_A_LINE)
    if isinstance(value.get("properties"), dict):
        return value
    beside = {name: value.pop(name) for name in _BESIDE_PROPERTIES if name in value}
    return {"properties": value, **beside}


def count_lines(stream: BinaryIO) -> int:
    """How many lines a file has; 0 for a pipe. The stream is afterwards where it was."""
    try:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return 0
    except OSError:
        return 0
    start = stream.tell()
    lines, last = 0, b"\n"
    while block := stream.read(_BLOCK):
        lines += block.count(b"\n")
        last = block[-1:]
    stream.seek(start)
    return lines + (last != b"\n")
