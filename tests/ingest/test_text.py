"""The text of an object, case by case after the rules in `ingest/text.py`."""

from __future__ import annotations

from typing import Any

import pytest

from minivec.ingest.text import spaced_words, text_hash, text_of
from minivec.types.collection import CollectionConfig, Property, VectorSpace

CONFIG = CollectionConfig(
    name="DemoCollection",
    properties=(
        Property(name="title"),
        Property(name="body"),
        Property(name="tags", data_type="text[]"),
        Property(name="year", data_type="int"),
        Property(name="rating", data_type="number"),
        Property(name="seen", data_type="boolean"),
        Property(name="when", data_type="date"),
        Property(name="place", data_type="object"),
        Property(name="shortTitle"),
    ),
)
OBJECT: dict[str, Any] = {
    "title": "A Holiday Film",
    "body": "Snow.",
    "tags": ["warm", "slow"],
    "year": 1994,
    "rating": 9.5,
    "seen": True,
    "when": "1994-10-14T00:00:00Z",
    "place": {"city": "Ystad"},
}


def text(properties: dict[str, Any] = OBJECT, **options: Any) -> str:
    return text_of(VectorSpace(**options), CONFIG, properties)


def test_every_text_property_in_alphabetical_order_and_nothing_else() -> None:
    assert text() == "Snow. warm slow A Holiday Film"


def test_named_sources_alone_count_and_are_written_out_whatever_their_type() -> None:
    assert text(source_properties=("title",)) == "A Holiday Film"
    everything = ("year", "when", "seen", "rating", "place")
    assert text(source_properties=everything) == '{"city":"Ystad"} 9.5 true 1994-10-14T00:00:00Z 1994'


def test_the_collection_name_comes_first_as_words() -> None:
    assert text(include_collection_name=True, source_properties=("title",)) == "Demo Collection A Holiday Film"


def test_property_names_come_before_each_part() -> None:
    given = {"tags": ["warm", "slow"], "shortTitle": "Film"}
    assert text(given, include_property_names=True) == "short Title Film tags warm tags slow"


@pytest.mark.parametrize(
    ("properties", "options", "expected"),
    [
        ({}, {}, ""),
        ({}, {"include_collection_name": True}, "Demo Collection"),
        ({}, {"include_collection_name": True, "source_properties": ("title",)}, ""),
        ({"year": 1}, {}, ""),
        ({"tags": []}, {}, ""),
        ({"title": ""}, {}, ""),
        ({"title": "Ünï 漢字 😀"}, {}, "Ünï 漢字 😀"),
    ],
)
def test_edges(properties: dict[str, Any], options: dict[str, Any], expected: str) -> None:
    assert text(properties, **options) == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("DemoCollection", "Demo Collection"),
        ("words", "words"),
        ("HTTPServer2", "HTTP Server 2"),
        ("snake_case", "snake case"),
    ],
)
def test_camel_case_becomes_words(name: str, words: str) -> None:
    assert spaced_words(name) == words


def test_the_hash_tells_texts_apart() -> None:
    assert text_hash("a") == text_hash("a") != text_hash("b")
    assert len(text_hash("")) == 16
