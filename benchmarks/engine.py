"""The engine's speed by model, text length and device, and how long a query waits while an import saturates it.

python -m benchmarks engine --device cuda     every shape, under 10 minutes
python -m benchmarks engine --quick           the bundled model on the CPU, beside sentence-transformers, about 3 minutes

Models whose weights are not at hand have random ones of the real shape; the record says which. What is timed is the whole
engine: threads call `embed` as an import and a search do. Utilisation is against a matrix product measured in this run.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.record import record
from benchmarks.shapes import SHAPES, load_shape, work_per_token
from minivec.embedding import catalog
from minivec.embedding.backend import Backend, MeasuresMemory, PassMemory
from minivec.embedding.callers import Caller
from minivec.embedding.engine import Engine, EngineOptions
from minivec.embedding.interface import Embedder
from minivec.embedding.model import LoadedModel, load_model, open_checkpoint
from minivec.embedding.options import Dtype
from minivec.embedding.quantize import PLAIN, VectorForm
from minivec.embedding.tokens import TokenizedText
from minivec.errors import Busy, Closed, MinivecError

BUNDLED = "all-MiniLM-L6-v2"
LENGTHS = (32, 128, 512, 2048, 4096)
IMPORTERS = 4
TOKENS_A_CALL = 32_768
QUERY_TOKENS = 32
TOLERATED = 1.2  # times the idle p99, beside one forward pass
WORDS = """
time people water house world school hand part place work week case point company number group
problem fact night city story music book state family student country question eye game law car name
head friend father power hour line end member door health person art war history party result change
morning reason research girl moment air
""".split()  # noqa: SIM905 - a list of quoted words is hard to read


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward pass: when it began and ended, its texts and their tokens."""

    begin: float
    end: float
    texts: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One query: when it was asked and answered."""

    begin: float
    end: float

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return 1000 * (self.end - self.begin)


class Watched:
    """A backend that keeps when each of its passes ran."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.passes: list[Pass] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def forward(self, batch: Sequence[TokenizedText], form: VectorForm = PLAIN) -> NDArray[Any]:
        """The inner backend's vectors."""
        begin = time.perf_counter()
        vectors = self.inner.forward(batch, form)
        self.passes.append(Pass(begin, time.perf_counter(), len(batch), sum(map(len, batch))))
        return vectors

    def measure(self, batch: Sequence[TokenizedText]) -> PassMemory | None:
        """What the inner backend measures, if it can."""
        return self.inner.measure(batch) if isinstance(self.inner, MeasuresMemory) else None


@dataclass
class Subject:
    """One model in one number format, ready to be measured."""

    name: str
    dtype: str
    config: dict[str, Any]
    embedder: Embedder
    watched: Watched
    load_seconds: float


