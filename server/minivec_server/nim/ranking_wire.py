"""The JSON of the two ranking routes: NIM's own, and the one with documents that other rerankers speak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from minivec_server.nim.wire import Usage
from minivec_server.rest.wire import WHOLE

Model = Annotated[str, Field(min_length=1, description="A reranker's name.")]


class TextBody(BaseModel):
    """A text to rank by, or to rank."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str


class RankingBody(BaseModel):
    """Passages to rank for a query. Members that are not named here are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: Model
    query: TextBody
    passages: Annotated[list[TextBody], Field(min_length=1)]
    truncate: Annotated[
        Literal["NONE", "END"], Field(description="NONE refuses what is too long; END cuts the passage's end.")
    ] = "NONE"


class DocumentRankingBody(BaseModel):
    """Documents to rank for a query; what is too long is cut at its end."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: Annotated[Model | None, Field(description="null: the first reranker this server has.")] = None
    query: str
    documents: Annotated[list[str | TextBody], Field(min_length=1)]
    top_n: Annotated[int | None, Field(ge=1, le=2**31 - 1), WHOLE, Field(description="null: all of them.")] = None
    return_documents: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """One passage by its place in the request, and its raw logit."""

    index: int
    logit: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RankingList:
    """The passages, best first."""

    rankings: Sequence[Ranking]
    usage: Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentText:
    """A document given back."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedDocument:
    """One document by its place in the request; the score is 1 / (1 + exp(-logit)). Its text only where asked for."""

    index: int
    relevance_score: float
    document: DocumentText | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentRankingList:
    """The documents, best first."""

    model: str
    results: Sequence[RankedDocument]
    usage: Usage
