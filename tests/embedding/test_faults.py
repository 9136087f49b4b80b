"""Faults, end to end through the engine: every call ends in vectors or a clear error, none hangs, health tells the truth."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from minivec.embedding.backend import DeviceLost, FakeBackend, FakeTokenizer, OutOfMemory
from minivec.embedding.callers import Caller
from minivec.embedding.engine import Engine, EngineOptions
from minivec.embedding.interface import Embedded, InputType, ModelCard
from minivec.embedding.model import LoadedModel
from minivec.embedding.prompts import Prompts
from minivec.embedding.quantize import PLAIN, VectorForm
from minivec.embedding.tokens import TokenizedText
from minivec.errors import Busy, Closed, EmbeddingFailed, MinivecError
from tests.embedding.backends import TIMEOUT, GatedBackend, RecordingBackend

Outcome = Embedded | MinivecError


class Scripted(FakeBackend):
    """Does to each batch what `fault` does: changes the vectors, raises, or nothing. Counts its passes."""

    def __init__(
        self, fault: Callable[[Sequence[TokenizedText], NDArray[Any]], NDArray[Any]], device: str = "fake"
    ) -> None:
        super().__init__(8)
        self.fault = fault
        self.device = device
        self.passes = 0

    def forward(self, batch: Sequence[TokenizedText], form: VectorForm = PLAIN) -> NDArray[Any]:
        self.passes += 1
        return self.fault(batch, super().forward(batch, form))


def engine_over(*backends: FakeBackend, **options: Any) -> Engine:
    """An engine whose model runs on these, one for each device."""
    waiting = list(backends)

    def load(name: str, options: EngineOptions) -> LoadedModel:
        card = ModelCard(name=name, fingerprint=name, dimension=8, max_tokens=50)
        backend = waiting.pop(0)
        return LoadedModel(card=card, prompts=Prompts(), pool_prompt=True, tokenizer=FakeTokenizer(), backend=backend)

    devices = ",".join(["fake"] * len(backends))
    return Engine(EngineOptions(device=devices, queue_delay_us=0, **options), load=load)


@dataclass
class Calls:
    """Calls of one engine from threads of their own; `ended` waits for all of them."""

    engine: Engine

    def __post_init__(self) -> None:
        self.outcomes: list[Outcome | None] = []
        self._threads: list[threading.Thread] = []

    def start(self, *texts: str, input_type: InputType = "passage", caller: Caller | None = None) -> None:
        place = len(self.outcomes)
        self.outcomes.append(None)
        embedder = self.engine.embedder("model")

        def call() -> None:
            try:
                work: Callable[[], Embedded] = lambda: embedder.embed(texts, input_type=input_type)  # noqa: E731
                self.outcomes[place] = work() if caller is None else caller.run(work)
            except MinivecError as error:
                self.outcomes[place] = error

        self._threads.append(threading.Thread(target=call))
        self._threads[-1].start()

    def ended(self) -> list[Outcome]:
        for thread in self._threads:
            thread.join(TIMEOUT)
        assert not any(thread.is_alive() for thread in self._threads)
        assert None not in self.outcomes
        return [outcome for outcome in self.outcomes if outcome is not None]


@pytest.fixture
def engines() -> Iterator[Callable[..., Engine]]:
    """Makes engines and closes them at the end, gates open."""
    made: list[tuple[Engine, tuple[FakeBackend, ...]]] = []

    def make(*backends: FakeBackend, **options: Any) -> Engine:
        made.append((engine_over(*backends, **options), backends))
        return made[-1][0]

    yield make
    for engine, backends in made:
        for backend in backends:
            if isinstance(backend, GatedBackend):
                backend.gate.set()
        engine.close()


def held(backend: GatedBackend, calls: Calls) -> None:
    """Begin a call and wait until the model is at it."""
    calls.start("held")
    assert backend.entered.wait(TIMEOUT)


def until(reached: Callable[[], bool]) -> None:
    """Look until it is so, and fail when it never is."""
    never = threading.Event()
    for _ in range(round(TIMEOUT * 1000)):
        if reached():
            return
        never.wait(0.001)
    pytest.fail("it was never so")


def until_waiting(engine: Engine, tokens: int) -> None:
    """Wait for the moment at which so many tokens are in the queue."""
    until(lambda: engine.health().waiting_tokens == tokens)


def test_out_of_memory_costs_no_text(engines: Callable[..., Engine]) -> None:
    def small(batch: Sequence[TokenizedText], vectors: NDArray[Any]) -> NDArray[Any]:
        if len(batch) > 3:
            raise OutOfMemory("no room")
        return vectors

    engine = engines(Scripted(small))
    embedded = engine.embedder("model").embed([f"word{i}" for i in range(50)], input_type="passage")
    assert all(note.error is None for note in embedded.notes)
    assert embedded.vectors.any(axis=1).all()
    assert engine.health().ready


def test_memory_that_is_never_enough_is_an_error_for_each_text(engines: Callable[..., Engine]) -> None:
    def never(batch: Sequence[TokenizedText], vectors: NDArray[Any]) -> NDArray[Any]:
        raise OutOfMemory("no room")

    engine = engines(Scripted(never))
    embedded = engine.embedder("model").embed(["a", "b", "c"], input_type="query")
    assert all("too little memory" in str(note.error) for note in embedded.notes)
    assert engine.health().ready


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_fails_its_text_alone(engines: Callable[..., Engine], number: float) -> None:
    def spoil(batch: Sequence[TokenizedText], vectors: NDArray[Any]) -> NDArray[Any]:
        for row, text in enumerate(batch):
            if len(text) == 5:
                vectors[row, 2] = number
        return vectors

    engine = engines(Scripted(spoil), cache_bytes=10**6)
    for _ in range(2):  # and it is not kept in the cache
        embedded = engine.embedder("model").embed(["one", "one two three", "four"], input_type="passage")
        assert [type(note.error) for note in embedded.notes] == [type(None), EmbeddingFailed, type(None)]
        assert not embedded.vectors[1].any()
    assert engine.health().ready


def test_a_killed_worker_fails_running_and_waiting_calls_and_health_is_red(engines: Callable[..., Engine]) -> None:
    backend = GatedBackend(then_raise=SystemExit("killed"))
    engine = engines(backend)
    calls = Calls(engine)
    held(backend, calls)
    calls.start("waits")
    calls.start("waits too", input_type="query")
    until_waiting(engine, 7)
    assert engine.health().ready
    backend.gate.set()
    assert [type(outcome) for outcome in calls.ended()] == [EmbeddingFailed] * 3
    assert all("killed" in str(outcome) for outcome in calls.ended())
    health = engine.health()
    assert not health.ready
    assert "killed" in health.notes[0]
    assert health.waiting_tokens == 0
    with pytest.raises(EmbeddingFailed, match="killed"):
        engine.embedder("model").embed(["later"], input_type="query")


def test_a_device_lost_while_the_model_is_tried_out_is_told(engines: Callable[..., Engine]) -> None:
    class Falling(FakeBackend):
        def measure(self, batch: Sequence[TokenizedText]) -> None:
            raise DeviceLost("the card fell off")

    with pytest.raises(EmbeddingFailed, match="the card fell off"):
        engines(Falling(8)).embedder("model")


def test_one_of_two_devices_may_die(engines: Callable[..., Engine]) -> None:
    dying, living = GatedBackend(then_raise=DeviceLost("the card fell off")), GatedBackend()
    dying.device, living.device = "fake:0", "fake:1"  # type: ignore[misc]
    engine = engines(dying, living)
    calls = Calls(engine)
    calls.start("first")
    until(lambda: dying.entered.is_set() or living.entered.is_set())  # so that the second text cannot share its batch
    calls.start("second")
    assert dying.entered.wait(TIMEOUT)
    assert living.entered.wait(TIMEOUT)
    calls.start("third")
    until_waiting(engine, 3)
    dying.gate.set()
    living.gate.set()
    outcomes = calls.ended()
    assert sorted(type(outcome).__name__ for outcome in outcomes[:2]) == ["Embedded", "EmbeddingFailed"]
    assert isinstance(outcomes[2], Embedded)
    health = engine.health()
    assert health.ready
    assert health.devices == ("fake:0", "fake:1")
    assert [note.partition(":")[0] for note in health.notes] == ["fake"]
    assert "fell off" in health.notes[0]


def test_a_full_queue_says_so_at_once(engines: Callable[..., Engine]) -> None:
    backend = GatedBackend()
    engine = engines(backend, queue_tokens=5)
    calls = Calls(engine)
    held(backend, calls)
    calls.start("one two three")
    until_waiting(engine, 5)
    with pytest.raises(Busy) as caught:
        engine.embedder("model").embed(["four"], input_type="passage")
    assert caught.value.retry_after > 0
    assert engine.health().ready
    backend.gate.set()
    assert all(isinstance(outcome, Embedded) for outcome in calls.ended())


def test_texts_of_a_caller_who_left_are_never_run(engines: Callable[..., Engine]) -> None:
    backend, caller = GatedBackend(), Caller()
    engine = engines(backend)
    calls = Calls(engine)
    held(backend, calls)
    calls.start("left behind", caller=caller)
    until_waiting(engine, 4)
    calls.start("stays")
    until_waiting(engine, 7)
    caller.leave()
    assert engine.health().waiting_tokens == 3
    backend.gate.set()
    outcomes = calls.ended()
    assert [type(outcome) for outcome in outcomes] == [Embedded, Closed, Embedded]
    assert [len(batch) for batch in backend.batches] == [1, 1]
    assert engine.health().ready


def test_a_caller_who_left_makes_room_and_is_refused_more(engines: Callable[..., Engine]) -> None:
    backend, caller = GatedBackend(), Caller()
    engine = engines(backend, queue_tokens=5)
    calls = Calls(engine)
    held(backend, calls)
    calls.start("one two three", caller=caller)
    until_waiting(engine, 5)
    caller.leave()
    calls.start("four five six")
    until_waiting(engine, 5)
    with pytest.raises(Closed, match="Nobody waits"):
        caller.run(lambda: engine.embedder("model").embed(["more"], input_type="query"))
    backend.gate.set()
    assert [type(outcome) for outcome in calls.ended()] == [Embedded, Closed, Embedded]


def test_a_caller_who_leaves_while_the_model_is_at_its_text_costs_nobody_else(engines: Callable[..., Engine]) -> None:
    backend, caller = GatedBackend(), Caller()
    engine = engines(backend)
    calls = Calls(engine)
    calls.start("leaves", caller=caller)
    assert backend.entered.wait(TIMEOUT)
    caller.leave()
    calls.start("stays")
    backend.gate.set()
    assert [type(outcome) for outcome in calls.ended()] == [Closed, Embedded]


def test_a_poisonous_text_of_a_caller_who_left_is_not_looked_for(engines: Callable[..., Engine]) -> None:
    caller = Caller()

    def leave_and_fail(batch: Sequence[TokenizedText], vectors: NDArray[Any]) -> NDArray[Any]:
        caller.leave()
        raise IndexError("poison")

    backend = Scripted(leave_and_fail)
    calls = Calls(engines(backend))
    calls.start(*[f"word{i}" for i in range(64)], caller=caller)
    assert isinstance(calls.ended()[0], Closed)
    calls.engine.close()
    assert backend.passes == 1


def test_closing_during_work_ends_every_call(engines: Callable[..., Engine]) -> None:
    backend = GatedBackend()
    engine = engines(backend)
    calls = Calls(engine)
    held(backend, calls)
    calls.start("waits")
    calls.start("asks", input_type="query")
    until_waiting(engine, 6)
    closing = threading.Thread(target=engine.close)
    closing.start()
    until_waiting(engine, 0)
    backend.gate.set()
    closing.join(TIMEOUT)
    assert not closing.is_alive()
    assert [type(outcome) for outcome in calls.ended()] == [Embedded, Closed, Closed]
    assert not engine.health().ready


@pytest.mark.parametrize("reason", [IndexError("poison"), OutOfMemory("no room")], ids=repr)
def test_closing_while_a_batch_fails_leaves_no_half_of_it_behind(
    engines: Callable[..., Engine], reason: Exception
) -> None:
    backend = GatedBackend(then_raise=reason)
    engine = engines(backend)
    calls = Calls(engine)
    calls.start("a", "b", "c")
    assert backend.entered.wait(TIMEOUT)
    closing = threading.Thread(target=engine.close)
    closing.start()
    until(lambda: not engine.health().ready)
    backend.gate.set()
    closing.join(TIMEOUT)
    assert isinstance(calls.ended()[0], Closed)


def test_a_long_call_that_fails_half_way_leaves_nothing_in_the_queue(engines: Callable[..., Engine]) -> None:
    backend = RecordingBackend()
    engine = engines(backend)
    embedder = engine.embedder("model")

    class Breaking(list[str]):
        """Fails when its third window of texts is cut out of it."""

        def __getitem__(self, place: Any) -> Any:
            if isinstance(place, slice) and place.start >= 512:
                raise MemoryError
            return super().__getitem__(place)

    with pytest.raises(MemoryError):
        embedder.embed(Breaking(["text"] * 600), input_type="passage")
    assert engine.health().waiting_tokens == 0
    assert isinstance(embedder.embed(["text"], input_type="passage"), Embedded)
