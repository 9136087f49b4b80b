"""One server process: opens the database or only loads models, listens, and at a signal finishes what it accepted before it
closes."""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM, signal
from types import FrameType

import uvicorn
from fastapi import FastAPI

import minivec
from minivec.database import Database, engine_options
from minivec.embedding.engine import Engine
from minivec.errors import Unavailable
from minivec.settings import Settings
from minivec_server.app import create_app, create_engine_app
from minivec_server.connection import connection_with

logger = logging.getLogger("minivec.server")
_FORCED = 1
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def run(settings: Settings) -> int:
    """Open the database of the settings, or only load models, serve until a signal comes, close; the exit code.

    Raises what `minivec.open` raises or loading a model does, and Unavailable when the address is taken.
    """
    configure_logging(settings.log_level)
    listener = listen(settings.host, settings.port)
    if settings.only == "engine":
        with listener, closing(Engine(engine_options(settings))) as engine:
            serve_engine(engine, settings, listener)
        return 0
    with listener, minivec.open(settings.data, settings=settings) as database:
        serve(database, settings, listener)
    return 0


def serve(database: Database, settings: Settings, listener: socket.socket) -> None:
    """Answer requests on this socket until SIGTERM or SIGINT; a second signal ends the process at once.

    Accepted requests get `shutdown_seconds` to finish; when one still runs then, the process ends at once too (what was
    acknowledged is on disk). The caller closes the database.
    """
    found = database.version()
    where = Path(settings.data).resolve()
    about = f"data {where}, durability {settings.durability}, SQLite {found['sqlite']}"
    _answer(create_app(database, settings), settings, listener, about)


def serve_engine(engine: Engine, settings: Settings, listener: socket.socket) -> None:
    """Load the models of the settings, then answer as `serve` does, with NIM's API alone. The caller closes the engine.

    Raises what loading a model raises. Without a model named, each that is at hand is loaded at its first request.
    """
    models = [name.strip() for name in settings.model.split(",") if name.strip()]
    engine.warm_up(*models)
    about = f"engine only, {', '.join(models) or 'models load when asked for'}, {settings.dtype} on {settings.device}"
    _answer(create_engine_app(engine, settings, models=models), settings, listener, about)


def _answer(app: FastAPI, settings: Settings, listener: socket.socket, about: str) -> None:
    config = uvicorn.Config(
        app,
        http=connection_with(settings, app.state.dialects),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
    )
    server = _Server(config, _start_line(listener, about))
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


def _start_line(listener: socket.socket, about: str) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"minivec {minivec.__version__} at http://{shown}:{port} ({about})"
