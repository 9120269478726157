"""`make bench`: every measurement in one go, printed side by side and written to docs/benchmarks.md.

`python -m benchmarks small large …` runs only the named ones and prints them.
"""

import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import destinations, listings, planning, transfers, windows
from benchmarks.measure import machine
from benchmarks.table import Table

MEASUREMENTS: dict[str, Callable[[Path], Table]] = {
    "analysis": lambda folder: listings.analysis(folder, documents=100_000),
    "analysis-million": lambda folder: listings.analysis(folder, documents=1_000_000),
    "plan-million": planning.million,
    "window": windows.use_of_the_window,
    "ranges": transfers.ranges,
    "huge": transfers.one_huge_file,
    "large": lambda folder: transfers.large_files(folder, latency_ms=0),
    "large-latency": lambda folder: transfers.large_files(folder, latency_ms=30),
    "small": lambda folder: transfers.small_files(folder, latency_ms=30),
    "small-no-latency": lambda folder: transfers.small_files(folder, latency_ms=0),
    "small-redirects": lambda folder: transfers.small_files(folder, latency_ms=30, redirects=True),
    "again": listings.nothing_changed,
    **destinations.measurements(),
}
_RESULTS = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_HEAD = """# Measured figures

Made by `make bench` on {day}: {machine}. The simulated Procore, the Prefect server and the measured program share the
machine, so only the ratios within one table say much. Every SiteHaul figure includes SHA-256 and durable outcomes.

"""


def main(names: list[str]) -> int:
    """Run the named measurements, all of them if none is named; 0, or 2 for an unknown name."""
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        print(f"There is no measurement {', '.join(unknown)}; there are: {', '.join(MEASUREMENTS)}")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended, too
    head = _HEAD.format(day=datetime.now(UTC).date().isoformat(), machine=machine())
    tables = []
    with tempfile.TemporaryDirectory(prefix="sitehaul-bench-") as folder:
        # Nothing is deleted before the end: ext4 is slow to make files for minutes after many were deleted.
        for name in names or MEASUREMENTS:
            place = Path(folder) / name
            place.mkdir()
            table = MEASUREMENTS[name](place).markdown()
            print(table, flush=True)
            tables.append(table)
    if not names:
        _RESULTS.write_text(head + "\n".join(tables), "utf-8")
        print(f"Written to {_RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
