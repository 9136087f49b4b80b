"""Tokens: the ids of the tokenizers library, cut by policy at either end, judged by that library's own truncation."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer as Library

from minivec.embedding.prompts import Prompts
from minivec.embedding.tokens import FileTokenizer, TokenizedText, Untokenizable, cut_ids, tokenize
from minivec.errors import InvalidInput, ModelNotFound, TextTooLong
from tests.embedding.mixed_texts import mixed_texts

LIMIT = 24
QUERY = Prompts(passage="query: ")


@pytest.fixture(scope="module")
def file(bundled_folder: Path) -> Path:
    return bundled_folder / "tokenizer.json"


@pytest.fixture(scope="module")
def tokenizer(file: Path) -> FileTokenizer:
    return FileTokenizer(file)


@pytest.mark.parametrize(("truncate", "direction"), [("end", "right"), ("start", "left")])
def test_cutting_equals_the_librarys_own(file: Path, tokenizer: FileTokenizer, truncate, direction) -> None:
    judge = Library.from_file(str(file))
    judge.no_padding()
    judge.enable_truncation(LIMIT, direction=direction)
    texts = mixed_texts(80)
    prepared = tokenize(tokenizer, texts, max_tokens=LIMIT, truncate=truncate)
    for text, ours, theirs in zip(texts, prepared, judge.encode_batch(texts), strict=True):
        assert isinstance(ours, TokenizedText)
        assert ours.ids.tolist() == theirs.ids, text


def test_tokens_seen_and_cut_are_counted(tokenizer: FileTokenizer) -> None:
    exact, over = tokenize(tokenizer, ["the " * (LIMIT - 2), "the " * 50], max_tokens=LIMIT, truncate="end")
    assert isinstance(exact, TokenizedText)
    assert (len(exact), exact.total, exact.cut) == (LIMIT, LIMIT, 0)
    assert isinstance(over, TokenizedText)
    assert (len(over), over.total, over.cut) == (LIMIT, 52, 28)


def test_refuse_names_both_numbers_and_costs_only_that_text(tokenizer: FileTokenizer) -> None:
    short, long = tokenize(tokenizer, ["short", "the " * 50], max_tokens=LIMIT, truncate="refuse")
    assert isinstance(short, TokenizedText)
    assert isinstance(long, Untokenizable)
    assert isinstance(long.error, TextTooLong)
    assert long.total == 52
    assert "52 tokens" in long.error.message
    assert str(LIMIT) in long.error.message


def test_an_empty_text_is_its_special_tokens(tokenizer: FileTokenizer) -> None:
    (empty,) = tokenize(tokenizer, [""], max_tokens=LIMIT, truncate="refuse")
    assert isinstance(empty, TokenizedText)
    assert empty.ids.tolist() == [tokenizer.token_id("[CLS]"), tokenizer.token_id("[SEP]")]


@pytest.mark.parametrize("truncate", ["end", "start"])
def test_the_prompt_survives_cutting_at_either_end(tokenizer: FileTokenizer, truncate) -> None:
    prompt = "search query: "
    words = " ".join(["alpha", *["the"] * 60, "omega"])
    (cut,) = tokenize(tokenizer, [words], prompts=Prompts(passage=prompt), max_tokens=12, truncate=truncate)
    assert isinstance(cut, TokenizedText)
    head = tokenizer.ids([prompt])[0][:-1]
    assert cut.ids[: len(head)].tolist() == head
    assert cut.ids[-1] == tokenizer.token_id("[SEP]")
    assert len(cut.ids) == 12
    kept, lost = ("alpha", "omega") if truncate == "end" else ("omega", "alpha")
    assert tokenizer.token_id(kept) in cut.ids
    assert tokenizer.token_id(lost) not in cut.ids


def test_a_prompt_that_leaves_no_room_refuses_the_text(tokenizer: FileTokenizer) -> None:
    (refused,) = tokenize(tokenizer, ["a b c"], prompts=Prompts(passage="the " * 10), max_tokens=12, truncate="end")
    assert isinstance(refused, Untokenizable)
    assert isinstance(refused.error, TextTooLong)
    assert "none of the text would be read" in refused.error.message


def test_a_prompt_shares_its_last_tokens_with_the_text(tokenizer: FileTokenizer) -> None:
    shared = Prompts(passage="query: ", shared_tokens=1)
    (text,) = tokenize(tokenizer, ["one"], prompts=shared, pool_prompt=False, max_tokens=LIMIT, truncate="end")
    (cut,) = tokenize(tokenizer, ["one two three"], prompts=shared, max_tokens=4, truncate="start")
    assert isinstance(text, TokenizedText)
    assert isinstance(cut, TokenizedText)
    assert text.unpooled == 2  # [CLS] query; the colon counts as the text's
    assert cut.ids[:2].tolist() == tokenizer.ids(["query"])[0][:2]
    assert cut.ids[2] == tokenizer.token_id("three")


def test_an_ending_is_put_after_every_text_and_goes_when_it_is_cut(tokenizer: FileTokenizer) -> None:
    ending = Prompts(ending=" omega")
    whole, long = tokenize(tokenizer, ["one", "the " * 50], prompts=ending, max_tokens=LIMIT, truncate="end")
    assert isinstance(whole, TokenizedText)
    assert isinstance(long, TokenizedText)
    assert whole.ids[-2] == tokenizer.token_id("omega")
    assert tokenizer.token_id("omega") not in long.ids


def test_prompt_tokens_are_marked_when_pooling_leaves_them_out(tokenizer: FileTokenizer) -> None:
    texts = ["one", ""]
    left_out = tokenize(tokenizer, texts, prompts=QUERY, pool_prompt=False, max_tokens=LIMIT, truncate="end")
    pooled = tokenize(tokenizer, texts, prompts=QUERY, max_tokens=LIMIT, truncate="end")
    assert [text.unpooled for text in left_out if isinstance(text, TokenizedText)] == [3, 3]  # [CLS] query :
    assert [text.unpooled for text in pooled if isinstance(text, TokenizedText)] == [0, 0]


def test_a_lone_surrogate_fails_alone(tokenizer: FileTokenizer) -> None:
    good, bad, also_good = tokenize(tokenizer, ["a", "x\ud800", "b"], max_tokens=LIMIT, truncate="end")
    assert isinstance(good, TokenizedText)
    assert isinstance(also_good, TokenizedText)
    assert isinstance(bad, Untokenizable)
    assert isinstance(bad.error, InvalidInput)
    assert "character 1" in bad.error.message


def test_cut_ids_keeps_both_ends() -> None:
    ids = [101, 1, 2, 3, 4, 5, 102]
    assert cut_ids(ids, 5, keep_first=1, keep_last=1, truncate="end") == [101, 1, 2, 3, 102]
    assert cut_ids(ids, 5, keep_first=1, keep_last=1, truncate="start") == [101, 3, 4, 5, 102]
    assert cut_ids(ids, 4, keep_first=0, keep_last=0, truncate="start") == [3, 4, 5, 102]


def test_a_damaged_tokenizer_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelNotFound, match=r"tokenizer\.json"):
        FileTokenizer(tmp_path / "tokenizer.json")
