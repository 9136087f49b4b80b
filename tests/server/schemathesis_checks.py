"""A check of our own for schemathesis: what a schema promises, the server takes, as far as the schema can know.

A body or parameter that fits the published schema may still not fit the collection (an unknown property, another
dimension); the core says so with 422. It may never be refused for its form: that refusal carries a hint of its own.
NIM's routes answer 400 to both, and another `type` tells which. A model's name is not to be guessed, so it is given.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response
from schemathesis.generation.meta import TestPhase

from minivec_server import nim

FORM_HINT = "GET /docs shows what fits."
NIM_FORM = "request_validation_error"
KNOWN_MODEL = "all-MiniLM-L6-v2"


@schemathesis.check
def schemas_promise_no_more(ctx: CheckContext, response: Response, case: Case) -> None:
    """Data made from the schema is never refused for its form."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if case.meta.phase.name is TestPhase.STATEFUL:  # there, earlier answers become parameters: a null uuid of a refusal
        return
    if case.path in nim.PATHS:
        if response.status_code == 400:
            assert response.json()["type"] != NIM_FORM, f"the schema allows what the server refuses: {response.text}"
    elif response.status_code == 422:
        error = response.json()["error"]
        assert error["hint"] != FORM_HINT, f"the schema allows what the server refuses: {error}"


@schemathesis.hook
def map_body(context: HookContext, body: Any) -> Any:
    """Name a model there is, where any name was generated."""
    on_nim = context.operation is not None and context.operation.path in nim.PATHS
    if on_nim and isinstance(body, dict) and isinstance(body.get("model"), str) and body["model"]:
        return {**body, "model": KNOWN_MODEL}
    return body
