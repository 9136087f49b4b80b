"""Starts the real server as a process of its own, and reads what it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class Running:
    process: subprocess.Popen[str]
    start_line: str
    url: str
    host: str
    port: int

    def stop(self) -> int:
        """Send SIGTERM and give the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def running(folder: Path, **settings: object) -> Iterator[Running]:
    """A server on a free port over this folder, with these settings; killed at the end if it still runs."""
    variables = {"MINIVEC_DATA": str(folder), "MINIVEC_PORT": "0", "MINIVEC_LOG_LEVEL": "warning"}
    variables.update({f"MINIVEC_{name.upper()}": str(value) for name, value in settings.items()})
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.server.fake_server"],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://([^:]+):(\d+)", line)
        assert found, f"the server did not start: {line!r}"
        yield Running(process, line.strip(), found[0], found[1], int(found[2]))
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
