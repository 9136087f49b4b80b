"""How a stranger's base URL is called: resolved once, every address judged, connected to exactly what was judged, and
never for longer than the time limit. Redirects are not followed, proxies of the environment not asked."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from minivec.embedding.remote_address import Resolve, public_addresses

Clock = Callable[[], float]


class GuardedTransport(httpx.BaseTransport):
    """An httpx transport that connects to public addresses only, with a new connection for every request."""

    def __init__(
        self,
        seconds: float,
        *,
        resolve: Resolve = socket.getaddrinfo,
        clock: Clock = time.monotonic,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or httpx.create_ssl_context(),
            max_keepalive_connections=0,
            network_backend=_GuardedNetwork(seconds, resolve, clock),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Raises httpx.TransportError, and InvalidInput for an address that is not public."""
        assert isinstance(request.stream, httpx.SyncByteStream)
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        plain = httpcore.Request(
            request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        with _as_httpx(request):
            response = self._pool.handle_request(plain)
        assert isinstance(response.stream, Iterable)
        return httpx.Response(response.status, headers=response.headers, stream=_Stream(response, request))

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class _Stream(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx(self._request):
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class _GuardedNetwork(httpcore.NetworkBackend):
    def __init__(self, seconds: float, resolve: Resolve, clock: Clock) -> None:
        self._seconds = seconds
        self._resolve = resolve
        self._clock = clock
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        deadline = self._clock() + self._seconds
        try:
            addresses = public_addresses(host, port, self._resolve)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        stream = self._inner.connect_tcp(addresses[0], port, timeout, local_address, socket_options)
        return _Bounded(stream, deadline, self._clock)


class _Bounded(httpcore.NetworkStream):
    """A stream that ends at a moment, however many bytes still drip."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float, clock: Clock) -> None:
        self._inner = inner
        self._deadline = deadline
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._inner.start_tls(ssl_context, server_hostname, self._left(timeout))
        return _Bounded(secured, self._deadline, self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _left(self, timeout: float | None) -> float:
        left = self._deadline - self._clock()
        if left <= 0:
            raise httpcore.ReadTimeout("the time limit passed")
        return left if timeout is None else min(left, timeout)


@contextmanager
def _as_httpx(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise httpx.ReadTimeout(str(error), request=request) from error
    except httpcore.ConnectError as error:
        raise httpx.ConnectError(str(error), request=request) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        raise httpx.RemoteProtocolError(str(error), request=request) from error
