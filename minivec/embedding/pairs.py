"""Query and passage as the ids a cross-encoder reads: a tokenizer's own pair form, or one text made from a template."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from minivec.embedding.interface import Truncation
from minivec.embedding.tokens import FileTokenizer, TokenizedText, Untokenizable
from minivec.errors import InvalidInput, TextTooLong


@dataclass(frozen=True, kw_only=True, slots=True)
class PairText(TokenizedText):
    """A query and a passage as one text; from token `second` on it is of the second kind, 0 when there are no kinds."""

    second: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """Uncut ids, and which of them are the query's and the passage's own words; `second` as in PairText."""

    ids: list[int]
    query: range
    passage: range
    second: int = 0


class PairTokenizer(Protocol):
    """Texts to pairs, uncut. Safe from many threads at once."""

    def pairs(self, query: str, passages: Sequence[str]) -> list[Pair]:
        """One pair a passage, in order; every text must be valid Unicode."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """The text of a pair is `before` + query + `between` + passage."""

    before: str
    between: str


class FilePairTokenizer(FileTokenizer):
    """A `tokenizer.json`; without a template its own form for pairs, special tokens and kinds included."""

    def __init__(self, file: Path, *, template: Template | None = None, lowercase: bool = False) -> None:
        super().__init__(file, lowercase=lowercase)
        self._template = template

    def pairs(self, query: str, passages: Sequence[str]) -> list[Pair]:
        """One pair a passage, in order."""
        template = self._template
        if template is None:
            encodings = self._tokenizer.encode_batch([(query, passage) for passage in passages])
            return [_of_two(encoding) for encoding in encodings]
        start = len(template.before)
        marks = (start, start + len(query), start + len(query) + len(template.between))
        head = f"{template.before}{query}{template.between}"
        encodings = self._tokenizer.encode_batch([head + passage for passage in passages])
        return [_of_template(encoding, marks) for encoding in encodings]


def prepare(
    tokenizer: PairTokenizer, query: str, passages: Sequence[str], *, max_tokens: int, truncate: Truncation
) -> list[PairText | Untokenizable]:
    """Each pair as at most `max_tokens` ids, or the reason why not; one entry a passage, in order.

    What is too long loses the passage's end or start; a query longer than half of what there is room for loses its end
    too, so that no passage goes unread. Raises InvalidInput when the query is not valid Unicode.
    """
    if unreadable(query):
        raise InvalidInput("The query holds half a surrogate pair.", field="query", hint="Send valid Unicode text.")
    readable = [passage for passage in passages if not unreadable(passage)]
    found = iter(tokenizer.pairs(query, readable))
    refused = InvalidInput("The text holds half a surrogate pair.", hint="Send valid Unicode text.")
    return [
        Untokenizable(total=0, error=refused) if unreadable(passage) else fitted(next(found), max_tokens, truncate)
        for passage in passages
    ]


def fitted(pair: Pair, max_tokens: int, truncate: Truncation) -> PairText | Untokenizable:
    """The pair cut to `max_tokens` ids: the passage by policy, the query only where it takes more than half."""
    total = len(pair.ids)
    if total <= max_tokens:
        return PairText(ids=np.asarray(pair.ids, np.int32), total=total, second=pair.second)
    room = max_tokens - (total - len(pair.query) - len(pair.passage))
    if truncate == "refuse" or room < 2:
        error = TextTooLong(
            f"Query and passage together have {total} tokens; the model reads {max_tokens}.",
            hint='Shorten them, or set truncate to "end" or "start".',
        )
        return Untokenizable(total=total, error=error)
    from_query = min(len(pair.query), max(room - len(pair.passage), room // 2))
    from_passage = min(len(pair.passage), room - from_query)
    cut_query = pair.query[from_query:]
    lost = len(pair.passage) - from_passage
    cut_passage = pair.passage[:lost] if truncate == "start" else pair.passage[from_passage:]
    kept = np.ones(total, bool)
    kept[cut_query.start : cut_query.stop] = False
    kept[cut_passage.start : cut_passage.stop] = False
    return PairText(
        ids=np.asarray(pair.ids, np.int32)[kept],
        total=total,
        cut=total - max_tokens,
        second=int(kept[: pair.second].sum()),
    )


def unreadable(text: str) -> bool:
    """Whether no tokenizer can read it: half a surrogate pair is no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _of_two(encoding: Any) -> Pair:
    kinds, parts = encoding.type_ids, encoding.sequence_ids
    second = kinds.index(1) if 1 in kinds else 0
    return Pair(encoding.ids, _run(parts, 0), _run(parts, 1), second)


def _run(parts: list[int | None], wanted: int) -> range:
    """Where the tokens of one of the two texts stand; they are neighbours."""
    start = parts.index(wanted) if wanted in parts else len(parts)
    return range(start, start + parts.count(wanted))


def _of_template(encoding: Any, marks: tuple[int, int, int]) -> Pair:
    """`marks` are the characters where the query begins and ends and the passage begins.

    A token that reaches over a mark counts to what is before it, and stays.
    """
    special = encoding.special_tokens_mask
    first = special.index(0) if 0 in special else len(special)
    end = len(special) - (special[::-1].index(0) if 0 in special else 0)
    starts = [start for start, _ in encoding.offsets[first:end]]
    query, after, passage = (first + bisect_left(starts, mark) for mark in marks)
    return Pair(encoding.ids, range(query, after), range(passage, end))
