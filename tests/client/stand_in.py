"""A stand-in for a server behind httpx.MockTransport: stores objects in a dict, and fails when a test says so."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx

VERSION = {"release": "0.1.0", "api": "1.0.0", "minivec": "0.1.0", "sqlite": "3.51.3", "format": 1}
Fault = Exception | httpx.Response


def error(status: int, code: str, message: str = "no", **more: str) -> httpx.Response:
    """An error reply in minivec's one shape."""
    detail = {"code": code, "message": message, "hint": "", "field": "", "request_id": "r1"} | more
    return httpx.Response(status, json={"error": detail})


class StandIn:
    """Answers version, describe, import and get. `before` and `after` are faults of the coming imports: raised or answered

    before anything is stored, or after it was, so that the answer is lost.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.requests: list[httpx.Request] = []
        self.before: deque[Fault | None] = deque()
        self.after: deque[Fault | None] = deque()
        self.most_objects = 10_000
        self.judge: Callable[[dict[str, Any]], dict[str, str] | None] = lambda draft: None

    @property
    def imports(self) -> list[dict[str, Any]]:
        """The bodies of the import requests seen."""
        return [json.loads(r.content) for r in self.requests if r.method == "POST" and r.url.path.endswith("/objects")]

    def transport(self) -> httpx.MockTransport:
        """The transport to connect with; it serves sync and async clients."""
        return httpx.MockTransport(lambda request: self.answer(request))

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The reply to one request."""
        self.requests.append(request)
        parts = request.url.path.removeprefix("/v1/").split("/")
        if parts == ["version"]:
            return httpx.Response(200, json=VERSION)
        if parts[:2] != ["collections", "notes"]:
            return error(404, "collection_not_found", "There is no collection of this name.", field="collection")
        if parts[2:] == ["objects"] and request.method == "POST":
            return self._import(json.loads(request.content))
        if len(parts) == 4 and request.method == "GET":
            return self._get(parts[3])
        return httpx.Response(200, json={"config": {"name": "notes"}, "count": len(self.objects), "indexes": []})

    def _import(self, body: dict[str, Any]) -> httpx.Response:
        fault = self.before.popleft() if self.before else None
        if fault is None and len(body["objects"]) > self.most_objects:
            fault = error(413, "limit_exceeded", "Too many objects.")
        if fault is None:
            outcomes = [self._store(i, draft, body["mode"]) for i, draft in enumerate(body["objects"])]
            fault = self.after.popleft() if self.after else None
        if isinstance(fault, Exception):
            raise fault
        return fault if fault is not None else httpx.Response(200, json={"outcomes": outcomes, "counts": {}})

    def _store(self, index: int, draft: dict[str, Any], mode: str) -> dict[str, Any]:
        if (refusal := self.judge(draft)) is not None:
            return {"index": index, "status": "refused", "uuid": draft.get("uuid"), **refusal}
        uuid = draft.get("uuid") or str(uuid4())
        known = self.objects.get(uuid)
        if known is not None and mode == "insert":
            return {
                "index": index,
                "status": "refused",
                "uuid": uuid,
                "code": "object_exists",
                "reason": "It is there.",
            }
        self.objects[uuid] = draft["properties"]
        status = "inserted" if known is None else "unchanged" if known == draft["properties"] else "updated"
        return {"index": index, "status": status, "uuid": uuid}

    def _get(self, uuid: str) -> httpx.Response:
        if uuid not in self.objects:
            return error(404, "object_not_found", f"There is no object {uuid}.")
        when = "2026-01-02T03:04:05Z"
        found = {"uuid": uuid, "properties": self.objects[uuid], "created_at": when, "updated_at": when, "version": 1}
        return httpx.Response(200, json=found)
