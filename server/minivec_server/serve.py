"""One server process: opens the database, listens, and at a signal finishes what it accepted before it closes."""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM, signal
from types import FrameType

import uvicorn

import minivec
from minivec.database import Database
from minivec.errors import Unavailable
from minivec.settings import Settings
from minivec_server.app import create_app
from minivec_server.connection import connection_with

logger = logging.getLogger("minivec.server")
_FORCED = 1
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def run(settings: Settings) -> int:
    """Open the database of the settings, serve it until a signal comes, close it; the exit code.

    Raises what `minivec.open` raises, and Unavailable when the address is taken.
    """
    configure_logging(settings.log_level)
    listener = listen(settings.host, settings.port)
    with listener, minivec.open(settings.data, settings=settings) as database:
        serve(database, settings, listener)
    return 0


def serve(database: Database, settings: Settings, listener: socket.socket) -> None:
    """Answer requests on this socket until SIGTERM or SIGINT; a second signal ends the process at once.

    Accepted requests get `shutdown_seconds` to finish; when one still runs then, the process ends at once too (what was
    acknowledged is on disk). The caller closes the database.
    """
    app = create_app(database, settings)
    config = uvicorn.Config(
        app,
        http=connection_with(settings),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
    )
    server = _Server(config, _start_line(database, settings, listener))
    server.run([listener])
    left = server.signalled + settings.shutdown_seconds - time.monotonic()
    if not app.state.minivec.pools.close(max(1.0, left)):
        logger.error("requests still run after %g seconds; ending without them", settings.shutdown_seconds)
        _leave()


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address, not yet accepting. Raises Unavailable when it is taken or is not ours."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise _cannot_listen(host, port, error, "host", "Use 127.0.0.1, or 0.0.0.0 for every interface.") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        hint = "Choose another port with --port or MINIVEC_PORT; 0 picks a free one."
        raise _cannot_listen(host, port, error, "port", hint) from error
    return listener


def configure_logging(level: str) -> None:
    """Log to the standard error stream, one line a message; libraries speak only of errors."""
    logging.basicConfig(level=level.upper(), format=_LOG_FORMAT, stream=sys.stderr)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi", "faiss"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _cannot_listen(host: str, port: int, error: OSError, field: str, hint: str) -> Unavailable:
    return Unavailable(f"Cannot listen on {host}, port {port}: {error.strerror}.", field=field, hint=hint)


class _Server(uvicorn.Server):
    """uvicorn's server, but it says one line when it is ready, and leaves ending the process to us."""

    def __init__(self, config: uvicorn.Config, start_line: str) -> None:
        super().__init__(config)
        self._start_line = start_line
        self.signalled = time.monotonic()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._start_line, flush=True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:  # uvicorn's would raise the signal again
        for number in (SIGTERM, SIGINT):
            signal(number, self.handle_exit)
        yield
        for number in (SIGTERM, SIGINT):  # while the database closes
            signal(number, _leave)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            _leave()
        self.signalled = time.monotonic()
        self.should_exit = True


def _leave(sig: int = 0, frame: FrameType | None = None) -> None:
    """End at once. What was acknowledged is on disk already."""
    os._exit(_FORCED)


def _start_line(database: Database, settings: Settings, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    found = database.version()
    where = Path(settings.data).resolve()
    return (
        f"minivec {found['minivec']} at http://{shown}:{port} "
        f"(data {where}, durability {settings.durability}, SQLite {found['sqlite']})"
    )
