"""Every error minivec raises, as one tree; each has a stable code and a hint that says what to do. Knows no HTTP.

MinivecError
├── InvalidInput            the request is wrong; `field` names where
│   └── LimitExceeded       the request is right but too big
├── NotFound
│   ├── CollectionNotFound
│   ├── ObjectNotFound
│   └── VectorSpaceNotFound
├── Conflict
│   ├── CollectionExists
│   ├── ObjectExists
│   └── VersionConflict     somebody else wrote in between
├── Unavailable             try again, or elsewhere
│   ├── Busy                a queue is full; `retry_after` seconds
│   ├── DeadlineExceeded
│   ├── Closed
│   ├── DatabaseLocked      another process holds the folder
│   └── ReadOnly
├── StorageError
│   ├── CommitUnknown       the commit failed half-way: the write may or may not be there
│   ├── StorageFull
│   ├── CorruptData         a checksum does not match
│   └── NewerFormat         written by a newer minivec
├── ModelError
│   ├── ModelNotFound
│   ├── WeightsMismatch
│   ├── FingerprintMismatch a space was filled by another model
│   ├── TextTooLong
│   └── EmbeddingFailed
└── ClientError
    ├── ConnectionFailed
    ├── UnexpectedAnswer    what answered is not minivec
    └── ImportFailed        raised at the end of an import; `report` holds every outcome
"""

from __future__ import annotations

from typing import Any, ClassVar


class MinivecError(Exception):
    """The root: `message` for a person, `code` for a program, `hint` what to do, `field` where."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"{where}{self.message} {self.hint}".strip()


class InvalidInput(MinivecError):
    """A value the caller sent cannot be used."""

    code = "invalid_input"


class LimitExceeded(InvalidInput):
    """More than a limit allows: bytes, depth, objects, results."""

    code = "limit_exceeded"


class NotFound(MinivecError):
    """What was named does not exist."""

    code = "not_found"


class CollectionNotFound(NotFound):
    """No collection has this name."""

    code = "collection_not_found"


class ObjectNotFound(NotFound):
    """No object has this uuid."""

    code = "object_not_found"


class VectorSpaceNotFound(NotFound):
    """The collection has no vector space of this name."""

    code = "vector_space_not_found"


class Conflict(MinivecError):
    """The request does not fit what is stored."""

    code = "conflict"


class CollectionExists(Conflict):
    """A collection of this name is already there."""

    code = "collection_exists"


class ObjectExists(Conflict):
    """An object of this uuid is already there and the mode was insert."""

    code = "object_exists"


class VersionConflict(Conflict):
    """The object changed between reading and writing it."""

    code = "version_conflict"


class Unavailable(MinivecError):
    """Not now; the request itself may be right."""

    code = "unavailable"


class Busy(Unavailable):
    """A bounded queue is full; try again after `retry_after` seconds."""

    code = "busy"

    def __init__(self, message: str, *, hint: str = "", field: str = "", retry_after: float = 1.0) -> None:
        super().__init__(message, hint=hint, field=field)
        self.retry_after = retry_after


class DeadlineExceeded(Unavailable):
    """The time limit of the request passed."""

    code = "deadline_exceeded"


class Closed(Unavailable):
    """The handle was closed."""

    code = "closed"


class DatabaseLocked(Unavailable):
    """Another process writes to this data directory."""

    code = "database_locked"


class ReadOnly(Unavailable):
    """The database was opened for reading."""

    code = "read_only"


class StorageError(MinivecError):
    """The disk or the database file let us down."""

    code = "storage_error"


class CommitUnknown(StorageError):
    """The commit reported an error: the write may or may not be stored. Reading tells; repeating an upsert is safe."""

    code = "commit_unknown"


class StorageFull(StorageError):
    """No space left; reads go on, writes work again once there is space."""

    code = "storage_full"


class CorruptData(StorageError):
    """A stored row or file does not match its checksum."""

    code = "corrupt_data"


class NewerFormat(StorageError):
    """The files were written by a newer minivec."""

    code = "newer_format"


class ModelError(MinivecError):
    """The embedding model cannot do what was asked."""

    code = "model_error"


class ModelNotFound(ModelError):
    """No model of this name is in the catalog or at this path."""

    code = "model_not_found"


class WeightsMismatch(ModelError):
    """The weights on disk are not the ones the catalog names."""

    code = "weights_mismatch"


class FingerprintMismatch(ModelError):
    """The vectors of a space were made by another model."""

    code = "fingerprint_mismatch"


class TextTooLong(ModelError):
    """A text has more tokens than the model reads and the policy is refuse."""

    code = "text_too_long"


class EmbeddingFailed(ModelError):
    """The model failed on this text."""

    code = "embedding_failed"


class ClientError(MinivecError):
    """Raised by the HTTP client only."""

    code = "client_error"


class ConnectionFailed(ClientError):
    """The server could not be reached."""

    code = "connection_failed"


class UnexpectedAnswer(ClientError):
    """The answer is not minivec's: another server, or a proxy in between."""

    code = "unexpected_answer"


class ImportFailed(ClientError):
    """Some objects of an import were not stored; `report` is the ImportReport with one outcome per object."""

    code = "import_failed"

    def __init__(self, message: str, *, hint: str = "", field: str = "", report: Any = None) -> None:
        super().__init__(message, hint=hint, field=field)
        self.report = report


def by_code() -> dict[str, type[MinivecError]]:
    """Every error class by its code, so that an error that crossed a wire can be raised again as itself."""
    found: dict[str, type[MinivecError]] = {}
    waiting: list[type[MinivecError]] = [MinivecError]
    while waiting:
        kind = waiting.pop()
        found[kind.code] = kind
        waiting.extend(kind.__subclasses__())
    return found
