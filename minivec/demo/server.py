"""A real server in a process of its own, over a temporary folder, on a free port; gone when the `with` block ends."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minivec.errors import Unavailable
from minivec.settings import PREFIX

_STOP_SECONDS = 30.0
_SHOWN_LOG = 2_000


@contextmanager
def temporary_server() -> Iterator[str]:
    """Start `python -m minivec_server` and give its address, such as `http://127.0.0.1:43210`.

    The process is stopped and its folder removed however the block is left. Raises Unavailable, with the end of the
    server's log, when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="minivec-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "server.log"
        with log.open("wb") as errors:
            process = _start(Path(folder) / "data", errors.fileno())
        try:
            yield _address(process, log)
        finally:
            _stop(process)


def _start(data: Path, errors: int) -> subprocess.Popen[str]:
    # Settings of the caller's own server must not reach this one, and a Ctrl-C must reach us first.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {f"{PREFIX}DATA": str(data), f"{PREFIX}HOST": "127.0.0.1", f"{PREFIX}PORT": "0"}
    command = [sys.executable, "-m", "minivec_server"]
    return subprocess.Popen(  # noqa: S603  # our own interpreter and our own module
        command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
    )


def _address(process: subprocess.Popen[str], log: Path) -> str:
    """The address in the server's first line, which it prints once it answers."""
    line = process.stdout.readline() if process.stdout is not None else ""
    for word in line.split():
        if word.startswith("http://"):
            return word
    process.wait(_STOP_SECONDS)
    said = log.read_text(errors="replace")[-_SHOWN_LOG:].strip()
    raise Unavailable(f"The server did not start: {said or line.strip() or 'it said nothing'}")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
