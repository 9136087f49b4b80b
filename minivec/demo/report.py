"""What the demo prints, as pure functions from answers to text of at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from minivec.demo.questions import Question
from minivec.types.answer import Answer
from minivec.types.display import explain_text
from minivec.types.table import Column, text_table

WIDTH = 100
MODES = ("near-text", "keyword", "hybrid")
_COLUMNS = (
    Column("which word means …?", shrinks=True),
    Column("expected"),
    *(Column(mode, shrinks=True) for mode in MODES),
)

LESSON = """\
A number is the rank of the expected word; where another word came first, it stands beside it.
near-text compares meanings: it needs no common word, but a rare word or a number says little to it.
keyword compares words: it is sure of rare words and numbers, but blind to any other wording.
hybrid adds up both, and what one of them misses the other brings to the top."""

NEXT_STEPS = """\
Go on:
  minivec serve --data my-data &                       a server of your own, on port 8080
  gzip -dc {file} > words.jsonl
  minivec import words words.jsonl --create            these entries, or your own lines of JSON
  minivec search words "an insect that makes honey"    and ask
  minivec search words "a thousand million" --explain  with the arithmetic of every score
Stop that server with `kill %1`. From Python: minivec.connect("http://127.0.0.1:8080")"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the answer of each mode."""

    question: Question
    answers: Mapping[str, Answer]


def comparison(asked: Sequence[Asked]) -> str:
    """The table of ranks, and how often each mode put the expected word first."""
    rows = [
        [one.question.text, one.question.answer, *(_place(one.answers[mode], one.question.answer) for mode in MODES)]
        for one in asked
    ]
    firsts = [sum(rank(one.answers[mode], one.question.answer) == 1 for one in asked) for mode in MODES]
    rows.append(["", "found first", *(f"{number} of {len(asked)}" for number in firsts)])
    return text_table(_COLUMNS, rows, WIDTH)


def sum_of_best(one: Asked) -> str:
    """How the best hybrid hit came by its score, part by part."""
    answer = one.answers["hybrid"]
    lines = explain_text(replace(answer, hits=answer.hits[:1]), WIDTH).splitlines()
    wrapped = [textwrap.fill(line, WIDTH, subsequent_indent=" " * (_indent(line) + 2)) for line in lines]
    return "\n".join(
        [f"Why is {answer.hits[0].properties['word']!r} the best answer to {one.question.text!r}?", *wrapped]
    )


def rank(answer: Answer, word: str) -> int | None:
    """Where this word stands in the answer, from 1; None when it is not there."""
    return next((place for place, hit in enumerate(answer.hits, 1) if hit.properties["word"] == word), None)


def _place(answer: Answer, word: str) -> str:
    found = rank(answer, word)
    if found == 1:
        return "1"
    first = answer.hits[0].properties["word"] if answer.hits else "nothing"
    return f"{found or 'not found'} ({first})"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
