"""Reads safetensors: one file or shards behind an index, straight into the memory the model runs from. No pickle."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minivec.embedding import hub
from minivec.embedding.modules import FETCH_AGAIN, missing, read_object
from minivec.errors import ModelNotFound, WeightsMismatch

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
UNSAFE_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
GIGABYTE = 1e9

Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor's place and form in a file; its `shape` is read from the header, not from the data."""

    file: Path
    shape: tuple[int, ...]
    bytes: int


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, in order of name. Raises ModelNotFound naming one that is missing or unsafe."""
    single = folder / WEIGHTS
    if single.is_file():
        return [single]
    if not (folder / WEIGHTS_INDEX).is_file():
        raise _without_safetensors(folder)
    shards = sorted({Path(name).name for name in read_object(folder / WEIGHTS_INDEX).get("weight_map", {}).values()})
    lacking = [shard for shard in shards if not (folder / shard).is_file()]
    if lacking or not shards:
        raise missing(folder / (lacking[0] if lacking else WEIGHTS))
    return [folder / shard for shard in shards]


def hash_weights(folder: Path) -> str:
    """The sha256 of the weights as 64 hex digits; of several shards, the sha256 over each one's name and sha256."""
    files = weight_files(folder)
    if files == [folder / WEIGHTS]:
        return _hash_file(files[0])
    lines = [f"{file.name} {_hash_file(file)}\n" for file in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def stored_tensors(files: Iterable[Path]) -> dict[str, StoredTensor]:
    """Every tensor of these files by name, from their headers alone. Raises WeightsMismatch for a damaged file."""
    found: dict[str, StoredTensor] = {}
    for file in files:
        for name, entry in _header(file).items():
            start, stop = entry["data_offsets"]
            found[name] = StoredTensor(file, tuple(entry["shape"]), stop - start)
    return found


def fill(slots: Mapping[str, Tensor], stored: Mapping[str, StoredTensor], progress: Progress) -> None:
    """Copy each stored tensor into the memory of its slot, converting to the slot's dtype.

    Raises WeightsMismatch when one is lacking or of another shape.
    """
    check_shapes({name: tuple(slot.shape) for name, slot in slots.items()}, stored)
    total, done = sum(stored[name].bytes for name in slots), 0
    for name, tensor in read_tensors(stored, slots):
        slots[name].copy_(tensor)
        done += stored[name].bytes
        progress(done, total)


def read_tensors(stored: Mapping[str, StoredTensor], names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
    """These tensors on the CPU as the files hold them, file by file. Raises WeightsMismatch for a damaged file."""
    from safetensors import safe_open

    for file in sorted({stored[name].file for name in names}):
        try:
            with safe_open(str(file), framework="pt") as opened:
                for name in sorted(name for name in names if stored[name].file == file):
                    yield name, opened.get_tensor(name)
        except Exception as error:  # safetensors has an error class of its own
            raise damaged(file, error) from error


def check_shapes(expected: Mapping[str, tuple[int, ...]], stored: Mapping[str, StoredTensor]) -> None:
    """Raise WeightsMismatch when a tensor of the model is not stored, or stored in another shape."""
    for name, shape in expected.items():
        if name not in stored:
            raise WeightsMismatch(f"The weights lack the tensor {name}.", hint=FETCH_AGAIN)
        if stored[name].shape != shape:
            raise WeightsMismatch(
                f"The weights do not fit config.json: {name} has shape {list(stored[name].shape)}, not {list(shape)}.",
                hint=FETCH_AGAIN,
            )


def logged_progress(name: str) -> Progress:
    """Writes one log line a tenth of the way, for models large enough to wait for."""
    written = 0

    def report(done: int, total: int) -> None:
        nonlocal written
        tenth = 10 * done // max(total, 1)
        if tenth > written and total > GIGABYTE:
            written = tenth
            log.info("Loading %s: %.1f of %.1f GB.", name, done / GIGABYTE, total / GIGABYTE)

    return report


def damaged(place: Path, error: Exception) -> WeightsMismatch:
    """The error that names a file or folder whose weights cannot be read."""
    return WeightsMismatch(f"The weights in {place} cannot be loaded: {error}", hint=FETCH_AGAIN)


def _header(file: Path) -> dict[str, dict[str, list[int]]]:
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > file.stat().st_size:
                raise ValueError("its header is longer than the file")
            header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        if max((entry["data_offsets"][1] for entry in header.values()), default=0) + 8 + length != file.stat().st_size:
            raise ValueError("it is not as long as its header says")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(file, error) from error
    return dict(header)


def _hash_file(file: Path) -> str:
    if promised := hub.promised_sha256(file):
        return promised
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _without_safetensors(folder: Path) -> ModelNotFound:
    unsafe = sorted(file.name for pattern in UNSAFE_PATTERNS for file in folder.glob(pattern))
    if not unsafe:
        return missing(folder / WEIGHTS)
    return ModelNotFound(
        f"The model's file {folder / WEIGHTS} is missing, and {unsafe[0]} can hide code, so minivec does not open it.",
        hint="Fetch the safetensors form of this model, or convert it.",
    )
