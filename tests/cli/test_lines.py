"""A file of JSON lines: flat or in full, with bad lines set aside under their numbers."""

from __future__ import annotations

import io
import os
from operator import length_hint
from pathlib import Path

import pytest

from minivec.cli.lines import ObjectLines, count_lines, read_object
from minivec.errors import InvalidInput
from minivec.types.object import ImportReport, Outcome


@pytest.mark.parametrize(
    ("line", "draft"),
    [
        (b'{"title": "Bees", "year": 1}', {"properties": {"title": "Bees", "year": 1}}),
        (b'{"properties": {"a": 1}, "uuid": "u"}', {"properties": {"a": 1}, "uuid": "u"}),
        (b'{"a": 1, "uuid": "u", "vectors": {"s": [1]}}', {"properties": {"a": 1}, "uuid": "u", "vectors": {"s": [1]}}),
        (b'{"a": 1, "vector": [1]}', {"properties": {"a": 1}, "vector": [1]}),
        (b'{"properties": "four rooms"}', {"properties": {"properties": "four rooms"}}),
        (b"{}", {"properties": {}}),
        ('\ufeff{"a": "é"}'.encode(), {"properties": {"a": "é"}}),
    ],
)
def test_a_line_is_flat_or_in_full(line, draft):
    assert read_object(line) == draft


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"not json", "not JSON: Expecting value at character 1"),
        (b'{"a": 1', "not JSON"),
        (b"[1]", "not an object"),
        (b"null", "not an object"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "usual depth"),
    ],
)
def test_a_line_that_holds_no_object_says_why(line, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        read_object(line)


def test_outcomes_carry_the_numbers_of_lines():
    lines = ObjectLines(io.BytesIO(b'{"a": 1}\n\nbroken\n{"a": 2}\n  \n{"a": 3}'))
    assert [draft["properties"]["a"] for draft in lines] == [1, 2, 3]
    report = lines.judged(
        ImportReport(outcomes=tuple(Outcome(index=n, status="inserted") for n in range(3)), seconds=2.0)
    )
    assert [(outcome.index, outcome.status) for outcome in report.outcomes] == [
        (1, "inserted"),
        (3, "refused"),
        (4, "inserted"),
        (6, "inserted"),
    ]
    assert report.seconds == 2.0


@pytest.mark.parametrize(("content", "lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"\n\n", 2)])
def test_a_file_says_how_many_lines_it_has_and_is_read_from_the_start(tmp_path: Path, content, lines):
    path = tmp_path / "file"
    path.write_bytes(content)
    with path.open("rb") as stream:
        assert count_lines(stream) == lines
        assert stream.read() == content
    with path.open("rb") as stream:
        assert length_hint(ObjectLines(stream)) == lines


def test_a_pipe_says_nothing_and_is_left_alone():
    reading, writing = os.pipe()
    os.write(writing, b"a\nb\n")
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        assert count_lines(stream) == 0
        assert stream.read() == b"a\nb\n"
    assert count_lines(io.BytesIO(b"a\n")) == 0
