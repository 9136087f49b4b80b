"""Attention over packed texts, each seeing only its own tokens: torch's flash kernel for varying lengths, or SDPA.

Which one is chosen when a model is loaded, by trying it; the choice is logged. Import late: this loads torch.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from minivec.embedding.packed import Packed, pack
from minivec.embedding.tokens import TokenizedText

log = logging.getLogger(__name__)

PROBE_LENGTHS = (5, 2, 9)
PROBE_TOLERANCE = 2e-2
HALVES = (torch.float16, torch.bfloat16)


class Attend(Protocol):
    """Queries of shape (tokens, heads, head width), keys and values with as many heads or a divisor, the batch → (tokens,
    heads, head width). `window` tokens are seen to either side, None for all; a `causal` token sees nothing after itself.
    """

    def __call__(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        batch: Packed,
        *,
        causal: bool = False,
        window: int | None = None,
        scale: float | None = None,
    ) -> torch.Tensor:
        """Each token's mixture of its text's values."""
        ...


def attend_padded(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    batch: Packed,
    *,
    causal: bool = False,
    window: int | None = None,
    scale: float | None = None,
) -> torch.Tensor:
    """SDPA, on any device and dtype; texts are padded for this step only, and not at all when their lengths are equal."""
    shares_heads = queries.shape[1] != keys.shape[1]
    queries, keys, values = (batch.padded(states).transpose(1, 2) for states in (queries, keys, values))
    mask = _mask(batch, causal=causal, window=window)
    # Texts are padded behind, so that a causal token never looks at padding: only the other cases need a mask.
    mixed = scaled_dot_product_attention(
        queries,
        keys,
        values,
        attn_mask=mask,
        is_causal=causal and mask is None,
        scale=scale,
        enable_gqa=shares_heads,
    )
    return batch.flat(mixed.transpose(1, 2))


def _mask(batch: Packed, *, causal: bool, window: int | None) -> torch.Tensor | None:
    if window is None:
        return None if causal or batch.even else batch.mask[:, None, None, :]
    places = torch.arange(batch.longest, device=batch.ids.device)
    ahead = places[None, :] - places[:, None]
    near = (ahead.abs() <= window) & ((ahead <= 0) if causal else True)
    return near & batch.mask[:, None, None, :]


def varlen_attention() -> Attend:
    """Torch's flash attention over varying lengths, for CUDA in half precision. Raises ImportError before torch 2.10."""
    from torch.nn.attention.varlen import varlen_attn

    shares_heads = "enable_gqa" in inspect.signature(varlen_attn).parameters

    def attend(
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        batch: Packed,
        *,
        causal: bool = False,
        window: int | None = None,
        scale: float | None = None,
    ) -> torch.Tensor:
        options: dict[str, Any] = {} if scale is None else {"scale": scale}
        repeats = queries.shape[1] // keys.shape[1]
        if repeats > 1 and shares_heads:
            options["enable_gqa"] = True
        elif repeats > 1:
            keys, values = (states.repeat_interleave(repeats, dim=1) for states in (keys, values))
        reach = -1 if window is None else window
        if causal or window is not None:
            options["window_size"] = (reach, 0 if causal else reach)
        mixed: torch.Tensor = varlen_attn(
            queries, keys, values, batch.offsets, batch.offsets, batch.longest, batch.longest, **options
        )
        return mixed

    return attend


def choose_attention(device: torch.device, dtype: torch.dtype, heads: tuple[int, int, int]) -> tuple[Attend, str]:
    """The fastest attention that works here, and its name for the log. `heads`: queries', keys' and the width of one."""
    if device.type != "cuda" or dtype not in HALVES:
        return attend_padded, "SDPA"
    return tried(varlen_attention, device, dtype, heads)


def tried(
    make: Callable[[], Attend], device: torch.device, dtype: torch.dtype, heads: tuple[int, int, int]
) -> tuple[Attend, str]:
    """What `make` gives and its name, if it runs and agrees with SDPA on a small batch; otherwise SDPA, and a warning."""
    try:
        attend = make()
        difference = _difference(attend, device, dtype, heads)
        if not difference <= PROBE_TOLERANCE:
            raise ValueError(f"it differs from SDPA by {difference:.1g}")
    except Exception as error:  # an older torch, a GPU without the kernel, a head too wide: SDPA serves them all
        log.warning("Texts are padded for attention on %s, because flash attention does not work: %s.", device, error)
        return attend_padded, "SDPA"
    return attend, "flash attention without padding"


def _difference(attend: Attend, device: torch.device, dtype: torch.dtype, heads: tuple[int, int, int]) -> float:
    texts = [TokenizedText(ids=np.zeros(length, np.int32), total=length) for length in PROBE_LENGTHS]
    batch = pack(texts, device)
    query_heads, key_heads, width = heads
    generator = torch.Generator().manual_seed(0)
    queries, keys, values = (
        torch.randn(sum(PROBE_LENGTHS), count, width, generator=generator).to(device, dtype)
        for count in (query_heads, key_heads, key_heads)
    )
    found = attend(queries, keys, values, batch).float()
    return float((found - attend_padded(queries, keys, values, batch).float()).abs().max())
