"""Random histories of jobs between two sides: `python -m benchmarks.prove_sync --histories 10000 --seed 1`.

People create, edit, rename, move, swap, delete and restore on both sides in any order; listings come back empty, partly
hidden, of another place or not at all; runs crash and are resumed (tests/engine/histories.py says what must hold). The
seed of every violation is printed with what happened; the same seed gives the same history.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.engine.histories import a_history


def one(seed: int) -> tuple[int, Counter[str], str | None]:
    """The history of a seed: what it was made of, and the violation if there was one."""
    with tempfile.TemporaryDirectory(prefix="sync-") as folder:
        try:
            history = asyncio.run(a_history(Path(folder), seed))
        except Exception as error:  # noqa: BLE001 - told with its seed; the others go on
            return seed, Counter(), "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    words = Counter(line.split()[0].removesuffix(",").removesuffix(":") for line in history.told)
    runs = words["run"] + words["quiet"]
    return seed, Counter(runs=runs, crashes=words["crash"], changes=words["source"] + words["destination"]), None


def main() -> int:
    """0 = no violation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    began = time.monotonic()
    total: Counter[str] = Counter()
    violations = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for seed, counts, violation in pool.map(one, range(wanted.seed, wanted.seed + wanted.histories), chunksize=4):
            total += counts
            if violation is not None:
                violations += 1
                print(f"VIOLATION, seed {seed}: {violation}\n", flush=True)
    seconds = time.monotonic() - began
    print(
        f"seeds {wanted.seed} to {wanted.seed + wanted.histories - 1}: {violations} violations; "
        f"{total['runs']:,} runs, {total['changes']:,} changes by people, {total['crashes']:,} crashes, "
        f"{seconds:,.0f} s"
    )
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
