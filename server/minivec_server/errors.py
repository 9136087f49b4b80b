"""From errors to answers: the one table of HTTP statuses, and the one shape of every error answer of the REST API.

{"error": {"code": "...", "message": "...", "hint": "...", "field": "...", "request_id": "..."}}

Facades that speak another protocol say the same refusals in a dialect of their own.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from minivec import errors as core
from minivec_server.dialect import Dialect, Dialects

logger = logging.getLogger("minivec.server")

STATUS: dict[type[core.MinivecError], int] = {
    core.InvalidInput: 422,
    core.NotFound: 404,
    core.VectorSpaceNotFound: 422,
    core.Conflict: 409,
    core.Unavailable: 503,
    core.DeadlineExceeded: 504,
    core.ReadOnly: 403,
    core.StorageError: 500,
    core.CommitUnknown: 503,
    core.StorageFull: 507,
    core.ModelError: 503,
    core.ModelNotFound: 422,
    core.FingerprintMismatch: 409,
    core.TextTooLong: 422,
    core.MinivecError: 500,
}
"""The nearest ancestor of an error in this table decides."""


class HttpRefusal(Exception):
    """A request refused before the core saw it: for its form, its size, its credentials or its address."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        hint: str = "",
        field: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.field = field
        self.headers = dict(headers or {})


def status_of(error: core.MinivecError) -> int:
    """The HTTP status of one of our errors."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def refusal_of(error: Exception) -> HttpRefusal:
    """Any error as what the caller may read of it; what we did not expect says nothing of our insides."""
    if isinstance(error, HttpRefusal):
        return error
    if isinstance(error, core.MinivecError):
        return _of_ours(error)
    if isinstance(error, RequestValidationError):
        return _of_parameters(error)
    if isinstance(error, HTTPException):
        return _of_framework(error)
    return HttpRefusal(
        500,
        "internal",
        "Something went wrong inside the server.",
        hint="Look for the request id in the server's log; please report it.",
    )


def named_in_body(error: core.MinivecError) -> HttpRefusal:
    """The refusal when something the body names is not there: a 404 would say that of the address."""
    return HttpRefusal(422, error.code, error.message, hint=error.hint, field=error.field)


def invalid_body(error: ValidationError) -> core.InvalidInput:
    """What pydantic found wrong with a body, as our own error: the first problem, and how many more there are."""
    problems = error.errors(include_url=False, include_input=False)
    return _first_problem([(tuple(problem["loc"]), problem["msg"]) for problem in problems])


class RestDialect:
    """Tells a refusal as the REST API does."""

    def status(self, refusal: HttpRefusal) -> int:
        """The refusal's own status."""
        return refusal.status

    def body(self, refusal: HttpRefusal, request_id: str) -> bytes:
        """The JSON with code, message, hint, field and request id."""
        inside = {
            "code": refusal.code,
            "message": encodable(refusal.message),
            "hint": encodable(refusal.hint),
            "field": encodable(refusal.field),
            "request_id": encodable(request_id),
        }
        return orjson.dumps({"error": inside})


REST: Dialect = RestDialect()


def answer_to(error: Exception, scope: Scope) -> Response:
    """The error answer to a request, in the dialect of its address; an unexpected error is logged with its traceback."""
    request_id = scope.get("minivec.request_id", "")
    refusal = refusal_of(error)
    if refusal.status == 500:
        logger.error("request %s failed: %s", request_id, error, exc_info=error)
    scope["minivec.error_code"] = refusal.code
    dialects: Dialects = scope["app"].state.dialects
    dialect = dialects.of(scope["path"])
    status = dialect.status(refusal)
    return Response(dialect.body(refusal, request_id), status, refusal.headers, "application/json")


def encodable(text: str) -> str:
    """The text with halves of surrogate pairs replaced, since UTF-8 has no form for them."""
    return text.encode("utf-8", "replace").decode()


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Give every error that a route or the router raises the shape of its address; a 405 tells what the address does take."""

    async def handle(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == 405:
            error.headers = {"Allow": ", ".join(_allowed(routes, request.scope))}
        return answer_to(error, request.scope)

    for kind in (core.MinivecError, HttpRefusal, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, handle)


def _of_ours(error: core.MinivecError) -> HttpRefusal:
    headers = {"Retry-After": str(max(1, math.ceil(error.retry_after)))} if isinstance(error, core.Busy) else {}
    status = status_of(error)
    return HttpRefusal(status, error.code, error.message, hint=error.hint, field=error.field, headers=headers)


def _of_parameters(error: RequestValidationError) -> HttpRefusal:
    problems = [(tuple(problem["loc"][1:]), str(problem["msg"])) for problem in error.errors()]
    return _of_ours(_first_problem(problems))


def _of_framework(error: HTTPException) -> HttpRefusal:
    if error.status_code == 404:
        return HttpRefusal(404, "not_found", "There is nothing at this address.", hint="GET /docs lists the routes.")
    if error.status_code == 405:
        hint = f"Use {error.headers['Allow']}." if error.headers and "Allow" in error.headers else ""
        return HttpRefusal(
            405, "method_not_allowed", "This address does not take that method.", hint=hint, headers=error.headers
        )
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return HttpRefusal(error.status_code, code, str(error.detail), headers=error.headers)


def _first_problem(problems: list[tuple[tuple[int | str, ...], str]]) -> core.InvalidInput:
    place, message = problems[0]
    more = f" There are {len(problems) - 1} more problems." if len(problems) > 1 else ""
    text = message.removeprefix("Value error, ")
    return core.InvalidInput(f"{text}.{more}".replace("..", "."), field=_path(place), hint="GET /docs shows what fits.")


def _path(place: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def _allowed(routes: Sequence[BaseRoute], scope: Scope) -> list[str]:
    here = [route for route in routes if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE]
    return sorted(method for route in here for method in route.methods or ())
