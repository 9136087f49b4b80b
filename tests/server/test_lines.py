from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect
from starlette.types import Message

from minivec_server.rest.lines import BATCH_BYTES, LineReader, TooLong

MOST = 50


def reader_of(pieces: Sequence[bytes], most: int = MOST) -> LineReader:
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting = iter([*messages, {"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Message:
        return next(waiting)

    return LineReader(receive, most)


async def all_batches(reader: LineReader, count: int) -> list[list[bytes | TooLong]]:
    batches = []
    while (batch := await reader.batch(count)) is not None:
        batches.append(batch)
    return batches


@given(st.lists(st.binary(max_size=80)), st.integers(1, 5), st.data())
def test_lines_are_the_same_however_the_body_is_cut(lines: list[bytes], count: int, data: st.DataObject) -> None:
    body = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    expected = [
        TooLong(MOST) if len(one) > MOST else one for one in body.split(b"\n") if len(one) > MOST or one.strip()
    ]
    batches = asyncio.run(all_batches(reader_of(pieces), count))
    assert [one for batch in batches for one in batch] == expected
    assert all(len(batch) <= count for batch in batches)


async def test_a_batch_of_large_lines_ends_before_its_count() -> None:
    large = b"x" * (BATCH_BYTES // 2) + b"\n"
    batches = await all_batches(reader_of([large] * 5, most=BATCH_BYTES), 256)
    assert [len(batch) for batch in batches] == [2, 2, 1]


async def test_a_pause_gives_out_what_is_there() -> None:
    messages: asyncio.Queue[Message] = asyncio.Queue()
    reader = LineReader(messages.get, MOST)
    messages.put_nowait({"type": "http.request", "body": b"one\ntw", "more_body": True})
    assert await reader.batch(256) == [b"one"]
    messages.put_nowait({"type": "http.request", "body": b"o", "more_body": False})
    assert await reader.batch(256) == [b"two"]
    assert await reader.batch(256) is None
    reader.close()


async def test_a_sender_that_is_gone_is_an_error() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await LineReader(receive, MOST).batch(256)


async def test_a_line_without_end_takes_no_memory() -> None:
    reader = reader_of([b"x" * 1000] * 100)
    assert await reader.batch(256) == [TooLong(MOST)]
