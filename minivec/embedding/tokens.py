"""Texts to token ids. What is too long is cut here, by policy, and counted; special tokens and the prompt stay whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.interface import InputType, Truncation
from minivec.embedding.prompts import Prompts
from minivec.errors import EmbeddingFailed, InvalidInput, MinivecError, ModelNotFound, TextTooLong

NO_PROMPTS = Prompts()


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizedText:
    """One text as the model reads it: `ids` int32 with special tokens, after cutting.

    `total` tokens there were before, `cut` were taken away, and pooling leaves out the first `unpooled`.
    """

    ids: NDArray[np.int32]
    total: int
    cut: int = 0
    unpooled: int = 0

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, kw_only=True, slots=True)
class Untokenizable:
    """A text the model cannot read, and why; `total` is 0 when its tokens could not even be counted."""

    total: int
    error: MinivecError


class Tokenizer(Protocol):
    """Texts to ids with special tokens, uncut. Safe from many threads at once."""

    @property
    def leading(self) -> int:
        """How many special tokens stand before the words of each text."""
        ...

    @property
    def trailing(self) -> int:
        """How many special tokens stand after them."""
        ...

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, in order. Raises whatever it likes on text that is not valid Unicode."""
        ...


class FileTokenizer:
    """A `tokenizer.json` read by the tokenizers library itself; its own truncation and padding are switched off."""

    def __init__(self, file: Path, *, lowercase: bool = False) -> None:
        import tokenizers

        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises bare Exception for every kind of damage
            raise ModelNotFound(
                f"The tokenizer file {file} cannot be read: {error}.", hint="Fetch the model's folder again."
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        if lowercase:
            self._add_lowercase()
        mask = self._tokenizer.encode("a").special_tokens_mask
        self.leading = mask.index(0) if 0 in mask else len(mask)
        self.trailing = mask[::-1].index(0) if 0 in mask else 0

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text with special tokens, uncut. Raises TypeError on lone surrogates."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def token_id(self, token: str) -> int | None:
        """The id of this token, or None when the vocabulary lacks it."""
        found: int | None = self._tokenizer.token_to_id(token)
        return found

    def _add_lowercase(self) -> None:
        from tokenizers.normalizers import Lowercase, Sequence

        present = self._tokenizer.normalizer
        steps = [Lowercase()] if present is None else [Lowercase(), present]
        self._tokenizer.normalizer = Sequence(steps)


def tokenize(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    prompts: Prompts = NO_PROMPTS,
    input_type: InputType = "passage",
    pool_prompt: bool = True,
    max_tokens: int,
    truncate: Truncation,
) -> list[TokenizedText | Untokenizable]:
    """Each text inside its prompt as ids of at most `max_tokens`, or the reason why not; one entry a text, in order."""
    prompt = prompts.of(input_type)
    kept = len(tokenizer.ids([prompt])[0]) - tokenizer.trailing if prompt else tokenizer.leading
    kept -= prompts.shared_tokens if prompt else 0
    unpooled = kept if prompt and not pool_prompt else 0
    room = max_tokens - kept - tokenizer.trailing
    prepared: list[TokenizedText | Untokenizable] = []
    for ids in _ids_or_reasons(tokenizer, [prompts.around(text, prompt) for text in texts]):
        if isinstance(ids, MinivecError):
            prepared.append(Untokenizable(total=0, error=ids))
        elif len(ids) <= max_tokens:
            prepared.append(TokenizedText(ids=np.asarray(ids, np.int32), total=len(ids), unpooled=unpooled))
        elif truncate == "refuse" or room < 1:
            reason = _too_long(len(ids), max_tokens) if room >= 1 else _no_room(kept, max_tokens)
            prepared.append(Untokenizable(total=len(ids), error=reason))
        else:
            rest = cut_ids(ids, max_tokens, keep_first=kept, keep_last=tokenizer.trailing, truncate=truncate)
            cut = len(ids) - max_tokens
            prepared.append(TokenizedText(ids=np.asarray(rest, np.int32), total=len(ids), cut=cut, unpooled=unpooled))
    return prepared


def cut_ids(ids: list[int], limit: int, *, keep_first: int, keep_last: int, truncate: Truncation) -> list[int]:
    """`limit` ids of a longer list: its first and last stay, the words lose their end or their start."""
    room = limit - keep_first - keep_last
    stop = len(ids) - keep_last
    words = ids[stop - room : stop] if truncate == "start" else ids[keep_first : keep_first + room]
    return ids[:keep_first] + words + ids[stop:]


def _ids_or_reasons(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int] | MinivecError]:
    try:
        return list(tokenizer.ids(texts))
    except Exception as error:  # one unreadable text fails the whole call: find it by asking one by one
        if len(texts) == 1:
            return [_unreadable(texts[0], error)]
        return [_ids_or_reasons(tokenizer, [text])[0] for text in texts]


def _unreadable(text: str, error: Exception) -> MinivecError:
    try:
        text.encode()
    except UnicodeEncodeError as place:
        return InvalidInput(
            f"The text is not valid Unicode: character {place.start} is half of a surrogate pair.",
            hint="Decode it with errors='replace'.",
        )
    return EmbeddingFailed(f"The tokenizer failed on this text: {error}.")


def _too_long(total: int, limit: int) -> TextTooLong:
    return TextTooLong(
        f"The text has {total} tokens and the model reads {limit}.",
        hint='Shorten it, or let truncate="end" or "start" cut it.',
    )


def _no_room(prompt: int, limit: int) -> TextTooLong:
    return TextTooLong(
        f"The model reads {limit} tokens and {prompt} of them stand before the text, so none of the text would be read.",
        hint="Give the model more tokens to read.",
    )
