"""The one runner: every benchmark of this folder by its name.

python -m benchmarks                                what there is, then all of it
python -m benchmarks --list                         what there is
python -m benchmarks retrieval_quality --data DIR   one of them, with its own arguments
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for, each in a process of its own; the exit code is 1 when one failed."""
    found = benchmarks()
    if not arguments or arguments[0] == "--list":
        for name, promise in found.items():
            print(f"{name:20} {promise}", flush=True)
        return 0 if arguments else _run_all(list(found))
    name, *rest = arguments
    if name not in found:
        print(f"There is no benchmark {name!r}. Known: {', '.join(found)}.", file=sys.stderr)
        return 2
    return _run(name, rest)


def benchmarks(folder: Path = FOLDER) -> dict[str, str]:
    """Every module of the folder that can be run, with the first line of what it says of itself."""
    found = {}
    for file in sorted(folder.glob("[a-z]*.py")):
        module = ast.parse(file.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in module.body):
            found[file.stem] = (ast.get_docstring(module) or "").partition("\n")[0]
    return found


def _run_all(names: Sequence[str]) -> int:
    failed = [name for name in names if _run(name, [])]
    print(f"failed: {', '.join(failed)}" if failed else "all benchmarks ended well")
    return 1 if failed else 0


def _run(name: str, arguments: Sequence[str]) -> int:
    print(f"\n== {name} ==", flush=True)
    with subprocess.Popen([sys.executable, "-m", f"benchmarks.{name}", *arguments]) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:  # it heard the same Ctrl-C, and may have a server to stop
            return process.wait() or 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
