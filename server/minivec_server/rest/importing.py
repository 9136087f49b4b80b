"""The way of many objects into a collection: a JSON list in batches, or an NDJSON stream of any length in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from minivec.collection import Collection
from minivec.errors import InvalidInput, LimitExceeded, MinivecError
from minivec.settings import Settings
from minivec.types.object import ImportMode, Outcome
from minivec_server.errors import HttpRefusal, answer_to
from minivec_server.guard import NDJSON
from minivec_server.rest.answers import to_json
from minivec_server.rest.body import parse
from minivec_server.rest.lines import LineReader, TooLong
from minivec_server.rest.spool import Spool
from minivec_server.state import State

BATCH = 256


def ingest_all(
    collection: Collection, drafts: list[Any], mode: ImportMode, id_from: Sequence[str] | None, settings: Settings
) -> list[Outcome]:
    """One outcome per draft, in order. Raises HttpRefusal for too many; once a part is stored, errors become outcomes."""
    if len(drafts) > settings.max_batch_objects:
        raise HttpRefusal(
            413,
            "limit_exceeded",
            f"More than {settings.max_batch_objects} objects in one request.",
            field="objects",
            hint=f"Send several requests, or import as {NDJSON}, which has no limit.",
        )
    outcomes: list[Outcome] = []
    for start in range(0, len(drafts), BATCH):
        try:
            batch = drafts[start : start + BATCH]
            outcomes += collection.ingest(batch, mode=mode, id_from=id_from, offset=start)
        except MinivecError as error:
            if not outcomes:
                raise
            return outcomes + [refused(index, error) for index in range(start, len(drafts))]
    return outcomes


def refused(index: int, error: MinivecError) -> Outcome:
    """The outcome of an object that an error kept out."""
    return Outcome(
        index=index, status="refused", code=error.code, reason=error.message, hint=error.hint, field=error.field
    )


class ImportStream(Response):
    """The answer to an NDJSON import: reads, stores and reports, batch by batch, each batch before the next is read.

    An error before the first outcome is an ordinary error answer; a later one becomes the last line.
    """

    def __init__(self, collection: Collection, state: State, mode: ImportMode, id_from: Sequence[str] | None) -> None:
        super().__init__(media_type=NDJSON)
        del self.headers["content-length"]
        self._collection = collection
        self._state = state
        self._mode = mode
        self._id_from = id_from
        self._index = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the import."""
        lines = LineReader(receive, min(self._state.settings.max_body_bytes, 16 * 2**20))
        first = await self._next(lines)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        spool = Spool()
        spool.write(first or b"")
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._store(lines, spool, scope))
                both.create_task(self._report(spool, scope, send))
        finally:
            spool.close()
            lines.close()

    async def _store(self, lines: LineReader, spool: Spool, scope: Scope) -> None:
        try:
            while (content := await self._next(lines)) is not None:
                self._progress(scope)
                spool.write(content)
        except ClientDisconnect:
            return
        except Exception as error:  # the status is out already, so the error becomes the last line
            spool.write(bytes(answer_to(error, scope).body) + b"\n")
        finally:
            spool.finish()

    async def _report(self, spool: Spool, scope: Scope, send: Send) -> None:
        while piece := await spool.read():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            self._progress(scope)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self, lines: LineReader) -> bytes | None:
        batch = await lines.batch(BATCH)
        if batch is None:
            return None
        start, self._index = self._index, self._index + len(batch)
        return await self._state.pools.writes.run(self._ingest, batch, start)

    def _ingest(self, batch: list[bytes | TooLong], start: int) -> bytes:
        """The outcomes of a batch of lines, a JSON line each."""
        outcomes: dict[int, Outcome] = {}
        drafts: list[Any] = []
        places: list[int] = []
        for index, line in enumerate(batch, start):
            try:
                drafts.append(self._parse(line))
                places.append(index)
            except MinivecError as error:
                outcomes[index] = refused(index, error)
        stored = self._collection.ingest(drafts, mode=self._mode, id_from=self._id_from) if drafts else []
        outcomes.update((place, replace(outcome, index=place)) for place, outcome in zip(places, stored, strict=True))
        return b"".join(to_json(outcomes[index]) + b"\n" for index in sorted(outcomes))

    def _parse(self, line: bytes | TooLong) -> Any:
        if isinstance(line, TooLong):
            raise LimitExceeded(f"The line is longer than {line.most} bytes.", hint="Split the object.")
        try:
            return parse(line, self._state.settings.max_depth)
        except HttpRefusal as error:
            raise InvalidInput(error.message.replace("body", "line"), hint="Send one JSON object a line.") from error

    def _progress(self, scope: Scope) -> None:
        with suppress(RuntimeError):  # the deadline has just passed: it is too late to move it
            scope["minivec.deadline"].reschedule(
                asyncio.get_running_loop().time() + self._state.settings.request_seconds
            )
