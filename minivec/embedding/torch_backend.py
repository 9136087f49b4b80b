"""Runs the BERT family with transformers on CUDA, MPS or CPU, from a local folder. Import late: this loads torch."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from minivec.embedding.backend import DeviceLost, OutOfMemory
from minivec.embedding.checkpoint import Checkpoint
from minivec.embedding.options import EngineOptions
from minivec.embedding.pooling import normalize, pool
from minivec.embedding.tokens import TokenizedText
from minivec.errors import InvalidInput, WeightsMismatch

log = logging.getLogger(__name__)

# Per kind of device: tokens in one pass, and what a pass costs beyond its tokens, in tokens.
# On CPU throughput is flat from 512 tokens on, and short passes let queries overtake sooner.
DEVICE_BUDGETS = {"cpu": (1024, 48), "mps": (8192, 1024), "cuda": (16384, 4096)}
UNUSED_WEIGHTS = ("pooler.", "embeddings.position_ids", "lm_head.", "cls.")


class BertBackend:
    """A bidirectional encoder of transformers, pooled on the device; attention is torch's SDPA wherever transformers has it."""

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        self._device = choose_device(options.device)
        self._spec = checkpoint.spec
        self._model = _load(checkpoint).to(device=self._device, dtype=getattr(torch, options.dtype)).eval()
        self._padding = int(checkpoint.config.get("pad_token_id") or 0)
        self.device = str(self._device)
        self.dimension = checkpoint.spec.dimension
        self.batch_tokens, self.pass_cost = DEVICE_BUDGETS.get(self._device.type, DEVICE_BUDGETS["cpu"])
        log.info("%s runs on %s in %s.", checkpoint.spec.name, self.device, options.dtype)

    def forward(self, batch: Sequence[TokenizedText]) -> NDArray[np.float32]:
        """One pooled vector a text, float32 of shape (texts, dimension), in order; see Backend.forward."""
        try:
            with torch.inference_mode():
                vectors: NDArray[np.float32] = self._vectors(batch).cpu().numpy()
        except torch.OutOfMemoryError as error:
            self._free_memory()
            raise OutOfMemory(str(error)) from error
        except RuntimeError as error:
            raise _translated(error) from error
        return vectors

    def _vectors(self, batch: Sequence[TokenizedText]) -> torch.Tensor:
        ids, lengths = _padded(batch, self._padding)
        ids, lengths = ids.to(self._device), lengths.to(self._device)
        places = torch.arange(ids.shape[1], device=self._device)
        mask = places < lengths.unsqueeze(1)
        padded = any(len(text) != ids.shape[1] for text in batch)
        states = self._model(input_ids=ids, attention_mask=mask.long() if padded else None).last_hidden_state
        if any(text.unpooled for text in batch):
            skipped = torch.tensor([text.unpooled for text in batch], device=self._device)
            mask = mask & (places >= skipped.unsqueeze(1))
        vectors = pool(states, mask, self._spec.pooling)
        return normalize(vectors) if self._spec.normalize else vectors

    def _free_memory(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


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


def _load(checkpoint: Checkpoint) -> Any:
    from transformers import AutoModel

    try:
        with _quiet_transformers():
            model, report = AutoModel.from_pretrained(
                str(checkpoint.folder),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except Exception as error:  # safetensors and transformers share no error class for damaged files
        raise WeightsMismatch(
            f"The weights in {checkpoint.folder} cannot be loaded: {error}", hint="Fetch the model's folder again."
        ) from error
    lacking = sorted(key for key in report["missing_keys"] if not key.startswith(UNUSED_WEIGHTS))
    if lacking or report["mismatched_keys"]:
        raise WeightsMismatch(
            f"The weights in {checkpoint.folder} do not fit config.json: {(lacking or report['mismatched_keys'])[0]}.",
            hint="Fetch the model's folder again.",
        )
    if hasattr(model, "pooler"):
        model.pooler = None  # the next-sentence head; nothing here reads it
    return model


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No progress bar and no report on weights that are not used, while loading only."""
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def _padded(batch: Sequence[TokenizedText], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = np.array([len(text) for text in batch], np.int64)
    ids = np.full((len(batch), int(lengths.max())), padding, np.int64)
    for row, text in zip(ids, batch, strict=True):
        row[: len(text)] = text.ids
    return torch.from_numpy(ids), torch.from_numpy(lengths)


def _translated(error: RuntimeError) -> Exception:
    said = str(error).lower()
    if "out of memory" in said or "can't allocate memory" in said:
        return OutOfMemory(str(error))
    if isinstance(error, getattr(torch, "AcceleratorError", ())) or "cuda error" in said:
        return DeviceLost(str(error))
    return error
