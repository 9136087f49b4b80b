"""Vector spaces made anew over REST: a job that is started, watched, cancelled and taken up again."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest

from minivec.database import Database
from minivec.errors import Closed, Conflict, EmbeddingFailed, NotFound
from minivec.types.reembed import Reembedded
from minivec_server.jobs import Jobs
from tests.server.conftest import error_in

RESULT = Reembedded(space="default", kept_as="default_before", vectors=3, refused=0, seconds=0.1)


async def ended(api: httpx.AsyncClient, address: str) -> dict[str, Any]:
    while (job := (await api.get(f"{address}/vector-spaces/default/reembed")).json())["state"] == "running":
        await asyncio.sleep(0.01)
    found: dict[str, Any] = job
    return found


async def spaces_of(api: httpx.AsyncClient, address: str) -> dict[str, str]:
    config = (await api.get(address)).json()["config"]
    return {space["name"]: space["model"] for space in config["vector_spaces"]}


async def test_a_space_is_made_anew_switched_back_and_the_rest_dropped(api: httpx.AsyncClient, articles: str) -> None:
    space = f"{articles}/vector-spaces/default"
    started = await api.post(f"{space}/reembed", json={"model": "another"})
    assert started.status_code == 202, started.text
    job = await ended(api, articles)
    assert (job["state"], job["done"], job["total"], job["collection"]) == ("done", 3, 3, "articles")
    assert job["result"]["kept_as"] == "default_before"
    assert await spaces_of(api, articles) == {"default": "another", "default_before": "all-MiniLM-L6-v2"}
    assert (await api.post(f"{space}/switch-back", json={})).status_code == 202
    await ended(api, articles)
    assert await spaces_of(api, articles) == {"default": "all-MiniLM-L6-v2", "default_before": "another"}
    dropped = await api.delete(f"{articles}/vector-spaces/default_before")
    assert [one["name"] for one in dropped.json()["config"]["vector_spaces"]] == ["default"]
    hits = (await api.post(f"{articles}/search/near-text", json={"text": "bees dance"})).json()["hits"]
    assert len(hits) == 3


async def test_what_fails_is_told_by_the_job(api: httpx.AsyncClient, articles: str) -> None:
    await api.post(f"{articles}/vector-spaces/default/reembed", json={})
    job = await ended(api, articles)
    assert (job["state"], job["code"], job["field"]) == ("failed", "invalid_input", "model")
    assert "by this model already" in job["reason"]


ROUTES = [("POST", "/reembed"), ("GET", "/reembed"), ("DELETE", "/reembed"), ("POST", "/switch-back"), ("DELETE", "")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_an_unknown_space_is_not_found(api: httpx.AsyncClient, articles: str, method: str, path: str) -> None:
    content = {"json": {}} if method == "POST" else {}
    answer = await api.request(method, f"{articles}/vector-spaces/nowhere{path}", **content)  # type: ignore[arg-type]
    assert error_in(answer, 404)["code"] == "vector_space_not_found"


async def test_without_a_job_there_is_none_to_see_or_to_cancel(api: httpx.AsyncClient, articles: str) -> None:
    for method in ("GET", "DELETE"):
        answer = await api.request(method, f"{articles}/vector-spaces/default/reembed")
        assert error_in(answer, 404)["code"] == "not_found"


async def test_dropping_a_collection_ends_its_job(api: httpx.AsyncClient, articles: str, database: Database) -> None:
    objects = [{"properties": {"title": f"title {n}"}} for n in range(3_000)]
    await api.post(f"{articles}/objects", json={"objects": objects})
    await api.post(f"{articles}/vector-spaces/default/reembed", json={"model": "another"})
    assert (await api.delete(articles)).status_code == 204
    assert error_in(await api.get(f"{articles}/vector-spaces/default/reembed"), 404)["code"] == "collection_not_found"


class Held:
    """Work that tells of its progress and then waits to be released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()

    def __call__(self, tell: Any) -> Reembedded:
        tell(1, 3)
        self.begun.set()
        self.release.wait(10)
        tell(2, 3)
        return RESULT


def test_one_job_runs_for_a_space_and_tells_how_far_it_is() -> None:
    jobs, work = Jobs(), Held()
    jobs.start("a", "default", work)
    assert work.begun.wait(10)
    running = jobs.of("a", "default")
    assert running is not None
    assert (running.state, running.done, running.total) == ("running", 1, 3)
    with pytest.raises(Conflict):
        jobs.start("a", "default", work)
    assert jobs.of("a", "other") is None
    work.release.set()
    assert jobs.close(10)
    finished = jobs.of("a", "default")
    assert finished is not None
    assert finished.state in ("done", "cancelled")


def test_a_cancelled_job_ends_after_its_batch_and_may_be_started_again() -> None:
    jobs, work = Jobs(), Held()
    jobs.start("a", "default", work)
    assert work.begun.wait(10)
    jobs.cancel("a", "default")
    work.release.set()
    while (job := jobs.of("a", "default")) is not None and job.state == "running":
        pass
    assert job is not None
    assert job.state == "cancelled"
    assert jobs.cancel("a", "default") == job
    assert jobs.cancel("b", "default") is None
    jobs.start("a", "default", lambda tell: RESULT)
    jobs.close(10)


def test_closing_ends_what_runs_and_what_waits() -> None:
    jobs, running, waiting = Jobs(), [Held(), Held()], Held()
    for number, work in enumerate([*running, waiting]):
        jobs.start("a", f"space{number}", work)
    assert all(work.begun.wait(10) for work in running)
    assert not jobs.close(0.0)
    for work in running:
        work.release.set()
    assert jobs.close(10)
    assert not waiting.begun.is_set()
    with pytest.raises(Closed):
        jobs.start("a", "late", waiting)


ERRORS = [
    (EmbeddingFailed("No.", hint="Do."), "embedding_failed"),
    (ValueError("secret"), "internal"),
    (NotFound("x"), "not_found"),
]


@pytest.mark.parametrize(("error", "code"), ERRORS)
def test_an_error_is_the_end_of_a_job(error: Exception, code: str) -> None:
    jobs = Jobs()

    def work(tell: Any) -> Reembedded:
        raise error

    jobs.start("a", "default", work)
    jobs.close(10)
    job = jobs.of("a", "default")
    assert job is not None
    assert (job.state, job.code) == ("failed", code)
    assert "secret" not in job.reason
