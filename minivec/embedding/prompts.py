"""The words a model expects before a query or a passage. The catalog or the checkpoint names them; callers never do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from minivec.embedding.interface import InputType

PASSAGE_NAMES = ("document", "passage", "corpus")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """What is put before each text of an input type; empty for models trained without prompts."""

    query: str = ""
    passage: str = ""

    def of(self, input_type: InputType) -> str:
        """The prompt of this input type."""
        return self.query if input_type == "query" else self.passage


def from_named(prompts: Mapping[str, str | None]) -> Prompts:
    """The prompts of a sentence-transformers `prompts` table, whose passage entry goes by one of three names."""
    named = (prompts.get(name) for name in PASSAGE_NAMES)
    return Prompts(query=prompts.get("query") or "", passage=next((text for text in named if text), ""))
