"""Whether a model fits: the bytes it needs against those the device has free, asked before anything is loaded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from minivec.errors import EmbeddingFailed

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
GIGABYTE = 1e9


def check_fits(name: str, needed: int, device: Any) -> None:
    """Raise EmbeddingFailed when the weights need more bytes than the device has free; a device that cannot say passes."""
    free = free_bytes(device)
    if free is not None and needed > free:
        raise EmbeddingFailed(
            f"{name} needs {needed / GIGABYTE:.1f} GB of memory for its weights and {device} has "
            f"{free / GIGABYTE:.1f} GB free.",
            hint='Free some memory, choose dtype "bfloat16", a smaller model or another device.',
        )


def free_bytes(device: Any) -> int | None:
    """The bytes a torch device has free now, or None when it does not say."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    return _free_on_host() if device.type == "cpu" else None


def _free_on_host() -> int | None:
    known = [free for free in (_available(MEMINFO), _left_in_group(CGROUP)) if free is not None]
    return min(known, default=None)


def _available(meminfo: Path) -> int | None:
    if not meminfo.is_file():
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _left_in_group(group: Path) -> int | None:
    """What a container's limit leaves; file cache counts as free, because the kernel gives it back."""
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        cached = re.search(r"^inactive_file (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):
        return None
    return int(limit) - used + (int(cached[1]) if cached else 0) if limit.isdigit() else None
