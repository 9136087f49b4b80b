from __future__ import annotations

from typing import Any

import pytest

from minivec.errors import InvalidInput
from minivec.settings import Settings
from minivec_server.nim.variables import with_nim_variables

TABLE: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "port": ({"NIM_HTTP_API_PORT": "8000"}, {"port": "8000"}),
    "address": ({"NIM_BIND_ADDR": "0.0.0.0:8000"}, {"host": "0.0.0.0", "port": "8000"}),
    "address of 2.2": ({"NIM_SERVER_BIND_ADDR": "[::1]:9000"}, {"host": "::1", "port": "9000"}),
    "name": ({"NIM_SERVED_MODEL_NAME": "mine"}, {"served_model_name": "mine"}),
    "level": ({"NIM_LOG_LEVEL": "INFO"}, {"log_level": "info"}),
    "level of its own": ({"NIM_LOG_LEVEL": "CRITICAL"}, {"log_level": "error"}),
    "body": ({"NIM_SERVER_HTTP_BODY_LIMIT_BYTES": "4096"}, {"max_body_bytes": "4096"}),
    "delay of 1.x": ({"NIM_TRITON_DYNAMIC_BATCHING_MAX_QUEUE_DELAY_MICROSECONDS": "100"}, {"queue_delay_us": "100"}),
    "delay of 2.x": ({"NIM_MAX_WAIT_MS": "1"}, {"queue_delay_us": "1000"}),
    "newer before older": ({"NIM_MAX_WAIT_MS": "1", "NIM_SERVER_MAX_WAIT_MS": "2"}, {"queue_delay_us": "2000"}),
    "throughput": ({"NIM_PERFORMANCE_MODE": "1"}, {"queue_delay_us": "10000"}),
    "throughput with a wait": ({"NIM_PERFORMANCE_MODE": "1", "NIM_MAX_WAIT_MS": "3"}, {"queue_delay_us": "3000"}),
    "waiting": ({"NIM_MAX_QUEUE_SIZE": "1024"}, {"max_waiting": "1024"}),
    "time limit": ({"NIM_REQUEST_TIMEOUT_S": "30"}, {"request_seconds": "30"}),
    "our own win": ({"NIM_HTTP_API_PORT": "8000", "MINIVEC_PORT": "1"}, {"port": "1"}),
    "empty": ({"NIM_LOG_LEVEL": ""}, {}),
    "without a meaning here": ({"NIM_CACHE_PATH": "/x", "NGC_API_KEY": "secret"}, {}),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_a_variable_becomes(case: str) -> None:
    given, expected = TABLE[case]
    found = with_nim_variables(given)
    assert {name: value for name, value in found.items() if name.startswith("MINIVEC_")} == {
        f"MINIVEC_{name.upper()}": value for name, value in expected.items()
    }
    assert given.items() <= found.items()


def test_the_settings_read_them() -> None:
    variables = {"NIM_BIND_ADDR": "0.0.0.0:8000", "NIM_REQUEST_TIMEOUT_S": "7", "NIM_LOG_LEVEL": "WARNING"}
    settings: Any = Settings.read(environment=with_nim_variables(variables))
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    assert (settings.request_seconds, settings.log_level) == (7.0, "warning")


def test_a_value_that_is_none_is_named() -> None:
    with pytest.raises(InvalidInput, match="NIM_MAX_WAIT_MS"):
        with_nim_variables({"NIM_MAX_WAIT_MS": "soon"})
