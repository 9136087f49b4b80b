"""A check of our own for schemathesis: what a schema promises, the server takes, as far as the schema can know.

A body or parameter that fits the published schema may still not fit the collection (an unknown property, another
dimension); the core says so with 422. It may never be refused for its form: that refusal carries a hint of its own.
"""

from __future__ import annotations

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, Response
from schemathesis.generation.meta import TestPhase

FORM_HINT = "GET /docs shows what fits."


@schemathesis.check
def schemas_promise_no_more(ctx: CheckContext, response: Response, case: Case) -> None:
    """Data made from the schema is never refused for its form."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if case.meta.phase.name is TestPhase.STATEFUL:  # there, earlier answers become parameters: a null uuid of a refusal
        return
    if response.status_code == 422:
        error = response.json()["error"]
        assert error["hint"] != FORM_HINT, f"the schema allows what the server refuses: {error}"
