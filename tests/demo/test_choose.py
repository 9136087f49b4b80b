"""How the demo's entries are chosen: fit for a demo, the answers among them, the same bytes every time."""

from __future__ import annotations

import gzip
import json

from minivec.demo.choose import choose, main, packed
from minivec.demo.questions import QUESTIONS


def synset(number: int, word: str, meaning: str, kind: str = "n") -> dict[str, str]:
    return {"_id": f"{kind}{number:08}", "title": word, "text": meaning}


def corpus(*synsets: dict[str, str], used: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """These synsets, and three more that use each word, so that it is neither obscure nor everywhere."""
    users = [synset(900 + n, f"user {n}", f"something about {' '.join(used)}") for n in range(3)]
    return [*synsets, *users]


GOOD = synset(1, "tent, camp", "a portable shelter made of canvas")


def test_an_entry_has_the_word_its_synonyms_its_kind_and_its_meaning():
    (entry,) = choose(corpus(GOOD, used=("tent",)))
    assert entry == {"word": "tent", "synonyms": "camp", "kind": "noun", "meaning": "a portable shelter made of canvas"}


def test_words_that_no_other_meaning_uses_are_left_out():
    assert choose(corpus(GOOD)) == []


def test_short_and_long_meanings_are_left_out():
    short = synset(1, "tent", "a shelter")
    long = synset(2, "camp", " ".join(["word"] * 30))
    assert choose(corpus(short, long, used=("tent", "camp"))) == []


def test_names_and_what_does_not_belong_in_a_demo_are_left_out():
    name = synset(1, "tent", "a shelter that the Romans made of canvas")
    insult = synset(2, "camp", "an offensive term for a shelter of canvas")
    assert choose(corpus(name, insult, used=("tent", "camp"))) == []


def test_only_the_first_meaning_of_a_word_counts():
    second = synset(2, "tent", "an entirely different kind of thing")
    assert [entry["meaning"] for entry in choose(corpus(GOOD, second, used=("tent",)))] == [GOOD["text"]]


def test_the_answers_are_chosen_before_all_others():
    answer = synset(2, QUESTIONS[0].answer, "something that makes you fall more slowly")
    many = [synset(n, f"{'abcdefghij'[n - 10]}tent", "a portable shelter made of canvas") for n in range(10, 20)]
    words = tuple(one["title"] for one in many)
    chosen = choose(corpus(*many, answer, used=(*words, answer["title"])), count=3)
    assert len(chosen) == 3
    assert chosen[-1]["word"] == QUESTIONS[0].answer


def test_the_same_entries_give_the_same_bytes(tmp_path):
    source = tmp_path / "corpus.jsonl.gz"
    source.write_bytes(gzip.compress("".join(json.dumps(one) + "\n" for one in corpus(GOOD, used=("tent",))).encode()))
    for name in ("a.gz", "b.gz"):
        main(source, tmp_path / name)
    assert (
        (tmp_path / "a.gz").read_bytes()
        == (tmp_path / "b.gz").read_bytes()
        == packed(choose(corpus(GOOD, used=("tent",))))
    )
