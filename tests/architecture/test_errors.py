"""Every error has its own code, stands in the drawing on top of its file, and has an HTTP status chosen for its family."""

from __future__ import annotations

import inspect

import pytest

from minivec import errors
from minivec_server.errors import STATUS, status_of

KINDS = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.MinivecError)
]  # fmt: skip
ON_THE_WIRE = [kind for kind in KINDS if not issubclass(kind, errors.ClientError) and kind is not errors.MinivecError]
NAMES = [kind.__name__ for kind in ON_THE_WIRE]


def test_every_error_has_its_own_code() -> None:
    assert all("code" in vars(kind) for kind in KINDS)
    assert len({kind.code for kind in KINDS}) == len(KINDS)
    assert errors.by_code() == {kind.code: kind for kind in KINDS}


def test_the_drawing_shows_every_error_under_its_parent() -> None:
    drawing = [line for line in (errors.__doc__ or "").splitlines() if "── " in line]
    drawn, above = {}, {0: "MinivecError"}
    for line in drawing:
        depth = line.index("── ") // 4 + 1
        name = line.partition("── ")[2].split()[0]
        drawn[name], above[depth] = above[depth - 1], name
    assert drawn == {kind.__name__: kind.__mro__[1].__name__ for kind in KINDS if kind is not errors.MinivecError}


@pytest.mark.parametrize("kind", ON_THE_WIRE, ids=NAMES)
def test_every_error_a_request_can_meet_has_a_chosen_status(kind: type[errors.MinivecError]) -> None:
    chosen_for = next(parent for parent in kind.__mro__ if parent in STATUS)
    assert chosen_for is not errors.MinivecError


@pytest.mark.parametrize("kind", ON_THE_WIRE, ids=NAMES)
def test_only_the_callers_mistakes_are_answered_as_such(kind: type[errors.MinivecError]) -> None:
    mistakes: tuple[type, ...] = (
        errors.InvalidInput,
        errors.NotFound,
        errors.Conflict,
        errors.ReadOnly,
        errors.ModelNotFound,
    )
    mistakes += (errors.FingerprintMismatch, errors.TextTooLong)
    assert (400 <= status_of(kind("")) < 500) == issubclass(kind, mistakes)
