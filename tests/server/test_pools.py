from __future__ import annotations

import asyncio
import threading

import pytest

from minivec.embedding.backend import FakeTokenizer
from minivec.embedding.callers import Caller, current_caller
from minivec.embedding.engine import Engine
from minivec.embedding.interface import ModelCard
from minivec.embedding.model import LoadedModel
from minivec.embedding.prompts import Prompts
from minivec.errors import Busy, Closed
from minivec_server.pools import Pool
from tests.embedding.backends import GatedBackend


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


@pytest.mark.parametrize("finishes", [False, True])
async def test_work_that_has_begun_hears_that_nobody_waits_unless_it_must_finish(finishes: bool) -> None:
    pool = Pool("reads", threads=1, waiting=1, finishes=finishes)
    gate, begun = threading.Event(), threading.Event()
    callers: list[Caller | None] = []

    def work() -> None:
        callers.append(current_caller())
        begun.set()
        gate.wait()

    running = asyncio.ensure_future(pool.run(work))
    assert await asyncio.to_thread(begun.wait, 30)
    running.cancel()
    await asyncio.wait([running])
    assert callers[0] is not None
    assert callers[0].gone is not finishes
    gate.set()
    assert pool.close(5.0) is True


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


async def test_texts_of_a_request_that_nobody_waits_for_leave_the_models_queue(pool: Pool) -> None:
    backend = GatedBackend()
    model = LoadedModel(
        card=ModelCard(name="m", fingerprint="f", dimension=8, max_tokens=50),
        prompts=Prompts(),
        pool_prompt=True,
        tokenizer=FakeTokenizer(),
        backend=backend,
    )
    engine = Engine(load=lambda name, options: model)
    embedder = engine.embedder("m")
    held = threading.Thread(target=lambda: embedder.embed(["held"], input_type="passage"))
    held.start()
    assert await asyncio.to_thread(backend.entered.wait, 30)
    request = asyncio.ensure_future(pool.run(embedder.embed, ["never run"], input_type="query"))
    while engine.health().waiting_tokens == 0:
        await asyncio.sleep(0.001)
    request.cancel()
    await asyncio.wait([request])
    assert engine.health().waiting_tokens == 0
    backend.gate.set()
    held.join(30)
    engine.close()
    assert len(backend.batches) == 1
    assert pool.close(5.0) is True
