"""The devices a setting names."""

from __future__ import annotations

import pytest
import torch

from minivec.embedding.devices import named_devices
from minivec.errors import InvalidInput


def test_one_or_several_after_commas() -> None:
    assert named_devices("auto") == ("auto",)
    assert named_devices("cuda:0, cuda:1") == ("cuda:0", "cuda:1")
    assert named_devices("cpu,cpu") == ("cpu", "cpu")


@pytest.mark.parametrize("wanted", ["", "cuda:0,", ",cpu"])
def test_a_list_with_gaps_is_refused(wanted: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        named_devices(wanted)
    assert caught.value.field == "device"


def test_every_gpu_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert named_devices("cuda:all") == ("cuda:0", "cuda:1", "cuda:2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InvalidInput, match="no GPU"):
        named_devices("cuda:all")
