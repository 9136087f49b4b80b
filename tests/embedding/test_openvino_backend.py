"""OpenVINO against torch in float32, the judge of the same folder: equal vectors in float32, near ones in bfloat16."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from minivec.embedding import openvino_backend
from minivec.embedding.backend import OutOfMemory
from minivec.embedding.interface import Embedder
from minivec.embedding.model import load_model, open_checkpoint
from minivec.embedding.openvino_backend import OpenVinoBackend, Precision, best_precision, even_parts
from minivec.embedding.options import EngineOptions
from minivec.embedding.quantize import PLAIN, VectorForm
from minivec.embedding.tokens import FileTokenizer, TokenizedText, tokenize
from minivec.errors import EmbeddingFailed, WeightsMismatch
from tests.embedding.conftest import BUNDLED
from tests.embedding.judges import cosines, in_random_batches
from tests.embedding.mixed_texts import mixed_texts
from tests.embedding.tiny_checkpoints import WIDTH, edit_json, write_old_layout

WORST_COSINE: dict[Precision, float] = {"f32": 0.99999, "bf16": 0.999}
TEXTS = mixed_texts(60)
Vectors = NDArray[np.float32]


def opened(name: str | Path, precision: Precision, **options: Any) -> OpenVinoBackend:
    return OpenVinoBackend(open_checkpoint(str(name)), EngineOptions(dtype="auto", **options), precision)


def prepared(texts: Sequence[str]) -> list[TokenizedText]:
    """The texts as the bundled model's own tokenizer reads them."""
    checkpoint = open_checkpoint(BUNDLED)
    tokenizer = FileTokenizer(checkpoint.tokenizer_file)
    found = tokenize(tokenizer, texts, max_tokens=checkpoint.spec.max_tokens, truncate="end")
    return [text for text in found if isinstance(text, TokenizedText)]


def random_texts(lengths: Sequence[int], *, unpooled: int = 0, seed: int = 1) -> list[TokenizedText]:
    generator = np.random.default_rng(seed)
    return [
        TokenizedText(ids=generator.integers(5, 60, length).astype(np.int32), total=length, unpooled=unpooled)
        for length in lengths
    ]


@pytest.fixture(scope="module", params=["f32", "bf16"])
def both(request: pytest.FixtureRequest) -> tuple[Precision, OpenVinoBackend]:
    return request.param, opened(BUNDLED, request.param)


@pytest.fixture(scope="module")
def texts() -> list[TokenizedText]:
    return prepared(TEXTS)


@pytest.fixture(scope="module")
def judged(bundled: Embedder) -> Vectors:
    return bundled.embed(TEXTS, input_type="passage", truncate="end").vectors


def test_mixed_texts_alone_equal_torch_in_float32(
    both: tuple[Precision, OpenVinoBackend], texts: list[TokenizedText], judged: Vectors
) -> None:
    precision, backend = both
    alone = np.concatenate([backend.forward([text]) for text in texts])
    assert alone.dtype == np.float32
    assert cosines(alone, judged).min() >= WORST_COSINE[precision]
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1.0, atol=1e-6)


def test_mixed_texts_in_random_batches_equal_torch_in_float32(
    both: tuple[Precision, OpenVinoBackend], texts: list[TokenizedText], judged: Vectors
) -> None:
    precision, backend = both
    batched = np.zeros_like(judged)
    for batch in in_random_batches(TEXTS, seed=2):
        batched[batch] = backend.forward([texts[i] for i in batch])
    assert cosines(batched, judged).min() >= WORST_COSINE[precision]


def test_the_empty_and_the_longest_text_share_a_batch(
    both: tuple[Precision, OpenVinoBackend], bundled: Embedder
) -> None:
    precision, backend = both
    extremes = ["", "word " * 400, "", "a"]
    lengths = [len(text) for text in prepared(extremes)]
    assert (min(lengths), max(lengths)) == (2, 256)
    judged = bundled.embed(extremes, input_type="passage", truncate="end").vectors
    assert cosines(backend.forward(prepared(extremes)), judged).min() >= WORST_COSINE[precision]


@pytest.mark.parametrize("model_type", ["bert", "roberta", "xlm-roberta"])
@pytest.mark.parametrize(
    "mode", ["cls_token", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]
)
def test_each_pooling_equals_torch(tmp_path: Path, model_type: str, mode: str) -> None:
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": False, f"pooling_mode_{mode}": True}
    folder = write_old_layout(tmp_path / "model", model_type=model_type, pooling=pooling, normalize=False)
    texts = random_texts([1, 24, 7, 2, 7, 13]) + random_texts([9, 3, 5], unpooled=3)
    judged = load_model(str(folder), EngineOptions(device="cpu")).backend.forward(texts)
    np.testing.assert_allclose(opened(folder, "f32").forward(texts), judged, atol=1e-5)


def test_two_poolings_are_concatenated(tmp_path: Path) -> None:
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
    folder = write_old_layout(tmp_path / "model", pooling=pooling)
    texts = random_texts([4, 24, 7])
    judged = load_model(str(folder), EngineOptions(device="cpu")).backend.forward(texts)
    np.testing.assert_allclose(opened(folder, "f32").forward(texts), judged, atol=1e-5)
    assert judged.shape == (3, 2 * WIDTH)


