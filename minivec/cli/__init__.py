"""The command line: reads arguments, makes one call, prints; an error is one sentence on stderr and exit code 1."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from minivec.cli.arguments import make_parser
from minivec.errors import MinivecError
from minivec.types.table import one_line

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells know it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code: 0 done, 1 failed, 130 interrupted. Wrong usage ends with SystemExit(2)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal that cannot show a character is no reason to fail
    arguments = make_parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _say("interrupted; what was finished is kept.", INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # a person at a terminal gets a sentence, never a traceback
        if os.environ.get("MINIVEC_TRACEBACK"):
            raise
        return _say(_sentence(error), 1)


def _sentence(error: Exception) -> str:
    if isinstance(error, MinivecError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"this command needs the package {error.name!r}: pip install 'minivec[all]'"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return f"unexpected {type(error).__name__}: {error}. This is a bug; MINIVEC_TRACEBACK=1 shows where."


def _say(sentence: str, code: int) -> int:
    print(f"minivec: {one_line(sentence)}", file=sys.stderr)
    return code
