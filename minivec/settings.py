"""The settings as one frozen value, read by the caller from arguments, the environment and a file; never while importing.

Order of precedence: arguments, then MINIVEC_<NAME> variables, then the TOML file, then the defaults below.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from minivec.errors import InvalidInput

Durability = Literal["full", "relaxed"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
PREFIX = "MINIVEC_"


def _setting(
    default: Any,
    help: str,
    choices: tuple[str, ...] = (),
    least: float | None = None,
    *,
    secret: bool = False,
    variables: tuple[str, ...] = (),
) -> Any:
    """A setting; a `secret` one is never printed, and `variables` of other programs' making may hold it too."""
    metadata = {"help": help, "choices": choices, "least": least, "variables": variables}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Every setting of the database, the engine and the server."""

    data: str = _setting("minivec-data", "Folder of the database; made when missing.")
    host: str = _setting("127.0.0.1", "Address the server listens on.")
    port: int = _setting(8080, "Port of the REST API; 0 picks a free one.", least=0)
    durability: Durability = _setting(
        "full",
        "full: acknowledged writes survive power loss; relaxed: they survive a crash of the process, not of the machine.",
        choices=("full", "relaxed"),
    )
    only: Literal["all", "engine"] = _setting(
        "all",
        "What `minivec serve` serves: all, or only the engine, as NVIDIA's NIM does, without a database.",
        choices=("all", "engine"),
    )
    model: str = _setting(
        "",
        "Names or folders of models, after commas, that `only = engine` loads at start and serves; the first by default.",
    )
    device: str = _setting(
        "auto", "Where models run: auto, cpu, cuda, cuda:1, mps; several after commas share the work, as does cuda:all."
    )
    models: str = _setting("", "Folder of model folders; a vector space's `model` may be the name of one of them.")
    dtype: Dtype = _setting(
        "auto",
        "Number format of the weights; auto: the quickest that keeps the model's quality here.",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    batch_tokens: int = _setting(0, "Tokens in one forward pass; 0 takes what suits the device.", least=0)
    queue_tokens: int = _setting(262_144, "Tokens that may wait for the model before callers are told 'busy'.", least=1)
    queue_delay_us: int = _setting(
        100, "Microseconds that an idle device waits for more texts to share a batch; 0 never waits.", least=0
    )
    cache_bytes: int = _setting(64 * 2**20, "Memory for vectors of texts that come again; 0 keeps none.", least=0)
    nvidia_api_key: str = _setting(
        "",
        "Key for NVIDIA's hosted models; NVIDIA_APIKEY and NVIDIA_API_KEY are read too.",
        secret=True,
        variables=("NVIDIA_APIKEY", "NVIDIA_API_KEY"),
    )
    nvidia_base_url: str = _setting(
        "https://integrate.api.nvidia.com", "Where vectorizer nvidia calls: NVIDIA's hosted models, or any NIM."
    )
    openai_api_key: str = _setting(
        "",
        "Key for OpenAI or a server like it; OPENAI_APIKEY and OPENAI_API_KEY are read too.",
        secret=True,
        variables=("OPENAI_APIKEY", "OPENAI_API_KEY"),
    )
    openai_base_url: str = _setting(
        "https://api.openai.com", "Where vectorizer openai calls: any server with an OpenAI-like /v1/embeddings."
    )
    remote_seconds: float = _setting(60.0, "Time limit of one request to a model service.", least=0.001)
    allow_base_url_header: bool = _setting(
        False, "Whether the header X-NVIDIA-BaseURL may say which service a request calls."
    )
    allow_private_base_urls: bool = _setting(
        False, "Whether base URLs of headers and definitions may be http or lead into private networks."
    )
    api_key: str = _setting("", "When set, every request but health needs 'Authorization: Bearer <key>'.", secret=True)
    max_body_bytes: int = _setting(64 * 2**20, "Largest request body.", least=1024)
    max_header_bytes: int = _setting(64 * 2**10, "Largest request head.", least=1024)
    max_depth: int = _setting(64, "Deepest nesting of JSON.", least=4)
    max_batch_objects: int = _setting(
        10_000, "Most objects in one JSON import request; an NDJSON stream has no limit.", least=1
    )
    request_seconds: float = _setting(120.0, "Time limit of one request.", least=0.001)
    header_seconds: float = _setting(10.0, "Time limit for a request's head to arrive.", least=0.001)
    shutdown_seconds: float = _setting(30.0, "How long a stopping server lets accepted requests finish.", least=0.0)
    search_threads: int = _setting(4, "Threads that answer searches and reads.", least=1)
    write_threads: int = _setting(8, "Threads that run imports and other writes.", least=1)
    max_waiting: int = _setting(512, "Requests that may wait for a thread before the server says 'busy'.", least=1)
    served_model_name: str = _setting("", "Another name by which NIM's routes offer their default model.")
    log_level: str = _setting("info", "How much is logged.", choices=("debug", "info", "warning", "error"))

    @classmethod
    def read(
        cls,
        arguments: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        file: Path | None = None,
    ) -> Settings:
        """Put the settings together. Raises InvalidInput that names the setting, where it came from and what it may be."""
        values: dict[str, Any] = {}
        if file is not None:
            values.update(_from_file(file))
        values.update(_from_environment(environment or {}, cls))
        values.update({name: value for name, value in (arguments or {}).items() if value is not None})
        known = {f.name: f for f in fields(cls)}
        for name in values:
            if name not in known:
                raise InvalidInput(f"There is no setting {name!r}.", field=name, hint=f"Known: {', '.join(known)}.")
        return cls(**{name: _convert(known[name], value) for name, value in values.items()})


def _from_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"The settings file {file} cannot be read: {error.strerror}.", field="settings") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The settings file {file} is not TOML: {error}.", field="settings") from error


def _from_environment(environment: Mapping[str, str], kind: type[Settings]) -> dict[str, str]:
    found = {}
    for setting in fields(kind):
        for variable in (PREFIX + setting.name.upper(), *setting.metadata["variables"]):
            if variable in environment:
                found[setting.name] = environment[variable]
                break
    return found


def keys_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings that variables of other programs hold, such as NVIDIA_API_KEY; those with our prefix are left alone."""
    others = {name: value for name, value in environment.items() if not name.startswith(PREFIX)}
    return _from_environment(others, Settings)


def _switch(value: Any) -> bool:
    written = str(value).strip().lower()
    if written not in _SWITCH:
        raise ValueError(value)
    return _SWITCH[written]


_SWITCH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _convert(setting: Any, value: Any) -> Any:
    kind = type(setting.default)
    try:
        converted = _switch(value) if kind is bool else kind(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{value!r} is not a {kind.__name__}.", field=setting.name) from error
    choices, least = setting.metadata["choices"], setting.metadata["least"]
    if choices and converted not in choices:
        raise InvalidInput(f"{value!r} is not possible.", field=setting.name, hint=f"One of {', '.join(choices)}.")
    if least is not None and converted < least:
        raise InvalidInput(f"{value!r} is too small.", field=setting.name, hint=f"At least {least}.")
    return converted
