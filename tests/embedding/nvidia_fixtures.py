"""Tiny random checkpoints in the layout of NVIDIA's models, with the vectors NVIDIA's own code gives (see their READMEs)."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.interface import InputType, Truncation
from minivec.embedding.model import LoadedModel, load_model
from minivec.embedding.options import EngineOptions
from minivec.embedding.tokens import TokenizedText, tokenize
from tests.embedding.tiny_checkpoints import edit_json

FOLDER = Path(__file__).parent.parent / "fixtures"
NAMES = ("nv_embed", "llama_bidirectional", "ministral_bidirectional")
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Fixture:
    """One fixture: `inputs` are its texts and token ids, `expected` the reference's float32 vectors by case."""

    folder: Path
    inputs: dict[str, Any]
    expected: dict[str, NDArray[np.float32]]

    @property
    def texts(self) -> list[str]:
        return list(self.inputs["texts"])


def fixture(name: str) -> Fixture:
    """The fixture of this name."""
    folder = FOLDER / name
    with np.load(folder / "expected.npz") as arrays:
        expected = dict(arrays)
    return Fixture(folder, json.loads((folder / "inputs.json").read_text()), expected)


def limited_copy(given: Fixture, copy: Path) -> Path:
    """The same model in another folder, which says that it reads only `truncated_max_length` tokens."""
    shutil.copytree(given.folder, copy)
    limit = given.inputs["truncated_max_length"]
    if (copy / "sentence_bert_config.json").is_file():
        edit_json(copy / "sentence_bert_config.json", max_seq_length=limit)
    edit_json(copy / "tokenizer_config.json", model_max_length=limit)
    return copy


def loaded(folder: Path, **options: Any) -> LoadedModel:
    """The model of this folder on the CPU."""
    return load_model(str(folder), EngineOptions(device="cpu", **options))


def read(
    model: LoadedModel, texts: list[str], input_type: InputType, truncate: Truncation = "end"
) -> list[TokenizedText]:
    """The texts as this model's tokenizer and prompts give them."""
    prepared = tokenize(
        model.tokenizer,
        texts,
        prompts=model.prompts,
        input_type=input_type,
        pool_prompt=model.pool_prompt,
        max_tokens=model.card.max_tokens,
        truncate=truncate,
    )
    assert all(isinstance(text, TokenizedText) for text in prepared)
    return [text for text in prepared if isinstance(text, TokenizedText)]


def vectors(model: LoadedModel, texts: list[str], input_type: InputType) -> NDArray[np.float32]:
    """The texts' vectors, all in one batch."""
    return np.asarray(model.backend.forward(read(model, texts, input_type)), np.float32)


def assert_parity(model: LoadedModel, given: Fixture) -> None:
    """Queries and passages equal the reference's."""
    for input_type in ("query", "passage"):
        found = vectors(model, given.texts, input_type)
        np.testing.assert_allclose(found, given.expected[input_type], atol=TOLERANCE, rtol=0)
