"""Real second processes: to hold locks, to write beside us, and to be killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def child(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A Python process running `code`, killed at the end if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            try:
                yield process
            finally:
                process.kill()
    finally:
        process.wait(30)


def line_from(process: subprocess.Popen[str]) -> str:
    """The next line it prints; fails when it ends instead."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the child ended with {process.wait(30)}"
    return line.strip()


def tell(process: subprocess.Popen[str], line: str) -> None:
    """Send it a line."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
