"""Local rerankers: their logits equal transformers' own, each passage fails alone, cutting keeps what it promises."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minivec.embedding.engine import Engine, EngineOptions
from minivec.embedding.interface import Reranker
from minivec.embedding.pairs import Pair, PairText, fitted
from minivec.embedding.reranker import LoadedReranker, ScheduledReranker
from minivec.embedding.reranker_fake import FakePairTokenizer, FakeScorer, fake_reranker
from minivec.embedding.reranker_model import RERANKERS, known_reranker, read_reranker, reranks
from minivec.embedding.scheduler import Scheduler
from minivec.embedding.tokens import Untokenizable
from minivec.errors import Closed, InvalidInput, MinivecError, ModelNotFound, TextTooLong, WeightsMismatch
from tests.embedding.tiny_checkpoints import edit_json, write_old_layout, write_transformer
from tests.embedding.tiny_rerankers import write_cross_encoder, write_decoder_reranker

QUERY = "the bee"
PASSAGES = ["bees make honey", "a", "", "the ship sails, the sea is deep", "bee! bee? bee.", "x y z"]


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def encoder_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cross_encoder(tmp_path_factory.mktemp("encoder") / "model", request.param)


@pytest.fixture(scope="module")
def decoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_decoder_reranker(tmp_path_factory.mktemp("decoder") / "model")


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine(EngineOptions(device="cpu"))
    yield made
    made.close()


@pytest.fixture
def fake() -> Iterator[Reranker]:
    made = Engine.fake()
    yield made.reranker("words")
    made.close()


def judged(folder: Path, query: str, passages: list[str]) -> list[float]:
    """Transformers' own tokenizer and class, one pair at a time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other libraries say while loading is not judged here
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
        with torch.inference_mode():
            answers = [model(**tokenizer([query], [passage], return_tensors="pt")).logits for passage in passages]
    assert all(answer.shape == (1, 1) for answer in answers)
    return [float(answer[0, 0]) for answer in answers]


def judged_decoder(folder: Path, query: str, passages: list[str]) -> list[float]:
    """A plain loop over transformers' Llama whose mask hides nothing: mean of all states, one row, the temperature."""
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from transformers import LlamaConfig, LlamaModel

    tensors = load_file(folder / "model.safetensors")
    config = LlamaConfig.from_json_file(folder / "config.json")
    config._attn_implementation = "eager"
    model = LlamaModel(config).eval()
    model.load_state_dict({name.removeprefix("model."): t for name, t in tensors.items() if name != "score.weight"})
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    logits = []
    for passage in passages:
        ids = torch.tensor([tokenizer.encode(f"question:{query} \n \n passage:{passage}").ids])
        seen = torch.zeros(1, 1, ids.shape[1], ids.shape[1])
        with torch.inference_mode():
            states = model(input_ids=ids, attention_mask=seen).last_hidden_state[0]
        logits.append(float(states.mean(0) @ tensors["score.weight"][0]) / 0.25)
    return logits


def test_an_encoders_logits_equal_transformers(engine: Engine, encoder_folder: Path) -> None:
    scores = engine.reranker(str(encoder_folder)).rank(QUERY, PASSAGES)
    assert scores.logits == pytest.approx(judged(encoder_folder, QUERY, PASSAGES), abs=1e-4)
    assert scores.logits.dtype == np.float32
    assert len(set(scores.logits.tolist())) == len(PASSAGES)
    assert all(note.error is None and note.cut == 0 for note in scores.notes)


