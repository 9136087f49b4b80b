"""What the demo prints: ranks, what came first instead, the sum of a score; never wider than a hundred columns."""

from __future__ import annotations

import re

from minivec.demo.questions import Question
from minivec.demo.report import LESSON, MODES, NEXT_STEPS, WIDTH, Asked, comparison, rank, sum_of_best
from minivec.types.answer import Answer, Hit, Plan, PlanLeg, ScorePart, TermScore
from minivec.types.table import cells

FORMULA = "score = sum of weight * (value - min) / (max - min) per leg; weights: vector alpha, keyword 1 - alpha"


def answer(*words: str, parts: tuple[ScorePart, ...] = ()) -> Answer:
    legs = (PlanLeg(source="vector", name="default", index="hnsw", candidates=100, exact=False),)
    hits = tuple(
        Hit(uuid=f"u{n}", score=1.0 - n / 10, properties={"word": word}, parts=parts) for n, word in enumerate(words)
    )
    return Answer(hits=hits, plan=Plan(mode="hybrid", legs=legs, formula=FORMULA), milliseconds={"embed": 1.0})


def asked(near: Answer, keyword: Answer, hybrid: Answer, text: str = "what is it") -> Asked:
    return Asked(Question(text, "bee"), dict(zip(MODES, (near, keyword, hybrid), strict=True)))


def test_a_rank_counts_from_one():
    assert rank(answer("wasp", "bee"), "bee") == 2
    assert rank(answer("wasp"), "bee") is None
    assert rank(answer(), "bee") is None


def test_the_table_shows_ranks_and_what_came_first_instead():
    table = comparison(
        [
            asked(answer("wasp", "bee"), answer("ant"), answer("bee", "wasp")),
            asked(answer("bee"), answer(), answer("bee")),
        ]
    )
    lines = table.splitlines()
    assert lines[0].split()[-4:] == ["expected", "near-text", "keyword", "hybrid"]
    assert re.split(r"\s{2,}", lines[1]) == ["what is it", "bee", "2 (wasp)", "not found (ant)", "1"]
    assert re.split(r"\s{2,}", lines[2]) == ["what is it", "bee", "1", "not found (nothing)", "1"]
    assert re.split(r"\s{2,}", lines[3].strip()) == ["found first", "1 of 2", "0 of 2", "2 of 2"]


def test_the_sum_of_the_best_hit_names_every_part_of_it_and_no_other_hit():
    parts = (
        ScorePart(source="vector", name="default", raw=0.4, rank=1, normalised=0.9, weight=0.5, contribution=0.45),
        ScorePart(
            source="keyword",
            name="bm25f",
            raw=3.9,
            rank=0,
            normalised=1.0,
            weight=0.5,
            contribution=0.5,
            terms=(TermScore(property="meaning", term="honey", frequency=1, length=9, idf=6.1, contribution=3.9),),
        ),
    )
    text = sum_of_best(asked(answer(), answer(), answer("bee", "wasp", parts=parts)))
    assert text.startswith("Why is 'bee' the best answer to 'what is it'?")
    assert "0.4500" in text and "0.5000" in text and "'honey'" in text
    assert "wasp" not in text


def test_nothing_is_wider_than_a_hundred_columns():
    long = answer("a" * 60, "bee")
    texts = [comparison([asked(long, long, long, "word " * 30)]), sum_of_best(asked(long, long, answer("bee"))), LESSON]
    texts.append(NEXT_STEPS.format(file="demo/wordnet.jsonl.gz"))
    for line in "\n".join(texts).splitlines():
        assert cells(line) <= WIDTH, line
