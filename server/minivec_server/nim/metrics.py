"""What the server counts, in Prometheus' text format. Cheap enough for every request: a few additions under one lock."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from starlette.types import Scope

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
Labels = tuple[str, ...]
Sample = tuple[Labels, float]


class Counter:
    """A number per set of labels that only grows."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str]) -> None:
        self._name = name
        self._meaning = meaning
        self._labels = tuple(labels)
        self._values: dict[Labels, float] = {}

    def add(self, *labels: str, by: float = 1) -> None:
        """Count; the caller holds the lock."""
        self._values[labels] = self._values.get(labels, 0) + by

    def lines(self) -> list[str]:
        """Its part of the text."""
        return family(self._name, "counter", self._meaning, self._labels, self._values.items())


class Histogram:
    """How many seconds, per set of labels: counts of what took at most each bound, their sum and number."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str]) -> None:
        self._name = name
        self._meaning = meaning
        self._labels = tuple(labels)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def add(self, seconds: float, *labels: str) -> None:
        """Count one; the caller holds the lock."""
        counts = self._counts.setdefault(labels, [0] * (len(BOUNDS) + 1))
        counts[bisect_left(BOUNDS, seconds)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + seconds

    def lines(self) -> list[str]:
        """Its part of the text, counts cumulated as the format wants."""
        written = [f"# HELP {self._name} {self._meaning}", f"# TYPE {self._name} histogram"]
        for labels, counts in self._counts.items():
            total = 0
            for bound, count in zip([*map(str, BOUNDS), "+Inf"], counts, strict=True):
                total += count
                written.append(_line(f"{self._name}_bucket", (*self._labels, "le"), (*labels, bound), total))
            written.append(_line(f"{self._name}_sum", self._labels, labels, self._sums[labels]))
            written.append(_line(f"{self._name}_count", self._labels, labels, total))
        return written


class Metrics:
    """The counts of one server since it started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        texts = ("model", "input_type")
        self._requests = Counter("minivec_requests_total", "Requests answered.", ("method", "route", "status"))
        self._errors = Counter("minivec_errors_total", "Requests that ended in an error.", ("route", "code"))
        self._seconds = Histogram("minivec_request_seconds", "From a request's head to its answer.", ("route",))
        self._texts = Counter("minivec_texts_total", "Texts embedded for callers of this API.", texts)
        self._tokens = Counter("minivec_tokens_total", "Tokens of them that the model read.", texts)
        self._cut_texts = Counter("minivec_cut_texts_total", "Texts that were too long and were cut.", texts)
        self._cut_tokens = Counter("minivec_cut_tokens_total", "Tokens that were cut off.", texts)
        self._failed = Counter("minivec_failed_texts_total", "Texts without a vector.", (*texts, "code"))

    def request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request at its end; status 0: nobody was there any more to answer to."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        with self._lock:
            self._requests.add(method, route, str(status or "gone"))
            self._seconds.add(seconds, route)
            if code := scope.get("minivec.error_code"):
                self._errors.add(route, code)

    def embedded(self, model: str, input_type: str, *, texts: int, tokens: int, cut: Sequence[int]) -> None:
        """Count texts that got a vector, and the tokens that each of those that were too long lost."""
        with self._lock:
            self._texts.add(model, input_type, by=texts)
            self._tokens.add(model, input_type, by=tokens)
            if cut:
                self._cut_texts.add(model, input_type, by=len(cut))
                self._cut_tokens.add(model, input_type, by=sum(cut))

    def failed(self, model: str, input_type: str, code: str) -> None:
        """Count a text that got none."""
        with self._lock:
            self._failed.add(model, input_type, code)

    def lines(self) -> list[str]:
        """All of them in the text format."""
        counted = (self._requests, self._errors, self._seconds)
        texts = (self._texts, self._tokens, self._cut_texts, self._cut_tokens, self._failed)
        with self._lock:
            return [line for metric in (*counted, *texts) for line in metric.lines()]


def gauge(name: str, meaning: str, labels: Sequence[str], samples: Iterable[Sample]) -> list[str]:
    """A number that goes up and down, as it is now."""
    return family(name, "gauge", meaning, tuple(labels), samples)


def family(name: str, kind: str, meaning: str, labels: Labels, samples: Iterable[Sample]) -> list[str]:
    """One metric with its help, its type and a line for every set of labels."""
    head = [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
    return head + [_line(name, labels, values, number) for values, number in samples]


def _line(name: str, labels: Labels, values: Labels, number: float) -> str:
    inside = ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(labels, values, strict=True))
    shown = repr(number) if isinstance(number, float) and not number.is_integer() else str(int(number))
    return f"{name}{{{inside}}} {shown}" if inside else f"{name} {shown}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
