"""The front door: models load once and late, health is honest, close is final."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from minivec.embedding.backend import DeviceLost, FakeTokenizer
from minivec.embedding.engine import Engine, EngineOptions
from minivec.embedding.interface import EmbedderSource, ModelCard
from minivec.embedding.model import LoadedModel
from minivec.embedding.prompts import Prompts
from minivec.errors import Closed, EmbeddingFailed, InvalidInput, ModelNotFound
from tests.embedding.backends import TIMEOUT, GatedBackend, RecordingBackend


def loaded(name: str, backend: RecordingBackend) -> LoadedModel:
    card = ModelCard(name=name, fingerprint=name, dimension=backend.dimension, max_tokens=50)
    return LoadedModel(card=card, prompts=Prompts(), pool_prompt=True, tokenizer=FakeTokenizer(), backend=backend)


class CountingLoader:
    """Loads anything, counts how often, and fails the first `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        self.names: list[str] = []
        self.failures = failures

    def __call__(self, name: str, options: EngineOptions) -> LoadedModel:
        self.names.append(name)
        if len(self.names) <= self.failures:
            raise ModelNotFound("not yet")
        return loaded(name, RecordingBackend())


def test_importing_the_engine_loads_nothing_heavy() -> None:
    code = (
        "import sys, minivec.embedding.engine as e; engine = e.Engine(); e.Engine.fake().warm_up('any');"
        "print(sorted({'torch', 'transformers', 'tokenizers', 'safetensors'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_model_loads_at_its_first_use_and_once_for_many_threads() -> None:
    loader = CountingLoader()
    engine = Engine(load=loader)
    assert loader.names == []
    start = threading.Barrier(8)
    seen: list[object] = []

    def ask() -> None:
        start.wait(TIMEOUT)
        seen.append(engine.embedder("model"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert loader.names == ["model"]
    assert len(seen) == 8
    assert len(set(map(id, seen))) == 1
    engine.close()


def test_a_failed_load_is_tried_again() -> None:
    engine = Engine(load=CountingLoader(failures=1))
    with pytest.raises(ModelNotFound):
        engine.embedder("model")
    assert engine.embedder("model").card.name == "model"
    engine.close()


def test_models_of_one_device_share_its_worker() -> None:
    engine = Engine(load=CountingLoader())
    engine.warm_up("one", "two")
    health = engine.health()
    assert health.models == ("one", "two")
    assert health.devices == ("fake",)
    engine.close()


def test_warm_up_runs_the_model() -> None:
    backend = RecordingBackend()
    engine = Engine(load=lambda name, options: loaded(name, backend))
    engine.warm_up("model")
    assert len(backend.batches) == 1
    engine.close()


def test_the_users_batch_size_wins_over_the_devices() -> None:
    backend = RecordingBackend()
    engine = Engine(EngineOptions(batch_tokens=3), load=lambda name, options: loaded(name, backend))
    engine.embedder("model").embed(["a", "b"], input_type="query")
    assert [len(batch) for batch in backend.batches] == [1, 1]
    engine.close()


def test_health_turns_red_when_the_worker_dies() -> None:
    backend = GatedBackend(then_raise=DeviceLost("the card fell off"))
    backend.gate.set()
    engine = Engine(load=lambda name, options: loaded(name, backend))
    assert engine.health().ready
    with pytest.raises(EmbeddingFailed):
        engine.warm_up("model")
    health = engine.health()
    assert not health.ready
    assert "the card fell off" in health.notes[0]
    engine.close()


def test_close_is_final_and_may_come_twice() -> None:
    engine: EmbedderSource = Engine.fake(8)
    engine.embedder("model")
    engine.close()
    engine.close()
    with pytest.raises(Closed):
        engine.embedder("model")


def test_an_engine_closed_before_use_is_not_ready() -> None:
    engine = Engine.fake(8)
    engine.close()
    assert not engine.health().ready


def test_the_fake_tells_models_and_dimensions_apart() -> None:
    first, second = Engine.fake(8), Engine.fake(16)
    prints = {
        first.embedder("one").card.fingerprint,
        first.embedder("two").card.fingerprint,
        second.embedder("one").card.fingerprint,
    }
    assert len(prints) == 3
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("field", "value"), [("dtype", "int8"), ("batch_tokens", 0), ("queue_tokens", 0), ("threads", -1)]
)
def test_options_that_make_no_sense_are_named(field: str, value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        EngineOptions(**{field: value})
    assert caught.value.field == field
