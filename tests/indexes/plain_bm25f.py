"""BM25F as a plain loop over plain dicts, written from the definition: the judge of the keyword index. And a feed of dicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from minivec.indexes.feed import Feed
from minivec.types.collection import KeywordOptions, Property

Documents = Mapping[int, Mapping[str, Any]]

STOPWORDS = {
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
}  # fmt: skip


class DictFeed:
    """The two methods of a feed that the keyword index reads."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents

    def definition(self) -> Sequence[Property]:
        return ()

    def properties(self, doc_ids: Sequence[int]) -> Sequence[tuple[int, Mapping[str, Any]]]:
        return [(doc_id, self.documents[doc_id]) for doc_id in doc_ids if doc_id in self.documents]


def feed_of(documents: Documents) -> Feed:
    return cast(Feed, DictFeed(documents))


def plain_tokens(text: str, tokenization: str) -> list[str]:
    if tokenization == "whitespace":
        return text.split()
    if tokenization == "lowercase":
        return [piece.lower() for piece in text.split()]
    if tokenization == "field":
        return [text.strip()] if text.strip() else []
    words = "".join(character if character.isalnum() else " " for character in text).split(" ")
    words = [word.lower() for word in words if word]
    if tokenization == "word":
        return words
    joined = "".join(words)
    return [joined[at : at + 3] for at in range(len(joined) - 2)]


def value_tokens(value: Any, tokenization: str) -> list[str] | None:
    if value is None:
        return None
    texts = [value] if isinstance(value, str) else value
    return [token for text in texts for token in plain_tokens(text, tokenization)]


def plain_bm25f(
    documents: Documents,
    properties: Sequence[Property],
    options: KeywordOptions,
    query: str,
    boosts: Mapping[str, float],
) -> dict[int, float]:
    """The score of every document that holds a query term."""
    tokenization = {p.name: p.tokenization for p in properties if p.name in boosts}
    held = {
        doc_id: {name: value_tokens(values.get(name), tokenization[name]) for name in boosts}
        for doc_id, values in documents.items()
    }
    asked = {name: plain_tokens(query, tokenization[name]) for name in boosts}
    for name in boosts:
        if options.stopwords == "en" and tokenization[name] == "word":
            asked[name] = [term for term in asked[name] if term not in STOPWORDS]

    means = []
    for name in boosts:
        lengths = [len(found) for tokens in held.values() if (found := tokens[name]) is not None]
        means.append(sum(lengths) / len(lengths) if lengths else 0.0)
    average = sum(means) / len(means) if sum(means) else 40.0

    scores: dict[int, float] = {}
    for name, boost in boosts.items():
        for term in asked[name]:  # a repeated term comes round again
            counts = [
                sum(term in (tokens[other] or ()) for tokens in held.values())
                for other in boosts
                if term in asked[other]
            ]
            counts = [count for count in counts if count > 0]
            if not counts:
                continue
            n = sum(counts) // len(counts)
            idf = math.log(1 + (len(documents) - n + 0.5) / (n + 0.5))
            for doc_id, tokens in held.items():
                tokens_here = tokens[name] or []
                f = tokens_here.count(term)
                if f:
                    length = len(tokens_here)
                    tf = f / (f + options.k1 * ((1 - options.b) + options.b * length / average))
                    scores[doc_id] = scores.get(doc_id, 0.0) + tf * idf * boost
    return scores
