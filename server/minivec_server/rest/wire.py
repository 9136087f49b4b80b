"""The JSON bodies of the REST API: what a request may hold, checked strictly, and how it becomes a type of the core."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

from minivec.ingest.values import PROPERTY_NAME
from minivec.types.collection import (
    BinaryOptions,
    CollectionConfig,
    DataType,
    Distance,
    HnswOptions,
    IndexType,
    KeywordOptions,
    Property,
    StopwordPreset,
    Tokenization,
    Truncation,
    Vectorizer,
    VectorSpace,
)
from minivec.types.filter import And, Equal, Filter
from minivec.types.object import ImportMode

NAME = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
PROPERTY = f"^{PROPERTY_NAME.pattern}$"
BOOSTED = rf"^{PROPERTY_NAME.pattern}(\^[0-9]{{1,6}}(\.[0-9]{{1,6}})?)?$"
UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
CURSOR = r"^1:[0-9]{1,18}$"
PROPERTY_LIST = f"^{PROPERTY_NAME.pattern}(,{PROPERTY_NAME.pattern}){{0,99}}$"
MODEL = r"^([A-Za-z0-9][A-Za-z0-9_.:-]{0,127}(/[A-Za-z0-9][A-Za-z0-9_.:-]{0,127})?)?$"  # a name, never a caller's path
BASE_URL = r"^([hH][tT][tT][pP][sS]?://[!-~]{1,1900})?$"
MAX_TEXT = 100_000
MAX_DIMENSION = 65_536
LARGEST = 3.4028234663852886e38  # of a 32-bit float


def _whole(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value


WHOLE = BeforeValidator(_whole)  # 2.0 is an integer in JSON
Name = Annotated[str, Field(pattern=NAME)]
PropertyName = Annotated[str, Field(pattern=PROPERTY)]
Uuid = Annotated[str, Field(pattern=UUID)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Component = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Vector = Annotated[list[Component], Field(min_length=1, max_length=MAX_DIMENSION)]
Vectors = Annotated[dict[str, Vector], Field(json_schema_extra={"propertyNames": {"pattern": PROPERTY}})]


class Body(BaseModel):
    """A request body: unknown members and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


_OBJECTS_ONLY: JsonDict = {
    "anyOf": [
        {"properties": {"properties": {"maxItems": 0}}},
        {"properties": {"data_type": {"enum": ["object", "object[]"]}}, "required": ["data_type"]},
    ]
}
_NO_HAMMING_GRAPH: JsonDict = {
    "anyOf": [
        {"properties": {"distance": {"enum": ["cosine", "dot", "l2-squared"]}}},
        {"properties": {"index": {"enum": ["flat", "binary"]}}, "required": ["index"]},
    ]
}


class PropertyBody(Body):
    """A property to add."""

    model_config = ConfigDict(json_schema_extra=_OBJECTS_ONLY)

    name: PropertyName
    data_type: DataType = "text"
    tokenization: Tokenization = "word"
    searchable: bool = True
    description: Text = ""
    properties: Annotated[
        list[PropertyBody], Field(max_length=1000, description="Members of object and object[].")
    ] = []

    def value(self) -> Property:
        """The property as the core knows it."""
        return Property(
            name=self.name,
            data_type=self.data_type,
            tokenization=self.tokenization,
            searchable=self.searchable,
            description=self.description,
            properties=tuple(member.value() for member in self.properties),
        )


_HNSW = HnswOptions()


class HnswBody(Body):
    """HNSW's three numbers."""

    links: Annotated[int, Field(ge=2, le=512), WHOLE] = _HNSW.links
    ef_construction: Annotated[int, Field(ge=4, le=4096), WHOLE] = _HNSW.ef_construction
    ef: Annotated[int, Field(ge=1, le=10_000), WHOLE] = _HNSW.ef


class BinaryBody(Body):
    """How many times `limit` candidates are rescored."""

    oversampling: Annotated[int, Field(ge=1, le=1000), WHOLE] = BinaryOptions().oversampling


