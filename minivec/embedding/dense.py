"""sentence-transformers' Dense modules: linear layers between pooling and the finished vector. Import late: loads torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from minivec.embedding.spec import DenseLayer
from minivec.embedding.weights import fill, stored_tensors, weight_files

# config.json names these as classes of torch.nn; the list is minivec.embedding.modules.ACTIVATIONS.
_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "Identity": lambda vectors: vectors,
    "Tanh": torch.tanh,
    "GELU": functional.gelu,
    "ReLU": torch.relu,
    "SiLU": functional.silu,
    "Sigmoid": torch.sigmoid,
}


@dataclass(frozen=True, slots=True)
class Dense:
    """One layer in float32, as pooled vectors are."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    activation: str

    def applied(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors of shape (texts, inputs) as (texts, outputs)."""
        return _ACTIVATIONS[self.activation](functional.linear(vectors, self.weight, self.bias))


def read_dense(root: Path, layers: Sequence[DenseLayer], *, device: torch.device) -> tuple[Dense, ...]:
    """The layers of a model's folder, in order. Raises ModelNotFound and WeightsMismatch naming what is wrong."""
    return tuple(_read(root / layer.folder, layer, device) for layer in layers)


def _read(folder: Path, layer: DenseLayer, device: torch.device) -> Dense:
    weight = torch.empty(layer.outputs, layer.inputs, device=device)
    bias = torch.empty(layer.outputs, device=device) if layer.bias else None
    slots = {"linear.weight": weight} | ({} if bias is None else {"linear.bias": bias})
    fill(slots, stored_tensors(weight_files(folder)), progress=lambda done, total: None)
    return Dense(weight, bias, layer.activation)
