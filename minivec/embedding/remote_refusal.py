"""What a model service's refusal means to a person: its own words without the key, and what to do about it."""

from __future__ import annotations

from minivec.embedding.providers import Provider
from minivec.embedding.remote_send import Reply
from minivec.embedding.remote_wire import reason_of
from minivec.errors import EmbeddingFailed

REFUSED = (400, 413, 422)
"""The content was refused: perhaps because of one text only."""


def refusal(reply: Reply, *, host: str, provider: Provider, model: str, path: str, key: str) -> EmbeddingFailed:
    """The error for an answer other than 200; `path` is what was asked for, without the base URL."""
    reason = without_key(reason_of(reply.content), key)
    tries = f" {reply.attempts} times" if reply.attempts > 1 else ""
    return EmbeddingFailed(
        f"{host} answered {reply.status}{tries}{': ' + reason if reason else ''}.".replace("..", "."),
        hint=_hint(reply.status, provider, model, path),
    )


def without_key(text: str, key: str) -> str:
    """Text of the service without the key, should it repeat it."""
    return text.replace(key, "***") if key else text


def key_places(provider: Provider) -> str:
    """Where a key may be given, as a sentence."""
    return (
        f"Send it in the header {provider.header}, or set the environment variable {' or '.join(provider.variables)}."
    )


def _hint(status: int, provider: Provider, model: str, path: str) -> str:
    if status in (401, 403):
        return f"Is the key right? {key_places(provider)}"
    if status in (404, 410):
        return f"Is {model!r} served there, and is the base URL right (without {path})?"
    if 300 <= status < 400:
        return "Redirects are not followed: give the address it leads to as base_url."
    if status == 429:
        return "The service limits how often it is asked: try again later; what is stored is not embedded again."
    return "" if status in REFUSED else "Try again later."
