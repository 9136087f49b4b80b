"""NIM's error shape, that of its 1.x releases, which every official client can show.

{"object": "error", "message": "...", "detail": {}, "type": "..."}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from minivec_server.dialect import Dialect
from minivec_server.errors import HttpRefusal, encodable

_STATUS_OF_CODE = {"busy": 429, "model_not_found": 404, "weights_mismatch": 503}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    405: "method_not_allowed_error",
    408: "timeout_error",
    413: "request_too_large_error",
    415: "unsupported_media_type_error",
    429: "rate_limit_error",
    431: "request_too_large_error",
    500: "internal_server_error",
    503: "service_unavailable_error",
    504: "timeout_error",
}


class NimRefusal(HttpRefusal):
    """A request refused in NIM's own words; `detail` says what exactly, as JSON."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, kind, message)
        self.kind = kind
        self.detail = dict(detail or {})


class NimDialect:
    """Tells a refusal as NIM does: 400 for whatever is wrong with a request, 429 when too many wait."""

    def status(self, refusal: HttpRefusal) -> int:
        """The status NIM's clients know what to do with: they try again after 429 and 5xx, and after nothing else."""
        if refusal.status == 422 and refusal.code not in _STATUS_OF_CODE:
            return 400
        return _STATUS_OF_CODE.get(refusal.code, refusal.status)

    def body(self, refusal: HttpRefusal, request_id: str) -> bytes:
        """The JSON; `detail` is never null, which some clients cannot read. The request id is in the header only."""
        kind = refusal.kind if isinstance(refusal, NimRefusal) else _KINDS.get(self.status(refusal), refusal.code)
        detail = refusal.detail if isinstance(refusal, NimRefusal) else {}
        message = f"{refusal.message} {refusal.hint}".strip()
        body = {"object": "error", "message": encodable(message), "detail": detail, "type": kind}
        return orjson.dumps(body)


NIM: Dialect = NimDialect()
