"""The keyword index: BM25F over the searchable text properties, exact after every insert and delete.

A follower: it reads properties from the feed, may be deleted at any time and is rebuilt from the truth. Scores are those
of a plain loop over the live documents (formulas and their source: `bm25.py`); document frequencies, lengths and the
number of documents are those of the live documents only. Not thread-safe by itself: searches change nothing and may run
side by side, but not beside an insert or a delete; the follower's lock sees to that.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minivec.errors import InvalidInput
from minivec.indexes import bm25, keyword_snapshot
from minivec.indexes.analyzer import TOKENIZERS, Tokenizer, query_tokens
from minivec.indexes.feed import Feed
from minivec.indexes.postings import MISSING, Column, Integers, Matches, Postings
from minivec.types.answer import TermScore
from minivec.types.collection import KeywordOptions, Property

_FORMAT = "keyword 1"
_DEAD_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class KeywordHit:
    """One document found. The contributions of `terms` add up to `score`."""

    doc_id: int
    score: float
    terms: tuple[TermScore, ...]


class _Formula(NamedTuple):
    """The numbers of one query that every posting shares."""

    average: float
    k1: float
    b: float


@dataclass(slots=True)
class _Field:
    """One searchable property: its postings, and what its live documents' lengths add up to."""

    definition: Property
    postings: Postings
    documents: int = 0
    length: int = 0

    @property
    def mean_length(self) -> float:
        return self.length / self.documents if self.documents else 0.0

    def count(self, lengths: Integers, sign: int) -> None:
        """Take documents of these lengths in (sign 1) or out (sign -1)."""
        present = lengths[lengths != MISSING]
        self.documents += sign * present.size
        self.length += sign * int(present.sum())


