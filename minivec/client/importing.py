"""An import over HTTP as a sequence of steps: take objects, send a batch, judge the outcome. The steps do no HTTP themselves;
two small loops, one sync and one async, carry them out.

A batch that is sent again stores nothing twice: every object has its uuid before it leaves. A batch the server refuses as a
whole is halved until the bad object stands alone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

from minivec.client import requests
from minivec.client.journal import FinishedBatch, Journal
from minivec.client.wire import Call, encode
from minivec.errors import (
    ConnectionFailed,
    DeadlineExceeded,
    ImportFailed,
    InvalidInput,
    MinivecError,
    ObjectExists,
    ObjectNotFound,
)
from minivec.progress import Progress, finish, reporter
from minivec.types.display import failures
from minivec.types.object import Draft, ImportMode, ImportReport, Outcome

PART_BYTES = 8 * 2**20  # a request larger than a server takes may end in a broken connection instead of an answer


@dataclass(frozen=True, slots=True)
class Take:
    """A step: hand over up to so many more objects; fewer mean the end."""

    count: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An object ready to be sent. `fresh`: its uuid was made here, so nobody else can have stored it."""

    index: int
    uuid: str | None
    line: bytes
    fresh: bool


Step = Take | Call[Any]
Steps = Generator[Step, Any, None]


