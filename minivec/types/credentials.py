"""What one caller brings to reach a model service: keys of the caller's own, and where the caller's own service is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """Keys go before those of the settings, `nvidia_base_url` before those of definitions. Printing shows no key."""

    nvidia_api_key: str = field(default="", repr=False)
    nvidia_base_url: str = ""
    openai_api_key: str = field(default="", repr=False)
