"""What a user may choose about the engine, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from minivec.errors import InvalidInput

Dtype = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineOptions:
    """`device` is "auto" (CUDA, else MPS, else CPU) or a torch device name; `dtype` is what the weights are held in.

    `batch_tokens` is the size of one pass in tokens, None for what suits the device; `queue_tokens` may wait per input
    type before Busy; `threads` are the CPU threads of a pass, None for torch's own choice. `models` is a folder of model
    folders, each known by its name there.
    """

    device: str = "auto"
    dtype: Dtype = "float32"
    batch_tokens: int | None = None
    queue_tokens: int = 262_144
    threads: int | None = None
    models: Path | None = None

    def __post_init__(self) -> None:
        if self.dtype not in get_args(Dtype):
            raise InvalidInput(f"{self.dtype!r} is none of {', '.join(get_args(Dtype))}.", field="dtype")
        for field in ("batch_tokens", "queue_tokens", "threads"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise InvalidInput(f"{value} is less than 1.", field=field)
