"""Memory: what a device or a container has free is read right, and too little of it is said in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from minivec.embedding import memory
from minivec.errors import EmbeddingFailed

CPU = torch.device("cpu")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 4 GB available and, until a test writes more, no container."""
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemFree: 5 kB\nMemAvailable:   4000000 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    return tmp_path


def contain(machine: Path, limit: str) -> None:
    (machine / "memory.max").write_text(f"{limit}\n")
    (machine / "memory.current").write_text("1500000000\n")
    (machine / "memory.stat").write_text("anon 5\ninactive_file 500000000\n")


def test_available_memory_counts_not_free_memory(machine: Path) -> None:
    assert memory.free_bytes(CPU) == 4_096_000_000


@pytest.mark.parametrize(("limit", "free"), [("2000000000", 1_000_000_000), ("max", 4_096_000_000)])
def test_a_containers_limit_counts_when_it_is_lower(machine: Path, limit: str, free: int) -> None:
    contain(machine, limit)
    assert memory.free_bytes(CPU) == free


def test_a_machine_that_cannot_say_lets_everything_pass(machine: Path) -> None:
    (machine / "meminfo").unlink()
    assert memory.free_bytes(CPU) is None
    assert memory.free_bytes(torch.device("mps")) is None
    memory.check_fits("model", 10**15, CPU)


def test_too_little_memory_names_both_numbers(machine: Path) -> None:
    memory.check_fits("model", 4_096_000_000, CPU)
    with pytest.raises(EmbeddingFailed, match=r"model needs 15\.7 GB .* cpu has 4\.1 GB free") as caught:
        memory.check_fits("model", 15_702_032_384, CPU)
    assert "bfloat16" in caught.value.hint
