"""The journal of an import: a file of JSON lines that says which batches are finished, so that a killed import resumes.

The first line names the import; each further line one finished batch: how many objects, a digest of them, their outcomes.
A last line torn by a kill is cut off; its batch is sent again under the same uuids, which changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID, uuid4

from minivec.errors import InvalidInput
from minivec.types.codec import from_plain, to_plain
from minivec.types.object import Outcome

_START_ANEW = "Delete it to import from the start: what is stored already is not embedded again."
_KIND = "minivec import"
_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedBatch:
    """A batch the journal knows: the number of objects handed over, their digest, one outcome each."""

    objects: int
    digest: str
    outcomes: tuple[Outcome, ...]


class Journal:
    """An open journal: `finished` batches of earlier runs, and `run`, the namespace of the uuids this import gives."""

    def __init__(self, file: BinaryIO, run: UUID, finished: list[FinishedBatch]) -> None:
        self._file = file
        self.run = run
        self.finished = finished

    @classmethod
    def open(cls, path: Path, *, collection: str, mode: str, id_from: Sequence[str] | None) -> Journal:
        """Read the journal at `path`, or begin one. Raises InvalidInput when it is damaged or of another import."""
        head = {"journal": _KIND, "version": _VERSION, "collection": collection, "mode": mode}
        head["id_from"] = None if id_from is None else list(id_from)
        try:
            file = path.open("r+b" if path.exists() else "x+b")
        except OSError as error:
            raise _refuse(f"The journal {path} cannot be opened: {error.strerror}.", "Choose another path.") from error
        try:
            return cls._read(file, path, head)
        except BaseException:
            file.close()
            raise

    @classmethod
    def _read(cls, file: BinaryIO, path: Path, head: dict[str, Any]) -> Journal:
        whole = file.read()
        good = whole[: whole.rfind(b"\n") + 1]
        if whole and not good and not whole.startswith(b'{"journal":'):
            raise _refuse(f"{path} is not the journal of an import.", "Choose another path.")
        file.seek(len(good))
        file.truncate()
        lines = good.splitlines()
        if not lines:
            run = uuid4()
            journal = cls(file, run, [])
            journal._append({**head, "run": str(run)})
            return journal
        run = _read_head(lines[0], path, head)
        return cls(file, run, [_read_batch(line, path, number) for number, line in enumerate(lines[1:], 2)])

    def record(self, digest: str, outcomes: Sequence[Outcome]) -> None:
        """Note a finished batch; it is with the operating system before this returns."""
        plain = [_without_defaults(outcome) for outcome in outcomes]
        self._append({"objects": len(outcomes), "digest": digest, "outcomes": plain})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        self._file.flush()


def _read_head(line: bytes, path: Path, expected: dict[str, Any]) -> UUID:
    try:
        head = json.loads(line)
        if head["journal"] != _KIND:
            raise KeyError("journal")
        run = UUID(head["run"])
    except (ValueError, TypeError, KeyError) as error:
        raise _refuse(f"{path} is not the journal of an import.", "Choose another path.") from error
    for name, value in expected.items():
        if head.get(name) != value:
            raise _refuse(
                f"The journal {path} belongs to another import: its {name} is {head.get(name)!r}, not {value!r}.",
                "Choose another path for this import.",
            )
    return run


def _read_batch(line: bytes, path: Path, number: int) -> FinishedBatch:
    try:
        batch = from_plain(FinishedBatch, json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _refuse(f"The journal {path} is damaged in line {number}.", _START_ANEW) from error
    if batch.objects != len(batch.outcomes):
        raise _refuse(f"The journal {path} is damaged in line {number}.", _START_ANEW)
    return batch


def _without_defaults(outcome: Outcome) -> dict[str, Any]:
    defaults = {f.name: f.default for f in fields(Outcome) if f.default is not MISSING}
    plain: dict[str, Any] = to_plain(outcome)
    return {
        name: value for name, value in plain.items() if name not in defaults or getattr(outcome, name) != defaults[name]
    }


def _refuse(message: str, hint: str) -> InvalidInput:
    return InvalidInput(message, field="resume_from", hint=hint)
