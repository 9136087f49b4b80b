"""The five tokenizations by table, the offsets, the stop words, and both paths against each other."""

from __future__ import annotations

import sys
import unicodedata
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minivec.indexes.analyzer import ENGLISH_STOPWORDS, Term, analyze, query_tokens, tokens
from minivec.types.collection import Tokenization

from .plain_bm25f import STOPWORDS, plain_tokens

TOKENIZATIONS = get_args(Tokenization)

TABLE = [
    ("word", "Hello, (beautiful) world", ["hello", "beautiful", "world"]),
    ("lowercase", "Hello, (beautiful) world", ["hello,", "(beautiful)", "world"]),
    ("whitespace", "Hello, (beautiful) world", ["Hello,", "(beautiful)", "world"]),
    ("field", "  Hello, (beautiful) world ", ["Hello, (beautiful) world"]),
    ("trigram", "Hello w", ["hel", "ell", "llo", "low"]),
    ("trigram", "a-b", []),
    ("trigram", "a-b!c", ["abc"]),
    ("word", "snake_case and kebab-case", ["snake", "case", "and", "kebab", "case"]),
    ("word", "the the THE", ["the", "the", "the"]),
    ("word", "IL-6 3.14 x²", ["il", "6", "3", "14", "x²"]),
    ("word", "don't", ["don", "t"]),
    ("word", "Café ÉCOLE Straße", ["café", "école", "straße"]),
    ("word", unicodedata.normalize("NFD", "é") + "t", ["e", "t"]),  # a combining mark is no letter
    ("word", "東京 タワー", ["東京", "タワー"]),
    ("word", "ночь，день", ["ночь", "день"]),
    ("word", "👍🏽 ok 👨‍👩‍👧", ["ok"]),
    ("lowercase", "👍 OK", ["👍", "ok"]),
    ("word", "Ⅷ ½ ٣", ["ⅷ", "½", "٣"]),
    ("word", "ΟΔΟΣ'Α", ["οδος", "α"]),  # the sigma of a piece is final, whatever follows the piece
    ("word", "İstanbul", ["i̇stanbul"]),  # one letter becomes two characters
    ("trigram", "İst", ["i̇s", "̇st"]),
    ("trigram", "東京都", ["東京都"]),
    ("whitespace", "a\u00a0b\u2003c\x1fd", ["a", "b", "c", "d"]),
    *((tokenization, blank, []) for tokenization in TOKENIZATIONS for blank in ("", " \n\t ")),
]


@pytest.mark.parametrize(("tokenization", "text", "expected"), TABLE)
def test_tokens_by_table(tokenization: Tokenization, text: str, expected: list[str]) -> None:
    assert tokens(text, tokenization) == expected


@pytest.mark.parametrize("tokenization", TOKENIZATIONS)
@given(text=st.text())
@example("İİ ΑΣ'Α Σ")
@example("aΣ_Σb")
@example("\x1c a\x85b ")
def test_tokens_are_the_terms_of_analyze_and_of_a_plain_loop(tokenization: Tokenization, text: str) -> None:
    fast = tokens(text, tokenization)
    assert [term.text for term in analyze(text, tokenization)] == fast
    assert plain_tokens(text, tokenization) == fast


@pytest.mark.parametrize("tokenization", TOKENIZATIONS)
@given(text=st.text(alphabet=st.sampled_from("aZ é_-ß Σİ東👍\n.0")))
def test_offsets_point_at_what_a_term_stands_for(tokenization: Tokenization, text: str) -> None:
    for term in analyze(text, tokenization):
        source = text[term.start : term.end]
        if tokenization == "trigram":
            source = "".join(character for character in source if character.isalnum())
            assert source.lower().replace("ς", "σ").find(term.text.replace("ς", "σ")) >= 0
        else:
            assert term.text == (source.lower() if tokenization in ("word", "lowercase") else source)


def test_offsets_of_a_text_with_punctuation() -> None:
    assert analyze(" Big-cat", "word") == [Term("big", 1, 4), Term("cat", 5, 8)]
    assert analyze(" Big-cat", "lowercase") == [Term("big-cat", 1, 8)]
    assert analyze(" Big-cat ", "field") == [Term("Big-cat", 1, 8)]
    assert analyze("a-bcd", "trigram") == [Term("abc", 0, 4), Term("bcd", 2, 5)]


def test_a_trigram_offset_covers_a_letter_that_becomes_two_characters() -> None:
    assert analyze("xİy", "trigram") == [Term("xi̇", 0, 2), Term("i̇y", 1, 3)]


def test_every_character_counts_as_isalnum_says() -> None:
    wrong = [
        code
        for code in range(sys.maxunicode + 1)
        if (character := chr(code)).isalnum() != (tokens(character, "word") == [character.lower()])
    ]
    assert wrong == []


def test_stop_words_leave_a_query_only_under_word() -> None:
    query = "The Cat and the hat"
    assert query_tokens(query, "word", "en") == ["cat", "hat"]
    assert query_tokens(query, "word", "none") == ["the", "cat", "and", "the", "hat"]
    assert query_tokens(query, "lowercase", "en") == ["the", "cat", "and", "the", "hat"]
    assert query_tokens("the", "field", "en") == ["the"]


def test_the_english_list_has_its_33_words() -> None:
    assert len(ENGLISH_STOPWORDS) == 33
    assert ENGLISH_STOPWORDS == STOPWORDS
