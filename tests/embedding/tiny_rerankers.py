"""Tiny randomly initialised cross-encoders written to disk: encoders with a classification head, and NVIDIA's decoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.embedding.tiny_checkpoints import LETTERS, POSITIONS, SPECIALS, WIDTH, write_json

SHAPE = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
PIECES = [*SPECIALS, *LETTERS, *("##" + letter for letter in LETTERS), "the", "question", "passage"]


def write_cross_encoder(folder: Path, model_type: str = "bert", *, labels: int = 1, max_length: int = 36) -> Path:
    """A random encoder for sequence classification; its tokenizer knows the pair form of its family."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    torch.manual_seed(11)
    config = AutoConfig.for_model(
        model_type,
        **SHAPE,
        vocab_size=len(PIECES),
        max_position_embeddings=POSITIONS,
        pad_token_id=0,
        num_labels=labels,
        initializer_range=0.5,
        **({"type_vocab_size": 1} if model_type == "xlm-roberta" else {}),
    )
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    roberta = model_type.endswith("roberta")
    pair = "[CLS] $A [SEP] [SEP] $B [SEP]" if roberta else "[CLS] $A [SEP] $B:1 [SEP]:1"
    _save_tokenizer(folder, _wordpiece("[CLS] $A [SEP]", pair), max_length)
    return folder


def write_decoder_reranker(folder: Path, *, temperature: float = 0.25, max_length: int = 120) -> Path:
    """LlamaBidirectionalForSequenceClassification as NVIDIA writes it: `model.` tensors, `score.weight`, a temperature."""
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(13)
    shape = SHAPE | {"num_key_value_heads": 2, "vocab_size": len(PIECES), "max_position_embeddings": 256}
    model = LlamaModel(LlamaConfig(**shape, initializer_range=0.3, pad_token_id=0))
    tensors = {f"model.{name}": tensor.clone() for name, tensor in model.state_dict().items()}
    tensors["score.weight"] = torch.randn(1, WIDTH)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    own: dict[str, Any] = {
        "model_type": "llama_bidirec",
        "architectures": ["LlamaBidirectionalForSequenceClassification"],
        "auto_map": {"AutoModelForSequenceClassification": "llama_bidirectional_model.Llama"},
        "pooling": "avg",
        "temperature": temperature,
    }
    write_json(folder / "config.json", json.loads(model.config.to_json_string()) | own)
    _save_tokenizer(folder, _wordpiece("[CLS] $A", None), max_length)
    return folder


def _wordpiece(single: str, pair: str | None) -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer(WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single=single, pair=pair, special_tokens=[(name, SPECIALS.index(name)) for name in ("[CLS]", "[SEP]")]
    )
    return tokenizer


def _save_tokenizer(folder: Path, tokenizer: Any, max_length: int) -> None:
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=max_length,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)
