"""What a user may choose about the engine, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from minivec.errors import InvalidInput

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineOptions:
    """`device` is "auto" (CUDA, else MPS, else CPU), a torch device name, several after commas, or "cuda:all".

    `dtype` is what the weights are held in; "auto" is the quickest that keeps the model's quality: bfloat16 on CUDA, what
    minivec.embedding.cpu chooses on a CPU, else float32. `batch_tokens` is the size of one pass in tokens, None for what suits the
    device; `queue_tokens` may wait per input type before Busy; an idle device waits `queue_delay_us` microseconds for
    more texts to fill a batch. `threads` are the CPU threads of a pass, None for torch's own choice. `models` is a folder
    of model folders, each known by its name there. Vectors are kept for texts that come again in `cache_bytes`.
    """

    device: str = "auto"
    dtype: Dtype = "float32"
    batch_tokens: int | None = None
    queue_tokens: int = 262_144
    queue_delay_us: int = 100
    threads: int | None = None
    models: Path | None = None
    cache_bytes: int = 0

    def __post_init__(self) -> None:
        if self.dtype not in get_args(Dtype):
            raise InvalidInput(f"{self.dtype!r} is none of {', '.join(get_args(Dtype))}.", field="dtype")
        for field in ("batch_tokens", "queue_tokens", "threads"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise InvalidInput(f"{value} is less than 1.", field=field)
        for field in ("queue_delay_us", "cache_bytes"):
            if getattr(self, field) < 0:
                raise InvalidInput(f"{getattr(self, field)} is less than 0.", field=field)