class ImportRun:
    """One import: what it was told, the outcomes so far, and the steps that are left."""

    def __init__(
        self,
        collection: str,
        *,
        mode: ImportMode = "upsert",
        id_from: Sequence[str] | None = None,
        batch_size: int = 256,
        progress: Progress | None = None,
        total: int | None = None,
        resume_from: str | Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if batch_size < 1:
            raise InvalidInput("A batch holds at least one object.", field="batch_size", hint="256 is a good size.")
        self._collection = collection
        self._mode: ImportMode = mode
        self._id_from = id_from
        self._batch_size = batch_size
        self._total = total
        self._clock = clock
        self._began = clock()
        self._report = reporter(progress)
        self._journal = None
        if resume_from is not None:
            self._journal = Journal.open(Path(resume_from), collection=collection, mode=mode, id_from=id_from)
        self._run: UUID = uuid4() if self._journal is None else self._journal.run
        self._outcomes: list[Outcome] = []
        self._doubtful = False  # whether an earlier run may have sent the next batch

    def report(self) -> ImportReport:
        """The outcomes so far."""
        return ImportReport(outcomes=tuple(self._outcomes), seconds=self._clock() - self._began)

    def close(self) -> None:
        """End the progress line and close the journal."""
        finish(self._report, len(self._outcomes), self._total)
        if self._journal is not None:
            self._journal.close()

    def steps(self) -> Steps:
        """Every step in order; what a step brought is sent in, and what it raised is thrown in."""
        if self._journal is not None and self._journal.finished:
            yield from self._skip(self._journal.finished)
        entries: list[Entry] = []
        try:
            while drafts := (yield Take(self._batch_size)):
                entries, refused = self._prepare(drafts)
                outcomes = yield from self._deliver(entries, refused)
                self._finish_batch(_digest(entries, refused), outcomes)
                entries = []
        except MinivecError as error:
            if not self._outcomes:
                raise
            raise self._stopped(error, entries) from error
        except Exception as error:
            error.add_note(f"{len(self._outcomes):,} objects were imported before this.")
            raise

    def _skip(self, finished: Sequence[FinishedBatch]) -> Steps:
        yield from self._check_still_there(finished)
        for batch in finished:
            drafts = yield Take(batch.objects)
            if len(drafts) != batch.objects or _digest(*self._prepare(drafts)) != batch.digest:
                first, last = len(self._outcomes), len(self._outcomes) + batch.objects - 1
                raise InvalidInput(
                    f"The objects {first:,} to {last:,} are not those the journal has finished.",
                    field="resume_from",
                    hint="Hand over the same objects in the same order, or delete the journal to start anew.",
                )
            self._outcomes.extend(batch.outcomes)
            self._report(len(self._outcomes), self._total)
        self._doubtful = True

    def _check_still_there(self, finished: Sequence[FinishedBatch]) -> Steps:
        stored = (o.uuid for batch in reversed(finished) for o in reversed(batch.outcomes) if o.stored and o.uuid)
        last = next(stored, None)
        if last is None:
            return
        try:
            yield requests.get(self._collection, last)
        except ObjectNotFound as error:
            raise InvalidInput(
                f"The journal says that object {last} was stored, but the collection {self._collection!r} has none such.",
                field="resume_from",
                hint="Was the collection made anew? Then delete the journal.",
            ) from error

    def _prepare(self, drafts: Sequence[Any]) -> tuple[list[Entry], list[Outcome]]:
        entries, refused = [], []
        for index, draft in enumerate(drafts, len(self._outcomes)):
            try:
                entries.append(self._entry(index, draft))
            except InvalidInput as error:
                refused.append(_outcome_of(index, None, error))
        return entries, refused

    def _entry(self, index: int, draft: Any) -> Entry:
        plain = plain_draft(draft)
        fresh = plain.get("uuid") is None and self._id_from is None and self._mode in ("upsert", "insert")
        if fresh:
            plain["uuid"] = str(uuid5(self._run, str(index)))
        uuid = plain.get("uuid")
        return Entry(index, None if uuid is None else str(uuid), encode(plain), fresh)

    def _deliver(self, entries: list[Entry], refused: list[Outcome]) -> Generator[Step, Any, list[Outcome]]:
        outcomes = list(refused)
        for mode, group in self._groups(entries):
            for part in _parts(group):
                outcomes += yield from self._send(part, mode, self._doubtful)
        self._doubtful = False
        return sorted(outcomes, key=lambda outcome: outcome.index)

    def _groups(self, entries: list[Entry]) -> Iterator[tuple[ImportMode, list[Entry]]]:
        """Under a fresh uuid an insert is an upsert that may be repeated; the others are inserts indeed."""
        if self._mode != "insert":
            yield self._mode, entries
            return
        yield "upsert", [entry for entry in entries if entry.fresh]
        yield "insert", [entry for entry in entries if not entry.fresh]

    def _send(self, part: list[Entry], mode: ImportMode, doubtful: bool) -> Generator[Step, Any, list[Outcome]]:
        repeatable = mode != "insert"
        lines = [entry.line for entry in part]
        call = requests.import_batch(self._collection, lines, mode=mode, id_from=self._id_from, repeatable=repeatable)
        try:
            outcomes = yield call
        except (InvalidInput, DeadlineExceeded) as error:
            return (yield from self._halve(part, mode, doubtful, error))
        except ConnectionFailed:
            if repeatable or doubtful:
                raise
            return (yield from self._send(part, mode, True))
        return [_placed(entry, outcome, doubtful) for entry, outcome in zip(part, outcomes, strict=True)]

    def _halve(
        self, part: list[Entry], mode: ImportMode, doubtful: bool, error: MinivecError
    ) -> Generator[Step, Any, list[Outcome]]:
        if error.field in ("mode", "id_from"):
            raise error
        if len(part) == 1:
            return [_outcome_of(part[0].index, part[0].uuid, error)]
        middle = len(part) // 2
        doubtful = doubtful or isinstance(error, DeadlineExceeded)
        first = yield from self._send(part[:middle], mode, doubtful)
        return first + (yield from self._send(part[middle:], mode, doubtful))

    def _finish_batch(self, digest: str, outcomes: list[Outcome]) -> None:
        self._outcomes.extend(outcomes)
        if self._journal is not None:
            self._journal.record(digest, outcomes)
        self._report(len(self._outcomes), self._total)

    def _stopped(self, error: MinivecError, unfinished: Sequence[Entry]) -> ImportFailed:
        """The error of an import that cannot go on; what became of the batch it stopped in is not known."""
        hint = error.hint
        if self._journal is not None:
            hint = f"{hint} The same call resumes where it stopped.".strip()
        message = f"The import stopped after {len(self._outcomes):,} objects: {error.message}"
        self._outcomes += [replace(_outcome_of(e.index, e.uuid, error), status="unknown") for e in unfinished]
        return ImportFailed(message, hint=hint, field=error.field, report=self.report())


def plain_draft(item: Any) -> dict[str, Any]:
    """A draft as the members of its JSON form. Raises InvalidInput for what is neither a Draft nor a mapping."""
    if isinstance(item, Draft):
        draft: dict[str, Any] = {"properties": item.properties}
        if item.uuid is not None:
            draft["uuid"] = item.uuid
        if item.vectors:
            draft["vectors"] = item.vectors
        return draft
    if isinstance(item, Mapping):
        return dict(item)
    raise InvalidInput(f"An object is expected, not {type(item).__name__}.", hint='Send {"properties": {...}}.')


def import_in_steps(
    run: ImportRun, objects: Iterable[Any], send: Callable[[Call[Any]], Any], *, raise_on_failure: bool
) -> ImportReport:
    """Carry out the steps of an import. Raises ImportFailed at the end when objects were not stored, unless told not to."""
    steps = run.steps()
    try:
        source = iter(_judged(objects))
        step = next(steps)
        while True:
            try:
                result = list(islice(source, step.count)) if isinstance(step, Take) else send(step)
            except Exception as error:  # the steps decide what it means
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration:
        return _ended(run.report(), raise_on_failure)
    finally:
        run.close()


async def import_in_steps_async(
    run: ImportRun,
    objects: Iterable[Any] | AsyncIterable[Any],
    send: Callable[[Call[Any]], Awaitable[Any]],
    *,
    raise_on_failure: bool,
) -> ImportReport:
    """`import_in_steps` for an event loop; the objects may come from an async iterable too."""
    steps = run.steps()
    try:
        source = aiter(objects) if isinstance(objects, AsyncIterable) else iter(_judged(objects))
        step = next(steps)
        while True:
            try:
                result = await (_take(source, step.count) if isinstance(step, Take) else send(step))
            except Exception as error:  # the steps decide what it means
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration:
        return _ended(run.report(), raise_on_failure)
    finally:
        run.close()


async def _take(source: Iterator[Any] | AsyncIterator[Any], count: int) -> list[Any]:
    if isinstance(source, Iterator):
        return list(islice(source, count))
    taken: list[Any] = []
    while len(taken) < count:
        try:
            taken.append(await anext(source))
        except StopAsyncIteration:
            break
    return taken


def _judged(objects: Any) -> Iterable[Any]:
    if isinstance(objects, (Mapping, str, bytes, Draft)) or not isinstance(objects, Iterable):
        raise InvalidInput(
            f"Objects to import come in a list or another iterable, not as one {type(objects).__name__}.",
            field="objects",
            hint="Put it into a list, or use insert().",
        )
    return objects


def _ended(report: ImportReport, raise_on_failure: bool) -> ImportReport:
    if raise_on_failure and report.failed:
        raise ImportFailed(failures(report) + "\nThe error's `report` has every outcome.", report=report)
    return report


def _parts(entries: list[Entry]) -> Iterator[list[Entry]]:
    part: list[Entry] = []
    size = 0
    for entry in entries:
        if part and size + len(entry.line) > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(entry)
        size += len(entry.line) + 1
    if part:
        yield part


def _placed(entry: Entry, outcome: Outcome, doubtful: bool) -> Outcome:
    if entry.fresh:
        outcome = requests.as_inserted(outcome)
    if doubtful and not entry.fresh and outcome.code == ObjectExists.code:
        return Outcome(
            index=entry.index,
            status="unknown",
            uuid=entry.uuid,
            code=outcome.code,
            reason="The object is there; this import or somebody else stored it, for the answer of a first try was lost.",
            hint="Read it to see.",
        )
    return replace(outcome, index=entry.index)


def _outcome_of(index: int, uuid: str | None, error: MinivecError) -> Outcome:
    return Outcome(
        index=index,
        status="unknown" if isinstance(error, DeadlineExceeded) else "refused",
        uuid=uuid,
        code=error.code,
        reason=error.message,
        hint=error.hint,
        field=error.field,
    )


def _digest(entries: Sequence[Entry], refused: Sequence[Outcome]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for entry in entries:
        digest.update(entry.line + b"\n")
    for outcome in refused:
        digest.update(f"refused {outcome.index} {outcome.reason}\n".encode())
    return digest.hexdigest()
