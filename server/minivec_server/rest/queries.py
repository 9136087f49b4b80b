"""The JSON bodies of the five searches, and how each becomes a query of the core."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from minivec.types.query import (
    Cutoff,
    Fusion,
    Hybrid,
    Keyword,
    NearObject,
    NearText,
    NearVector,
    Paging,
    Rerank,
    RerankService,
)
from minivec_server.rest.wire import BASE_URL, BOOSTED, MODEL, WHOLE, Body, PropertyName, Text, Uuid, Vector

MOST_RESULTS = 10_000
MOST_RERANKED = 1_000
_NOT_BOTH: JsonDict = {
    "not": {
        "required": ["distance", "certainty"],
        "properties": {"distance": {"type": "number"}, "certainty": {"type": "number"}},
    }
}
QueryText = Annotated[Text, Field(pattern=r"\S")]
QueryProperties = Annotated[
    list[Annotated[str, Field(pattern=BOOSTED)]],
    Field(min_length=1, max_length=1000, description="Properties to search; `title^2` doubles a property's weight."),
]


class RerankBody(Body):
    """A model that reads query and passage together puts the first candidates in order; others are not returned."""

    model: Annotated[str, Field(min_length=1, pattern=MODEL, description="A reranker's name.")]
    properties: (
        Annotated[
            list[PropertyName],
            Field(min_length=1, max_length=1000, description="What it reads; null: every text property."),
        ]
        | None
    ) = None
    query: Annotated[QueryText, Field(description="null: the text searched for.")] | None = None
    depth: Annotated[
        int, Field(ge=1, le=MOST_RERANKED, description="How many candidates; offset + limit stay within."), WHOLE
    ] = 100
    service: Annotated[
        RerankService, Field(description="local: this server's model. nvidia: that, else the service at base_url.")
    ] = "local"
    base_url: Annotated[str, Field(pattern=BASE_URL, description="Of the service; empty: the operator's.")] = ""

    def value(self) -> Rerank:
        """The wish as the core knows it."""
        return Rerank(
            model=self.model,
            properties=_optional(self.properties),
            query=self.query,
            depth=self.depth,
            service=self.service,
            base_url=self.base_url,
        )


class PagedBody(Body):
    """Which part of the ranking, and what of each object."""

    limit: Annotated[int, Field(ge=1, le=MOST_RESULTS), WHOLE] = 10
    offset: Annotated[int, Field(ge=0, le=MOST_RESULTS), WHOLE] = 0
    properties: Annotated[list[PropertyName], Field(max_length=1000, description="null: all.")] | None = None
    vectors: Annotated[
        tuple[PropertyName, ...], Field(strict=False, max_length=100, description="Spaces to return.")
    ] = ()

    rerank: RerankBody | None = None

    def reranking(self) -> Rerank | None:
        """The wish to rerank as the core knows it."""
        return None if self.rerank is None else self.rerank.value()

    def paging(self) -> Paging:
        """The part of the ranking as the core knows it."""
        properties = None if self.properties is None else tuple(self.properties)
        return Paging(limit=self.limit, offset=self.offset, properties=properties, vectors=self.vectors)


class NearBody(PagedBody):
    """A search by vector: in which space, and how near is near enough (`distance` or `certainty`, not both)."""

    model_config = ConfigDict(json_schema_extra=_NOT_BOTH)

    space: Annotated[PropertyName, Field(description="May be left out when there is only one.")] | None = None
    distance: Annotated[float, Field(description="Farthest distance kept.")] | None = None
    certainty: Annotated[float, Field(ge=0, le=1, description="Least certainty kept; cosine only.")] | None = None

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.distance is not None and self.certainty is not None:
            raise ValueError("Give `distance` or `certainty`, not both.")
        return self

    def common(self) -> dict[str, Any]:
        """The parts all three near queries share."""
        cutoff = Cutoff(distance=self.distance, certainty=self.certainty)
        return {"space": self.space, "cutoff": cutoff, "paging": self.paging(), "rerank": self.reranking()}


class NearTextBody(NearBody):
    """Objects whose vectors are near that of a text."""

    text: QueryText

    def query(self) -> NearText:
        """The query as the core knows it."""
        return NearText(text=self.text, **self.common())


class NearVectorBody(NearBody):
    """Objects whose vectors are near this one."""

    vector: Vector

    def query(self) -> NearVector:
        """The query as the core knows it."""
        return NearVector(vector=self.vector, **self.common())


class NearObjectBody(NearBody):
    """Objects whose vectors are near that of a stored object."""

    uuid: Uuid

    def query(self) -> NearObject:
        """The query as the core knows it."""
        return NearObject(uuid=self.uuid.lower(), **self.common())


class KeywordQueryBody(PagedBody):
    """BM25F over text properties."""

    text: QueryText
    query_properties: QueryProperties | None = None

    def query(self) -> Keyword:
        """The query as the core knows it."""
        return Keyword(
            text=self.text,
            query_properties=_optional(self.query_properties),
            paging=self.paging(),
            rerank=self.reranking(),
        )


class HybridBody(PagedBody):
    """Keyword and vector search fused."""

    text: QueryText
    alpha: Annotated[float, Field(ge=0, le=1, description="Weight of the vector search.")] = 0.5
    fusion: Fusion = "relative-score"
    vector: Annotated[Vector, Field(description="Instead of embedding the text.")] | None = None
    space: PropertyName | None = None
    query_properties: QueryProperties | None = None
    max_vector_distance: float | None = None

    def query(self) -> Hybrid:
        """The query as the core knows it."""
        return Hybrid(
            text=self.text,
            alpha=self.alpha,
            fusion=self.fusion,
            vector=self.vector,
            space=self.space,
            query_properties=_optional(self.query_properties),
            max_vector_distance=self.max_vector_distance,
            paging=self.paging(),
            rerank=self.reranking(),
        )


SearchBody = NearTextBody | NearVectorBody | NearObjectBody | KeywordQueryBody | HybridBody


def _optional(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
