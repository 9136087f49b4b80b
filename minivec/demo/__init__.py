"""`minivec demo`: WordNet entries go into a real server as text and are found again three ways."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from types import FrameType
from typing import TextIO

from minivec.client.client import Client, RemoteCollection
from minivec.demo.entries import FILE, entries
from minivec.demo.questions import EXPLAINED, QUESTIONS, Question
from minivec.demo.report import LESSON, NEXT_STEPS, Asked, comparison, sum_of_best
from minivec.demo.server import temporary_server
from minivec.progress import duration, reporter
from minivec.types.collection import Property, VectorSpace

__all__ = ["entries", "run"]

_DEPTH = 100  # hits looked through for the expected word
_BATCH = 128
_QUARTERS = 4


def run(out: TextIO | None = None, *, words: Sequence[dict[str, str]] | None = None) -> int:
    """Run the demo, printing to `out` (default: stdout); gives the exit code. `words` replaces the entries.

    The server and its folder are gone afterwards, also after Ctrl-C. Raises Unavailable when the server does not start.
    """
    stream = sys.stdout if out is None else out
    chosen = list(entries()) if words is None else list(words)
    began = time.monotonic()

    def say(text: str = "") -> None:
        print(text, file=stream, flush=True)

    say(f"minivec demo: {len(chosen):,} words of WordNet, {len(QUESTIONS)} questions, three ways to search\n")
    with _ended_by_signal(), temporary_server() as url, Client.connect(url, timeout=120.0) as client:
        say(f"A server runs at {url}, with its data in a temporary folder.")
        collection = _collection(client)
        report = collection.import_objects(
            [{"properties": entry} for entry in chosen],
            id_from=["word", "kind"],
            batch_size=_BATCH,
            progress=_progress(stream),
        )
        say(
            f"Imported {len(report.outcomes):,} objects; the server embedded the meaning of each: {report.seconds:.0f} s.\n"
        )
        asked = {question: _ask(collection, question) for question in QUESTIONS}
    say(comparison(list(asked.values())))
    say(f"\n{LESSON}\n")
    say(sum_of_best(asked[EXPLAINED]))
    say("\n" + NEXT_STEPS.format(file=files("minivec.demo").joinpath(FILE)))
    say(f"\nDone in {duration(time.monotonic() - began)}. The server is stopped and its folder removed.")
    return 0


def _collection(client: Client) -> RemoteCollection:
    """Vectors are made of the meaning alone; words are looked up in the word and its synonyms, too."""
    return client.create_collection(
        "words",
        description="Words of WordNet 3.0 and what they mean.",
        properties=[
            Property(name="word"),
            Property(name="synonyms"),
            Property(name="kind", tokenization="field", searchable=False),
            Property(name="meaning"),
        ],
        vector_spaces=[VectorSpace(source_properties=("meaning",))],
    )


def _ask(collection: RemoteCollection, question: Question) -> Asked:
    return Asked(
        question,
        {
            "near-text": collection.near_text(question.text, limit=_DEPTH),
            "keyword": collection.keyword(question.text, limit=_DEPTH),
            "hybrid": collection.hybrid(question.text, limit=_DEPTH),
        },
    )


def _progress(stream: TextIO) -> Callable[[int, int | None], None]:
    """A bar that redraws itself on a terminal; elsewhere a line at each quarter."""
    if stream.isatty():
        return reporter(True, stream)
    said = 0

    def report(done: int, total: int | None) -> None:
        nonlocal said
        quarter = done * _QUARTERS // total if total else 0
        if quarter > said:
            said = quarter
            print(f"  {done:,} of {total:,} objects imported", file=stream, flush=True)

    return report


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """While the server runs, SIGTERM unwinds this process as Ctrl-C does, so that the server never outlives it."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
