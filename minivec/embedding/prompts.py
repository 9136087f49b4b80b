"""The words a model expects round a query or a passage. The catalog or the checkpoint names them; callers never do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from minivec.embedding.interface import InputType

PASSAGE_NAMES = ("document", "passage", "corpus")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """What is put before each text of an input type; empty for models trained without prompts.

    `ending` is put after every text, as characters. `once` leaves the prompt off a text that starts with it already,
    in any case. `shared_tokens` are the prompt's last tokens that are pooled with the text all the same, because the
    tokenizer lets them run into its first word.
    """

    query: str = ""
    passage: str = ""
    ending: str = ""
    once: bool = False
    shared_tokens: int = 0

    def of(self, input_type: InputType) -> str:
        """The prompt of this input type."""
        return self.query if input_type == "query" else self.passage

    def around(self, text: str, prompt: str) -> str:
        """The text with its prompt and ending, as the tokenizer gets it."""
        if self.once and prompt and text[: len(prompt)].casefold() == prompt.casefold():
            prompt = ""
        return prompt + text + self.ending

    @property
    def reading(self) -> list[object]:
        """What is unusual in how these prompts are read, or nothing; it is part of the model's fingerprint."""
        unusual = [self.ending, self.once, self.shared_tokens]
        return unusual if any(unusual) else []


def from_named(prompts: Mapping[str, str | None]) -> Prompts:
    """The prompts of a sentence-transformers `prompts` table, whose passage entry goes by one of three names."""
    named = (prompts.get(name) for name in PASSAGE_NAMES)
    return Prompts(query=prompts.get("query") or "", passage=next((text for text in named if text), ""))
