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


def test_a_prompt_is_put_before_the_text_once() -> None:
    once, always = Prompts(query="query: ", once=True), Prompts(query="query: ")
    assert once.around("QUERY: what", "query: ") == "QUERY: what"
    assert once.around("what is a query: this", "query: ") == "query: what is a query: this"
    assert always.around("query: what", "query: ") == "query: query: what"


def test_the_ending_comes_after_the_text_with_or_without_a_prompt() -> None:
    prompts = Prompts(query="q: ", ending="</s>")
    assert prompts.around("a", prompts.of("query")) == "q: a</s>"
    assert prompts.around("a", prompts.of("passage")) == "a</s>"


def test_only_what_is_unusual_shapes_the_fingerprint() -> None:
    assert Prompts(query="q: ", passage="p: ").reading == []
    assert Prompts(ending="</s>").reading != Prompts(once=True).reading
