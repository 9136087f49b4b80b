"""Tiny randomly initialised models written to disk in the old and the new sentence-transformers layout."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

WIDTH = 32
POSITIONS = 40
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:!?"


def write_transformer(folder: Path, model_type: str = "bert", *, cased: bool = False, **config: Any) -> Path:
    """A random model of this type with its tokenizer; width 32, 2 layers, 40 positions."""
    import torch
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    tokenizer = _tokenizer(cased=cased)
    shape = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    if model_type == "distilbert":
        shape = {"dim": WIDTH, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    positions = {"max_position_embeddings": POSITIONS, "vocab_size": tokenizer.get_vocab_size(), "pad_token_id": 0}
    torch.manual_seed(7)
    settings = AutoConfig.for_model(model_type, **shape, **positions, initializer_range=0.5, **config)
    AutoModel.from_config(settings).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)
    return folder


def write_old_layout(
    folder: Path,
    *,
    pooling: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    prompts: dict[str, str] | None = None,
    normalize: bool = True,
    model_type: str = "bert",
    cased: bool = False,
    config: dict[str, Any] | None = None,
) -> Path:
    """The layout of sentence-transformers 2: dotted `models.` types and one boolean per way of pooling."""
    write_transformer(folder, model_type, cased=cased, **(config or {}))
    kinds = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
    paths = ["", "1_Pooling", "2_Normalize"]
    modules = [
        {"idx": i, "name": str(i), "path": paths[i], "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    write_json(folder / "modules.json", modules)
    default = {"word_embedding_dimension": WIDTH, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    write_json(folder / "1_Pooling" / "config.json", default if pooling is None else pooling)
    write_json(folder / "sentence_bert_config.json", settings or {"max_seq_length": 24, "do_lower_case": False})
    if prompts is not None:
        write_json(folder / "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": None})
    return folder


def write_new_layout(
    folder: Path,
    *,
    pooling: str | tuple[str, ...] = "mean",
    max_seq_length: int = 24,
    dense: tuple[tuple[int, int, str], ...] = (),
) -> Path:
    """The layout the installed sentence-transformers writes itself; `dense` are inputs, outputs and activation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other libraries say while they are imported is not judged here
        import torch
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

        source = write_transformer(folder.with_name(folder.name + "-source"))
        transformer = Transformer(str(source), max_seq_length=max_seq_length)
        layers = [
            Dense(inputs, outputs, activation_function=getattr(torch.nn, activation)())
            for inputs, outputs, activation in dense
        ]
        modules = [transformer, Pooling(WIDTH, pooling_mode=pooling), *layers, Normalize()]
        SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder


def write_json(file: Path, value: Any) -> None:
    """Write one JSON file, with its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))


def edit_json(file: Path, **changes: Any) -> None:
    """Change some keys of a JSON object on disk."""
    write_json(file, json.loads(file.read_text()) | changes)


def _tokenizer(*, cased: bool) -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing

    letters = LETTERS + LETTERS[:26].upper() if cased else LETTERS
    pieces = [*SPECIALS, *letters, *("##" + letter for letter in letters), "the", "query", "passage", "##ing"]
    tokenizer = Tokenizer(WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=not cased)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", SPECIALS.index("[CLS]")), ("[SEP]", SPECIALS.index("[SEP]"))]
    )
    return tokenizer
