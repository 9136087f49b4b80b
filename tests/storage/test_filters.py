"""A filter in SQL finds what a plain loop over the objects finds."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minivec.errors import InvalidInput, LimitExceeded
from minivec.storage import reading
from minivec.storage.engine import Truth
from minivec.storage.filters import CONDITIONS_MOST, check_filter, matching
from minivec.storage.objects import delete_objects
from minivec.types.collection import CollectionConfig, DataType, Property
from minivec.types.filter import And, Equal, Filter
from tests.storage.samples import ask, store, uuid_of, write

KINDS: tuple[DataType, ...] = ("text", "int", "number", "boolean", "date", "uuid")
PROPERTIES = tuple(Property(name=kind, data_type=kind) for kind in KINDS)
ARRAYS = tuple(Property(name=f"{kind}_list", data_type=f"{kind}[]") for kind in KINDS)  # type: ignore[arg-type]
CONFIG = CollectionConfig(
    name="Filtered",
    properties=(*PROPERTIES, *ARRAYS, Property(name="inner", data_type="object"), Property(name='q"')),
    vector_spaces=(),
)

# few values, so that many are equal; and pairs that are equal or not in surprising ways
VALUES: dict[str, list[Any]] = {
    "text": ["", "a", "A", "é", "e\u0301", "😀", "a'b", 'a"b', "\\", "%", "1", "true", "null", "\x1f"],
    "int": [0, 1, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)],
    "number": [0, 0.0, -0.0, 1, 1.0, 0.1, 0.1 + 0.2, 0.3, 1e300, -1e-300, 2**53, 2.0**53, 123456789.123456789],
    "boolean": [True, False],
    "date": [
        "2024-05-01T12:00:00Z",
        "2024-05-01T14:00:00+02:00",
        "2024-05-01T12:00:00.000Z",
        "2024-05-01T12:00:00.5Z",
        "2024-05-01t12:00:00.500000z",
        "2024-05-01 12:00:01Z",
        "1969-12-31T23:59:59.25-00:30",
    ],
    "uuid": [str(UUID(int=1)), str(UUID(int=10)), "AAAAAAAA-0000-0000-0000-000000000000"],
}
VALUES["uuid"].append(VALUES["uuid"][2].lower())

SCALARS: dict[str, st.SearchStrategy[Any]] = {kind: st.sampled_from(VALUES[kind]) for kind in KINDS}
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    **{kind: st.none() | SCALARS[kind] for kind in KINDS},
    **{f"{kind}_list": st.lists(SCALARS[kind], max_size=3) for kind in KINDS},
    "inner": st.just({"text": "a"}),
}
PROPERTY_SETS = st.fixed_dictionaries({}, optional=OPTIONAL)
EQUALS = st.sampled_from(KINDS).flatmap(
    lambda kind: st.builds(Equal, st.sampled_from([kind, f"{kind}_list"]), SCALARS[kind])
)
FILTERS: st.SearchStrategy[Filter] = st.recursive(
    EQUALS, lambda inner: st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts))), max_leaves=4
)


def same(kind: str, stored: Any, wanted: Any) -> bool:
    if stored is None:
        return False
    if kind == "uuid":
        return bool(stored.lower() == wanted.lower())
    if kind == "date":
        moments = [datetime.fromisoformat(text.upper().replace("Z", "+00:00")) for text in (stored, wanted)]
        return moments[0] == moments[1]
    return bool(stored == wanted)


def holds(where: Filter, properties: dict[str, Any]) -> bool:
    if isinstance(where, And):
        return all(holds(part, properties) for part in where.filters)
    stored = properties.get(where.property)
    kind = where.property.removesuffix("_list")
    elements = stored if isinstance(stored, list) else [stored]
    return any(same(kind, element, where.value) for element in elements)


def fill(truth: Truth, sets: list[dict[str, Any]]) -> list[int]:
    truth.write(lambda connection: delete_objects(connection, [uuid_of(number) for number in range(20)]))
    return [written.doc_id for written in store(truth, [write(n, one, vectors={}) for n, one in enumerate(sets)])]


@given(sets=st.lists(PROPERTY_SETS, max_size=20), where=FILTERS)
@settings(max_examples=250, deadline=None)
def test_sql_and_a_loop_agree(shared_truth: Truth, sets: list[dict[str, Any]], where: Filter) -> None:
    ids = fill(shared_truth, sets)
    expected = [doc_id for doc_id, one in zip(ids, sets, strict=True) if holds(where, one)]
    assert ask(shared_truth, matching, where, CONFIG, 0, 100) == expected


@given(number=st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False))
@settings(max_examples=150, deadline=None)
def test_every_number_equals_itself(shared_truth: Truth, number: float) -> None:
    ids = fill(shared_truth, [{"number": number}])
    assert ask(shared_truth, matching, Equal("number", number), CONFIG, 0, 100) == ids


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
@settings(max_examples=150, deadline=None)
def test_every_text_equals_itself(shared_truth: Truth, text: str) -> None:
    ids = fill(shared_truth, [{"text": text}, {"text": text + "x"}, {"text_list": [text]}])
    assert ask(shared_truth, matching, Equal("text", text), CONFIG, 0, 100) == ids[:1]
    assert ask(shared_truth, matching, Equal("text_list", text), CONFIG, 0, 100) == ids[2:]


def test_matches_come_in_pieces(truth: Truth) -> None:
    ids = fill(truth, [{"int": number % 2} for number in range(10)])
    where = Equal("int", 1)
    first = ask(truth, matching, where, CONFIG, 0, 3)
    assert first == ids[1:6:2]
    assert ask(truth, matching, where, CONFIG, first[-1], 3) == ids[7::2]


def test_an_empty_and_matches_everything(truth: Truth) -> None:
    ids = fill(truth, [{}, {"int": 1}])
    assert ask(truth, matching, And(()), CONFIG, 0, 10) == ids


def test_it_works_inside_a_write_too(truth: Truth) -> None:
    ids = fill(truth, [{"date": VALUES["date"][0]}, {"date": VALUES["date"][3]}])
    where = Equal("date", VALUES["date"][1])
    assert truth.write(lambda connection: matching(connection, where, CONFIG, 0, 10)) == ids[:1]


@pytest.mark.parametrize(
    ("where", "field", "message"),
    [
        (Equal("nothing", 1), "where.property", "no property 'nothing'"),
        (Equal("text') OR 1=1 --", "x"), "where.property", "no property"),
        (Equal("inner", "a"), "where.property", "object"),
        (Equal('q"', "a"), "where.property", "cannot be filtered"),
        (Equal("text", 1), "where.value", "text, the value is int"),
        (Equal("int", "1"), "where.value", "int, the value is str"),
        (Equal("int", True), "where.value", "int, the value is bool"),
        (Equal("boolean", 1), "where.value", "boolean, the value is int"),
        (Equal("number", float("nan")), "where.value", "finite"),
        (Equal("number", float("-inf")), "where.value", "finite"),
        (Equal("int", 2**63), "where.value", "64 bits"),
        (Equal("text", "\ud800"), "where.value", "Unicode"),
        (Equal("text_list", "a\0"), "where.value", "NUL"),
        (Equal("date", "yesterday"), "where.value", "not a date"),
        (Equal("date", "2024-02-30T00:00:00Z"), "where.value", "not a date"),
        (Equal("uuid", "12"), "where.value", "not a uuid"),
        (And((Equal("int", 1), And((Equal("number", "x"),)))), "where.value", "number"),
    ],
)
def test_what_does_not_fit_is_refused(truth: Truth, where: Filter, field: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        ask(truth, matching, where, CONFIG, 0, 10)
    assert caught.value.field == field
    with pytest.raises(InvalidInput):
        check_filter(where, CONFIG)


def test_the_most_conditions_work_and_one_more_is_refused(truth: Truth) -> None:
    ids = fill(truth, [{"int": 1}])
    where = And(tuple(Equal("int", 1) for _ in range(CONDITIONS_MOST)))
    assert ask(truth, matching, where, CONFIG, 0, 10) == ids
    with pytest.raises(LimitExceeded):
        ask(truth, matching, And((where, Equal("int", 1))), CONFIG, 0, 10)


def test_deep_nesting_is_no_deep_sql(truth: Truth) -> None:
    ids = fill(truth, [{"int": 1}, {"int": 2}])
    where: Filter = Equal("int", 1)
    for _ in range(5000):
        where = And((where,))
    assert ask(truth, matching, where, CONFIG, 0, 10) == ids[:1]


def test_values_are_bound_and_never_written_into_the_sql(truth: Truth) -> None:
    fill(truth, [{"text": "safe"}])
    assert ask(truth, matching, Equal("text", "' OR 1=1 --"), CONFIG, 0, 10) == []
    assert orjson.loads(ask(truth, reading.page, 0, 10)[0].properties) == {"text": "safe"}