@pytest.mark.parametrize("model_type", ["roberta", "modernbert", "distilbert"])
def test_other_encoders_logits_equal_transformers(engine: Engine, tmp_path: Path, model_type: str) -> None:
    folder = write_cross_encoder(tmp_path / "model", model_type)
    edit_json(folder / "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
    scores = engine.reranker(str(folder)).rank(QUERY, PASSAGES)
    assert scores.logits == pytest.approx(judged(folder, QUERY, PASSAGES), abs=1e-4)


def test_a_bidirectional_decoders_logits_equal_a_plain_loop(engine: Engine, decoder_folder: Path) -> None:
    scores = engine.reranker(str(decoder_folder)).rank(QUERY, PASSAGES)
    expected = judged_decoder(decoder_folder, QUERY, PASSAGES)
    assert scores.logits == pytest.approx(expected, abs=1e-3)
    assert np.ptp(expected) > 1


@pytest.mark.parametrize("truncate", ["end", "start"])
def test_a_long_passage_is_cut_like_the_shorter_passage_it_becomes(
    engine: Engine, encoder_folder: Path, decoder_folder: Path, truncate: Any
) -> None:
    letters = " ".join("abcdefghijklmnopqrstuvwxyz" * 8)
    for folder in (encoder_folder, decoder_folder):
        ranker = engine.reranker(str(folder))
        scores = ranker.rank(QUERY, [letters], truncate=truncate)
        note = scores.notes[0]
        assert note.tokens - note.cut == ranker.card.max_tokens
        whole = letters.split()
        rest = whole[: -note.cut] if truncate == "end" else whole[note.cut :]
        again = ranker.rank(QUERY, [" ".join(rest)], truncate="refuse")
        assert again.notes[0].tokens == ranker.card.max_tokens
        assert scores.logits == pytest.approx(again.logits, abs=1e-4)


def test_refused_and_unreadable_passages_fail_alone(engine: Engine, encoder_folder: Path) -> None:
    ranker = engine.reranker(str(encoder_folder))
    scores = ranker.rank(QUERY, ["bee", "a " * 200, "half \ud800", "sea"], truncate="refuse")
    assert np.isfinite(scores.logits).tolist() == [True, False, False, True]
    assert [type(note.error) for note in scores.notes] == [type(None), TextTooLong, InvalidInput, type(None)]
    assert np.isneginf(scores.logits[1:3]).all()
    assert scores.logits[[0, 3]] == pytest.approx(ranker.rank(QUERY, ["bee", "sea"]).logits, abs=1e-5)


def test_a_passage_the_model_chokes_on_fails_alone() -> None:
    class Choking(FakeScorer):
        def forward(self, batch: Any, form: Any = None) -> Any:
            if any(len(text) > 9 for text in batch):
                raise ValueError("too much")
            return super().forward(batch)

    fake = fake_reranker("words", 100)
    scheduler = Scheduler("fake", batch_tokens=1000, queue_tokens=1000)
    ranker = ScheduledReranker(LoadedReranker(card=fake.card, tokenizer=fake.tokenizer, backend=Choking()), scheduler)
    scores = ranker.rank("red bird", ["red", "one two three four five six", "a red bird"])
    scheduler.close()
    assert scores.logits.tolist() == [1.0, -np.inf, 2.0]
    assert scores.notes[1].error is not None and "too much" in scores.notes[1].error.message


def test_the_fake_counts_shared_words_over_many_windows(fake: Reranker) -> None:
    passages = [f"red {'bird ' * (n % 2)}{n}" for n in range(300)]
    assert fake.rank("Red bird", passages).logits.tolist() == [1.0 + n % 2 for n in range(300)]
    assert fake.rank("red", []).logits.shape == (0,)
    assert fake.card.dimension == 1


def test_what_is_no_text_is_refused(fake: Reranker) -> None:
    wrong: list[tuple[Any, Any, Any, str]] = [
        (1, ["a"], "end", "query"),
        ("a", "a", "end", "passages"),
        ("a", [1], "end", "passages"),
        ("a", ["a"], "middle", "truncate"),
        ("half \ud800", ["a"], "end", "query"),
    ]
    for query, passages, truncate, field in wrong:
        with pytest.raises(InvalidInput) as refused:
            fake.rank(query, passages, truncate=truncate)
        assert refused.value.field == field


@pytest.mark.parametrize("query", [2, 10, 30])
@pytest.mark.parametrize("passage", [0, 3, 40])
@pytest.mark.parametrize("truncate", ["end", "start"])
def test_cutting_keeps_special_tokens_and_the_query_before_the_passage(query: int, passage: int, truncate: Any) -> None:
    ids = [0, *range(100, 100 + query), 1, *range(200, 200 + passage), 2]
    second = query + 2
    pair = Pair(ids, range(1, 1 + query), range(second, second + passage), second)
    text = fitted(pair, 20, truncate)
    assert isinstance(text, PairText)
    kept = text.ids.tolist()
    assert (kept[0], kept[-1]) == (0, 2)
    assert kept[text.second - 1] == 1
    assert len(kept) == min(20, len(ids)) and text.cut == len(ids) - len(kept) and text.total == len(ids)
    asked = [one for one in kept if 100 <= one < 200]
    read = [one for one in kept if one >= 200]
    assert asked == list(range(100, 100 + len(asked)))
    first = 200 if truncate == "end" else 200 + passage - len(read)
    assert read == list(range(first, first + len(read)))
    assert len(asked) >= min(query, 8) and len(read) >= min(passage, 8)
    assert isinstance(fitted(pair, 3, truncate), Untokenizable)


def test_rerankers_and_embedders_share_a_device() -> None:
    engine = Engine.fake()
    engine.embedder("one").embed(["a"], input_type="query")
    engine.reranker("two").rank("a", ["a"])
    health = engine.health()
    assert (health.devices, health.models, health.rerankers) == (("fake",), ("one",), ("two",))
    assert engine.reranker("two") is engine.reranker("two")
    engine.close()
    with pytest.raises(Closed):
        engine.reranker("two")


def test_a_folder_that_scores_no_pairs_says_so(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="Known rerankers") as unknown:
        engine.reranker("no/such-model")
    assert "bge-reranker" in unknown.value.hint or "bge-reranker" in str(unknown.value)
    with pytest.raises(ModelNotFound, match="holds no reranker"):
        engine.reranker(str(write_transformer(tmp_path / "embedder")))
    with pytest.raises(ModelNotFound, match="3 scores"):
        engine.reranker(str(write_cross_encoder(tmp_path / "three", labels=3)))


def test_a_damaged_folder_is_refused(engine: Engine, tmp_path: Path) -> None:
    folder = write_decoder_reranker(tmp_path / "model")
    weights = folder / "model.safetensors"
    edit_json(folder / "config.json", hidden_size=64)
    with pytest.raises(MinivecError):
        engine.reranker(str(folder))
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(WeightsMismatch):
        engine.reranker(str(folder))


def test_the_fingerprint_follows_the_weights_and_not_the_place(tmp_path: Path) -> None:
    one, two = (read_reranker(write_cross_encoder(tmp_path / name), name=name) for name in ("one", "two"))
    other = read_reranker(write_cross_encoder(tmp_path / "other", "xlm-roberta"), name="other")
    assert one.spec.fingerprint == two.spec.fingerprint != other.spec.fingerprint
    assert one.spec.card.dimension == 1


def test_rerankers_are_known_by_old_names_in_any_case() -> None:
    assert known_reranker("NVIDIA/llama-3.2-nv-rerankqa-1b-v2") is RERANKERS[0]
    assert known_reranker("BAAI/bge-reranker-base") is RERANKERS[1]
    assert known_reranker("all-MiniLM-L6-v2") is None


def test_a_reranker_is_told_from_an_embedding_model_and_warmed_up(engine: Engine, tmp_path: Path) -> None:
    ranker = write_cross_encoder(tmp_path / "tiny" / "ranker")
    embedder = write_old_layout(tmp_path / "tiny" / "embedder")
    assert reranks("tiny/ranker", tmp_path) and reranks("baai/bge-reranker-base")
    assert not reranks(str(embedder)) and not reranks("no/such-model") and not reranks("all-MiniLM-L6-v2")
    engine.warm_up(str(ranker), str(embedder))
    health = engine.health()
    assert (health.models, health.rerankers) == ((str(embedder),), (str(ranker),))


def test_the_fakes_pairs_hold_the_words_they_say() -> None:
    (pair,) = FakePairTokenizer().pairs("two words", ["and three more"])
    assert (len(pair.query), len(pair.passage), pair.second) == (2, 3, 4)
    assert len(pair.ids) == 8