def main() -> None:
    """Measure, print and write one record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="the bundled model and lengths up to 256 only")
    parser.add_argument(
        "--models", default="", help=f"of {BUNDLED}, {', '.join(SHAPES)}, after commas; default: what suits"
    )
    parser.add_argument(
        "--dtypes", default="", help=f"of {', '.join(get_args(Dtype))}, after commas; default: what suits"
    )
    parser.add_argument("--lengths", default="", help=f"tokens of a text (default: {','.join(map(str, LENGTHS))})")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each throughput figure (default: %(default)s)")
    arguments = parser.parse_args()
    device = arguments.device if arguments.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    on_gpu = device.startswith("cuda")
    lengths = [int(length) for length in _listed(arguments.lengths)] or ([32, 128, 256] if arguments.quick else LENGTHS)
    models = _listed(arguments.models) or ([BUNDLED] if arguments.quick else _suiting(on_gpu))
    dtypes = _listed(arguments.dtypes) or (["bfloat16"] if on_gpu else ["auto", "bfloat16", "float32"])
    before = os.getloadavg()
    figures: dict[str, Any] = {
        "device": _device_name(device),
        "random_weights": [name for name in models if name in SHAPES],
    }
    figures["peak_tflops"] = peaks = {dtype: peak_tflops(device, dtype) for dtype in ("bfloat16", "float32")}
    _say(f"matrix product: {peaks} TFLOP/s")
    figures["models"] = [
        measure(name, dtype, device, lengths, arguments.seconds, peaks) for name in models for dtype in dtypes
    ]
    if not on_gpu and BUNDLED in models:
        figures["sentence_transformers"] = judge(lengths, arguments.seconds)
    record("engine", {"load_average": {"before": before, "after": os.getloadavg()}, **figures})


def measure(
    name: str, dtype: str, device: str, lengths: Sequence[int], seconds: float, peaks: dict[str, float]
) -> dict[str, Any]:
    """Everything about one model in one number format, or why it could not be measured."""
    about: dict[str, Any] = {"model": name, "dtype": dtype}
    try:
        with _subject(name, dtype, device) as subject:
            shown = type(subject.watched.inner).__name__
            about |= {"backend": shown, "load_seconds": round(subject.load_seconds, 2)}
            possible = [length for length in lengths if length <= subject.embedder.card.max_tokens]
            peak = peaks["float32" if dtype == "float32" else "bfloat16"]
            about["throughput"] = [throughput(subject, length, seconds, peak) for length in possible]
            about["query"] = query_latency(subject, min(max(possible), 512), seconds)
            about["memory_bytes"] = _peak_memory(device)
    except (MinivecError, torch.OutOfMemoryError) as error:
        about["skipped"] = str(error)
        _say(f"{name} {dtype}: skipped: {error}")
    return about


def throughput(subject: Subject, length: int, seconds: float, peak: float) -> dict[str, Any]:
    """Tokens and texts a second of an import of texts of this length, pauses between passes included."""
    with _import(subject, length):
        _until_passes(subject, 3)
        begin = time.perf_counter()
        time.sleep(seconds)
        passes = [one for one in list(subject.watched.passes) if one.begin >= begin]
    if len(passes) < 2:  # slower than a pass in that time: take what there was
        passes = subject.watched.passes[1:]
    spent = passes[-1].end - passes[0].begin
    tokens = sum(one.tokens for one in passes) / spent
    achieved = tokens * work_per_token(subject.config, length) / 1e12
    figures = {
        "length": length,
        "tokens_per_second": round(tokens),
        "texts_per_second": round(sum(one.texts for one in passes) / spent, 1),
        "tokens_per_pass": round(float(np.median([one.tokens for one in passes]))),
        "pass_ms": round(1000 * float(np.median([one.end - one.begin for one in passes])), 2),
        "device_busy": round(sum(one.end - one.begin for one in passes) / spent, 3),
        "tflops": round(achieved, 3),
        "of_peak": round(achieved / peak, 3),
    }
    _say(f"{subject.name} {subject.dtype} {figures}")
    return figures


def query_latency(subject: Subject, length: int, seconds: float) -> dict[str, Any]:
    """A single query's milliseconds, idle and while passages of this length saturate the engine.

    `holds`: the p99 under the import is at most one forward pass above the idle p99 and a fifth of it. Beside it stands
    how many passes of passages ran from beginning to end while a query waited: one at most, begun while its text was
    being tokenized.
    """
    idle = [asked.milliseconds for asked in _ask(subject, seconds)]
    with _import(subject, length):
        _until_passes(subject, 3)
        asked = _ask(subject, 4 * seconds)
        passages = [one for one in list(subject.watched.passes) if one.tokens > 2 * QUERY_TOKENS]
    busy = [query.milliseconds for query in asked]
    passes = [one.end - one.begin for one in passages]
    overtaking = [sum(query.begin < one.begin and one.end < query.end for one in passages) for query in asked]
    one_pass = 1000 * float(np.quantile(passes, 0.99))
    idle_p99, busy_p99 = (float(np.quantile(times, 0.99)) for times in (idle, busy))
    figures = {
        "query_tokens": QUERY_TOKENS,
        "idle": _percentiles(idle),
        "import_length": length,
        "during_import": _percentiles(busy),
        "forward_pass_p50_ms": round(1000 * float(np.median(passes)), 2),
        "forward_pass_p99_ms": round(one_pass, 2),
        "most_passes_before_a_query": max(overtaking),
        "allowed_p99_ms": round(TOLERATED * idle_p99 + one_pass, 2),
        "holds": busy_p99 <= TOLERATED * idle_p99 + one_pass,
    }
    _say(f"{subject.name} {subject.dtype} query: {figures}")
    return figures


def judge(lengths: Sequence[int], seconds: float) -> dict[str, Any]:
    """sentence-transformers' default over the same texts: texts a second by length, and a single query."""
    try:
        from tests.embedding.judges import load_judge

        theirs = load_judge(catalog.folder_of(catalog.CATALOG[0]))
    except (ImportError, MinivecError) as error:
        return {"skipped": str(error)}
    found: dict[str, Any] = {"throughput": []}
    for length in (length for length in lengths if length <= 256):
        texts = _texts(length, 64)
        theirs.encode(texts[:32], show_progress_bar=False)
        begin, done = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            theirs.encode(texts, show_progress_bar=False)
            done += len(texts)
        rate = done / (time.perf_counter() - begin)
        found["throughput"].append({"length": length, "texts_per_second": round(rate, 1)})
        _say(f"sentence-transformers {found['throughput'][-1]}")
    times = []
    for query in _texts(QUERY_TOKENS, 60):
        begin = time.perf_counter()
        theirs.encode([query], show_progress_bar=False)
        times.append(1000 * (time.perf_counter() - begin))
    found["query"] = _percentiles(times[10:])
    return found


