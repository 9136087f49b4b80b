"""A draft on its way in, a stored object, and the outcome of one import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from minivec.types.display import object_html, object_text, report_html, report_text

ImportMode = Literal["upsert", "insert", "replace", "merge"]
OutcomeStatus = Literal["inserted", "updated", "unchanged", "refused", "unknown"]
Vector = Sequence[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """An object as the caller hands it over. Vectors given here win over the vectorizer. Key of `vectors`: the space."""

    properties: Mapping[str, Any] = field(default_factory=dict)
    uuid: str | None = None
    vectors: Mapping[str, Vector] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredObject:
    """An object as it is stored. `version` counts its writes from 1; `vectors` holds only what was asked for."""

    uuid: str
    properties: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int
    vectors: Mapping[str, Vector] = field(default_factory=dict)

    def __repr__(self) -> str:
        return object_text(self)

    def _repr_html_(self) -> str:
        return object_html(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenNote:
    """What a model saw of one text: tokens in it, tokens cut off by the truncation policy."""

    space: str
    tokens: int
    cut: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of one object: `status`, and for a refusal the code, the reason, the field and what to do.

    `unknown` means the commit itself failed: the object may or may not be stored; repeating the upsert is safe.
    """

    index: int
    status: OutcomeStatus
    uuid: str | None = None
    code: str = ""
    reason: str = ""
    hint: str = ""
    field: str = ""
    tokens: tuple[TokenNote, ...] = ()

    @property
    def stored(self) -> bool:
        """Whether the object is certainly there as it was sent."""
        return self.status in ("inserted", "updated", "unchanged")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """One outcome per object, in the order they were handed over."""

    outcomes: tuple[Outcome, ...]
    seconds: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """How many objects ended in each status."""
        return dict(Counter(outcome.status for outcome in self.outcomes))

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The outcomes of the objects that are not certainly stored."""
        return tuple(outcome for outcome in self.outcomes if not outcome.stored)

    @property
    def truncated(self) -> tuple[Outcome, ...]:
        """The outcomes of the objects a model saw only a part of."""
        return tuple(outcome for outcome in self.outcomes if any(note.cut for note in outcome.tokens))

    def __repr__(self) -> str:
        return report_text(self)

    def _repr_html_(self) -> str:
        return report_html(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectPage:
    """Objects in the order they were last written; `cursor` goes into the next call and is None at the end."""

    objects: tuple[StoredObject, ...]
    cursor: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DeleteReport:
    """How many objects a filter matched and how many were deleted (0 in a dry run)."""

    matched: int
    deleted: int
