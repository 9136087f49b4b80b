"""The API key: one decision for every route, taken before the request reaches one."""

from __future__ import annotations

import hmac
from hashlib import sha256

from starlette.types import ASGIApp, Receive, Scope, Send

from minivec_server.errors import HttpRefusal, answer_to

OPEN_PATHS = frozenset({"/v1/health/live", "/v1/health/ready"})
"""What a load balancer asks without a key; it tells nothing of the data."""


class Authentication:
    """ASGI middleware that lets a request pass when it carries the key; without a key set, every request passes."""

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app = app
        self._expected = sha256(api_key.encode()).digest() if api_key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._passes(scope):
            await self._app(scope, receive, send)
            return
        refusal = HttpRefusal(
            401,
            "unauthorized",
            "This server needs an API key.",
            hint="Send the header 'Authorization: Bearer <key>'.",
            headers={"WWW-Authenticate": "Bearer"},
        )
        await answer_to(refusal, scope)(scope, receive, send)

    def _passes(self, scope: Scope) -> bool:
        if self._expected is None:
            return True
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, key = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        matches = hmac.compare_digest(sha256(key.strip()).digest(), self._expected)
        return matches and scheme.lower() == b"bearer"