def peak_tflops(device: str, dtype: str) -> float:
    """The best rate of a large square matrix product here, in 10**12 operations a second."""
    size, repeats = (8192, 20) if device.startswith("cuda") else (1536, 2)
    kind = getattr(torch, dtype)
    left, right = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    best = float("inf")
    for _ in range(4):
        _synchronize(device)
        begin = time.perf_counter()
        for _ in range(repeats):
            left @ right
        _synchronize(device)
        best = min(best, (time.perf_counter() - begin) / repeats)
    return round(2 * size**3 / best / 1e12, 3)


@contextmanager
def _subject(name: str, dtype: str, device: str) -> Iterator[Subject]:
    watched: list[Watched] = []

    def load(model: str, options: EngineOptions) -> LoadedModel:
        loaded = load_shape(model, options) if model in SHAPES else load_model(model, options)
        watched.append(Watched(loaded.backend))
        return replace(loaded, backend=watched[0])

    config = SHAPES[name].config if name in SHAPES else dict(open_checkpoint(name).config)
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    engine = Engine(EngineOptions(device=device, dtype=dtype), load=load)  # type: ignore[arg-type]
    try:
        engine.warm_up(name)
        seconds = time.perf_counter() - begin
        yield Subject(name, dtype, config, engine.embedder(name), watched[0], seconds)
    finally:
        engine.close()


@contextmanager
def _import(subject: Subject, length: int) -> Iterator[None]:
    """Threads that embed passages of this length as fast as they are taken, until the end."""
    texts = _texts(length, max(1, min(256, TOKENS_A_CALL // length)))
    stop, caller = threading.Event(), Caller()

    def embed() -> None:
        while not stop.is_set():
            try:
                subject.embedder.embed(texts, input_type="passage", truncate="end")
            except Busy as busy:
                stop.wait(busy.retry_after)
            except Closed:
                return  # nobody waits for the rest

    subject.watched.passes.clear()
    threads = [threading.Thread(target=caller.run, args=(embed,)) for _ in range(IMPORTERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        caller.leave()
        for thread in threads:
            thread.join()


def _ask(subject: Subject, seconds: float) -> list[Asked]:
    """Single queries, one after the other."""
    queries = _texts(QUERY_TOKENS, 100)
    for query in queries[:5]:
        subject.embedder.embed([query], input_type="query")
    found: list[Asked] = []
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        subject.embedder.embed([queries[len(found) % len(queries)]], input_type="query")
        found.append(Asked(begin, time.perf_counter()))
    return found


def _texts(length: int, count: int) -> list[str]:
    """Texts of different words, each a token, so that a text has `length` tokens with the two special ones."""
    generator = np.random.default_rng(length)
    return [" ".join(generator.choice(WORDS, length - 2)) for _ in range(count)]


def _until_passes(subject: Subject, count: int) -> None:
    while len(subject.watched.passes) < count:
        time.sleep(0.01)


def _percentiles(times: Sequence[float]) -> dict[str, Any]:
    p50, p99 = np.quantile(times, [0.5, 0.99])
    return {"queries": len(times), "p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def _peak_memory(device: str) -> dict[str, int]:
    found = {"process_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    if device.startswith("cuda"):
        found["device_peak"] = torch.cuda.max_memory_allocated()
    return found


def _suiting(on_gpu: bool) -> list[str]:
    return [*SHAPES, BUNDLED] if on_gpu else [BUNDLED, "bert-base"]


def _device_name(device: str) -> str:
    return (
        torch.cuda.get_device_name(device)
        if device.startswith("cuda")
        else f"{device}, {torch.get_num_threads()} threads"
    )


def _synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
