"""Prompts: one wording per input type, whatever the file calls it."""

from __future__ import annotations

import pytest

from minivec.embedding.prompts import Prompts, from_named


@pytest.mark.parametrize("name", ["document", "passage", "corpus"])
def test_the_passage_prompt_goes_by_three_names(name: str) -> None:
    found = from_named({"query": "query: ", name: "passage: "})
    assert (found.of("query"), found.of("passage")) == ("query: ", "passage: ")


def test_document_wins_over_passage() -> None:
    assert from_named({"passage": "b", "document": "a"}).passage == "a"


def test_an_empty_document_prompt_does_not_hide_the_passage_prompt() -> None:
    assert from_named({"document": "", "passage": "passage: "}).passage == "passage: "


def test_models_without_prompts_get_none() -> None:
    assert from_named({}) == Prompts()
    assert from_named({"query": None, "classification": "Classify: "}) == Prompts()
