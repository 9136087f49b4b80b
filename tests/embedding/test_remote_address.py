"""A stranger's base URL reaches the public internet or nothing: not one connection to this machine or its network."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpcore
import httpx
import pytest

from minivec.embedding import remote_transport
from minivec.embedding.remote import RemoteModel, RemoteSource
from minivec.embedding.remote_address import check_strange_url, host_of, is_public, parse_base_url, public_addresses
from minivec.embedding.remote_transport import GuardedTransport
from minivec.errors import InvalidInput
from tests.embedding.fault_server import NO_JITTER, Patience, fault_server


class Listener:
    """Accepts connections on an address of this machine and counts them."""

    def __init__(self, family: socket.AddressFamily, address: str) -> None:
        self.socket = socket.create_server((address, 0), family=family)
        self.port = self.socket.getsockname()[1]
        self.hits = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.hits += 1
            connection.close()

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._thread.join()


@pytest.fixture
def listeners() -> Iterator[list[Listener]]:
    with ExitStack() as stack:
        found = [Listener(socket.AF_INET, "127.0.0.1")]
        if socket.has_ipv6:
            found.append(Listener(socket.AF_INET6, "::1"))
        for listener in found:
            stack.callback(listener.close)
        yield found


def answers(*addresses: str) -> Any:
    """A resolver that knows one answer."""

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return resolve


HOSTS = [
    "127.0.0.1",
    "localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "0.0.0.0",
    "[::]",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "localhost.",
]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_way_to_write_this_machine_reaches_it(listeners: list[Listener], scheme: str, host: str) -> None:
    source = RemoteSource(seconds=2.0, policy=NO_JITTER, sleep=Patience())
    for listener in listeners:
        model = RemoteModel(
            provider="nvidia", name="m", base_url=f"{scheme}://{host}:{listener.port}", guarded=True, key="k"
        )
        result = source.embedder(model).embed(["secret"], input_type="passage")
        assert result.notes[0].error is not None
    source.close()
    assert [listener.hits for listener in listeners] == [0] * len(listeners)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *("255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:169.254.169.254", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:4136:e378::1"),
        "not an address",
    ],
)
def test_addresses_of_machines_behind_us_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001::1"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


def test_one_private_address_among_the_answers_is_enough_to_refuse() -> None:
    assert public_addresses("host", 443, answers("8.8.8.8", "1.1.1.1")) == ["8.8.8.8", "1.1.1.1"]
    for private in ("10.0.0.1", "169.254.169.254"):
        with pytest.raises(InvalidInput, match="not a public address"):
            public_addresses("host", 443, answers("8.8.8.8", private))
    with pytest.raises(InvalidInput):
        public_addresses("host", 443, answers())


def test_a_name_is_resolved_once_and_called_at_the_address_that_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved: list[str] = []
    called: list[str] = []

    def rebinding(host: str, port: int, **_: object) -> list[Any]:
        resolved.append(host)
        address = "8.8.8.8" if len(resolved) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(self: object, host: str, port: int, *_: object, **__: object) -> httpcore.NetworkStream:
        called.append(host)
        raise httpcore.ConnectError("nobody there")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    with httpx.Client(transport=GuardedTransport(1.0, resolve=rebinding)) as client:
        with pytest.raises(httpx.ConnectError):
            client.post("https://rebinding.example/v1/embeddings")
        assert (resolved, called) == (["rebinding.example"], ["8.8.8.8"])
        with pytest.raises(InvalidInput):
            client.post("https://rebinding.example/v1/embeddings")
        assert called == ["8.8.8.8"]


def test_a_guarded_call_works_and_ends_in_time_whatever_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_transport, "public_addresses", lambda host, port, resolve: ["127.0.0.1"])
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    faults = iter(["drip-head", "drip", "redirect", "ok"])
    with fault_server(lambda request, number: next(faults)) as server:
        port = server.url.rpartition(":")[2]
        source = RemoteSource(seconds=0.3, policy=NO_JITTER, sleep=Patience())
        model = RemoteModel(provider="nvidia", name="m", base_url=f"http://nim.example:{port}", guarded=True)
        embedder = source.embedder(model)
        first, second = (embedder.embed(["a"], input_type="query") for _ in range(2))
        source.close()
        assert server.answered == ["drip-head", "drip", "redirect", "ok"]
        assert server.received[0].headers["host"] == f"nim.example:{port}"
    assert "answered 307" in str(first.notes[0].error)
    assert second.notes[0].error is None


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("https://integrate.api.nvidia.com", "https://integrate.api.nvidia.com"),
        ("https://integrate.api.nvidia.com/v1", "https://integrate.api.nvidia.com"),
        ("https://integrate.api.nvidia.com/v1/", "https://integrate.api.nvidia.com"),
        ("HTTP://NIM:8000/", "http://nim:8000"),
        ("http://gateway/team/v1", "http://gateway/team"),
        ("http://[::1]:8000/v1", "http://[::1]:8000"),
    ],
)
def test_a_trailing_v1_is_tolerated(given: str, read: str) -> None:
    assert parse_base_url(given) == read
    assert host_of(read) in read


@pytest.mark.parametrize(
    "url",
    [
        *("", "nim:8000", "file:///etc/passwd", "ftp://host", "gopher://host", "http://", "https://:443", "//host"),
        *("http://user:password@host", "http://host?x=1", "http://host#x", "http://host:99999", "http://host:0"),
        *("http://ho st", "http://host\r\nX-Evil: 1", "http://hóst", "http://[::1", "https://" + "x" * 3000),
    ],
)
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_base_url(url)
    assert "password" not in caught.value.message or "user name" in caught.value.message


@pytest.mark.parametrize(
    "url", ["http://example.com", "https://10.0.0.1", "https://[::1]:8000", "https://169.254.169.254"]
)
def test_what_strangers_may_not_name_is_refused_before_anything_is_called(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_strange_url(url)
    assert "allow_private_base_urls" in caught.value.hint
