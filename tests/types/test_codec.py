"""Every type as JSON and back: equal to itself, whatever is in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivec.types.answer import Answer, Hit, Plan, PlanLeg, ScorePart, TermScore
from minivec.types.codec import from_plain, to_plain
from minivec.types.collection import CollectionConfig, CollectionInfo, HnswOptions, IndexState, Property, VectorSpace
from minivec.types.object import ImportReport, ObjectPage, Outcome, StoredObject, TokenNote

TERM = TermScore(property="title", term="bird", frequency=2, length=5, idf=1.5, contribution=0.75)
PART = ScorePart(
    source="keyword", name="bm25f", raw=0.75, rank=0, normalised=1.0, weight=0.5, contribution=0.5, terms=(TERM,)
)
VALUES: list[Any] = [
    CollectionConfig(
        name="Words",
        properties=(Property(name="place", data_type="object", properties=(Property(name="zip", data_type="int"),)),),
        vector_spaces=(VectorSpace(source_properties=("a",), hnsw=HnswOptions(links=4), dimension=3), VectorSpace(name="b")),
    ),
    CollectionInfo(config=CollectionConfig(name="W"), count=3, indexes=(IndexState(name="k", kind="bm25f", count=3, ready=True),)),
    StoredObject(
        uuid="u", properties={"a": [1, None]}, version=2, vectors={"default": [0.5, 1.0]},
        created_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), updated_at=datetime(2026, 1, 2, tzinfo=UTC),
    ),
    ObjectPage(objects=(), cursor="1:5"),
    ImportReport(outcomes=(Outcome(index=0, status="inserted", uuid="u", tokens=(TokenNote(space="d", tokens=5, cut=1),)),)),
    Answer(
        hits=(Hit(uuid="u", score=0.5, properties={"title": "bird"}, parts=(PART,), vectors={"default": [1.0]}),),
        plan=Plan(
            mode="hybrid", formula="f",
            legs=(PlanLeg(source="vector", name="default", index="flat", candidates=100, exact=True),),
        ),
        milliseconds={"plan": 0.1},
    ),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_type_survives_the_way_through_json(value: Any) -> None:
    assert from_plain(type(value), json.loads(json.dumps(to_plain(value)))) == value


def test_unknown_members_are_passed_over_and_missing_ones_told() -> None:
    assert from_plain(Property, {"name": "a", "from_the_future": 1}) == Property(name="a")
    with pytest.raises(TypeError):
        from_plain(Property, {})
    with pytest.raises(TypeError):
        from_plain(Property, "a")


outcomes = st.builds(
    Outcome,
    index=st.integers(0),
    status=st.sampled_from(["inserted", "updated", "unchanged", "refused", "unknown"]),
    uuid=st.none() | st.text(),
    reason=st.text(),
    tokens=st.lists(st.builds(TokenNote, space=st.text(), tokens=st.integers(0), cut=st.integers(0))).map(tuple),
)


@given(st.lists(outcomes).map(tuple))
def test_reports_survive_and_count_right(made: tuple[Outcome, ...]) -> None:
    report = from_plain(ImportReport, json.loads(json.dumps(to_plain(ImportReport(outcomes=made)))))
    assert report.outcomes == made
    assert sum(report.counts.values()) == len(made)
    assert len(report.failed) == sum(outcome.status in ("refused", "unknown") for outcome in made)
