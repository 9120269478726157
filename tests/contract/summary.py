"""What the contract suite did not check of which system, and why: said at the end of every run that ran it."""

from collections import Counter, defaultdict

import pytest

from tests.contract.places import rows


def report_skipped(reporter: pytest.TerminalReporter) -> None:
    """One line per system and reason."""
    names = sorted((row.name for row in rows()), key=len, reverse=True)
    checked: Counter[str] = Counter()
    skipped: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in ("passed", "failed", "skipped"):
        for report in reporter.stats.get(outcome, []):
            place = _place(getattr(report, "nodeid", ""), names)
            if place is None or (outcome == "passed" and report.when != "call"):
                continue
            checked[place] += 1
            if outcome == "skipped" and isinstance(report.longrepr, tuple):
                skipped[place][report.longrepr[2].removeprefix("Skipped: ")] += 1
    if not checked:
        return
    reporter.section("the contract, system by system")
    for place in sorted(checked):
        left_out = skipped[place].total()
        reporter.line(f"{place}: {checked[place] - left_out} checked, {left_out} skipped")
        for reason, count in skipped[place].most_common():
            reporter.line(f"    {count} x {reason}")


def _place(nodeid: str, names: list[str]) -> str | None:
    if "tests/contract/" not in nodeid or "[" not in nodeid:
        return None
    parameters = nodeid.partition("[")[2].rstrip("]")
    return next((name for name in names if parameters == name or parameters.startswith(f"{name}-")), None)
