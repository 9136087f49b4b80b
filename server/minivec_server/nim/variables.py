"""The NIM_... variables that have a meaning here, as the MINIVEC_... variables they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from minivec.errors import InvalidInput
from minivec.settings import PREFIX

_LEVELS = {"default": "info", "trace": "debug", "critical": "error", "fatal": "error", "warn": "warning"}


def _level(value: str) -> str:
    return _LEVELS.get(value.lower(), value.lower())


def _milliseconds(value: str) -> str:
    return f"{float(value) * 1000:g}"


def _host(value: str) -> str:
    return value.rpartition(":")[0].strip("[]")


def _port(value: str) -> str:
    return value.rpartition(":")[2]


# Variable, setting, what its value becomes; where several stand for one setting, the first that is set counts.
_MEANINGS: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("BIND_ADDR", "host", _host),
    ("BIND_ADDR", "port", _port),
    ("HTTP_API_PORT", "port", str),
    ("SERVED_MODEL_NAME", "served_model_name", str),
    ("LOG_LEVEL", "log_level", _level),
    ("HTTP_BODY_LIMIT_BYTES", "max_body_bytes", str),
    ("MAX_WAIT_MS", "queue_delay_us", _milliseconds),
    ("TRITON_DYNAMIC_BATCHING_MAX_QUEUE_DELAY_MICROSECONDS", "queue_delay_us", str),
    ("MAX_QUEUE_SIZE", "max_waiting", str),
    ("REQUEST_TIMEOUT_S", "request_seconds", str),
)
_HASTE = {"queue_delay_us": "10000"}


def with_nim_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with a MINIVEC_... variable for every NIM_... one of a meaning here; those set already win.

    NIM_SERVER_... of the 2.2 releases comes before the older NIM_.... NIM_PERFORMANCE_MODE=1 lets batches fill for
    10 ms. Raises InvalidInput that names a variable whose value cannot be read.
    """
    found: dict[str, str] = {}
    for variable, setting, meaning in _MEANINGS:
        for name in (f"NIM_SERVER_{variable}", f"NIM_{variable}"):
            if environment.get(name) and setting not in found:
                found[setting] = _read(name, environment[name], meaning)
    if environment.get("NIM_PERFORMANCE_MODE") == "1":
        found = {**_HASTE, **found}
    return {**{PREFIX + setting.upper(): value for setting, value in found.items()}, **environment}


def _read(name: str, value: str, meaning: Callable[[str], str]) -> str:
    try:
        return meaning(value)
    except ValueError as error:
        raise InvalidInput(f"{value!r} is not a number.", field=name) from error
