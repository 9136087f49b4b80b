"""The one thread that writes to a file. Work that waits together is committed together, one disk sync for all of it.

Each piece of work runs in a savepoint: one that raises is undone alone. Nobody waits on purpose: while one commit
syncs, the next group gathers. Every piece of work ends in a result or an error, whatever happens.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from minivec.errors import Busy, Closed, CommitUnknown, MinivecError, StorageError
from minivec.storage.connections import checkpoint
from minivec.storage.faults import FSYNC_FAULTS, as_storage_error, fault_name, translated

T = TypeVar("T")
Work = Callable[[Connection], T]

GROUP_MOST = 100
QUEUE_MOST = 1000
CHECKPOINT_ROWS = 8192  # rows changed, each good for about one page of log
LOG_WARNING_BYTES = 1 << 30

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Task:
    work: Work[Any]
    answer: Future[Any] = field(default_factory=Future)
    result: Any = None


class Writer:
    """Owns the writing connection and its thread.

    `before_commit` runs inside each transaction, after its work; `after_commit` once it is durable, before any answer.
    """

    def __init__(
        self,
        engine: Engine,
        path: Path,
        *,
        before_commit: Callable[[Connection], None] = lambda connection: None,
        after_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = path
        self._engine = engine
        with translated(str(path)):
            self._connection = engine.connect()
        self._before_commit, self._after_commit = before_commit, after_commit
        self._waiting: deque[_Task] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._broken: str = ""
        self._rows_at_checkpoint = self._driver.total_changes
        self._warned = False
        self._thread = threading.Thread(target=self._run, name=f"minivec-writer-{path.parent.name}", daemon=True)
        self._thread.start()

    def write(self, work: Work[T]) -> T:
        """Run work on the writing connection; return its result once its transaction is durable.

        Raises what the work raises; CommitUnknown where the commit failed; Busy where too much waits; Closed;
        StorageError, and StorageFull, where the work was certainly not stored.
        """
        if threading.current_thread() is self._thread:
            raise AssertionError("work that runs in the writer's thread uses its own connection, it hands nothing in")
        task = _Task(work)
        with self._wake:
            self._accept(task)
            self._wake.notify()
        return cast(T, task.answer.result())

    def close(self) -> None:
        """Finish what waits, move the log into the file, and close the connection. A second call does nothing."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _accept(self, task: _Task) -> None:
        if self._closing:
            raise Closed(f"{self._path} is closed.")
        self._refuse_if_broken()
        if len(self._waiting) >= QUEUE_MOST:
            raise Busy(f"{QUEUE_MOST} writes already wait.", hint="Send larger batches, or try again.", retry_after=1.0)
        self._waiting.append(task)

    def _refuse_if_broken(self) -> None:
        if self._broken:
            raise StorageError(
                f"{self._path} takes no more writes: {self._broken}.",
                hint="Look at the disk, then restart; what was acknowledged is in the file.",
            )

    @property
    def _driver(self) -> Any:
        return self._connection.connection.driver_connection

    def _run(self) -> None:
        try:
            while group := self._next_group():
                self._do(group)
                self._checkpoint_when_due()
        finally:
            self._finish()

    def _next_group(self) -> list[_Task]:
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._closing)
            return [self._waiting.popleft() for _ in range(min(GROUP_MOST, len(self._waiting)))]

    def _do(self, group: list[_Task]) -> None:
        try:
            self._refuse_if_broken()
            self._commit(group)
        except BaseException as error:  # whatever it is, those who wait must hear of it
            self._undo()
            self._fail(group, as_storage_error(error, str(self._path)) or error)

    def _commit(self, group: list[_Task]) -> None:
        transaction = self._connection.begin()
        done = [task for task in group if self._run_in_savepoint(task)]
        if not done:
            transaction.rollback()
            return
        self._before_commit(self._connection)
        try:
            transaction.commit()
        except Exception as error:  # the disk may hold the commit all the same
            self._undo()
            self._note_fsync(error)
            self._fail(done, self._unknown(error))
            return
        self._after_commit()
        for task in done:
            task.answer.set_result(task.result)

    def _run_in_savepoint(self, task: _Task) -> bool:
        savepoint = self._connection.begin_nested()
        try:
            task.result = task.work(self._connection)
            savepoint.commit()
        except BaseException as error:  # one caller's failure is that caller's alone
            if not self._driver.in_transaction:
                raise
            savepoint.rollback()
            task.answer.set_exception(as_storage_error(error, str(self._path)) or error)
            return False
        return True

    def _unknown(self, error: BaseException) -> MinivecError:
        reason = fault_name(error) or type(error).__name__
        return CommitUnknown(
            f"The commit to {self._path} failed ({reason}): the write may or may not be stored.",
            hint="Look at the disk and its space; then read, or repeat the upsert, which is safe.",
        )

    def _note_fsync(self, error: BaseException) -> None:
        if fault_name(error) in FSYNC_FAULTS:  # a second sync may claim success for pages the first one lost
            self._broken = "the disk failed to sync"
            _log.error("%s: the disk failed to sync; no more writes until a restart", self._path)

    def _undo(self) -> None:
        try:
            self._connection.rollback()
            if self._driver.in_transaction:
                self._driver.rollback()
        except Exception as error:
            self._broken = f"a transaction could not be undone ({fault_name(error) or error})"
            _log.exception("%s: a failed transaction could not be undone", self._path)

    @staticmethod
    def _fail(group: Sequence[_Task], error: BaseException) -> None:
        for task in group:
            if not task.answer.done():
                task.answer.set_exception(error)

    def _checkpoint_when_due(self) -> None:
        if self._driver.total_changes - self._rows_at_checkpoint >= CHECKPOINT_ROWS:
            self._rows_at_checkpoint = self._driver.total_changes
            self._checkpoint("PASSIVE")

    def _checkpoint(self, mode: Any) -> None:
        if self._broken:
            return
        try:
            whole = checkpoint(self._connection, mode)
        except Exception as error:  # nothing is lost: the log still holds it all, and the next one may work
            self._note_fsync(error)
            _log.warning("%s: moving the log into the file failed: %s", self._path, error)
            return
        finally:
            self._undo()
        self._warn_of_long_log(whole)

    def _warn_of_long_log(self, whole: bool) -> None:
        log = Path(f"{self._path}-wal")
        if not whole and not self._warned and log.exists() and log.stat().st_size > LOG_WARNING_BYTES:
            self._warned = True
            _log.warning("%s: a long read keeps the log from being emptied; it has passed 1 GiB", self._path)

    def _finish(self) -> None:
        with self._wake:
            self._closing = True
            left = [*self._waiting]
            self._waiting.clear()
        self._fail(left, Closed(f"{self._path} is closed."))
        self._checkpoint("TRUNCATE")
        try:
            self._connection.close()
        except SQLAlchemyError as error:
            _log.warning("%s: closing failed: %s", self._path, error)
        self._engine.dispose()
