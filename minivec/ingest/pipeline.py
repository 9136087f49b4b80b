"""The way in: check, compare, embed, commit, let the followers catch up; one outcome per object, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from minivec.errors import CommitUnknown, InvalidInput, MinivecError, VersionConflict
from minivec.ingest.check import Checked, Checker
from minivec.ingest.commit import DefinitionChanged, commit, is_lost_race
from minivec.ingest.compare import Prepared, compare
from minivec.ingest.embed import embed, token_notes
from minivec.shard import Shard
from minivec.storage.objects import Written
from minivec.types.collection import CollectionConfig
from minivec.types.object import Draft, ImportMode, Outcome, OutcomeStatus
from minivec.vectorizer import Vectorizers

_ATTEMPTS = 20  # lost races with other writers of the same objects before giving up
_MODES = ("upsert", "insert", "replace", "merge")

Numbered = tuple[int, Draft | Mapping[str, Any]]


@dataclass(slots=True)
class Ingest:
    """One batch on its way in."""

    shard: Shard
    vectorizers: Vectorizers
    mode: ImportMode
    id_from: Sequence[str] | None = None
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def run(self, drafts: Sequence[Draft | Mapping[str, Any]], offset: int = 0) -> list[Outcome]:
        """Store the drafts; `offset` is added to the index in each outcome. Never raises for a bad object."""
        pending: list[Numbered] = list(enumerate(drafts, start=offset))
        for _ in range(_ATTEMPTS):
            pending = self._attempt(pending)
            if not pending:
                break
        for index, _ in pending:
            error = VersionConflict("Other writers kept changing this object.", hint="Try again.")
            self._refuse(index, error)
        return [self.outcomes[index] for index in sorted(self.outcomes)]

    def _attempt(self, pending: Sequence[Numbered]) -> list[Numbered]:
        """One pass over what is still open; returns what lost a race."""
        checker = Checker(self.shard.truth.config, self.id_from, partial=self.mode == "merge")
        checked = checker.check_all(pending)
        for index, error in checker.refused:
            self._refuse(index, error)
        lost: set[int] = set()
        for group in _without_repeats(checked):
            lost |= self._store(group, checker.config)
        self.shard.catch_up()
        return [numbered for numbered in pending if numbered[0] in lost]

    def _store(self, checked: list[Checked], config: CollectionConfig) -> set[int]:
        """Compare, embed and commit objects of different uuids; returns the indexes that lost a race."""
        with self.shard.truth.read() as connection:
            prepared, refused = compare(connection, checked, self.mode, config)
        failed, config = embed(prepared, config, self.vectorizers)
        refused += failed
        for index, error in refused:
            self._refuse(index, error)
        gone = {index for index, _ in refused}
        for one in prepared:
            if one.unchanged and one.index not in gone:
                self._accept(one, "unchanged")
        writing = [one for one in prepared if one.index not in gone and not one.unchanged]
        if not writing:
            return set()
        try:
            results = commit(self.shard, writing, self.mode, config)
        except DefinitionChanged:
            return {one.index for one in writing}
        except MinivecError as error:
            results = [error] * len(writing)
        return {one.index for one, result in zip(writing, results, strict=True) if not self._settle(one, result)}

    def _settle(self, one: Prepared, result: Written | MinivecError) -> bool:
        """Turn a commit's result into an outcome; False when the object lost a race and may try again."""
        if isinstance(result, Written):
            self._accept(one, "inserted" if result.created else "updated")
        elif self.mode == "merge" and is_lost_race(result):
            return False
        else:
            self._refuse(one.index, result, one.uuid)
        return True

    def _accept(self, one: Prepared, status: OutcomeStatus) -> None:
        self.outcomes[one.index] = Outcome(index=one.index, status=status, uuid=one.uuid, tokens=token_notes(one))

    def _refuse(self, index: int, error: MinivecError, uuid: str | None = None) -> None:
        self.outcomes[index] = Outcome(
            index=index,
            status="unknown" if isinstance(error, CommitUnknown) else "refused",
            uuid=uuid,
            code=error.code,
            reason=error.message,
            hint=error.hint,
            field=error.field,
        )


def check_mode(mode: str) -> None:
    """Raises InvalidInput for a mode that does not exist."""
    if mode not in _MODES:
        raise InvalidInput(f"There is no import mode {mode!r}.", field="mode", hint=f"One of {', '.join(_MODES)}.")


def _without_repeats(checked: Sequence[Checked]) -> Iterator[list[Checked]]:
    """The same objects in order, cut where a uuid comes again, so that each comparison sees the write before it."""
    group: list[Checked] = []
    seen: set[str] = set()
    for one in checked:
        if one.uuid in seen:
            yield group
            group, seen = [], set()
        group.append(one)
        seen.add(one.uuid)
    if group:
        yield group
