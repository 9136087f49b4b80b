"""The official clients, unmodified from the package index, each in a virtual environment of its own that is kept."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".venv-contract"
SCRIPTS = Path(__file__).with_name("scripts")


@dataclass(frozen=True)
class Client:
    """A client by its requirement; `script` drives it. The development environment itself has those `at_hand`.

    `beside` is what it imports and does not ask for itself.
    """

    requirement: str
    script: str
    at_hand: bool = False
    beside: tuple[str, ...] = ()


OPENAI = Client("openai==3.51.0", "openai_client.py", at_hand=True)
LANGCHAIN = Client("langchain-nvidia-ai-endpoints==1.5.0", "langchain_client.py")
LLAMA_INDEX = Client("llama-index-embeddings-nvidia==0.6.0", "llama_index_client.py", beside=(OPENAI.requirement,))
HAYSTACK = Client("nvidia-haystack==3.0.0", "haystack_client.py")


def python_of(client: Client) -> Path:
    """The client's Python; its environment is made when it is not there or was left half-made."""
    if client.at_hand:
        return Path(sys.executable)
    folder = KEPT / client.requirement.replace("==", "-")
    python = folder / "bin" / "python"
    KEPT.mkdir(exist_ok=True)
    with (KEPT / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may want it at the same time
        whole = folder / "installed"
        if not whole.is_file():
            venv.create(folder, clear=True, with_pip=True)
            install = [python, "-m", "pip", "install", "-q", client.requirement, *client.beside]
            ended = subprocess.run(install, capture_output=True, text=True, check=False)
            assert ended.returncode == 0, ended.stderr[-4_000:]
            whole.touch()
    return python


def ask(client: Client, *arguments: str) -> dict[str, Any]:
    """Run the client's script with these arguments; what it printed."""
    kept_out = ("NVIDIA", "OPENAI", "PYTHON", "MINIVEC")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(kept_out)}
    ended = subprocess.run(
        [python_of(client), SCRIPTS / client.script, *arguments],
        env={**environment, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout[-4_000:] + ended.stderr[-8_000:]
    answer: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return answer
