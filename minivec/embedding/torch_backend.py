"""Runs a network on CUDA, MPS or CPU, from a local folder: a batch of token ids in, numpy rows out. Loads torch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray

from minivec.embedding.attention import attend_padded
from minivec.embedding.backend import DeviceLost, OutOfMemory, PassMemory
from minivec.embedding.checkpoint import Checkpoint
from minivec.embedding.encoder import load_encoder
from minivec.embedding.families import FAMILIES, Runner
from minivec.embedding.networks import Network, Target, load_decoder, load_nv_embed
from minivec.embedding.options import EngineOptions
from minivec.embedding.packed import pack
from minivec.embedding.quantize import PLAIN, VectorForm, shape_on_device
from minivec.embedding.tokens import TokenizedText
from minivec.embedding.weights import logged_progress
from minivec.errors import InvalidInput

log = logging.getLogger(__name__)

# Per kind of device: tokens in one pass, and what a pass costs beyond its tokens, in tokens.
# On CPU throughput is flat from 512 tokens on, and short passes let queries overtake sooner.
DEVICE_BUDGETS = {"cpu": (1024, 48), "mps": (8192, 1024), "cuda": (16384, 4096)}


class TorchBackend:
    """One model's network on one device; vectors are pooled, cut and quantised there before they are copied back."""

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        self._device = choose_device(options.device)
        dtype = weights_dtype(options.dtype, self._device)
        self.network = load_network(checkpoint, self._device, dtype)
        self.device = str(self._device)
        self.dimension = checkpoint.spec.dimension
        self.batch_tokens, self.pass_cost = DEVICE_BUDGETS.get(self._device.type, DEVICE_BUDGETS["cpu"])
        self.pads = self.network.attend in (None, attend_padded)  # otherwise texts of any lengths share a pass for free
        log.info("%s runs on %s in %s.", checkpoint.spec.name, self.device, dtype)

    def forward(self, batch: Sequence[TokenizedText], form: VectorForm = PLAIN) -> NDArray[Any]:
        """One pooled vector a text in this form, in order; see Backend.forward."""
        with telling_errors(self._device), torch.inference_mode():
            vectors = self.network.vectors(pack(batch, self._device))
            rows: NDArray[Any] = shape_on_device(vectors, form).cpu().numpy()
        return rows

    def measure(self, batch: Sequence[TokenizedText]) -> PassMemory | None:
        """What a pass over this batch takes on a GPU; None elsewhere. Raises like `forward`."""
        if self._device.type != "cuda":
            return None
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self._device)
        weights = torch.cuda.memory_allocated(self._device)
        free = torch.cuda.mem_get_info(self._device)[0]
        self.forward(batch)
        return PassMemory(used=torch.cuda.max_memory_allocated(self._device) - weights, free=free)


@contextmanager
def telling_errors(device: torch.device) -> Iterator[None]:
    """Raise OutOfMemory and DeviceLost, which the scheduler knows, for torch's many ways to say so."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        if device.type == "cuda":
            torch.cuda.empty_cache()
        raise OutOfMemory(str(error)) from error
    except RuntimeError as error:
        raise _translated(error) from error


def load_network(checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> Network:
    """The network of a checkpoint, by its family, on the device. Raises ModelNotFound, WeightsMismatch, EmbeddingFailed."""
    target = Target(device=device, dtype=dtype, progress=logged_progress(checkpoint.spec.name))
    loaders: dict[Runner, Callable[[Checkpoint, Target], Network]] = {
        "encoder": load_encoder,
        "decoder": load_decoder,
        "nv-embed": load_nv_embed,
    }
    return loaders[FAMILIES[checkpoint.spec.family].runner](checkpoint, target)


def weights_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """The torch dtype of this name; "auto" is bfloat16 on CUDA and float32 elsewhere."""
    if wanted == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    dtype: torch.dtype = getattr(torch, wanted)
    return dtype


def choose_device(wanted: str) -> torch.device:
    """The torch device of this name; "auto" is CUDA, else MPS, else CPU. Raises InvalidInput when it is not here."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except Exception as error:  # torch says "not here" with RuntimeError, AssertionError and others
        raise InvalidInput(
            f"This machine has no device {wanted!r}: {error}", field="device", hint='Use "auto" or "cpu".'
        ) from error
    return device


def _translated(error: RuntimeError) -> Exception:
    said = str(error).lower()
    if "out of memory" in said or "can't allocate memory" in said:
        return OutOfMemory(str(error))
    if isinstance(error, getattr(torch, "AcceleratorError", ())) or "cuda error" in said:
        return DeviceLost(str(error))
    return error
