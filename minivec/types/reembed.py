"""What became of a reembed, and how far one is that still runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

JobState = Literal["running", "done", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reembedded:
    """A vector space that means other vectors now.

    `kept_as` names the space the old ones are kept under, "" when nothing had to be made anew; `vectors` were made in
    this call, `refused` texts have none.
    """

    space: str
    kept_as: str
    vectors: int
    refused: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ReembedJob:
    """A reembed on a server: objects `done` of `total`; `result` at its end, or the error that ended it.

    One that failed, was cancelled or met the end of the server goes on from there when it is started again.
    """

    collection: str
    space: str
    state: JobState
    done: int = 0
    total: int = 0
    result: Reembedded | None = None
    code: str = ""
    reason: str = ""
    hint: str = ""
    field: str = ""
