"""How the demo's entries were chosen from WordNet 3.0, so that anybody can choose them again, byte for byte.

    python -m minivec.demo.choose corpus.jsonl.gz wordnet.jsonl.gz

The corpus has one synset a line: {"_id": ..., "title": its words, "text": its meaning}. Chosen are single words that other
meanings use now and then, with a meaning of one plain clause or two; which of them is decided by a hash of the id.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from zlib import crc32

from minivec.demo.questions import QUESTIONS

COUNT = 4_000
_KINDS = {"n": "noun", "v": "verb", "a": "adjective", "r": "adverb"}
_USED_BY = range(3, 60)  # meanings of others that use the word: neither obscure nor everywhere
_LENGTH = range(5, 23)  # words of a meaning
_PLAIN_WORD = re.compile(r"[a-z]{3,}")
_NOT_FOR_A_DEMO = re.compile(
    r"[A-Z]|offensive|\bslur|obscen|vulgar|disparag|derogat|sexual|genital|copulat|intercourse|prostitut|\brape|whore|penis|"
    r"vagina|\banus|suicid|murder|\bkill|execution|tortur|breast|menstru|\bslave|virgin|bomb|terror",
)

Synset = Mapping[str, str]
Entry = dict[str, str]


def choose(corpus: Sequence[Synset], count: int = COUNT) -> list[Entry]:
    """The entries of the demo, in the order of the corpus; the answers to its questions are always among them."""
    used_by = Counter(word for synset in corpus for word in set(_PLAIN_WORD.findall(synset["text"])))
    answers = {question.answer for question in QUESTIONS}
    fitting = [synset for synset in _first_of_each_word(corpus) if _fits(synset, used_by)]
    asked = [synset for synset in fitting if _word(synset) in answers]
    others = sorted(
        (synset for synset in fitting if _word(synset) not in answers), key=lambda s: crc32(s["_id"].encode())
    )
    chosen = {synset["_id"] for synset in [*asked, *others][:count]}
    return [_entry(synset) for synset in corpus if synset["_id"] in chosen]


def packed(entries: Iterable[Entry]) -> bytes:
    """The entries as gzip of JSON lines; the same entries always give the same bytes."""
    lines = "".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n" for entry in entries)
    return gzip.compress(lines.encode(), compresslevel=9, mtime=0)


def _first_of_each_word(corpus: Iterable[Synset]) -> Iterator[Synset]:
    seen: set[str] = set()
    for synset in corpus:
        if (word := _word(synset)) not in seen:
            seen.add(word)
            yield synset


def _fits(synset: Synset, used_by: Mapping[str, int]) -> bool:
    word, meaning = _word(synset), synset["text"]
    return (
        _PLAIN_WORD.fullmatch(word) is not None
        and used_by[word] in _USED_BY
        and len(meaning.split()) in _LENGTH
        and _NOT_FOR_A_DEMO.search(f"{synset['title']} {meaning}") is None
    )


def _word(synset: Synset) -> str:
    return synset["title"].split(", ")[0]


def _entry(synset: Synset) -> Entry:
    words = synset["title"].split(", ")
    return {
        "word": words[0],
        "synonyms": ", ".join(words[1:]),
        "kind": _KINDS[synset["_id"][0]],
        "meaning": synset["text"],
    }


def main(source: Path, target: Path) -> None:
    """Read the corpus, write the chosen entries."""
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        corpus = [json.loads(line) for line in lines]
    entries = choose(corpus)
    target.write_bytes(packed(entries))
    print(f"{len(entries):,} entries in {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
