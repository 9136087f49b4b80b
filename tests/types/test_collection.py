"""What a vector space says of itself when little was said of it, and under which name its vectors lie."""

from __future__ import annotations

from dataclasses import replace

import pytest

from minivec.types.codec import from_plain, to_plain
from minivec.types.collection import CollectionConfig, Vectorizer, VectorSpace


@pytest.mark.parametrize(
    ("vectorizer", "model"),
    [
        ("local", "all-MiniLM-L6-v2"),
        ("none", "all-MiniLM-L6-v2"),
        ("nvidia", "nvidia/nv-embed-v1"),
        ("openai", "text-embedding-3-small"),
    ],
)
def test_each_vectorizer_has_its_usual_model(vectorizer: Vectorizer, model: str) -> None:
    assert VectorSpace(vectorizer=vectorizer).model == model
    assert VectorSpace(vectorizer=vectorizer, model="mine").model == "mine"
    assert from_plain(VectorSpace, {"vectorizer": vectorizer}).model == model


def test_a_definition_stored_before_there_were_services_is_still_read() -> None:
    plain = to_plain(VectorSpace(name="old"))
    for name in ("base_url", "stored_as", "kept_for"):
        del plain[name]
    assert from_plain(VectorSpace, plain) == VectorSpace(name="old")


def test_a_renamed_space_keeps_its_key() -> None:
    space = VectorSpace(name="default")
    kept = replace(space, name="default_before", stored_as=space.key, kept_for="default")
    assert (space.key, kept.key) == ("default", "default")
    assert (space.embeds, kept.embeds, VectorSpace(vectorizer="none").embeds) == (True, False, False)


def test_a_space_can_be_taken_out() -> None:
    config = CollectionConfig(name="a", vector_spaces=(VectorSpace(name="x"), VectorSpace(name="y")))
    assert [space.name for space in config.without_space("x").vector_spaces] == ["y"]
