"""The documents of the repository as the tests read them: their code blocks, the paths they name, their tables."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(document: str, language: str) -> list[str]:
    """The fenced code blocks of this language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document, flags=re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    """The command lines of a shell block: continued lines joined, comments of a whole line left out."""
    joined = block.replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def links(document: str) -> list[str]:
    """The targets of links to files of the repository."""
    return [target for target in re.findall(r"\]\(([^)#]+)\)", document) if "://" not in target]


def rows(document: str, heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head; each cell as it is written."""
    section = document.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]