@pytest.mark.parametrize("activation", ["gelu_new", "gelu_pytorch_tanh", "relu"])
def test_each_activation_equals_torch(tmp_path: Path, activation: str) -> None:
    folder = write_old_layout(tmp_path / "model", config={"hidden_act": activation})
    texts = random_texts([4, 24, 7])
    judged = load_model(str(folder), EngineOptions(device="cpu")).backend.forward(texts)
    np.testing.assert_allclose(opened(folder, "f32").forward(texts), judged, atol=1e-5)


@pytest.mark.parametrize(
    "form", [VectorForm(16), VectorForm(None, "int8"), VectorForm(16, "ubinary"), VectorForm(None, "binary")], ids=str
)
def test_vectors_come_in_every_form(tmp_path: Path, form: VectorForm) -> None:
    folder = write_old_layout(tmp_path / "model")
    texts = random_texts([4, 24, 7])
    judged = load_model(str(folder), EngineOptions(device="cpu")).backend.forward(texts, form)
    found = opened(folder, "f32").forward(texts, form)
    assert (found.shape, found.dtype) == (judged.shape, judged.dtype)
    np.testing.assert_allclose(found.astype(float), judged.astype(float), atol=1e-5 if form.dtype == np.float32 else 1)


def test_no_texts_are_no_vectors(tmp_path: Path) -> None:
    assert opened(write_old_layout(tmp_path / "model"), "f32").forward([]).shape == (0, WIDTH)


def test_a_token_the_model_does_not_know_is_an_error_and_not_a_wrong_vector(tmp_path: Path) -> None:
    backend = opened(write_old_layout(tmp_path / "model"), "f32")
    with pytest.raises(IndexError, match="token id"):
        backend.forward([*random_texts([4]), TokenizedText(ids=np.array([1, 10**6], np.int32), total=2)])
    assert backend.forward(random_texts([4])).shape == (1, WIDTH)


def test_threads_are_as_many_as_asked_for(tmp_path: Path) -> None:
    folder = write_old_layout(tmp_path / "model")
    one, two = opened(folder, "f32", threads=1), opened(folder, "f32", threads=2)
    assert (one.cores, two.cores) == (1, 2)
    assert two.batch_tokens == 2 * one.batch_tokens
    texts = random_texts([4, 24, 7])
    np.testing.assert_allclose(one.forward(texts), two.forward(texts), atol=1e-6)


class FailingRequest:
    """Stands in for one of OpenVINO's requests and fails as it does."""

    def __init__(self, said: str) -> None:
        self.said = said

    def start_async(self, inputs: Any) -> None:
        pass

    def wait(self) -> None:
        raise RuntimeError(self.said)


@pytest.mark.parametrize(
    ("said", "expected"), [("std::bad_alloc", OutOfMemory), ("Exception from src/plugins: shapes differ", RuntimeError)]
)
def test_what_openvino_says_is_told_in_the_schedulers_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, expected: type[Exception]
) -> None:
    backend = opened(write_old_layout(tmp_path / "model"), "f32")
    with monkeypatch.context() as broken:
        broken.setattr(backend, "_alone", FailingRequest(said))
        with pytest.raises(expected, match=said):
            backend.forward(random_texts([4]), PLAIN)
    assert backend.forward(random_texts([4])).shape == (1, WIDTH)


def test_weights_that_do_not_fit_the_config_are_refused(tmp_path: Path) -> None:
    folder = write_old_layout(tmp_path / "model")
    edit_json(folder / "config.json", intermediate_size=48)
    with pytest.raises(WeightsMismatch, match=r"do not fit config\.json"):
        opened(folder, "f32")


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_old_layout(tmp_path / "model")
    monkeypatch.setattr("minivec.embedding.memory.free_bytes", lambda device: 1000)
    monkeypatch.setattr(openvino_backend, "build_graph", lambda checkpoint: pytest.fail("the weights were read"))
    with pytest.raises(EmbeddingFailed, match=r"cpu has 0\.0 GB free"):
        opened(folder, "f32")


def test_bfloat16_only_where_the_cpu_has_it() -> None:
    assert best_precision(["BF16", "FP32", "INT8"]) == "bf16"
    assert best_precision(["FP32", "INT8", "BIN"]) == "f32"


@pytest.mark.parametrize("parts", [1, 2, 3, 8])
def test_parts_hold_every_text_once_and_about_as_many_tokens(parts: int) -> None:
    generator = np.random.default_rng(parts)
    lengths = generator.integers(1, 60, 40).tolist()
    found = even_parts(lengths, parts)
    assert sorted(position for part in found for position in part) == list(range(40))
    tokens = [sum(lengths[position] for position in part) for part in found]
    assert max(tokens) - min(tokens) <= 2 * max(lengths)


def test_there_are_never_more_parts_than_texts() -> None:
    assert even_parts([9], 4) == [[0]]
    assert len(even_parts([3, 3], 4)) == 2
    assert even_parts([1, 100], 2) in ([[1], [0]], [[1, 0]])


def test_openvino_is_loaded_without_its_telemetry() -> None:
    code = """
import sys
from minivec.embedding import openvino_backend
print(sorted(name for name in sys.modules if name.startswith("openvino_telemetry") and sys.modules[name] is not None))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert said.stdout.strip() == "[]"
