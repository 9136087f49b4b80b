from __future__ import annotations

import re

import httpx
import pytest

from tests.server.conftest import error_in


async def test_every_answer_has_a_request_id_and_a_good_one_is_kept(api: httpx.AsyncClient) -> None:
    made = (await api.get("/v1/version")).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", made)
    assert (await api.get("/v1/version")).headers["x-request-id"] != made
    kept = await api.get("/nowhere", headers={"x-request-id": "trace-1.a_B"})
    assert error_in(kept, 404)["request_id"] == "trace-1.a_B"
    for bad in ("", "with space", "a" * 65, "a\tb", "<script>"):
        answered = (await api.get("/v1/version", headers={"x-request-id": bad})).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{16}", answered)


async def test_a_request_leaves_one_line_without_its_body(
    api: httpx.AsyncClient, articles: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "minivec.access")
    caplog.clear()
    await api.post(
        f"{articles}/search/keyword?secret=1", json={"text": "private words"}, headers={"x-request-id": "one"}
    )
    lines = [record.getMessage() for record in caplog.records if record.name == "minivec.access"]
    assert len(lines) == 1
    assert re.fullmatch(r"one POST /v1/collections/articles/search/keyword 200 \d+\.\d ms", lines[0])
    assert "private" not in caplog.text
    assert "secret" not in caplog.text


async def test_a_path_cannot_forge_a_log_line(api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "minivec.access")
    await api.get("/a%0aforged%1b[31m\u2028line" + "x" * 5000)
    line = caplog.records[-1].getMessage()
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < 300
