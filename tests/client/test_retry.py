"""What is sent again, how often and after how long; with a clock that only counts."""

from __future__ import annotations

import httpx
import pytest

import minivec
from minivec import errors
from minivec.client import requests
from minivec.client.retry import Retry
from minivec.client.transport import AsyncSender, Sender
from tests.client.stand_in import VERSION, error

EVEN = Retry(jitter=lambda: 1.0)
READ = requests.describe("notes")
IMPORT = requests.import_batch("notes", [], mode="upsert", id_from=None, repeatable=True)
CREATE = requests.create_collection("notes")


class Script:
    """A transport that plays faults in turn and then answers; it remembers how long was slept between them."""

    def __init__(self, *faults: Exception | httpx.Response) -> None:
        self.faults = list(faults)
        self.sent = 0
        self.slept: list[float] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.sent += 1
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        return fault or httpx.Response(200, json={"config": {"name": "notes"}, "count": 0, "outcomes": []})

    def send(self, call, retry=EVEN):
        sender = Sender("http://x", transport=httpx.MockTransport(self.answer), retry=retry, sleep=self.slept.append)
        try:
            return sender.send(call)
        finally:
            sender.close()


def busy(seconds: str = "2") -> httpx.Response:
    reply = error(503, "busy", "Full.")
    reply.headers["retry-after"] = seconds
    return reply


def test_the_waits_double_up_to_the_longest_and_end():
    script = Script(*[httpx.ConnectError("refused")] * 20)
    with pytest.raises(errors.ConnectionFailed, match="minivec serve"):
        script.send(IMPORT)
    assert script.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]
    assert script.sent == IMPORT.tries == 10


def test_chance_shortens_a_wait_to_half_at_most():
    assert Retry(jitter=lambda: 0.0).pause(READ, 1, httpx.ConnectError("x")) == 0.125
    assert Retry(jitter=lambda: 1.0).pause(READ, 1, httpx.ConnectError("x")) == 0.25
    for _ in range(100):
        assert 0.125 <= Retry().pause(READ, 1, httpx.ConnectError("x")) <= 0.25


def test_the_server_says_how_long_to_wait():
    script = Script(busy("2"), busy("3"))
    script.send(READ)
    assert script.slept == [2.0, 3.0]


def test_no_server_may_ask_for_more_than_a_minute():
    script = Script(busy("86400"))
    script.send(READ)
    assert script.slept == [60.0]


NEVER_SENT = [httpx.ConnectError("refused"), httpx.ConnectTimeout("late"), httpx.PoolTimeout("full"), busy()]
LOST = [httpx.ReadError("reset"), httpx.WriteError("pipe"), httpx.RemoteProtocolError("cut"), error(503, "unavailable")]
FINAL = [
    httpx.ReadTimeout("late"),
    error(400, "invalid_input"),
    error(404, "collection_not_found"),
    error(500, "storage_error"),
    error(503, "commit_unknown"),
    error(503, "database_locked"),
    error(403, "read_only"),
    error(504, "deadline_exceeded"),
    httpx.Response(200, content=b"<html>"),
]


@pytest.mark.parametrize("fault", NEVER_SENT, ids=repr)
def test_what_the_server_never_began_is_sent_again_whatever_it_is(fault):
    script = Script(fault)
    script.send(CREATE)
    assert script.sent == 2


@pytest.mark.parametrize("fault", LOST, ids=repr)
def test_what_may_have_been_done_is_sent_again_only_where_that_does_no_harm(fault):
    script = Script(fault)
    script.send(READ)
    assert script.sent == 2
    script = Script(fault)
    with pytest.raises((errors.ConnectionFailed, errors.Unavailable)):
        script.send(CREATE)
    assert script.sent == 1


@pytest.mark.parametrize("fault", FINAL, ids=repr)
def test_what_would_end_the_same_way_is_not_sent_again(fault):
    script = Script(fault)
    with pytest.raises(errors.MinivecError):
        script.send(READ)
    assert script.sent == 1


def test_a_late_answer_names_the_limit_and_the_doubt():
    with pytest.raises(errors.ConnectionFailed, match="within 60 seconds; what it was asked to do may still happen"):
        Script(httpx.ReadTimeout("late")).send(READ)


def test_a_broken_connection_keeps_its_cause():
    with pytest.raises(errors.ConnectionFailed, match="broke") as raised:
        Script(httpx.ReadError("reset by peer")).send(CREATE)
    assert isinstance(raised.value.__cause__, httpx.ReadError)


async def test_the_async_sender_waits_and_repeats_alike():
    script = Script(httpx.ReadError("reset"), busy("2"))

    async def sleep(seconds: float) -> None:
        script.slept.append(seconds)

    sender = AsyncSender("http://x", transport=httpx.MockTransport(script.answer), retry=EVEN, sleep=sleep)
    assert (await sender.send(READ)).count == 0
    assert script.slept == [0.25, 2.0]
    script.faults = [httpx.ReadError("reset")]
    with pytest.raises(errors.ConnectionFailed):
        await sender.send(CREATE)
    await sender.close()


def test_connecting_asks_once_so_that_a_wrong_address_is_told_at_once():
    script = Script(httpx.ConnectError("refused"))
    with pytest.raises(errors.ConnectionFailed, match="No server answers at http://x"):
        minivec.connect("http://x", transport=httpx.MockTransport(script.answer))
    assert script.sent == 1


def test_connecting_to_something_else_says_so():
    other = httpx.MockTransport(lambda request: httpx.Response(200, content=b"<h1>It works!</h1>"))
    with pytest.raises(errors.UnexpectedAnswer, match="It works"):
        minivec.connect("http://x", transport=other)


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "http://", "", "::", None])
def test_an_address_that_is_none_is_refused_by_name(url):
    with pytest.raises(errors.InvalidInput) as raised:
        minivec.connect(url)
    assert raised.value.field == "url"


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"timeout": -1.0}, {"api_key": "ключ"}, {"api_key": "two\nlines"}])
def test_options_no_request_could_carry_are_refused_by_name(wrong):
    with pytest.raises(errors.InvalidInput) as raised:
        minivec.connect("http://x", **wrong)
    assert raised.value.field == next(iter(wrong))


def test_the_key_and_the_path_before_the_api_travel_with_every_request():
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=VERSION)

    with minivec.connect("http://x/behind/", api_key="secret", transport=httpx.MockTransport(answer)) as client:
        client.version()
    assert [str(request.url) for request in seen] == ["http://x/behind/v1/version"] * 2
    assert {request.headers["authorization"] for request in seen} == {"Bearer secret"}


def test_a_closed_client_says_it_is_closed():
    with minivec.connect(
        "http://x", transport=httpx.MockTransport(lambda r: httpx.Response(200, json=VERSION))
    ) as client:
        pass
    client.close()
    with pytest.raises(errors.Closed, match="closed"):
        client.version()
