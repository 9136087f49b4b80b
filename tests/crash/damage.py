"""Ways to spoil an index snapshot while nobody has the folder open."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

WAYS = ("delete", "flip", "truncate", "empty", "garbage", "rewind")


def snapshots(data: Path) -> list[Path]:
    """Every snapshot under a data directory."""
    return sorted(data.glob("collections/*/*.snapshot"))


def put_in_place_of_each_other(data: Path) -> None:
    """Give each collection the snapshots of the next one that has some of the same name."""
    by_name: dict[str, list[Path]] = {}
    for snapshot in snapshots(data):
        by_name.setdefault(snapshot.name, []).append(snapshot)
    for paths in by_name.values():
        contents = [path.read_bytes() for path in paths]
        for path, content in zip(paths, contents[1:] + contents[:1], strict=True):
            path.write_bytes(content)


def spoil(snapshot: Path, way: str, random: Random) -> None:
    """Spoil one snapshot; `rewind` puts back the copy that `keep_copies` made of it, where there is one."""
    if way == "rewind":
        if _copy_of(snapshot).exists():
            shutil.copyfile(_copy_of(snapshot), snapshot)
        return
    if way == "delete":
        snapshot.unlink()
        return
    content = bytearray(snapshot.read_bytes())
    if way == "flip" and content:
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    elif way == "truncate":
        del content[random.randrange(len(content) + 1) :]
    elif way == "empty":
        content.clear()
    else:
        content = bytearray(random.randbytes(len(content)))
    snapshot.write_bytes(content)


def keep_copies(data: Path) -> None:
    """Set the snapshots of now aside, for a later `rewind` to an old but undamaged state."""
    for snapshot in snapshots(data):
        shutil.copyfile(snapshot, _copy_of(snapshot))


def spoil_some(data: Path, random: Random) -> list[str]:
    """Spoil each snapshot with a chance of one half; what was done, in words."""
    done = []
    for snapshot in snapshots(data):
        if random.random() < 0.5:
            way = random.choice(WAYS)
            spoil(snapshot, way, random)
            done.append(f"{way} {snapshot.name}")
    return done


def _copy_of(snapshot: Path) -> Path:
    return snapshot.with_suffix(".kept")
