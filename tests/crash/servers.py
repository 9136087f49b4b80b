"""A server process to start, wait for, kill and ask to end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import httpx

from minivec.client.client import Client
from minivec.client.retry import Retry

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
_POLL_SECONDS = 0.02


class ServerFailed(Exception):
    """The server ended, or was not ready in time; the message holds the end of its log."""


class ServerProcess:
    """One server over a data directory, started and ended as often as wanted, always at the same address."""

    def __init__(
        self, data: Path, *, module: str = "tests.crash.server_process", environment: dict[str, str] | None = None
    ) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data.parent / f"{data.name}.log"
        self._module = module
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def start(self, *arguments: str) -> None:
        """Start it; returns at once."""
        self.kill()
        own = {"MINIVEC_DATA": str(self.data), "MINIVEC_PORT": str(self.port), "MINIVEC_LOG_LEVEL": "warning"}
        environment = {**os.environ, **own, **self._environment}
        with self.log.open("ab") as log:
            self._started = time.monotonic()
            command: Sequence[str] = [sys.executable, "-m", self._module, *arguments]
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def wait_until_ready(self) -> float:
        """Seconds from its start until it says that every index has caught up. Raises ServerFailed."""
        return self._wait_for("/v1/health/ready")

    def wait_until_live(self) -> float:
        """Seconds from its start until it answers at all. Raises ServerFailed."""
        return self._wait_for("/v1/health/live")

    def client(self, *, timeout: float = 30.0) -> Client:
        """A client that never sends anything twice, so that one request is one operation."""
        return Client.connect(self.url, timeout=timeout, retry=Retry(limit=1))

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self, seconds: float = 30.0) -> int:
        """SIGTERM; the exit code. Raises TimeoutExpired when it does not end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def wait_for_end(self, seconds: float) -> int | None:
        """The exit code, or None when it still runs after so long."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def log_end(self, lines: int = 30) -> str:
        """The last lines of its log, over all its starts."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _wait_for(self, path: str) -> float:
        assert self._process is not None
        with httpx.Client(trust_env=False, timeout=5.0) as http:
            while time.monotonic() - self._started < START_SECONDS:
                code = self._process.poll()
                if code is not None:
                    raise ServerFailed(f"the server ended with {code} while it started:\n{self.log_end()}")
                try:
                    if http.get(self.url + path).status_code == 200:
                        return time.monotonic() - self._started
                except httpx.TransportError:
                    pass
                time.sleep(_POLL_SECONDS)
        raise ServerFailed(f"the server was not ready after {START_SECONDS:g} s:\n{self.log_end()}")


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
