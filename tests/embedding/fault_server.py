"""A service with `/v1/embeddings` that misbehaves on request: a real socket, answers as NIM's, and every fault we know of.

Vectors are made from the words of a text and the input type, so that a test can tell queries from passages.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from minivec.embedding.remote_retry import RetryPolicy

DIMENSION = 8
POISON = "poison"
NIM_REFUSAL = {
    "object": "error",
    "message": "Your request cannot be validated, it is incorrect.",
    "detail": {"type": "value_error", "loc": ["body", "input"], "msg": "The text cannot be embedded"},
    "type": "request_validation_error",
}


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def texts(self) -> list[str]:
        return list(self.body["input"])


Behave = Callable[[Received, int], str]


def vector_of(text: str, input_type: str = "passage", dimension: int = DIMENSION) -> list[float]:
    """Unit vector of the words; that of a query differs a little from that of a passage."""
    total = np.full(dimension, 0.25 if input_type == "query" else 0.1)
    for word in text.lower().split():
        total += np.random.default_rng(zlib.crc32(word.encode())).normal(size=dimension)
    return [float(value) for value in total / np.linalg.norm(total)]


@dataclass
class FaultServer:
    """`behave(request, number)` names what happens to the request: "ok" or one of the faults of `_Handler`."""

    behave: Behave = lambda request, number: "ok"
    dimension: int = DIMENSION
    received: list[Received] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def state(self) -> FaultServer:
        return self.server.state  # type: ignore[attr-defined,no-any-return]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        with self.state.lock:
            number = len(self.state.received)
            self.state.received.append(request)
            fault = self.state.behave(request, number)
            self.state.answered.append(fault)
        try:
            getattr(self, "do_" + fault.replace("-", "_"))(request)
        except OSError:  # the client has given up, as it should
            self.close_connection = True

    # what may happen, by name

    def do_ok(self, request: Received) -> None:
        self.send(200, self.answer(request))

    def do_poison(self, request: Received) -> None:
        """400 for every batch with a poisonous text in it."""
        bad = any(POISON in text for text in request.texts)
        self.send(400, NIM_REFUSAL) if bad else self.do_ok(request)

    def do_429(self, request: Received) -> None:
        self.send(429, {"detail": "Too many requests"}, {"Retry-After": "3"})

    def do_500(self, request: Received) -> None:
        self.send(500, {"object": "error", "message": "CUDA error", "detail": {}, "type": "internal_error"})

    def do_503(self, request: Received) -> None:
        self.send(503, {"title": "Service Unavailable", "status": 503})

    def do_cut(self, request: Received) -> None:
        """The answer ends in the middle of its body."""
        content = json.dumps(self.answer(request)).encode()
        self.head(200, len(content))
        self.wfile.write(content[: len(content) // 2])
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def do_silent(self, request: Received) -> None:
        self.state.released.wait(30)
        self.close_connection = True

    def do_drip(self, request: Received) -> None:
        """A byte now and then: no single wait is long, the whole would take minutes."""
        content = json.dumps(self.answer(request)).encode()
        self.head(200, len(content))
        for byte in content:
            self.wfile.write(bytes([byte]))
            if self.state.released.wait(0.05):
                break
        self.close_connection = True

    def do_drip_head(self, request: Received) -> None:
        """Even the head of the answer drips."""
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1_000:
            self.wfile.write(bytes([byte]))
            if self.state.released.wait(0.05):
                break
        self.close_connection = True

    def do_slow(self, request: Received) -> None:
        time.sleep(0.05)
        self.do_ok(request)

    def do_garbage(self, request: Received) -> None:
        self.raw(200, b'{"data": [{"embedding": [0.1, 0.')

    def do_html(self, request: Received) -> None:
        self.raw(200, b"<html><head><title>Welcome to the proxy</title></head></html>", "text/html")

    def do_bad_gateway(self, request: Received) -> None:
        self.raw(502, b"<html><head><title>502 Bad Gateway</title></head></html>", "text/html")

    def do_wrong_count(self, request: Received) -> None:
        answer = self.answer(request)
        self.send(200, {**answer, "data": answer["data"][:-1]})

    def do_wrong_dims(self, request: Received) -> None:
        answer = self.answer(request)
        answer["data"][0]["embedding"].append(0.5)
        self.send(200, answer)

    def do_nan(self, request: Received) -> None:
        answer = self.answer(request)
        answer["data"][0]["embedding"][2] = float("nan")
        self.send(200, answer)

    def do_shuffled(self, request: Received) -> None:
        answer = self.answer(request)
        self.send(200, {**answer, "data": answer["data"][::-1]})

    def do_unauthorized(self, request: Received) -> None:
        """Some services repeat what they were sent."""
        self.send(401, {"detail": f"Authorization failed for {self.headers['Authorization']}"})

    def do_not_found(self, request: Received) -> None:
        self.send(404, {"status": 404, "title": "Not Found", "detail": "Function 'x': Not found for account 'y'"})

    def do_redirect(self, request: Received) -> None:
        self.send(307, {}, {"Location": f"{self.state.url}/elsewhere"})

    def do_accepted(self, request: Received) -> None:
        self.send(202, {})

    def do_extra_forbidden(self, request: Received) -> None:
        self.send(400, {"error": "'input_type' parameter is required for asymmetric models"})

    # how it is said

    def answer(self, request: Received) -> dict[str, Any]:
        size = request.body.get("dimensions", self.state.dimension)
        kind = request.body.get("input_type", "passage")
        data = [
            {"object": "embedding", "index": index, "embedding": vector_of(text, kind, size)}
            for index, text in enumerate(request.texts)
        ]
        tokens = sum(len(text.split()) + 2 for text in request.texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": request.body["model"], "usage": usage}

    def send(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        self.raw(status, json.dumps(value).encode(), "application/json", headers)

    def raw(
        self, status: int, content: bytes, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        self.head(status, len(content), kind, headers)
        self.wfile.write(content)

    def head(
        self, status: int, length: int, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(length), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    state: FaultServer


@contextmanager
def fault_server(behave: Behave | str = "ok", *, dimension: int = DIMENSION) -> Iterator[FaultServer]:
    """A running server; `behave` may be the one thing it does."""
    what = (lambda request, number: behave) if isinstance(behave, str) else behave
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = FaultServer(behave=what, dimension=dimension)
    server.state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.state
    finally:
        server.state.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


class Patience:
    """A sleep that takes no time and remembers what was asked of it."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


NO_JITTER = RetryPolicy(jitter=lambda: 1.0)
