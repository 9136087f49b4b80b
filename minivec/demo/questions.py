"""The demo's six questions and the word each asks for: two for meaning, two for words, two that take both."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """Which word means `text`? `answer` does."""

    text: str
    answer: str


QUESTIONS = (
    Question("what saves you when you fall out of a plane", "parachute"),
    Question("when many people get ill at once", "epidemic"),
    Question("75:15:10", "gunpowder"),
    Question("somebody trying to elude", "fugitive"),
    Question("it joins two at the neck", "yoke"),
    Question("nearest to the bow", "foremast"),
)
EXPLAINED = QUESTIONS[-1]
"""The question whose best hybrid hit is taken apart."""
