"""FAISS, loaded when the first vector index needs it: a second that a process without vectors does not spend."""

from __future__ import annotations

from typing import Any


def load_faiss() -> Any:
    """The faiss module; untyped, because its stubs lack half of it."""
    import faiss

    return faiss
