"""One JSON record per benchmark run: the figures, and what they were measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

RECORDS = Path(__file__).parent / "records"
PACKAGES = (
    "minivec",
    "numpy",
    "torch",
    "transformers",
    "tokenizers",
    "sentence-transformers",
    "faiss-cpu",
    "sqlalchemy",
)


def record(name: str, figures: dict[str, Any], *, folder: Path = RECORDS) -> Path:
    """Print the record, write it to a file named after the benchmark and the time, and return that file."""
    now = datetime.now(UTC)
    content = {
        "benchmark": name,
        "date": now.isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
        "versions": {"python": platform.python_version(), **_versions()},
        "figures": figures,
    }
    text = json.dumps(content, indent=2)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{now:%Y%m%dT%H%M%S}.json"
    file.write_text(text + "\n")
    print(text)
    return file


def _commit() -> str:
    """The commit of the working tree, marked when files differ from it; "unknown" outside a repository."""
    command = ["git", "-C", str(RECORDS.parent), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _machine() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
