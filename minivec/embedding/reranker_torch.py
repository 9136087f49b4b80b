"""Runs a cross-encoder on CUDA, MPS or CPU: a batch of pairs in, one logit a pair out. Import late: this loads torch."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import linear

from minivec.embedding.checkpoint import Checkpoint
from minivec.embedding.encoder import quiet_transformers
from minivec.embedding.families import FAMILIES
from minivec.embedding.memory import check_fits
from minivec.embedding.networks import DecoderNetwork, Target, load_decoder
from minivec.embedding.options import EngineOptions
from minivec.embedding.packed import Packed, pack
from minivec.embedding.pairs import PairText
from minivec.embedding.quantize import PLAIN, VectorForm
from minivec.embedding.reranker_model import temperature_of
from minivec.embedding.tokens import TokenizedText
from minivec.embedding.torch_backend import DEVICE_BUDGETS, choose_device, telling_errors, weights_dtype
from minivec.embedding.weights import (
    check_shapes,
    damaged,
    logged_progress,
    read_tensors,
    stored_tensors,
    weight_files,
)
from minivec.errors import WeightsMismatch

log = logging.getLogger(__name__)

SCORE = "score.weight"


class ScoringNetwork(Protocol):
    """A loaded cross-encoder on the device."""

    def scores(self, batch: Packed, seconds: torch.Tensor) -> torch.Tensor:
        """One logit a pair, shape (pairs,); `seconds` holds each pair's `second`."""
        ...


class TorchScorer:
    """One cross-encoder on one device; implements Backend with rows of one logit."""

    dimension = 1
    pads = True

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        self._device = choose_device(options.device)
        dtype = weights_dtype(options.dtype, self._device)
        self.network = _load(checkpoint, self._device, dtype)
        self.device = str(self._device)
        self.batch_tokens, self.pass_cost = DEVICE_BUDGETS.get(self._device.type, DEVICE_BUDGETS["cpu"])
        log.info("%s reranks on %s in %s.", checkpoint.spec.name, self.device, dtype)

    def forward(self, batch: Sequence[TokenizedText], form: VectorForm = PLAIN) -> NDArray[Any]:
        """The pairs' logits, float32 of shape (pairs, 1); see Backend.forward."""
        seconds = np.array([text.second if isinstance(text, PairText) else 0 for text in batch], np.int64)
        with telling_errors(self._device), torch.inference_mode():
            logits = self.network.scores(pack(batch, self._device), torch.from_numpy(seconds).to(self._device))
            rows: NDArray[Any] = logits.float().unsqueeze(1).cpu().numpy()
        return rows


class EncoderScorer:
    """An encoder with a classification head, in transformers' own class, over padded batches."""

    def __init__(self, checkpoint: Checkpoint, model: Any) -> None:
        self._model = model
        self._padding = int(checkpoint.config.get("pad_token_id") or 0)
        takes_kinds = "token_type_ids" in inspect.signature(model.forward).parameters
        self._kinds = takes_kinds and int(checkpoint.config.get("type_vocab_size") or 1) > 1

    def scores(self, batch: Packed, seconds: torch.Tensor) -> torch.Tensor:
        """The head's logits."""
        inputs = {"input_ids": batch.padded(batch.ids, filling=self._padding)}
        if not batch.even:
            inputs["attention_mask"] = batch.mask.long()
        if self._kinds:
            begins = seconds[batch.owners]
            inputs["token_type_ids"] = batch.padded(((begins > 0) & (batch.positions >= begins)).long())
        logits: torch.Tensor = self._model(**inputs).logits
        return logits[:, 0]


class DecoderScorer:
    """A decoder that looks both ways, pooled, and one row of weights over what comes out."""

    def __init__(self, network: DecoderNetwork, weight: torch.Tensor, temperature: float) -> None:
        self._network = network
        self._weight = weight
        self._temperature = temperature

    def scores(self, batch: Packed, seconds: torch.Tensor) -> torch.Tensor:
        """The pooled states' scores over the temperature."""
        return linear(self._network.vectors(batch), self._weight)[:, 0] / self._temperature


def _load(checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> ScoringNetwork:
    """The network on the device. Raises WeightsMismatch, and EmbeddingFailed when it does not fit."""
    target = Target(device=device, dtype=dtype, progress=logged_progress(checkpoint.spec.name))
    if FAMILIES[checkpoint.spec.family].runner == "encoder":
        return _load_encoder(checkpoint, target)
    stored = stored_tensors(weight_files(checkpoint.folder))
    check_shapes({SCORE: (1, int(checkpoint.config["hidden_size"]))}, stored)
    network = load_decoder(checkpoint, target)
    weight = dict(read_tensors(stored, [SCORE]))[SCORE].to(device, torch.float32)
    return DecoderScorer(network, weight, temperature_of(checkpoint.config))


def _load_encoder(checkpoint: Checkpoint, target: Target) -> EncoderScorer:
    from transformers import AutoModelForSequenceClassification

    elements = sum(math.prod(tensor.shape) for tensor in stored_tensors(weight_files(checkpoint.folder)).values())
    check_fits(checkpoint.spec.name, elements * target.dtype.itemsize, target.device)
    try:
        with quiet_transformers():
            model, report = AutoModelForSequenceClassification.from_pretrained(
                str(checkpoint.folder),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                num_labels=1,
            )
    except Exception as error:  # safetensors and transformers share no error class for damaged files
        raise damaged(checkpoint.folder, error) from error
    wrong = sorted(map(str, report["missing_keys"])) or sorted(map(str, report["mismatched_keys"]))
    if wrong:
        raise WeightsMismatch(
            f"The weights in {checkpoint.folder} do not fit config.json: {wrong[0]}.",
            hint="Fetch the model's folder again.",
        )
    return EncoderScorer(checkpoint, model.to(device=target.device, dtype=target.dtype).eval())
