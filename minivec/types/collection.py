"""What a collection is: its properties, its vector spaces, its keyword options. Form only; `ingest/check.py` judges values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from minivec.types.display import info_html, info_text

DataType = Literal[
    "text", "int", "number", "boolean", "date", "uuid", "object",
    "text[]", "int[]", "number[]", "boolean[]", "date[]", "uuid[]", "object[]",
]  # fmt: skip
Tokenization = Literal["word", "lowercase", "whitespace", "field", "trigram"]
Vectorizer = Literal["local", "nvidia", "openai", "none"]
Distance = Literal["cosine", "dot", "l2-squared", "hamming"]
IndexType = Literal["flat", "hnsw", "binary"]
Truncation = Literal["refuse", "end", "start"]
StopwordPreset = Literal["none", "en"]

BUNDLED_MODEL = "all-MiniLM-L6-v2"
DEFAULT_MODELS: dict[Vectorizer, str] = {
    "local": BUNDLED_MODEL,
    "nvidia": "nvidia/nv-embed-v1",
    "openai": "text-embedding-3-small",
    "none": BUNDLED_MODEL,
}
"""The model of a space that names none, by its vectorizer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Property:
    """A named, typed value of an object. `properties` describes the members of `object` and `object[]`."""

    name: str
    data_type: DataType = "text"
    tokenization: Tokenization = "word"
    searchable: bool = True
    description: str = ""
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class HnswOptions:
    """HNSW's three numbers: links per node, breadth of the search while building, breadth of the search while asking."""

    links: int = 16
    ef_construction: int = 128
    ef: int = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class BinaryOptions:
    """How many times `limit` candidates the Hamming scan hands on to be rescored by the stored float vectors."""

    oversampling: int = 64


NEXT = "_next"  # behind the name of a space: its vectors while `reembed` makes them anew


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorSpace:
    """One named space of vectors: who makes them, from which properties, how they are compared and indexed.

    `local` runs the model in minivec's own engine; `nvidia` too where the engine has it, and otherwise asks NVIDIA's hosted
    service or any NIM at `base_url`; `openai` asks any server with an OpenAI-like /v1/embeddings; `none` takes vectors of
    the user's own. "" stands for the vectorizer's usual `model` and `base_url`.
    `dimension` and `fingerprint` are None until known: from a local model, otherwise from the first vector. A `dimension`
    given for `nvidia` or `openai` is asked of the model.
    `source_properties` None means every text and text[] property.
    `include_collection_name` and `include_property_names` put those words before the text, as Weaviate's modules do.
    `stored_as` and `kept_for` are set by `reembed`: see `key` and `embeds`.
    """

    name: str = "default"
    vectorizer: Vectorizer = "local"
    model: str = ""
    base_url: str = ""
    source_properties: tuple[str, ...] | None = None
    include_collection_name: bool = False
    include_property_names: bool = False
    truncate: Truncation = "end"
    distance: Distance = "cosine"
    index: IndexType = "hnsw"
    hnsw: HnswOptions = HnswOptions()
    binary: BinaryOptions = BinaryOptions()
    dimension: int | None = None
    fingerprint: str | None = None
    stored_as: str = ""
    kept_for: str = ""

    def __post_init__(self) -> None:
        if not self.model and self.vectorizer in DEFAULT_MODELS:
            object.__setattr__(self, "model", DEFAULT_MODELS[self.vectorizer])

    @property
    def key(self) -> str:
        """What its stored vectors and its index go by: the name it was made with, which a switch leaves as it is."""
        return self.stored_as or self.name

    @property
    def embeds(self) -> bool:
        """Whether imports fill it from text. Not so for a kept space, whose name (`kept_for`) has gone to a newer one."""
        return self.vectorizer != "none" and not self.kept_for


@dataclass(frozen=True, kw_only=True, slots=True)
class KeywordOptions:
    """BM25's two numbers, and the words a query is stripped of."""

    k1: float = 1.2
    b: float = 0.75
    stopwords: StopwordPreset = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectionConfig:
    """The definition of a collection."""

    name: str
    description: str = ""
    properties: tuple[Property, ...] = ()
    vector_spaces: tuple[VectorSpace, ...] = (VectorSpace(),)
    keyword: KeywordOptions = KeywordOptions()
    auto_schema: bool = True

    def property_named(self, name: str) -> Property | None:
        """The property of this name, or None."""
        return next((p for p in self.properties if p.name == name), None)

    @property
    def chosen_spaces(self) -> tuple[VectorSpace, ...]:
        """The spaces without those that `reembed` keeps or is filling: what a call may mean that names none."""
        names = {space.name for space in self.vector_spaces}
        return tuple(
            space
            for space in self.vector_spaces
            if not space.kept_for and not (space.stored_as and space.name in {f"{name}{NEXT}" for name in names})
        )

    def space_named(self, name: str) -> VectorSpace | None:
        """The vector space of this name, or None."""
        return next((s for s in self.vector_spaces if s.name == name), None)

    def with_properties(self, added: tuple[Property, ...]) -> CollectionConfig:
        """The same definition with more properties at its end."""
        return replace(self, properties=self.properties + added)

    def with_space(self, space: VectorSpace) -> CollectionConfig:
        """The same definition with this space added, or put in the place of the one of the same name."""
        if self.space_named(space.name) is None:
            return replace(self, vector_spaces=(*self.vector_spaces, space))
        spaces = tuple(space if s.name == space.name else s for s in self.vector_spaces)
        return replace(self, vector_spaces=spaces)

    def without_space(self, name: str) -> CollectionConfig:
        """The same definition without the space of this name."""
        return replace(self, vector_spaces=tuple(s for s in self.vector_spaces if s.name != name))


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectionInfo:
    """A collection as `describe` shows it: definition, number of objects, and how far each index follows."""

    config: CollectionConfig
    count: int
    indexes: tuple[IndexState, ...] = ()

    def __repr__(self) -> str:
        return info_text(self)

    def _repr_html_(self) -> str:
        return info_html(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexState:
    """One follower: `ready` when it has caught up; `note` says why not, or what was found wrong."""

    name: str
    kind: str
    count: int
    ready: bool
    note: str = ""
