"""Rows as a table: as text for a terminal, as HTML for a notebook. Pure, and safe for any text a user stored."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

Align = Literal["left", "right"]

_CELL = 'style="text-align:{};vertical-align:top"'


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, the side its cells stand on, and whether the column may be cut so that the table fits."""

    name: str
    align: Align = "left"
    shrinks: bool = False


def text_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int = 120) -> str:
    """The table in lines of at most `width` characters, where its shrinking columns allow that."""
    clean = [[one_line(cell) for cell in row] for row in rows]
    sizes = [max([cells(c.name), *(cells(row[i]) for row in clean)]) for i, c in enumerate(columns)]
    shrinking = [i for i, column in enumerate(columns) if column.shrinks]
    over = sum(sizes) + 2 * (len(columns) - 1) - width
    while over > 0 and shrinking:
        widest = max(shrinking, key=lambda i: sizes[i])
        smaller = max(sizes[widest] - over, 12)
        if smaller >= sizes[widest]:
            break
        over -= sizes[widest] - smaller
        sizes[widest] = smaller
    lines = [[column.name for column in columns], *clean]
    return "\n".join(_line(columns, row, sizes) for row in lines)


def html_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """The table as HTML; every text in it is escaped."""
    head = "".join(f"<th {_CELL.format(c.align)}>{escape(c.name)}</th>" for c in columns)
    body = "".join(f"<tr>{_html_row(columns, row)}</tr>" for row in rows)
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def one_line(text: str) -> str:
    """The text without line breaks and control characters, which could move the cursor or colour a terminal."""
    return "".join(_visible(c) for c in " ".join(text.split()))


def cells(text: str) -> int:
    """How many columns of a terminal the text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(character) for character in text)


def cut(text: str, width: int) -> str:
    """The text in at most `width` columns, with an ellipsis where something is missing."""
    if cells(text) <= width:
        return text
    kept, used = [], 0
    for character in text:
        used += _cells_of(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Cs"):
        return "\ufffd"
    return "" if character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069" else character


def _cells_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _line(columns: Sequence[Column], row: Sequence[str], sizes: Sequence[int]) -> str:
    parts = []
    for column, text, size in zip(columns, row, sizes, strict=True):
        shown = cut(text, size)
        space = " " * (size - cells(shown))
        parts.append(space + shown if column.align == "right" else shown + space)
    return "  ".join(parts).rstrip()


def _html_row(columns: Sequence[Column], row: Sequence[str]) -> str:
    return "".join(f"<td {_CELL.format(c.align)}>{escape(cell)}</td>" for c, cell in zip(columns, row, strict=True))
