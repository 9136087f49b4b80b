"""Encoders (the BERT family, ModernBERT) in transformers' own classes, with or without padding. Import late: loads torch."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from minivec.embedding.attention import Attend, attend_padded, choose_attention
from minivec.embedding.checkpoint import Checkpoint
from minivec.embedding.dense import read_dense
from minivec.embedding.families import FAMILIES
from minivec.embedding.memory import check_fits
from minivec.embedding.networks import Target, finished
from minivec.embedding.packed import Packed
from minivec.embedding.pooling import pool
from minivec.embedding.weights import damaged, stored_tensors, weight_files
from minivec.errors import WeightsMismatch

log = logging.getLogger(__name__)

PACKED_ATTENTION = "minivec_packed"
UNUSED_WEIGHTS = ("pooler.", "embeddings.position_ids", "lm_head.", "cls.")


class EncoderNetwork:
    """A bidirectional encoder of transformers. `attend` None means padded batches, and transformers' SDPA within."""

    def __init__(self, checkpoint: Checkpoint, model: Any, attend: Attend | None, device: torch.device) -> None:
        self.attend = attend
        self._model = model
        self._spec = checkpoint.spec
        self._dense = read_dense(checkpoint.root, checkpoint.spec.dense, device=device)
        self._padding = int(checkpoint.config.get("pad_token_id") or 0)
        self._first_position = self._padding + 1 if FAMILIES[checkpoint.spec.family].offset_positions else 0
        self._takes = frozenset(inspect.signature(model.forward).parameters)

    def vectors(self, batch: Packed) -> torch.Tensor:
        """The finished vectors, shape (texts, dimension)."""
        states = self._padded_states(batch) if self.attend is None else self._packed_states(batch, self.attend)
        vectors = pool(states, batch, self._spec.pooling)
        return finished(vectors, self._dense, normalized=self._spec.normalize)

    def _padded_states(self, batch: Packed) -> torch.Tensor:
        ids = batch.padded(batch.ids, filling=self._padding)
        mask = None if batch.even else batch.mask.long()
        return batch.flat(self._model(input_ids=ids, attention_mask=mask).last_hidden_state)

    def _packed_states(self, batch: Packed, attend: Attend) -> torch.Tensor:
        ids = batch.ids.unsqueeze(0)
        inputs = {"input_ids": ids, "packed": batch, "attend": attend}
        if "position_ids" in self._takes:
            inputs["position_ids"] = (batch.positions + self._first_position).unsqueeze(0)
        if "token_type_ids" in self._takes:
            inputs["token_type_ids"] = torch.zeros_like(ids)
        states: torch.Tensor = self._model(**inputs).last_hidden_state[0]
        return states


def load_encoder(checkpoint: Checkpoint, target: Target, *, packed: bool | None = None) -> EncoderNetwork:
    """An encoder on the device, `packed` when flash attention works there, unless one is asked for.

    Raises WeightsMismatch, and EmbeddingFailed when it does not fit.
    """
    stored = stored_tensors(weight_files(checkpoint.folder))
    elements = sum(math.prod(tensor.shape) for tensor in stored.values())
    check_fits(checkpoint.spec.name, elements * target.dtype.itemsize, target.device)
    attend = _attention(checkpoint, target, packed)
    model = _load(checkpoint, None if attend is None else PACKED_ATTENTION)
    return EncoderNetwork(checkpoint, model.to(device=target.device, dtype=target.dtype).eval(), attend, target.device)


def _attention(checkpoint: Checkpoint, target: Target, packed: bool | None) -> Attend | None:
    """The attention to give to transformers, or None for its own over padded batches."""
    config = checkpoint.config
    heads = int(config.get("num_attention_heads") or config["n_heads"])
    width = int(config.get("hidden_size") or config["dim"]) // heads
    attend, named = choose_attention(target.device, target.dtype, (heads, heads, width))
    worthwhile = packed if packed is not None else attend is not attend_padded
    if FAMILIES[checkpoint.spec.family].eager or not worthwhile or not _register():
        log.info("%s uses padded batches and SDPA.", checkpoint.spec.name)
        return None
    log.info("%s uses %s.", checkpoint.spec.name, named)
    return attend


def _register() -> bool:
    """Offer our attention to transformers under its own name; False where this release has no place for it."""
    try:
        from transformers import AttentionInterface
    except ImportError:
        return False
    AttentionInterface.register(PACKED_ATTENTION, _packed_attention)
    return True


def _packed_attention(  # noqa: PLR0917 - transformers passes them so
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Transformers' contract for an attention: (1, heads, tokens, width) each, to (1, tokens, heads, width).

    Its sliding window counts the token itself, ours does not.
    """
    queries, keys, values = (states[0].transpose(0, 1) for states in (query, key, value))
    window = None if sliding_window is None else sliding_window - 1
    mixed = options["attend"](queries, keys, values, options["packed"], window=window, scale=scaling)
    return mixed.unsqueeze(0), None


def _load(checkpoint: Checkpoint, attention: str | None) -> Any:
    from transformers import AutoModel

    try:
        with quiet_transformers():
            model, report = AutoModel.from_pretrained(
                str(checkpoint.folder),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **({} if attention is None else {"attn_implementation": attention}),
            )
    except Exception as error:  # safetensors and transformers share no error class for damaged files
        raise damaged(checkpoint.folder, error) from error
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
def quiet_transformers() -> Iterator[None]:
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
