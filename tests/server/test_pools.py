from __future__ import annotations

import asyncio
import threading

import pytest

from minivec.errors import Busy, Closed
from minivec_server.pools import Pool


@pytest.fixture
def pool() -> Pool:
    return Pool("reads", threads=1, waiting=1)


async def test_work_runs_on_another_thread_and_its_error_comes_back(pool: Pool) -> None:
    assert await pool.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)
    pool.close(1.0)


async def test_a_full_pool_says_busy_and_is_free_again_later(pool: Pool) -> None:
    gate = threading.Event()
    running = asyncio.ensure_future(pool.run(gate.wait))
    waiting = asyncio.ensure_future(pool.run(gate.wait))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await pool.run(gate.wait)
    gate.set()
    assert await running
    assert await waiting
    assert await pool.run(lambda: "free")
    pool.close(1.0)


async def test_work_nobody_waits_for_any_more_is_not_begun(pool: Pool) -> None:
    gate, begun = threading.Event(), threading.Event()
    running = asyncio.ensure_future(pool.run(gate.wait))
    waiting = asyncio.ensure_future(pool.run(begun.set))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    gate.set()
    await running
    assert await pool.run(lambda: "free") == "free"
    assert not begun.is_set()
    pool.close(1.0)


async def test_closing_waits_for_what_runs_and_refuses_the_rest(pool: Pool) -> None:
    gate = threading.Event()
    running = asyncio.ensure_future(pool.run(gate.wait))
    await asyncio.sleep(0)
    assert pool.close(0.0) is False
    with pytest.raises(Closed):
        await pool.run(gate.wait)
    gate.set()
    assert await running
    assert pool.close(5.0) is True
