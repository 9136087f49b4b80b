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
Dtype = Literal["float32", "bfloat16", "float16"]
PREFIX = "MINIVEC_"


def _setting(default: Any, help: str, choices: tuple[str, ...] = (), least: float | None = None) -> Any:
    return field(default=default, metadata={"help": help, "choices": choices, "least": least})


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
    device: str = _setting("auto", "Where models run: auto, cpu, cuda, cuda:1, mps.")
    models: str = _setting("", "Folder of model folders; a vector space's `model` may be the name of one of them.")
    dtype: Dtype = _setting("float32", "Number format of the weights.", choices=("float32", "bfloat16", "float16"))
    batch_tokens: int = _setting(0, "Tokens in one forward pass; 0 takes what suits the device.", least=0)
    queue_tokens: int = _setting(262_144, "Tokens that may wait for the model before callers are told 'busy'.", least=1)
    api_key: str = _setting("", "When set, every request but health needs 'Authorization: Bearer <key>'.")
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
        values.update(_from_environment(environment or {}))
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


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    names = {f.name for f in fields(Settings)}
    found = {key.removeprefix(PREFIX).lower(): value for key, value in environment.items() if key.startswith(PREFIX)}
    return {name: value for name, value in found.items() if name in names}


def _convert(setting: Any, value: Any) -> Any:
    kind = type(setting.default)
    try:
        converted = kind(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{value!r} is not a {kind.__name__}.", field=setting.name) from error
    choices, least = setting.metadata["choices"], setting.metadata["least"]
    if choices and converted not in choices:
        raise InvalidInput(f"{value!r} is not possible.", field=setting.name, hint=f"One of {', '.join(choices)}.")
    if least is not None and converted < least:
        raise InvalidInput(f"{value!r} is too small.", field=setting.name, hint=f"At least {least}.")
    return converted
