"""Text to terms: five tokenizations and the English stop words. Terms carry offsets into the text they came from.

| tokenization | split on | case |
|---|---|---|
| word | anything that is not a letter or a number (`str.isalnum`) | lower |
| lowercase | whitespace | lower |
| whitespace | whitespace | kept |
| field | nothing: the whole text, trimmed | kept |
| trigram | as word, then joined; every three neighbouring characters | lower |

`tokens` is the fast path of indexing and queries; `analyze` gives the same terms with their offsets, for highlights.
Each piece is lower-cased by itself, after splitting, so that offsets stay true where lower-casing changes the length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from minivec.types.collection import StopwordPreset, Tokenization

Tokenizer = Callable[[str], list[str]]

# The 33 words of Lucene's classic English list, which Weaviate's preset `en` repeats.
ENGLISH_STOPWORDS = frozenset(
    (
        *("a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not"),
        *("of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was"),
        *("will", "with"),
    )
)
_STOPWORDS: dict[StopwordPreset, frozenset[str]] = {"none": frozenset(), "en": ENGLISH_STOPWORDS}

_WORD = re.compile(r"[^\W_]+")  # `\w` is str.isalnum or the underscore
_PIECE = re.compile(r"\S+")
_GRAM = 3


class Term(NamedTuple):
    """One term and the part of the text it stands for: `source[start:end]`, in characters."""

    text: str
    start: int
    end: int


def tokens(text: str, tokenization: Tokenization) -> list[str]:
    """The terms of a text in order, repeated as often as they occur."""
    return TOKENIZERS[tokenization](text)


def analyze(text: str, tokenization: Tokenization) -> list[Term]:
    """The terms of a text in order, with offsets; the same terms as `tokens`."""
    if tokenization == "trigram":
        return list(_analyze_trigrams(text))
    if tokenization == "field":
        trimmed = text.strip()
        start = len(text) - len(text.lstrip())
        return [Term(trimmed, start, start + len(trimmed))] if trimmed else []
    pattern = _WORD if tokenization == "word" else _PIECE
    lower = tokenization != "whitespace"
    return [
        Term(piece.group().lower() if lower else piece.group(), piece.start(), piece.end())
        for piece in pattern.finditer(text)
    ]


def query_tokens(text: str, tokenization: Tokenization, stopwords: StopwordPreset) -> list[str]:
    """The terms of a query. Stop words are left out here only, never from what is indexed, and only for `word`."""
    found = tokens(text, tokenization)
    if tokenization != "word":
        return found
    dropped = _STOPWORDS[stopwords]
    return [term for term in found if term not in dropped]


def _words(text: str) -> list[str]:
    if text.isascii():
        return _WORD.findall(text.lower())
    # What lower-casing does to a letter may depend on its neighbours (final sigma): piece by piece, as `analyze`.
    return [word.lower() for word in _WORD.findall(text)]


def _lowercase(text: str) -> list[str]:
    if text.isascii():
        return text.lower().split()
    return [piece.lower() for piece in text.split()]


def _field(text: str) -> list[str]:
    trimmed = text.strip()
    return [trimmed] if trimmed else []


def _trigrams(text: str) -> list[str]:
    joined = "".join(_words(text))
    return [joined[at : at + _GRAM] for at in range(len(joined) - _GRAM + 1)]


def _analyze_trigrams(text: str) -> Iterator[Term]:
    characters = list(_lowered_characters(text))
    for at in range(len(characters) - _GRAM + 1):
        gram = characters[at : at + _GRAM]
        yield Term("".join(letter for letter, _ in gram), gram[0][1], gram[-1][1] + 1)


def _lowered_characters(text: str) -> Iterator[tuple[str, int]]:
    """Every character of the lower-cased words with the position it came from; one character may become several."""
    for word in _WORD.finditer(text):
        lowered = word.group().lower()
        at = 0
        for position, character in enumerate(word.group(), word.start()):
            for _ in character.lower():
                yield lowered[at], position
                at += 1


TOKENIZERS: dict[Tokenization, Tokenizer] = {
    "word": _words,
    "lowercase": _lowercase,
    "whitespace": str.split,
    "field": _field,
    "trigram": _trigrams,
}
