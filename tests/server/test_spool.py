from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from minivec_server.rest.spool import MEMORY, Spool


async def read_all(spool: Spool) -> bytes:
    pieces = []
    while piece := await spool.read():
        pieces.append(piece)
    return b"".join(pieces)


@given(st.lists(st.binary(max_size=200_000) | st.none(), max_size=20))
def test_what_goes_in_comes_out_in_order_whenever_it_is_read(steps: list[bytes | None]) -> None:
    async def run() -> None:
        spool, read, written = Spool(), b"", b""
        for step in steps:  # None: read once
            if step is not None:
                spool.write(step)
                written += step
            elif len(read) < len(written):
                read += await spool.read()
        spool.finish()
        assert read + await read_all(spool) == written
        spool.close()

    asyncio.run(run())


async def test_more_than_memory_holds_is_kept_too() -> None:
    spool = Spool()
    content = bytes(range(256)) * (3 * MEMORY // 256)
    spool.write(content)
    spool.finish()
    assert await read_all(spool) == content
    spool.close()


async def test_a_reader_waits_for_the_writer() -> None:
    spool = Spool()
    reading = asyncio.ensure_future(spool.read())
    await asyncio.sleep(0)
    assert not reading.done()
    spool.write(b"now")
    assert await reading == b"now"
    spool.finish()
    assert await spool.read() == b""
    spool.close()
