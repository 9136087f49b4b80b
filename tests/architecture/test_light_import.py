"""`import minivec` is cheap: it loads the public names and none of the libraries that only some users need."""

from __future__ import annotations

import json
import subprocess
import sys

MOST_SECONDS = 0.3
HEAVY = ("torch", "faiss", "sqlalchemy", "numpy", "transformers", "fastapi", "uvicorn", "pydantic", "orjson", "httpx")
PROGRAM = """
import json, resource, sys
def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
before = cpu()
import minivec
print(json.dumps({"seconds": cpu() - before, "modules": sorted(sys.modules)}))
"""


def import_in_a_fresh_interpreter() -> tuple[float, set[str]]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    return report["seconds"], {name.partition(".")[0] for name in report["modules"]}


def test_import_takes_little_cpu_time() -> None:
    seconds = min(import_in_a_fresh_interpreter()[0] for _ in range(5))
    assert seconds < MOST_SECONDS


def test_import_loads_no_heavy_library() -> None:
    _, loaded = import_in_a_fresh_interpreter()
    assert loaded.isdisjoint(HEAVY), loaded & set(HEAVY)
