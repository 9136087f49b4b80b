"""Models of a real shape with random weights, made on the device itself: they tell the speed of models that are not at hand.

Values do not matter for speed as long as they are not zeros. Each runs through the engine like any other model.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from minivec.embedding import encoder
from minivec.embedding.attention import attend_padded, choose_attention
from minivec.embedding.checkpoint import Checkpoint
from minivec.embedding.decoder import Decoder, empty_decoder
from minivec.embedding.interface import ModelCard
from minivec.embedding.model import LoadedModel
from minivec.embedding.networks import DecoderNetwork, Network, NVEmbedNetwork, Target
from minivec.embedding.nv_embed import HeadShape, LatentHead
from minivec.embedding.options import EngineOptions
from minivec.embedding.prompts import Prompts
from minivec.embedding.spec import FolderSource, ModelSpec
from minivec.embedding.torch_backend import DEVICE_BUDGETS, TorchBackend, choose_device, weights_dtype

DEVIATION = 0.02


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One model's config.json as far as its speed depends on it, and how many tokens it reads."""

    config: dict[str, Any]
    max_tokens: int
    build: Callable[[Shape, torch.device, torch.dtype], Network]

    @property
    def dimension(self) -> int:
        """Floats in each vector."""
        return int(self.config["hidden_size"])


class WordTokenizer:
    """A token a word, remembered: how long tokenizing takes is not measured with these models."""

    leading = 1
    trailing = 1

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self._ids = lru_cache(maxsize=65536)(self._read)

    def ids(self, texts: Sequence[str]) -> list[Any]:
        """The ids of each text."""
        return [self._ids(text) for text in texts]

    def _read(self, text: str) -> Any:
        words = [3 + zlib.crc32(word.encode()) % (self.vocabulary - 3) for word in text.split()]
        return np.array([1, *words, 2], np.int32)


class ShapedBackend(TorchBackend):
    """The engine's own backend over a network of random weights."""

    def __init__(self, shape: Shape, options: EngineOptions) -> None:
        self._device = choose_device(options.device)
        self.network = shape.build(shape, self._device, weights_dtype(options.dtype, self._device))
        self.device = str(self._device)
        self.dimension = shape.dimension
        self.batch_tokens, self.pass_cost = DEVICE_BUDGETS.get(self._device.type, DEVICE_BUDGETS["cpu"])
        self.pads = self.network.attend in (None, attend_padded)


def load_shape(name: str, options: EngineOptions) -> LoadedModel:
    """The model of this shape, ready for the engine."""
    shape = SHAPES[name]
    return LoadedModel(
        card=ModelCard(name=name, fingerprint=name, dimension=shape.dimension, max_tokens=shape.max_tokens),
        prompts=Prompts(),
        pool_prompt=True,
        tokenizer=WordTokenizer(int(shape.config["vocab_size"])),
        backend=ShapedBackend(shape, options),
    )


def work_per_token(config: dict[str, Any], length: int) -> float:
    """Floating-point operations for one token of a text of `length`: two a weight that is multiplied, and attention."""
    width, layers, heads = config["hidden_size"], config["num_hidden_layers"], config["num_attention_heads"]
    head_width = config.get("head_dim") or width // heads
    across, keys = heads * head_width, config.get("num_key_value_heads", heads) * head_width
    gated = 3 if config["model_type"] != "bert" else 2
    weights = layers * (width * (2 * across + 2 * keys) + gated * width * config["intermediate_size"])
    if config["model_type"] == "nvembed":
        head = HeadShape(width=width)
        weights += 2 * head.heads * head.latents * width + 2 * head.inner * width
    return float(2 * weights + 4 * length * across * layers)


def _nv_embed(shape: Shape, device: torch.device, dtype: torch.dtype) -> Network:
    decoder = _random_decoder(shape, device, dtype)
    sizes = HeadShape(width=shape.dimension)

    def random(*dimensions: int) -> torch.Tensor:
        return torch.randn(*dimensions, device=device, dtype=dtype) * DEVIATION

    norm = (torch.ones(sizes.width, device=device, dtype=dtype), random(sizes.width))
    folded = sizes.heads * sizes.latents
    head = LatentHead(
        heads=sizes.heads,
        norm=norm,
        scores=random(folded, sizes.width),
        mixed=random(folded, sizes.width),
        unit_norm=norm,
        value_gate=(random(2 * sizes.inner, sizes.width), random(2 * sizes.inner)),
        down=(random(sizes.width, sizes.inner), random(sizes.width)),
    )
    return NVEmbedNetwork(decoder, _attention(decoder, device, dtype), head, normalized=True)


def _decoder(shape: Shape, device: torch.device, dtype: torch.dtype) -> Network:
    decoder = _random_decoder(shape, device, dtype)
    return DecoderNetwork(decoder, _attention(decoder, device, dtype), _spec(shape), ())


def _encoder(shape: Shape, device: torch.device, dtype: torch.dtype) -> Network:
    from transformers import AutoConfig, AutoModel

    nowhere = Path()
    files = Checkpoint(root=nowhere, folder=nowhere, tokenizer_file=nowhere, config=shape.config, spec=_spec(shape))
    attend = encoder._attention(files, Target(device=device, dtype=dtype, progress=lambda *_: None), None)
    chosen = {} if attend is None else {"attn_implementation": encoder.PACKED_ATTENTION}
    settings = {name: value for name, value in shape.config.items() if name != "model_type"}
    with torch.device(device):
        model = AutoModel.from_config(AutoConfig.for_model(shape.config["model_type"], **settings), **chosen)
    model.pooler = None
    return encoder.EncoderNetwork(files, model.to(dtype).eval(), attend, device)


def _random_decoder(shape: Shape, device: torch.device, dtype: torch.dtype) -> Decoder:
    decoder = empty_decoder(shape.config, causal=False, dtype=dtype).on(device)
    with torch.no_grad():
        for name, slot in decoder.slots().items():
            slot.fill_(1.0) if name.endswith("norm.weight") else slot.normal_(0.0, DEVIATION)
    return decoder


def _attention(decoder: Decoder, device: torch.device, dtype: torch.dtype) -> Any:
    form = decoder.shape
    return choose_attention(device, dtype, (form.heads, form.key_heads, form.head_width))[0]


def _spec(shape: Shape) -> ModelSpec:
    return ModelSpec(
        name="random",
        source=FolderSource(path=Path()),
        family=shape.config["model_type"],
        weights_sha256="",
        prompts=Prompts(),
        pooling=("mean",),
        pool_prompt=True,
        normalize=True,
        lowercase=False,
        dimension=shape.dimension,
        max_tokens=shape.max_tokens,
    )


_MISTRAL = {
    "model_type": "nvembed",
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
}
_LLAMA = {
    "model_type": "llama_bidirec",
    "vocab_size": 128256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
}
_BERT = {
    "model_type": "bert",
    "vocab_size": 30522,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
}
SHAPES = {
    "nv-embed-v1": Shape(config=_MISTRAL, max_tokens=32768, build=_nv_embed),
    "llama-1b": Shape(config=_LLAMA, max_tokens=8192, build=_decoder),
    "bert-base": Shape(config=_BERT, max_tokens=512, build=_encoder),
}
