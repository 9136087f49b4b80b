"""kill -9 rounds: a server under load is killed, restarted and compared with a model of what it acknowledged.

python -m benchmarks crash_rounds --rounds 200

Prints each round, every violation, and the time from start to ready; writes one JSON record. The exit code is 1 when
anything was lost, invented or mixed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

from benchmarks.record import record
from tests.crash.rounds import Rounds, Summary


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument(
        "--seed", type=int, help="plays the same choices again (not the same timing); default: a new one"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="an empty folder for data and log, kept for a post-mortem"
    )
    options = parser.parse_args(arguments)
    seed = Random().randrange(1 << 30) if options.seed is None else options.seed
    if options.keep is None:
        with tempfile.TemporaryDirectory(prefix="crash-rounds-") as folder:
            summary = play(Path(folder), seed, options.rounds)
    else:
        options.keep.mkdir(parents=True, exist_ok=True)
        summary = play(options.keep, seed, options.rounds)
    record("crash_rounds", summary.figures())
    return 1 if summary.violations or summary.rounds < options.rounds else 0


def play(folder: Path, seed: int, rounds: int) -> Summary:
    print(f"seed {seed}", flush=True)
    summary = Rounds(folder, seed, say=lambda line: print(line, flush=True)).run(rounds)
    for violation in summary.violations:
        print(violation, flush=True)
    return summary


if __name__ == "__main__":
    sys.exit(main())
