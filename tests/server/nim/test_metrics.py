"""/v1/metrics, read by a parser of the text format that knows nothing of how it was written."""

from __future__ import annotations

import re

import httpx

from tests.server.nim.embedders import POISON

LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (-?[0-9.e+-]+)')


def parsed(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    assert text.endswith("\n")
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    typed: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in typed
            typed.add(name)
        elif not line.startswith("# HELP "):
            found = LINE.fullmatch(line)
            assert found, line
            labels = frozenset(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', found[2] or ""))
            key = (found[1], labels)
            assert key not in samples
            assert re.sub("_(bucket|sum|count)$", "", found[1]) in typed or found[1] in typed
            samples[key] = float(found[3])
    return samples


async def metrics(client: httpx.AsyncClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    response = await client.get("/v1/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return parsed(response.text)


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


async def test_requests_texts_and_errors_are_counted(nim: httpx.AsyncClient) -> None:
    fits, long = "one two", " ".join("abcdefghij")
    good = {"model": "nvidia/rich-query", "input": [fits, long, long], "truncate": "END"}
    for _ in range(2):
        assert (await nim.post("/v1/embeddings", json=good)).status_code == 200
    assert (await nim.post("/v1/embeddings", json={**good, "input": [POISON]})).status_code == 500
    assert (await nim.post("/v1/embeddings", json={**good, "truncate": "end"})).status_code == 400
    assert (await nim.get("/nowhere")).status_code == 404

    seen = await metrics(nim)
    of_texts = {"model": "nvidia/rich", "input_type": "query"}
    assert seen[key("minivec_texts_total", **of_texts)] == 6
    assert seen[key("minivec_tokens_total", **of_texts)] == 2 * (4 + 8 + 8)
    assert seen[key("minivec_cut_texts_total", **of_texts)] == 4
    assert seen[key("minivec_cut_tokens_total", **of_texts)] == 4 * 4
    assert seen[key("minivec_failed_texts_total", **of_texts, code="embedding_failed")] == 1
    route = "/v1/embeddings"
    assert seen[key("minivec_requests_total", method="POST", route=route, status="200")] == 2
    assert seen[key("minivec_requests_total", method="POST", route=route, status="400")] == 1
    assert seen[key("minivec_requests_total", method="GET", route="none", status="404")] == 1
    assert seen[key("minivec_errors_total", route=route, code="request_validation_error")] == 1
    assert seen[key("minivec_queue_tokens")] == 12
    assert seen[key("minivec_engine_ready")] == 1


async def test_latencies_are_a_histogram(nim: httpx.AsyncClient) -> None:
    for _ in range(5):
        await nim.get("/v1/models")
    seen = await metrics(nim)
    buckets = [
        (float(dict(labels)["le"]), value)
        for (name, labels), value in seen.items()
        if name == "minivec_request_seconds_bucket" and ("route", "/v1/models") in labels
    ]
    assert [value for _, value in sorted(buckets)] == sorted(value for _, value in buckets)
    assert max(buckets) == (float("inf"), 5)
    assert seen[key("minivec_request_seconds_count", route="/v1/models")] == 5
    assert seen[key("minivec_request_seconds_sum", route="/v1/models")] > 0


async def test_names_made_up_by_callers_make_no_new_series(nim: httpx.AsyncClient) -> None:
    for number in range(20):
        await nim.request(f"VERB{number}", f"/made-up-{number}")
        await nim.post("/v1/embeddings", json={"model": f"made-up-{number}", "input": "x"})
    seen = await metrics(nim)
    assert not [labels for _, labels in seen if any("made-up" in value for _, value in labels)]
    assert seen[key("minivec_requests_total", method="other", route="none", status="404")] == 20


async def test_the_databases_own_sizes_are_there(api: httpx.AsyncClient, articles: str) -> None:
    seen = await metrics(api)
    assert seen[key("minivec_objects", collection="articles")] == 3
    assert seen[key("minivec_index_entries", collection="articles", index="keyword")] == 3
    route = "/v1/collections/{name}/objects"
    assert seen[key("minivec_requests_total", method="POST", route=route, status="200")] == 1
