"""The shape of the code: functions that fit a screen, files that fit a sitting, public functions that are explained."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.architecture.source import Module, modules

MOST_LINES_OF_A_FUNCTION = 70
LINES_OF_MOST_FUNCTIONS = 35  # 95 % of them are no longer
MOST_LINES_OF_A_FILE = 500
LEAST_SHARE_DOCUMENTED = 0.9


@pytest.fixture(scope="module")
def found() -> list[Module]:
    return modules()


def test_no_function_is_longer_than_a_screen(found: list[Module]) -> None:
    long = [
        f"{one.where}: {one.lines}"
        for module in found
        for one in module.functions
        if one.lines > MOST_LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_most_functions_are_short(found: list[Module]) -> None:
    lengths = sorted(one.lines for module in found for one in module.functions)
    assert lengths[math.ceil(0.95 * len(lengths)) - 1] <= LINES_OF_MOST_FUNCTIONS


def test_no_file_is_long(found: list[Module]) -> None:
    long = {module.name: lines for module in found if (lines := len(module.text.splitlines())) > MOST_LINES_OF_A_FILE}
    assert long == {}


def test_public_functions_are_documented(found: list[Module]) -> None:
    public = [one for module in found for one in module.functions if one.public]
    silent = [one.where for one in public if not one.documented]
    assert 1 - len(silent) / len(public) >= LEAST_SHARE_DOCUMENTED, silent


def test_every_module_opens_with_its_promise(found: list[Module]) -> None:
    assert [module.name for module in found if module.text.strip() and not module.text.startswith('"""')] == []


def test_lengths_leave_out_blanks_comments_and_docstrings(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('def one(\n    first,\n):\n    """Say.\n\n    More.\n    """\n\n    # why\n    return """a\nb"""\n')
    (function,) = Module(path, tmp_path).functions
    assert (function.lines, function.documented) == (5, True)
