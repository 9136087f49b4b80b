"""NIM's JSON: what a request may hold, checked as NIM checks it, and what its answers hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from minivec.embedding.interface import EmbeddingType, InputType
from minivec_server.nim.errors import NimRefusal
from minivec_server.rest.wire import MAX_DIMENSION, WHOLE

M = TypeVar("M", bound=BaseModel)
TruncateWord = Literal["NONE", "START", "END"]
EncodingFormat = Literal["float", "base64"]
Modality = Literal["text", "image", "text_image"]

_SHOWN = 200


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
Texts = Annotated[list[str], Field(min_length=1), BeforeValidator(_as_list), WithJsonSchema(_TEXTS)]


class EmbeddingsBody(BaseModel):
    """Texts to embed. Members that are not named here are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: Annotated[
        str, Field(min_length=1, description="An id of /v1/models; `-query` or `-passage` at its end is an input_type.")
    ]
    input: Texts
    input_type: Annotated[
        InputType | None, Field(description="Required for models that embed queries and passages apart.")
    ] = None
    truncate: Annotated[
        TruncateWord, Field(description="NONE refuses what is too long; END cuts its end, START its start.")
    ] = "NONE"
    encoding_format: Annotated[
        EncodingFormat, Field(description="base64: the numbers' bytes, floats as little-endian float32.")
    ] = "float"
    embedding_type: Annotated[
        EmbeddingType, Field(description="Compressed types where the model has them; not together with dimensions.")
    ] = "float"
    dimensions: Annotated[
        int | None, Field(ge=1, le=MAX_DIMENSION), WHOLE, Field(description="A shorter length the model allows.")
    ] = None
    modality: Annotated[Modality | list[Modality] | None, Field(description="These models read text only.")] = None
    user: Annotated[str | None, Field(description="Ignored.")] = None


def read_embeddings(value: Any) -> EmbeddingsBody:
    """A JSON value as a request for embeddings; see read_as."""
    return read_as(EmbeddingsBody, value)


def read_as(model: type[M], value: Any) -> M:
    """A JSON value as a request. Raises NimRefusal with pydantic's first finding as its detail, as NIM 1.x does."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error) from error


def invalid(error: ValidationError) -> NimRefusal:
    """The refusal NIM gives for a request that does not fit its schema."""
    first = error.errors(include_url=False)[0]
    detail: dict[str, Any] = {"type": first["type"], "loc": ["body", *first["loc"]], "msg": first["msg"]}
    if first["input"] is None or isinstance(first["input"], (str, int, float)):  # nothing long, and no texts
        detail["input"] = shown(first["input"])
    if "ctx" in first:
        detail["ctx"] = {name: str(value) for name, value in first["ctx"].items()}
    return NimRefusal(
        "Your request cannot be validated, it is incorrect.", kind="request_validation_error", detail=detail
    )


def shown(value: str | float | None) -> str | float | None:
    """A value as it may be told back: not endless, and a number JSON has."""
    if isinstance(value, str):
        return value[:_SHOWN]
    if isinstance(value, int) and abs(value) >= 2**53:
        return str(value)[:_SHOWN]
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedding:
    """One text's vector: numbers, or base64 of their bytes."""

    index: int
    embedding: Sequence[float] | str
    object: Literal["embedding"] = "embedding"


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens the model read, with special tokens and prompts."""

    prompt_tokens: int
    total_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingList:
    """The vectors in the order of the texts."""

    object: Literal["list"] = "list"
    data: Sequence[Embedding]
    model: str
    usage: Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One model; `root` is the id of the model behind it, which is its own unless it is another name."""

    id: str
    created: int = 0
    object: Literal["model"] = "model"
    owned_by: str = "organization-owner"
    root: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelList:
    """Every model this server can embed with; the first is the default."""

    object: Literal["list"] = "list"
    data: Sequence[Model]


@dataclass(frozen=True, kw_only=True, slots=True)
class License:
    """What the software's licence is. Each model has its own, told where it was published."""

    name: str
    path: str
    size: int
    url: str
    type: str
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelInfo:
    """A model by its id."""

    shortName: str  # noqa: N815  # the protocol's name
    modelUrl: str  # noqa: N815


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """What runs here and with which models."""

    id: str
    version: str
    modelInfo: Sequence[ModelInfo]  # noqa: N815
    assetInfo: Sequence[str] = ()  # noqa: N815
    licenseInfo: License  # noqa: N815
    repository_override: str = ""
    selectedModelProfileId: str = ""  # noqa: N815


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The models as text, a line each, and where they come from."""

    manifest_file: str
    repository: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineVersion:
    """The releases of minivec and of NIM's API."""

    release: str
    api: str
    minivec: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NimError:
    """Every error answer of NIM's routes."""

    object: Literal["error"] = "error"
    message: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    type: str
