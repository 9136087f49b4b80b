"""Runs BERT-like encoders on x86 CPUs through OpenVINO, without torch. Import late: this loads openvino.

Two compiled forms of one graph: a single text runs on all threads at once, a batch is cut into one part a core, since
cores that work alone wait for nobody. Weights and sums are bfloat16 where the CPU multiplies it, else float32; vectors
of both lie within a cosine of 0.999 of each other, so they share the model's fingerprint and may be compared.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.backend import OutOfMemory
from minivec.embedding.checkpoint import Checkpoint
from minivec.embedding.cpu import count_weights
from minivec.embedding.memory import check_fits
from minivec.embedding.openvino_graph import build_graph
from minivec.embedding.openvino_library import ov
from minivec.embedding.options import EngineOptions
from minivec.embedding.quantize import PLAIN, VectorForm, shape_on_host
from minivec.embedding.spec import PoolingMode
from minivec.embedding.tokens import TokenizedText

log = logging.getLogger(__name__)

Precision = Literal["bf16", "f32"]

CORE_TOKENS = 512  # of one core in one pass: throughput is flat from here on, and queries overtake between passes
CORE_PASS_COST = 128  # what a pass costs beyond its tokens, in tokens of one core
HIDDEN = -1e9  # added to the score of a padding token
SMALLEST = 1e-12  # keeps a vector of zeros from dividing by zero
BYTES = {"bf16": 2, "f32": 4}
COPIES = 2  # of the weights, one in each compiled form
NO_MEMORY = ("bad_alloc", "memory", "allocat")


class HostDevice:
    """The CPU as minivec.embedding.memory asks after it."""

    type = "cpu"

    def __str__(self) -> str:
        return "cpu"


class OpenVinoBackend:
    """One encoder on the CPU; implements Backend."""

    device = "cpu"
    pads = True

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions, precision: Precision | None = None) -> None:
        core = ov.Core()
        chosen = precision or best_precision(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        numbers = count_weights(checkpoint.config)
        check_fits(checkpoint.spec.name, numbers * (4 + COPIES * BYTES[chosen]), HostDevice())
        self.dimension = checkpoint.spec.dimension
        self._spec = checkpoint.spec
        self._words = int(checkpoint.config["vocab_size"])
        self._padding = int(checkpoint.config.get("pad_token_id") or 0)
        graph = build_graph(checkpoint)
        # Not pinned: another process may pin its threads to the same cores.
        common: dict[str, Any] = {"INFERENCE_PRECISION_HINT": chosen, "ENABLE_CPU_PINNING": False}
        if options.threads is not None:
            common["INFERENCE_NUM_THREADS"] = options.threads
        alone = core.compile_model(graph, "CPU", common | {"PERFORMANCE_HINT": "LATENCY"})
        self._alone = alone.create_infer_request()
        self.cores = int(alone.get_property("INFERENCE_NUM_THREADS"))
        self._side_by_side = [self._alone]
        if self.cores > 1:
            streams = {"NUM_STREAMS": self.cores, "INFERENCE_NUM_THREADS": self.cores}
            many = core.compile_model(graph, "CPU", common | streams)
            self._side_by_side = [many.create_infer_request() for _ in range(self.cores)]
        self.batch_tokens = CORE_TOKENS * self.cores
        self.pass_cost = CORE_PASS_COST * self.cores
        log.info("%s runs on %d cores with OpenVINO in %s.", checkpoint.spec.name, self.cores, chosen)

    def forward(self, batch: Sequence[TokenizedText], form: VectorForm = PLAIN) -> NDArray[Any]:
        """One pooled vector a text in this form, in order; see Backend.forward."""
        if not batch:
            return np.zeros((0, form.columns(self.dimension)), form.dtype)
        if max(int(text.ids.max()) for text in batch) >= self._words:
            raise IndexError(f"a token id is not below {self._words}, the number of words the model knows")
        vectors = np.empty((len(batch), self.dimension), np.float32)
        parts = [[0]] if len(batch) == 1 else even_parts([len(text) for text in batch], len(self._side_by_side))
        requests = [self._alone] if len(batch) == 1 else self._side_by_side
        try:
            for request, part in zip(requests, parts, strict=False):
                request.start_async(self._inputs([batch[position] for position in part]))
        finally:  # even when one part cannot start: the next pass must find every request idle
            failures = [failure for request in requests if (failure := _failure(request))]
        if failures:
            raise _translated(failures[0]) from failures[0]
        for request, part in zip(requests, parts, strict=False):
            vectors[part] = self._finished(request.get_output_tensor(0).data, [batch[position] for position in part])
        return shape_on_host(vectors, form)

    def _inputs(self, texts: Sequence[TokenizedText]) -> list[NDArray[Any]]:
        lengths = np.array([len(text) for text in texts])
        places = np.arange(lengths.max())
        ids = np.full((len(texts), len(places)), self._padding, np.int32)
        for row, text in zip(ids, texts, strict=True):
            row[: len(text)] = text.ids
        bias = np.where(places < lengths[:, None], 0.0, HIDDEN).astype(np.float32)
        unpooled = np.array([text.unpooled for text in texts])
        ways = [_WEIGHTS[mode](places, lengths[:, None], unpooled[:, None]) for mode in self._spec.pooling]
        return [ids, bias[:, None, None, :], np.stack(ways, axis=1).astype(np.float32)]

    def _finished(self, sums: NDArray[np.float32], texts: Sequence[TokenizedText]) -> NDArray[np.float32]:
        """Weighted sums of shape (texts, ways, width) as means, side by side, normalised if the spec says so."""
        lengths = np.array([len(text) for text in texts])
        pooled = lengths - np.array([text.unpooled for text in texts])
        divisors = np.stack([_DIVISORS[mode](lengths, pooled) for mode in self._spec.pooling], axis=1)
        means = sums / np.maximum(divisors, 1e-9)[:, :, None].astype(np.float32)
        vectors: NDArray[np.float32] = means.reshape(len(texts), -1)
        if self._spec.normalize:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), SMALLEST)
        return vectors


def best_precision(capabilities: Collection[str]) -> Precision:
    """bfloat16 where the CPU has instructions for it (OpenVINO's OPTIMIZATION_CAPABILITIES say so), else float32."""
    return "bf16" if "BF16" in capabilities else "f32"


def even_parts(lengths: Sequence[int], parts: int) -> list[list[int]]:
    """Positions in at most `parts` groups of like length and of about as many tokens; none is empty."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    total, done = sum(lengths), 0
    found: list[list[int]] = [[] for _ in range(parts)]
    for position in order:
        middle = done + lengths[position] / 2
        found[min(int(middle * parts / total), parts - 1)].append(position)
        done += lengths[position]
    return [part for part in found if part]


def _failure(request: Any) -> RuntimeError | None:
    try:
        request.wait()
    except RuntimeError as error:
        return error
    return None


def _translated(error: RuntimeError) -> Exception:
    said = str(error).lower()
    return OutOfMemory(str(error)) if any(word in said for word in NO_MEMORY) else error


# What each way of pooling multiplies every token with, shape (texts, tokens), and divides the sum by, shape (texts,);
# the same as minivec.embedding.pooling. Zeros and small whole numbers, which bfloat16 holds exactly.
_Ints = NDArray[np.int64]
_WEIGHTS: dict[PoolingMode, Callable[[_Ints, _Ints, _Ints], NDArray[Any]]] = {
    "cls": lambda places, lengths, unpooled: places == np.where(unpooled < lengths, unpooled, 0),
    "lasttoken": lambda places, lengths, unpooled: places == lengths - 1,
    "mean": lambda places, lengths, unpooled: (places >= unpooled) & (places < lengths),
    "mean_sqrt_len_tokens": lambda places, lengths, unpooled: (places >= unpooled) & (places < lengths),
    "weightedmean": lambda places, lengths, unpooled: (places + 1) * ((places >= unpooled) & (places < lengths)),
}
_DIVISORS: dict[PoolingMode, Callable[[_Ints, _Ints], NDArray[Any]]] = {
    "cls": lambda lengths, pooled: np.ones(len(lengths)),
    "lasttoken": lambda lengths, pooled: np.ones(len(lengths)),
    "mean": lambda lengths, pooled: pooled,
    "mean_sqrt_len_tokens": lambda lengths, pooled: np.sqrt(np.maximum(pooled, 0)),
    "weightedmean": lambda lengths, pooled: (lengths * (lengths + 1) - (lengths - pooled) * (lengths - pooled + 1)) / 2,
}