class VectorSpaceBody(Body):
    """A vector space to add."""

    model_config = ConfigDict(json_schema_extra=_NO_HAMMING_GRAPH)

    name: PropertyName = "default"
    vectorizer: Vectorizer = "local"
    model: Annotated[str, Field(pattern=MODEL, description="Empty: the vectorizer's usual one.")] = ""
    base_url: Annotated[str, Field(pattern=BASE_URL, description="Of the service that nvidia or openai calls.")] = ""
    source_properties: Annotated[list[PropertyName], Field(max_length=1000)] | None = None
    include_collection_name: bool = False
    include_property_names: bool = False
    truncate: Truncation = "end"
    distance: Distance = "cosine"
    index: IndexType = "hnsw"
    hnsw: HnswBody = HnswBody()
    binary: BinaryBody = BinaryBody()
    dimension: Annotated[int, Field(ge=1, le=MAX_DIMENSION), WHOLE] | None = None
    fingerprint: Annotated[str, Field(max_length=200)] | None = None
    stored_as: Annotated[str, Field(max_length=250, description="Set by a reembed.")] = ""
    kept_for: Annotated[str, Field(max_length=250, description="Set by a reembed.")] = ""

    def value(self) -> VectorSpace:
        """The vector space as the core knows it."""
        plain = {name: getattr(self, name) for name in type(self).model_fields}
        sources = None if self.source_properties is None else tuple(self.source_properties)
        return VectorSpace(
            **{
                **plain,
                "source_properties": sources,
                "hnsw": HnswOptions(**self.hnsw.model_dump()),
                "binary": BinaryOptions(**self.binary.model_dump()),
            }
        )


class ReembedBody(Body):
    """What is to make the vectors anew; left out: as it is."""

    vectorizer: Vectorizer | None = None
    model: Annotated[str, Field(pattern=MODEL)] | None = None
    base_url: Annotated[str, Field(pattern=BASE_URL)] | None = None
    dimension: Annotated[int, Field(ge=1, le=MAX_DIMENSION), WHOLE] | None = None
    skip_refused: Annotated[
        bool, Field(description="Switch even when texts are refused; they have no vector then.")
    ] = False


class SwitchBackBody(Body):
    """To which of the kept spaces; left out: the one kept last."""

    to: PropertyName | None = None
    skip_refused: bool = False


class KeywordOptionsBody(Body):
    """BM25's two numbers and the words a query is stripped of."""

    k1: Annotated[float, Field(ge=0, le=100)] = 1.2
    b: Annotated[float, Field(ge=0, le=1)] = 0.75
    stopwords: StopwordPreset = "none"


class CollectionBody(Body):
    """A collection to create."""

    name: Name
    description: Text = ""
    properties: Annotated[list[PropertyBody], Field(max_length=1000)] = []
    vector_spaces: Annotated[list[VectorSpaceBody], Field(max_length=32)] = [VectorSpaceBody()]
    keyword: KeywordOptionsBody = KeywordOptionsBody()
    auto_schema: bool = True

    def value(self) -> CollectionConfig:
        """The definition as the core knows it."""
        return CollectionConfig(
            name=self.name,
            description=self.description,
            properties=tuple(one.value() for one in self.properties),
            vector_spaces=tuple(space.value() for space in self.vector_spaces),
            keyword=KeywordOptions(**self.keyword.model_dump()),
            auto_schema=self.auto_schema,
        )


class CollectionChange(Body):
    """What of a collection may change."""

    description: Text


class ImportBody(Body):
    """Objects to import. Each has `properties`, and may have `uuid`, `vectors` (by space) or `vector` (of the only space).

    An object that cannot be stored costs only itself: its outcome says why.
    """

    objects: list[Any]
    mode: ImportMode | None = None
    id_from: Annotated[list[PropertyName], Field(min_length=1, max_length=100)] | None = None


class ObjectBody(Body):
    """The content of one object."""

    properties: dict[str, Any] = {}
    vectors: Annotated[Vectors, Field(description="Own vectors by vector space.")] = {}


class EqualBody(Body):
    """The property has this value; of an array property, one element has."""

    operator: Literal["equal"]
    property: PropertyName
    value: Annotated[str, Field(max_length=MAX_TEXT)] | Annotated[int, Field(ge=-(2**63), lt=2**63)] | float | bool


class AndBody(Body):
    """All of the filters hold."""

    operator: Literal["and"]
    filters: Annotated[list[FilterBody], Field(max_length=100)]


FilterBody = Annotated[EqualBody | AndBody, Field(discriminator="operator")]


class DeleteBody(Body):
    """Which objects to delete; a dry run only counts them."""

    where: FilterBody
    dry_run: bool = False


def filter_of(body: EqualBody | AndBody) -> Filter:
    """The filter as the core knows it."""
    if isinstance(body, EqualBody):
        return Equal(body.property, body.value)
    return And(tuple(filter_of(part) for part in body.filters))


ImportBody.model_rebuild()
AndBody.model_rebuild()
DeleteBody.model_rebuild()
