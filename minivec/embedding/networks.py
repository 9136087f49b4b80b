"""Our own networks, from a checkpoint to one vector a text: decoders with pooling, and NV-Embed. Import late: loads torch."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from minivec.embedding.attention import Attend, choose_attention
from minivec.embedding.checkpoint import Checkpoint
from minivec.embedding.decoder import Decoder, empty_decoder
from minivec.embedding.dense import Dense, read_dense
from minivec.embedding.families import FAMILIES
from minivec.embedding.memory import check_fits
from minivec.embedding.nv_embed import BACKBONE, HEAD, HeadShape, LatentHead, fold, head_shape
from minivec.embedding.packed import Packed
from minivec.embedding.pooling import normalize, pool
from minivec.embedding.spec import ModelSpec
from minivec.embedding.weights import (
    Progress,
    StoredTensor,
    check_shapes,
    fill,
    read_tensors,
    stored_tensors,
    weight_files,
)
from minivec.errors import WeightsMismatch

log = logging.getLogger(__name__)

MODEL_PREFIX = "model."
FLOAT32_BYTES = 4
UNUSED_TENSORS = ("lm_head.", "score.")
UNUSED_ENDS = ("rotary_emb.inv_freq",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where and how weights are held, and who hears how far loading is."""

    device: torch.device
    dtype: torch.dtype
    progress: Progress


class Network(Protocol):
    """A loaded model: packed texts in, one float32 vector a text out, on the device."""

    @property
    def attend(self) -> Attend | None:
        """The attention over packed texts; None when batches are padded instead."""
        ...

    def vectors(self, batch: Packed) -> torch.Tensor:
        """The finished vectors, shape (texts, dimension)."""
        ...


class DecoderNetwork:
    """A decoder, pooled as its spec says."""

    def __init__(self, decoder: Decoder, attend: Attend, spec: ModelSpec, dense: tuple[Dense, ...]) -> None:
        self.decoder = decoder
        self.attend = attend
        self._spec = spec
        self._dense = dense

    def vectors(self, batch: Packed) -> torch.Tensor:
        """Pooled, through the dense layers, normalised if the spec says so."""
        vectors = pool(self.decoder.states(batch, self.attend), batch, self._spec.pooling)
        return finished(vectors, self._dense, normalized=self._spec.normalize)


class NVEmbedNetwork:
    """A bidirectional Mistral under the latent-attention head."""

    def __init__(self, decoder: Decoder, attend: Attend, head: LatentHead, *, normalized: bool) -> None:
        self.decoder = decoder
        self.attend = attend
        self.head = head
        self._normalized = normalized

    def vectors(self, batch: Packed) -> torch.Tensor:
        """The head's vectors, normalised if its config says so, which the real ones do."""
        vectors = self.head.vectors(self.decoder.states(batch, self.attend), batch)
        return finished(vectors, (), normalized=self._normalized)


def finished(vectors: torch.Tensor, dense: tuple[Dense, ...], *, normalized: bool) -> torch.Tensor:
    """What comes after pooling: the dense layers in order, then length 1."""
    for layer in dense:
        vectors = layer.applied(vectors)
    return normalize(vectors) if normalized else vectors


def load_decoder(checkpoint: Checkpoint, target: Target) -> DecoderNetwork:
    """A decoder and its dense layers on the device. Raises ModelNotFound, WeightsMismatch, EmbeddingFailed when too big."""
    stored = stored_tensors(weight_files(checkpoint.folder))
    prefix = MODEL_PREFIX if f"{MODEL_PREFIX}norm.weight" in stored else ""
    sketch = empty_decoder(checkpoint.config, causal=FAMILIES[checkpoint.spec.family].causal, dtype=target.dtype)
    expected = {prefix + name: tuple(slot.shape) for name, slot in sketch.slots().items()}
    _check(checkpoint, expected, stored, _bytes(sketch), target)
    decoder = sketch.on(target.device)
    fill({prefix + name: slot for name, slot in decoder.slots().items()}, stored, target.progress)
    dense = read_dense(checkpoint.root, checkpoint.spec.dense, device=target.device)
    return DecoderNetwork(decoder, _attention(checkpoint, decoder, target), checkpoint.spec, dense)


def load_nv_embed(checkpoint: Checkpoint, target: Target) -> NVEmbedNetwork:
    """NV-Embed on the device, its head folded there. Raises like load_decoder."""
    stored = stored_tensors(weight_files(checkpoint.folder))
    shape = head_shape(checkpoint.config)
    sketch = empty_decoder(checkpoint.config["text_config"], causal=False, dtype=target.dtype)
    expected = nv_embed_tensors(sketch, shape)
    head_names = [name for name in expected if name.startswith(HEAD)]
    unfolded = FLOAT32_BYTES * sum(math.prod(expected[name]) for name in head_names)
    _check(checkpoint, expected, stored, _bytes(sketch) + unfolded, target)
    decoder = sketch.on(target.device)
    fill({BACKBONE + name: slot for name, slot in decoder.slots().items()}, stored, target.progress)
    parts = {
        name.removeprefix(HEAD): tensor.to(target.device, torch.float32)
        for name, tensor in read_tensors(stored, head_names)
    }
    head = fold(parts, shape, dtype=target.dtype)
    return NVEmbedNetwork(decoder, _attention(checkpoint, decoder, target), head, normalized=shape.normalize)


def nv_embed_tensors(decoder: Decoder, head: HeadShape) -> dict[str, tuple[int, ...]]:
    """Every tensor of an NV-Embed checkpoint by its full name, and its shape."""
    backbone = {BACKBONE + name: tuple(slot.shape) for name, slot in decoder.slots().items()}
    return backbone | {HEAD + name: sizes for name, sizes in head.tensors().items()}


def refuse_unknown(stored: Mapping[str, StoredTensor], known: set[str]) -> None:
    """Raise WeightsMismatch when the files hold a tensor that the model would ignore but was trained with."""
    for name in sorted(set(stored) - known):
        if not name.startswith(UNUSED_TENSORS) and not name.endswith(UNUSED_ENDS):
            raise WeightsMismatch(
                f"The weights hold the tensor {name}, which this architecture does not have.",
                hint="The model may be a variant that minivec does not run.",
            )


def _check(
    checkpoint: Checkpoint,
    expected: Mapping[str, tuple[int, ...]],
    stored: Mapping[str, StoredTensor],
    needed: int,
    target: Target,
) -> None:
    """Everything that can be known before memory is taken: names, shapes and whether it fits."""
    check_shapes(expected, stored)
    refuse_unknown(stored, set(expected))
    check_fits(checkpoint.spec.name, needed, target.device)


def _bytes(decoder: Decoder) -> int:
    return sum(slot.numel() * slot.element_size() for slot in decoder.slots().values())


def _attention(checkpoint: Checkpoint, decoder: Decoder, target: Target) -> Attend:
    shape = decoder.shape
    heads = (shape.heads, shape.key_heads, shape.head_width)
    attend, named = choose_attention(target.device, target.dtype, heads)
    log.info("%s uses %s.", checkpoint.spec.name, named)
    return attend