@dataclass(frozen=True, slots=True)
class _Leg:
    """One query term in one property: the live documents that hold it, and what it is worth there at most."""

    field: _Field
    term: str
    slots: Integers
    frequencies: Integers
    idf: float
    bound: float  # idf x boost of the property x times the term occurs in the query
    formula: _Formula

    def contributions(self, at: slice | NDArray[np.int64]) -> NDArray[np.float64]:
        """What the postings at these positions add to the scores of their documents."""
        lengths = self.field.postings.lengths.view[self.slots[at]]
        found = bm25.saturation(self.frequencies[at], lengths, *self.formula)
        found *= self.bound
        return found

    def find(self, slots: Integers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which of these slots hold the term: their places in `slots`, and the positions of their postings."""
        at = np.minimum(self.slots.searchsorted(slots), self.slots.size - 1)
        places = np.flatnonzero(self.slots[at] == slots)
        return places, at[places]


class KeywordIndex:
    """BM25F over the properties of type text and text[] that are searchable.

    `signature` covers what a snapshot depends on everywhere: its format, and the Unicode tables that tell letters from
    the rest. The properties and their tokenizations stand in the snapshot itself: `load` takes one that lacks a
    property of the collection (no document indexed by then can have had a value for it: a property is added to the
    definition and to this index before the first document that uses it), and refuses any other difference.
    """

    name = "keyword"
    kind = "bm25f"
    signature = hashlib.sha256(f"{_FORMAT} unicode {unicodedata.unidata_version}".encode()).hexdigest()

    def __init__(self, properties: Sequence[Property], options: KeywordOptions) -> None:
        self._options = options
        self._properties: dict[str, Property] = {}
        self.reset()
        for added in properties:
            self.add_property(added)

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def property_names(self) -> frozenset[str]:
        """The properties that are searched."""
        return frozenset(self._properties)

    def reset(self) -> None:
        """Forget every document; the properties stay."""
        self._fields = {name: _Field(searched, Postings()) for name, searched in self._properties.items()}
        self._slots: dict[int, int] = {}  # live document id -> slot
        self._doc_ids: Column[np.int64] = Column(np.int64)
        self._live: Column[np.bool_] = Column(np.bool_)

    def add_property(self, added: Property) -> None:
        """Search this property too, from the next inserted document on; one without searchable text changes nothing."""
        if not is_searched(added) or added.name in self._properties:
            return
        self._properties[added.name] = added
        self._fields[added.name] = _Field(added, Postings(len(self._doc_ids)))

    def insert(self, doc_ids: Sequence[int], feed: Feed) -> None:
        """Index those of these documents that the feed says are live; known ones stay as they are."""
        for prop in feed.definition():  # a document may hold a property that was added since
            self.add_property(prop)
        unknown = [doc_id for doc_id in dict.fromkeys(doc_ids) if doc_id not in self._slots]
        rows = feed.properties(unknown) if unknown else ()
        if not rows:
            return
        first = len(self._doc_ids)
        for name, field in self._fields.items():
            tokenizer = TOKENIZERS[field.definition.tokenization]
            field.postings.append([_tokens(values.get(name), tokenizer) for _, values in rows])
            field.count(field.postings.lengths.view[first:], 1)
        self._doc_ids.append(np.array([doc_id for doc_id, _ in rows], np.int64))
        self._live.append(np.ones(len(rows), np.bool_))
        self._slots.update((doc_id, slot) for slot, (doc_id, _) in enumerate(rows, first))

    def delete(self, doc_ids: Iterable[int]) -> None:
        """Forget these documents; unknown ones are no error."""
        found = [self._slots.pop(doc_id) for doc_id in doc_ids if doc_id in self._slots]
        if not found:
            return
        slots = np.array(found)
        self._live.view[slots] = False
        for field in self._fields.values():
            field.count(field.postings.lengths.view[slots], -1)
        if len(self._doc_ids) - len(self) > _DEAD_SHARE * len(self._doc_ids):
            self._become(self._snapshot())

    def save(self) -> bytes:
        """The live documents as bytes for `load`; the index itself does not change."""
        return keyword_snapshot.write(self._snapshot())

    def load(self, payload: memoryview) -> None:
        """Become what `save` described.

        Raises ValueError, and stays as it was, when the payload is damaged or has other properties than this index.
        """
        snapshot = keyword_snapshot.read(payload)
        for name, (tokenization, _) in snapshot.properties.items():
            known = self._properties.get(name)
            if known is None or known.tokenization != tokenization:
                raise ValueError(f"the keyword snapshot has a property {name!r} ({tokenization}) this index has not")
        self._become(snapshot)

    def search(self, text: str, properties: Sequence[tuple[str, float]] | None, k: int) -> list[KeywordHit]:
        """The k best documents that hold any term of `text`: score descending, equal scores by ascending id.

        `properties` are names with boosts; None or none at all means every searchable property, boost 1. Raises
        InvalidInput for a blank text (field "text"), and for a property that is unknown, not searchable, named twice
        or boosted by what is no positive number (field "query_properties").
        """
        if not text.strip():
            raise InvalidInput(
                "The keyword query is empty.", hint="Give at least one word to search for.", field="text"
            )
        legs = self._legs(text, self._boosts(properties)) if k > 0 else []
        slots, scores = _best(legs, self._doc_ids.view, k)
        found = zip(self._doc_ids.view[slots].tolist(), scores.tolist(), _term_scores(legs, slots), strict=True)
        return [KeywordHit(doc_id, score, terms) for doc_id, score, terms in found]

    def _boosts(self, properties: Sequence[tuple[str, float]] | None) -> Mapping[str, float]:
        if not properties:
            return dict.fromkeys(self._properties, 1.0)
        boosts: dict[str, float] = {}
        for name, boost in properties:
            if name not in self._properties:
                searchable = ", ".join(self._properties) or "none"
                raise _bad_property(f"{name!r} is not a searchable text property.", f"Searchable are: {searchable}.")
            if name in boosts:
                raise _bad_property(f"{name!r} is named twice.", "Name each property once, with one boost.")
            if not (math.isfinite(boost) and boost > 0):
                raise _bad_property(f"The boost of {name!r} is {boost}.", "A boost is a number above 0, as in title^2.")
            boosts[name] = float(boost)
        return boosts

    def _legs(self, text: str, boosts: Mapping[str, float]) -> list[_Leg]:
        """Each query term in each property that holds it, the most telling first."""
        fields = [self._fields[name] for name in boosts]
        formula = _Formula(bm25.average_length([f.mean_length for f in fields]), self._options.k1, self._options.b)
        found: dict[str, list[tuple[_Field, int, Matches]]] = {}
        for field in fields:
            wanted = query_tokens(text, field.definition.tokenization, self._options.stopwords)
            for term, times in Counter(wanted).items():
                found.setdefault(term, []).append((field, times, self._find(field, term)))
        legs = []
        for term, places in found.items():
            containing = bm25.averaged_document_frequency([matches.slots.size for _, _, matches in places])
            idf = bm25.inverse_document_frequency(len(self), containing)
            for field, times, matches in places:
                if matches.slots.size:
                    bound = idf * boosts[field.definition.name] * times
                    legs.append(_Leg(field, term, *matches, idf, bound, formula))
        return sorted(legs, key=lambda leg: -leg.bound)

    def _find(self, field: _Field, term: str) -> Matches:
        matches = field.postings.find(term)
        if len(self) == len(self._doc_ids):
            return matches
        kept = self._live.view[matches.slots]
        return Matches(matches.slots[kept], matches.frequencies[kept])

    def _snapshot(self) -> keyword_snapshot.Snapshot:
        """The live documents alone, the slots numbered anew."""
        live = self._live.view
        packed = {name: (f.definition.tokenization, f.postings.pack(live)) for name, f in self._fields.items()}
        return keyword_snapshot.Snapshot(self._doc_ids.view[live], packed)

    def _become(self, snapshot: keyword_snapshot.Snapshot) -> None:
        """Hold the documents of a snapshot and nothing else."""
        documents = snapshot.doc_ids.size
        self._doc_ids = Column(np.int64, snapshot.doc_ids)
        self._live = Column(np.bool_, np.ones(documents, np.bool_))
        self._slots = dict(zip(snapshot.doc_ids.tolist(), range(documents), strict=True))
        self._fields = {}
        for name, searched in self._properties.items():
            held = snapshot.properties.get(name)
            field = _Field(searched, Postings.unpack(held[1]) if held else Postings(documents))
            field.count(field.postings.lengths.view, 1)
            self._fields[name] = field


def is_searched(prop: Property) -> bool:
    """Whether keyword search looks into this property."""
    return prop.searchable and prop.data_type in ("text", "text[]")


def _tokens(value: Any, tokenizer: Tokenizer) -> list[str] | None:
    """The tokens of a text or of all elements of a text[]; None where there is no value."""
    if isinstance(value, str):
        return tokenizer(value)
    if isinstance(value, Sequence):
        return list(chain.from_iterable(tokenizer(element) for element in value if isinstance(element, str)))
    return None


def _best(legs: Sequence[_Leg], doc_ids: NDArray[np.int64], k: int) -> tuple[Integers, NDArray[np.float64]]:
    """The slots of the k best documents in order, and their scores.

    Legs come most telling first. Once the k-th best score is more than all legs to come could add up to, no new
    document can enter the ranking, and the long lists of common words are read only where a contender stands
    (Turtle and Flood's MaxScore, 1995). The result is the same as without.
    """
    scores = np.zeros(doc_ids.size)
    contenders: Integers | None = None
    seen: list[Integers] = []
    to_come = math.fsum(leg.bound for leg in legs)
    for leg in legs:
        if contenders is None and leg.slots.size > sum(slots.size for slots in seen) > 0:
            contenders = bm25.contenders(scores, seen, to_come, k)
        if contenders is None:
            scores[leg.slots] += leg.contributions(slice(None))
            seen.append(leg.slots)
        else:
            places, at = leg.find(contenders)
            scores[contenders[places]] += leg.contributions(at)
        to_come -= leg.bound
    best = bm25.best(scores, seen if contenders is None else [contenders], doc_ids, k)
    return best, scores[best]


def _term_scores(legs: Sequence[_Leg], best: Integers) -> list[tuple[TermScore, ...]]:
    """What each of the best slots owes to each leg, legs in the order their contributions were added."""
    earned: list[list[TermScore]] = [[] for _ in best]
    for leg in legs:
        places, at = leg.find(best)
        lengths = leg.field.postings.lengths.view[best[places]]
        columns = (places, leg.frequencies[at], lengths, leg.contributions(at))
        for place, frequency, length, contribution in zip(*(column.tolist() for column in columns), strict=True):
            earned[place].append(
                TermScore(
                    property=leg.field.definition.name,
                    term=leg.term,
                    frequency=frequency,
                    length=length,
                    idf=leg.idf,
                    contribution=contribution,
                )
            )
    return [tuple(terms) for terms in earned]


def _bad_property(message: str, hint: str) -> InvalidInput:
    return InvalidInput(message, hint=hint, field="query_properties")
