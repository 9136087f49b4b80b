"""The kinds of embedding service as data: where they are, what they take, where their keys come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProviderName = Literal["nvidia", "openai"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """One kind of service.

    `base_url` is that of the hosted one, which alone needs a key; `header` and `variables` are where a key may stand.
    A request holds at most `most_texts` texts and about `most_tokens` tokens. `asymmetric`: it takes NIM's `input_type`
    and `truncate`.
    """

    name: ProviderName
    label: str
    base_url: str
    header: str
    variables: tuple[str, ...]
    most_texts: int
    most_tokens: int
    asymmetric: bool


PROVIDERS: dict[ProviderName, Provider] = {
    "nvidia": Provider(
        name="nvidia",
        label="NVIDIA",
        base_url="https://integrate.api.nvidia.com",
        header="X-NVIDIA-Api-Key",
        variables=("NVIDIA_APIKEY", "NVIDIA_API_KEY"),
        most_texts=50,
        most_tokens=25_000,
        asymmetric=True,
    ),
    "openai": Provider(
        name="openai",
        label="OpenAI",
        base_url="https://api.openai.com",
        header="X-OpenAI-Api-Key",
        variables=("OPENAI_APIKEY", "OPENAI_API_KEY"),
        most_texts=256,
        most_tokens=100_000,
        asymmetric=False,
    ),
}
