"""Saved and loaded, the index answers as before; a damaged or foreign snapshot raises ValueError and changes nothing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minivec.indexes import keyword_snapshot
from minivec.indexes.keyword import KeywordIndex
from minivec.indexes.keyword_snapshot import Snapshot
from minivec.indexes.postings import Packed
from minivec.types.collection import KeywordOptions, Property

from .plain_bm25f import Documents, feed_of
from .test_keyword import DOCUMENT

PROPERTIES = [Property(name="title"), Property(name="text"), Property(name="tags", data_type="text[]")]
DOCUMENTS: Documents = {
    4: {"title": "Red sky", "text": "red red green", "tags": ["x y", "red"]},
    5: {"title": "東京 \N{PILE OF POO}", "text": ""},
    9: {"text": "green blue"},
}
QUERY = "red green 東京"


def empty(properties: list[Property] = PROPERTIES) -> KeywordIndex:
    return KeywordIndex(properties, KeywordOptions())


def filled() -> KeywordIndex:
    index = empty()
    index.insert(list(DOCUMENTS), feed_of(DOCUMENTS))
    return index


@settings(max_examples=50, deadline=None)
@given(documents=st.lists(DOCUMENT, max_size=10), gone=st.sets(st.integers(0, 9)), more=st.lists(DOCUMENT, max_size=5))
def test_loading_what_was_saved_gives_the_same_answers(
    documents: list[dict[str, Any]], gone: set[int], more: list[dict[str, Any]]
) -> None:
    everything = dict(enumerate(documents + more))
    index, again = empty(), empty()
    index.insert(range(len(documents)), feed_of(everything))
    index.delete(gone)
    before = index.search("red blue the", None, 100)
    again.load(memoryview(index.save()))
    assert again.search("red blue the", None, 100) == before == index.search("red blue the", None, 100)
    assert again.save() == index.save()
    for each in (index, again):
        each.insert(range(len(documents), len(everything)), feed_of(everything))
    assert again.search("red blue the", None, 100) == index.search("red blue the", None, 100)
    assert len(again) == len(index)


def test_any_text_survives() -> None:
    index = empty([Property(name="text", tokenization="field")])
    texts = {1: "line\nbreak", 2: "nul\0 byte", 3: "lone \ud800 half", 4: "𝔘nicode"}
    index.insert(list(texts), feed_of({doc_id: {"text": text} for doc_id, text in texts.items()}))
    again = empty([Property(name="text", tokenization="field")])
    again.load(memoryview(index.save()))
    for doc_id, text in texts.items():
        assert [hit.doc_id for hit in again.search(text, None, 10)] == [doc_id]


def test_the_snapshot_of_fewer_properties_is_taken_and_grows() -> None:
    small = empty(PROPERTIES[:1])
    small.insert([4], feed_of(DOCUMENTS))
    index = empty()
    index.load(memoryview(small.save()))
    index.insert([9], feed_of(DOCUMENTS))
    assert {hit.doc_id for hit in index.search("red blue", None, 10)} == {4, 9}
    assert index.signature == small.signature


@pytest.mark.parametrize(
    "properties",
    [PROPERTIES[1:], [Property(name="title", tokenization="field"), *PROPERTIES[1:]]],
    ids=["less", "other"],
)
def test_the_snapshot_of_other_properties_is_refused(properties: list[Property]) -> None:
    with pytest.raises(ValueError, match="'title'"):
        empty(properties).load(memoryview(filled().save()))


def test_a_snapshot_cut_short_anywhere_is_refused_and_changes_nothing() -> None:
    index, payload = filled(), filled().save()
    before = index.search(QUERY, None, 10)
    for size in range(len(payload)):
        with pytest.raises(ValueError):
            index.load(memoryview(payload)[:size])
    with pytest.raises(ValueError, match="after its end"):
        index.load(memoryview(payload + b"\0"))
    assert index.search(QUERY, None, 10) == before


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_raises_value_error_or_is_harmless(data: st.DataObject) -> None:
    payload = bytearray(filled().save())
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    index = filled()
    before = index.search(QUERY, None, 10)
    try:
        index.load(memoryview(bytes(payload)))
    except ValueError:
        assert index.search(QUERY, None, 10) == before
    else:
        index.search(QUERY, None, 10)
        assert len(index) == len(DOCUMENTS)


def ints(*values: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.array(values, np.int32)


SOUND: dict[str, Any] = {
    "vocabulary": ["a", "b"],
    "counts": ints(2, 1),
    "slots": ints(0, 1, 1),
    "frequencies": ints(1, 2, 1),
    "lengths": ints(1, 3),
}
UNSOUND: dict[str, dict[str, Any]] = {
    "a term twice": {"vocabulary": ["a", "a"]},
    "terms of another length": {"vocabulary": ["a", ""]},
    "postings of no term": {"counts": ints(2, 0)},
    "a length below -1": {"lengths": ints(1, -2)},
    "a frequency below 1": {"frequencies": ints(1, 3, 0)},
    "a document it does not hold": {"slots": ints(0, 1, 2)},
    "out of order": {"slots": ints(1, 0, 1)},
    "do not add up": {"lengths": ints(1, 4)},
}


def payload_of(changed: dict[str, Any], doc_ids: tuple[int, ...] = (1, 2)) -> memoryview:
    snapshot = Snapshot(np.array(doc_ids, np.int64), {"text": ("word", Packed(**(SOUND | changed)))})
    return memoryview(keyword_snapshot.write(snapshot))


def test_a_sound_snapshot_is_read_as_written() -> None:
    read = keyword_snapshot.read(payload_of({}))
    tokenization, packed = read.properties["text"]
    assert tokenization == "word" and packed.vocabulary == ["a", "b"]
    for column in ("counts", "slots", "frequencies", "lengths"):
        assert getattr(packed, column).tolist() == SOUND[column].tolist()


@pytest.mark.parametrize("reason", UNSOUND)
def test_contradictions_are_named(reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        keyword_snapshot.read(payload_of(UNSOUND[reason]))


def test_a_document_or_a_property_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="a document twice"):
        keyword_snapshot.read(payload_of({}, (1, 1)))
    one = json.dumps({"name": "a", "tokenization": "word", "terms": 0, "text": 0, "postings": 0})
    with pytest.raises(ValueError, match="a property twice"):
        keyword_snapshot.read(with_header(f'{{"documents": 0, "properties": [{one}, {one}]}}'))


def with_header(header: str) -> memoryview:
    return memoryview(len(header).to_bytes(8, "little") + header.encode())


@pytest.mark.parametrize(
    "header",
    ["", "[]", "7", "{}", '{"documents": -1}', '{"documents": true, "properties": []}', '{"documents": 0}',
     '{"documents": 0, "properties": 1}', '{"documents": 0, "properties": [1]}', '{"documents": 9, "properties": []}'],
)  # fmt: skip
def test_a_header_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(ValueError):
        keyword_snapshot.read(with_header(header))
