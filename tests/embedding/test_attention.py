"""Attention over packed texts: equal to one text at a time by hand, and a kernel is only used when it proves itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from minivec.embedding.attention import attend_padded, choose_attention, tried, varlen_attention
from minivec.embedding.packed import Packed, pack
from minivec.embedding.tokens import TokenizedText

CPU = torch.device("cpu")
HEADS = (4, 2, 8)


def batch_of(*lengths: int) -> Packed:
    return pack([TokenizedText(ids=np.zeros(n, np.int32), total=n) for n in lengths], CPU)


def states(batch: Packed, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(len(batch.ids), heads, HEADS[2], generator=generator) for heads in (HEADS[0], *[HEADS[1]] * 2)]


def by_hand(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    batch: Packed,
    *,
    causal: bool = False,
    window: int | None = None,
    scale: float | None = None,
) -> torch.Tensor:
    """Softmax attention, text by text, head by head, from its definition."""
    mixed = torch.zeros_like(queries)
    start = 0
    for length in batch.lengths:
        text = slice(start, start + length)
        places = torch.arange(length)
        ahead = places[None, :] - places[:, None]
        hidden = torch.zeros(length, length, dtype=torch.bool)
        if causal:
            hidden |= ahead > 0
        if window is not None:
            hidden |= ahead.abs() > window
        for head in range(queries.shape[1]):
            shared = head * keys.shape[1] // queries.shape[1]
            scores = queries[text, head] @ keys[text, shared].T * (scale or queries.shape[2] ** -0.5)
            mixed[text, head] = scores.masked_fill(hidden, float("-inf")).softmax(-1) @ values[text, shared]
        start += length
    return mixed


@pytest.mark.parametrize("lengths", [(5,), (4, 4, 4), (1, 9, 3, 9)], ids=str)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 2])
def test_padding_for_attention_changes_nothing(lengths: tuple[int, ...], causal: bool, window: int | None) -> None:
    batch = batch_of(*lengths)
    found = attend_padded(*states(batch), batch, causal=causal, window=window)
    torch.testing.assert_close(found, by_hand(*states(batch), batch, causal=causal, window=window))


def test_the_scale_is_taken() -> None:
    batch = batch_of(3, 5)
    torch.testing.assert_close(
        attend_padded(*states(batch), batch, scale=1.0), by_hand(*states(batch), batch, scale=1.0)
    )


def test_float32_and_the_cpu_use_sdpa() -> None:
    assert choose_attention(CPU, torch.bfloat16, HEADS) == (attend_padded, "SDPA")
    assert choose_attention(torch.device("cuda"), torch.float32, HEADS) == (attend_padded, "SDPA")


def broken() -> Any:
    raise ImportError("no such kernel")


def test_a_kernel_that_fails_or_lies_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    lying = lambda: lambda queries, *_, **__: torch.zeros_like(queries)  # noqa: E731
    dividing = lambda: lambda queries, *_, **__: queries / 0  # noqa: E731
    for make in (broken, lying, dividing):
        assert tried(make, CPU, torch.float32, HEADS) == (attend_padded, "SDPA")
    assert len(caplog.records) == 3
    attend, name = tried(lambda: by_hand, CPU, torch.float32, HEADS)
    assert attend is by_hand
    assert "without padding" in name


class Kernel:
    """Stands in for torch's CUDA kernel, with its signature, and keeps what it was given."""

    def __init__(self) -> None:
        self.batch: Packed | None = None
        self.calls: list[dict[str, Any]] = []

    def __call__(
        self, query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale=None, window_size=(-1, -1), enable_gqa=False
    ) -> torch.Tensor:
        assert cu_seq_q.dtype == torch.int32
        assert torch.equal(cu_seq_q, cu_seq_k)
        assert max_q == max_k == int(cu_seq_q.diff().max())
        assert enable_gqa == (query.shape[1] != key.shape[1])
        left, right = window_size
        return by_hand(
            query,
            key,
            value,
            batch_of(*cu_seq_q.diff().tolist()),
            causal=right == 0,
            window=None if left < 0 else left,
            scale=scale,
        )


class OldKernel(Kernel):
    """The kernel of a torch that cannot share key heads."""

    def __call__(
        self, query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale=None, window_size=(-1, -1)
    ) -> torch.Tensor:
        assert query.shape == key.shape == value.shape
        return super().__call__(
            query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, scale=scale, window_size=window_size
        )


@pytest.mark.parametrize("kernel", [Kernel(), OldKernel()], ids=["shared heads", "repeated heads"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 2])
def test_the_kernel_is_asked_for_the_same(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel, causal: bool, window: int | None
) -> None:
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", kernel)
    batch = batch_of(1, 9, 3)
    found = varlen_attention()(*states(batch), batch, causal=causal, window=window)
    torch.testing.assert_close(found, by_hand(*states(batch), batch, causal=causal, window=window))


def test_a_torch_without_windows_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", lambda query, key, value, is_causal=False: query)
    assert tried(varlen_attention, CPU, torch.float32, HEADS) == (attend_padded, "SDPA")
