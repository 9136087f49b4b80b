"""What a person sees: readable in a terminal, and safe there and in a notebook whatever was stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from minivec.types.answer import Answer, Hit, Plan, PlanLeg, ScorePart, TermScore
from minivec.types.collection import CollectionConfig, CollectionInfo, IndexState, Property, VectorSpace
from minivec.types.display import collections_text, explain_text, failures
from minivec.types.object import ImportReport, Outcome, StoredObject, TokenNote
from minivec.types.table import Column, cells, cut, html_table, one_line, text_table

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&"
TERMINAL = "\x1b[31mred\x1b]0;title\x07\r\nnew\x00\u202egnp.exe"
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PLAN = Plan(
    mode="hybrid",
    legs=(
        PlanLeg(source="vector", name="default", index="flat", candidates=100, exact=True, reason="small"),
        PlanLeg(source="keyword", name="bm25f", index="keyword", candidates=100, exact=True),
    ),
    formula="0.5 x vector + 0.5 x keyword",
)
TERM = TermScore(property="title", term="bee", frequency=2, length=9, idf=1.5, contribution=2.5)
PARTS = (
    ScorePart(source="vector", name="default", raw=0.25, rank=0, normalised=1.0, weight=0.5, contribution=0.5),
    ScorePart(
        source="keyword", name="bm25f", raw=2.5, rank=3, normalised=0.5, weight=0.5, contribution=0.25, terms=(TERM,)
    ),
)


def answer(*texts: str, distance: float | None = 0.25) -> Answer:
    hits = (
        Hit(
            uuid=f"{n:08}-0000-0000-0000-000000000000",
            score=0.75,
            properties={"title": t},
            distance=distance,
            parts=PARTS,
        )
        for n, t in enumerate(texts)
    )
    return Answer(hits=tuple(hits), plan=PLAN, milliseconds={"embed": 3.0, "total": 4.5})


def everything(text: str) -> list[object]:
    """One of each type that shows itself, with the text wherever a user or a model may have put it."""
    config = CollectionConfig(
        name=text,
        description=text,
        properties=(Property(name=text),),
        vector_spaces=(VectorSpace(name=text, model=text),),
    )
    refused = Outcome(index=0, status="refused", code=text, reason=text, hint=text, field=text)
    return [
        answer(text),
        StoredObject(uuid=text, properties={text: text, "list": [text]}, created_at=WHEN, updated_at=WHEN, version=1),
        ImportReport(outcomes=(refused,), seconds=1.0),
        CollectionInfo(
            config=config, count=1, indexes=(IndexState(name=text, kind=text, count=1, ready=False, note=text),)
        ),
    ]


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("shown", everything(EVIL), ids=lambda value: type(value).__name__)
def test_stored_text_cannot_become_markup_in_a_notebook(shown):
    tags = Tags()
    tags.feed(shown._repr_html_())
    assert tags.seen <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert tags.attributes <= {"style"}
    assert "&lt;script&gt;" in shown._repr_html_()


@pytest.mark.parametrize("shown", everything(TERMINAL), ids=lambda value: type(value).__name__)
def test_stored_text_cannot_command_the_terminal(shown):
    assert not {c for c in repr(shown) if ord(c) < 32 or c == "\u202e"} - {"\n"}


def test_an_answer_is_a_table_under_a_headline():
    lines = repr(answer("Bees dance", "Ants walk")).splitlines()
    assert lines[0] == "2 hits by hybrid in 4.5 ms"
    assert lines[1].split() == ["#", "score", "distance", "uuid", "properties"]
    assert lines[2].split() == [
        "1",
        "0.7500",
        "0.2500",
        "00000000-0000-0000-0000-000000000000",
        "title:",
        "Bees",
        "dance",
    ]
    assert str(answer("Bees")) == repr(answer("Bees"))


def test_an_answer_without_distances_has_no_column_for_them():
    assert "distance" not in repr(answer("Bees", distance=None))
    assert (
        "<th" in answer("Bees", distance=None)._repr_html_() and "distance" not in answer(distance=None)._repr_html_()
    )


def test_an_empty_answer_says_so():
    assert repr(answer()) == "nothing found by hybrid in 4.5 ms"
    assert repr(replace(answer(), milliseconds={})) == "nothing found by hybrid"


def test_an_explanation_shows_plan_times_and_the_sum():
    text = explain_text(answer("Bees dance"))
    assert text.splitlines() == [
        "formula: 0.5 x vector + 0.5 x keyword",
        "vector default: exact search of flat, 100 candidates (small)",
        "keyword bm25f: exact search of keyword, 100 candidates",
        "time: embed 3.0 ms, total 4.5 ms",
        "",
        "1. 00000000-0000-0000-0000-000000000000 title: Bees dance",
        "   vector default: distance 0.2500, place 1, 1.0000 x weight 0.5 = 0.5000",
        "   keyword bm25f: BM25F 2.5000, place 4, 0.5000 x weight 0.5 = 0.2500",
        "      'bee' in title: 2 in 9 words, idf 1.500 -> 2.5000",
        "   score 0.7500",
    ]


def test_a_report_counts_and_says_what_was_cut():
    cut_off = Outcome(index=0, status="inserted", tokens=(TokenNote(space="s", tokens=600, cut=88),))
    report = ImportReport(outcomes=(cut_off, Outcome(index=1, status="unchanged")), seconds=0.5)
    assert repr(report) == "import of 2 objects in 0.5 s (4/s): 1 inserted, 1 unchanged; 1 seen by a model only in part"
    assert repr(ImportReport(outcomes=())) == "import of 0 objects in 0.0 s: no objects"


def test_failures_are_grouped_by_code_and_field_the_most_frequent_first():
    outcomes = [Outcome(index=0, status="inserted")]
    outcomes += [
        Outcome(index=n, status="refused", code="invalid_input", field="price", reason="No number.") for n in (1, 9)
    ]
    outcomes += [
        Outcome(index=n, status="refused", code="text_too_long", reason=f"{n} tokens.", hint="Cut it.")
        for n in range(2, 7)
    ]
    outcomes += [Outcome(index=8, status="unknown", code="commit_unknown", reason="Perhaps.")]
    assert failures(ImportReport(outcomes=tuple(outcomes))).splitlines() == [
        "8 of 9 objects were not stored:",
        "  5 x text_too_long: 2 tokens. Cut it. (objects 2, 3, 4, …)",
        "  2 x invalid_input: price: No number. (objects 1, 9)",
        "  1 x commit_unknown: Perhaps. (object 8)",
    ]


def test_many_reasons_are_cut_short():
    outcomes = tuple(Outcome(index=n, status="refused", code=f"c{n}", reason="No.") for n in range(8))
    assert failures(ImportReport(outcomes=outcomes)).splitlines()[-1] == "  and 3 other reasons"
    assert "what to do" in ImportReport(outcomes=outcomes)._repr_html_()


def test_a_collection_shows_what_it_is_and_how_far_its_indexes_are():
    info = CollectionInfo(
        config=CollectionConfig(
            name="notes",
            description="All notes",
            properties=(Property(name="title"), Property(name="year", data_type="int")),
            vector_spaces=(VectorSpace(dimension=384), VectorSpace(name="own", vectorizer="none", index="flat")),
        ),
        count=1234,
        indexes=(
            IndexState(name="keyword", kind="keyword", count=1234, ready=True),
            IndexState(name="default", kind="hnsw", count=9, ready=False, note="rebuilding"),
        ),
    )
    assert [line.rstrip() for line in repr(info).splitlines()] == [
        "collection notes: 1,234 objects",
        "All notes",
        "properties: title text, year int",
        "vector space default: all-MiniLM-L6-v2, 384 dimensions, cosine, hnsw",
        "vector space own: own vectors, dimension not known yet, cosine, flat",
        "index    kind     entries  state",
        "keyword  keyword    1,234  ready",
        "default  hnsw           9  catching up: rebuilding",
    ]
    row = collections_text([info]).splitlines()[1]
    assert row.split("  ")[0] == "notes" and row.endswith("catching up: default")


def test_an_object_shows_its_properties_and_the_size_of_its_vectors():
    stored = StoredObject(
        uuid="u",
        properties={"title": "Bees", "n": [1]},
        created_at=WHEN,
        updated_at=WHEN,
        version=3,
        vectors={"s": [0.5] * 384},
    )
    assert repr(stored).splitlines() == [
        "object u (version 3, written 2026-01-02 03:04:05 UTC)",
        "  title: Bees",
        "  n: [1]",
        "  vector s: 384 dimensions",
    ]
    assert "384 dimensions" in stored._repr_html_()


def test_a_table_fits_its_width_by_cutting_only_what_may_be_cut():
    columns = (Column("id"), Column("text", shrinks=True), Column("n", "right"))
    table = text_table(columns, [["x" * 30, "word " * 50, "7"], ["y", "short", "12345"]], width=80)
    lines = table.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("x" * 30) and "…" in lines[1]
    assert lines[2].endswith("12345")


def test_a_table_never_cuts_a_column_to_nothing():
    lines = text_table((Column("a", shrinks=True), Column("b")), [["x" * 99, "y" * 200]], width=50).splitlines()
    assert lines[1].startswith("x" * 11 + "…")


def test_wide_and_combining_characters_are_measured_as_a_terminal_shows_them():
    assert (cells("abc"), cells("日本"), cells("e\u0301"), cells("a\u200db")) == (3, 4, 1, 2)
    assert cut("日本語", 5) == "日本…"
    assert cut("plain", 5) == "plain"
    lines = text_table((Column("a"), Column("b")), [["日本", "x"], ["ab", "y"]]).splitlines()
    assert [cells(line) for line in lines] == [7, 7, 7]


def test_line_breaks_and_control_characters_become_visible_or_go():
    assert one_line("a\r\n\tb\x1b[2J \u202ec\ud800") == "a b\ufffd[2J c\ufffd"


def test_a_table_without_rows_is_its_head():
    assert text_table((Column("a"), Column("b")), []) == "a  b"
    assert html_table((Column("a"),), [], caption="<b>").startswith("<table><caption>&lt;b&gt;</caption>")
