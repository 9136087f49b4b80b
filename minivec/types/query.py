"""What can be asked: every facade translates to these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from minivec.types.object import Vector

Fusion = Literal["relative-score", "ranked"]
RerankService = Literal["local", "nvidia"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Paging:
    """Which part of the ranking to return, and what of each object. `properties` None = all; `vectors` = space names."""

    limit: int = 10
    offset: int = 0
    properties: tuple[str, ...] | None = None
    vectors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Cutoff:
    """Keep hits within `distance`, or of at least `certainty` (cosine only: 1 - distance / 2); not both."""

    distance: float | None = None
    certainty: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rerank:
    """Let a model that reads query and passage together put the first `depth` candidates in order; others are not returned.

    It reads the `properties` named, in this order (None: every text property), and `query` (None: the text searched for).
    `service` "local" is a model of this machine; "nvidia" too if it has one of this name, else the NIM at `base_url`, or
    NVIDIA's own service. A candidate it cannot score stays last, with score 0.
    """

    model: str
    properties: tuple[str, ...] | None = None
    query: str | None = None
    depth: int = 100
    service: RerankService = "local"
    base_url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class NearText:
    """Objects whose vectors are near that of the text, embedded by the space's own model as a query."""

    text: str
    space: str | None = None
    cutoff: Cutoff = Cutoff()
    paging: Paging = Paging()
    rerank: Rerank | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NearVector:
    """Objects whose vectors are near this one."""

    vector: Vector
    space: str | None = None
    cutoff: Cutoff = Cutoff()
    paging: Paging = Paging()
    rerank: Rerank | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NearObject:
    """Objects whose vectors are near the stored vector of this one; the object itself comes first."""

    uuid: str
    space: str | None = None
    cutoff: Cutoff = Cutoff()
    paging: Paging = Paging()
    rerank: Rerank | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Keyword:
    """BM25F over text properties; a property may carry a boost: `title^2`. No properties = every searchable one."""

    text: str
    query_properties: tuple[str, ...] | None = None
    paging: Paging = Paging()
    rerank: Rerank | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Hybrid:
    """Keyword and vector search fused. `alpha` is the weight of the vector leg: 0 only words, 1 only vectors.

    `vector` replaces embedding the text. `max_vector_distance` drops what the vector leg finds farther away.
    """

    text: str
    alpha: float = 0.5
    fusion: Fusion = "relative-score"
    vector: Vector | None = None
    space: str | None = None
    query_properties: tuple[str, ...] | None = None
    max_vector_distance: float | None = None
    paging: Paging = Paging()
    rerank: Rerank | None = None


Query = NearText | NearVector | NearObject | Keyword | Hybrid
