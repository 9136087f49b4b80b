"""The entries that are shipped: a few thousand, complete, small, and reachable as the package's own file."""

from __future__ import annotations

import gzip
from importlib.resources import files

from minivec.demo.choose import COUNT, packed
from minivec.demo.entries import FILE, entries
from minivec.demo.questions import EXPLAINED, QUESTIONS


def test_there_are_a_few_thousand_and_each_word_comes_once():
    found = list(entries())
    assert len(found) == COUNT
    assert len({entry["word"] for entry in found}) == COUNT


def test_every_entry_is_complete():
    for entry in entries():
        assert list(entry) == ["word", "synonyms", "kind", "meaning"]
        assert entry["word"] and entry["meaning"]
        assert entry["kind"] in ("noun", "verb", "adjective", "adverb")


def test_the_file_is_small_and_made_as_the_chooser_makes_it():
    shipped = files("minivec.demo").joinpath(FILE).read_bytes()
    assert len(shipped) <= 400_000
    assert shipped[4:8] == bytes(4), "a time of making would change the bytes"
    assert gzip.decompress(shipped) == gzip.decompress(packed(entries()))


def test_every_question_has_its_answer_among_them():
    words = {entry["word"] for entry in entries()}
    assert len(QUESTIONS) == 6
    assert {question.answer for question in QUESTIONS} <= words
    assert EXPLAINED in QUESTIONS


def test_the_licence_lies_beside_them():
    text = files("minivec.demo").joinpath("WORDNET-LICENSE").read_text()
    assert "Princeton University" in text
    assert "WITHOUT" in text.upper() and 'PROVIDED "AS IS"' in text
