"""Finds models in the Hugging Face hub's cache on this machine. Reads folders only; never asks the network."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

SHA256 = re.compile(r"[0-9a-f]{64}")
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where the hub's libraries keep what they fetched: HF_HUB_CACHE, HF_HOME/hub, or their default."""
    environ = os.environ if environment is None else environment
    if named := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(named).expanduser()
    home = environ.get("HF_HOME") or str(Path(environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    return Path(home).expanduser() / "hub"


def snapshot(repository: str, cache: Path | None = None) -> Path | None:
    """The folder of `organisation/name` in the cache: what its `main` points at, else the newest snapshot, else None."""
    if not REPOSITORY.fullmatch(repository):
        return None
    kept = (cache or cache_folder()) / f"models--{repository.replace('/', '--')}"
    main = kept / "refs" / "main"
    if main.is_file() and (named := kept / "snapshots" / main.read_text().strip()).is_dir():
        return named
    found = [folder for folder in kept.glob("snapshots/*") if folder.is_dir()]
    return max(found, key=lambda folder: folder.stat().st_mtime, default=None)


def promised_sha256(file: Path) -> str | None:
    """The sha256 the hub gave a large file, which the cache uses as the name of its blob; None outside the cache."""
    target = file.resolve()
    inside = file.is_symlink() and target.parent.name == "blobs"
    return target.name if inside and SHA256.fullmatch(target.name) else None


def repository_of(folder: Path) -> str | None:
    """The `organisation/name` whose snapshot this folder of the cache is, or None for any other folder."""
    if folder.parent.name != "snapshots" or not folder.parent.parent.name.startswith("models--"):
        return None
    return folder.parent.parent.name.removeprefix("models--").replace("--", "/", 1)


def how_to_fetch(repository: str) -> str:
    """The sentence that says how the files of a repository come into the cache, gated ones included."""
    return (
        f"minivec fetches nothing by itself. Run: hf download {repository}. If the hub refuses because the model is "
        f"gated, accept its terms at https://huggingface.co/{repository} and run: hf auth login."
    )
