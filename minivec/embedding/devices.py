"""Which devices a setting names: one, several after commas, or every GPU of the machine."""

from __future__ import annotations

from minivec.errors import InvalidInput

EVERY_GPU = "cuda:all"


def named_devices(wanted: str) -> tuple[str, ...]:
    """The names in `wanted`, each to have a worker of its own. Raises InvalidInput for a list with gaps, or no GPU."""
    if wanted.strip() == EVERY_GPU:
        return _every_gpu()
    names = tuple(name.strip() for name in wanted.split(","))
    if not all(names):
        raise InvalidInput(f"{wanted!r} is no list of devices.", field="device", hint='For example "cuda:0,cuda:1".')
    return names


def _every_gpu() -> tuple[str, ...]:
    import torch  # late: it is slow to load, and an engine may never need it

    count = torch.cuda.device_count()
    if not count:
        raise InvalidInput(
            f'There is no GPU for the device "{EVERY_GPU}".', field="device", hint='Use "auto" or "cpu".'
        )
    return tuple(f"cuda:{number}" for number in range(count))
