"""Every reason code that the planner, the engine or a connector can give has a sentence."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from reports.reasons import ADVICE, REASONS

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+")
ERRORS = ("ItemError", "PreconditionFailed", "RetryableError")
"""What ends or delays one entry; other errors stop a run and come with their own message."""
DECIDING = [ROOT / "migration" / f"{name}.py" for name in ("filters", "naming", "refusals", "plan_rows", "versions")]
"""Modules whose reasons go through other hands before they become verdicts."""
OTHERS = ("ConfigurationError", "ContractViolation", "FatalError", "Finding", "PlanError")
NO_REASONS = {
    # Answers that never leave their connector.
    "condition-failed",
    "cursor-reset",
    "listing-outdated",
    "session-closed",
    "signed-out",
    # Neither are these.
    "content-length",
    "content-range",
    "content-type",
    "not-staged",
    "retry-after",
    "staging-key",
    "utf-16-le",
    "utf-8",
}
"""Strings of the same look in modules that compute their codes."""


def test_every_reason_has_a_sentence() -> None:
    found = {code: path for path in _modules() for code in _codes(ast.parse(path.read_text("utf-8")))}
    found |= {code: path for path in DECIDING for code in _lookalikes(ast.parse(path.read_text("utf-8")))}
    assert {"short-body", "unchanged", "name-too-long", "not-included", "permission-denied"} <= found.keys()
    missing = {code: str(path.relative_to(ROOT)) for code, path in found.items() if code not in REASONS}
    assert not missing, "reports/reasons.py has no sentence for these"


def test_advice_is_given_for_reasons_that_exist() -> None:
    assert ADVICE.keys() <= REASONS.keys()


def _modules() -> list[Path]:
    return sorted(path for package in ("connectors", "migration") for path in (ROOT / package).rglob("*.py"))


def _codes(tree: ast.Module) -> set[str]:
    """Codes in errors and verdicts; where one of them is computed, everything in the module that looks like a code."""
    codes: set[str] = set()
    for given in _given(tree):
        constants = {one.value for one in ast.walk(given) if isinstance(one, ast.Constant)}
        codes |= {code for code in constants if isinstance(code, str) and code and not code.startswith("-")}
        if not constants:
            codes |= set(_lookalikes(tree))
    return codes


def _lookalikes(tree: ast.AST) -> Iterator[str]:
    elsewhere = {id(one) for call in ast.walk(tree) if _says_something_else(call) for one in ast.walk(call)}
    for one in ast.walk(tree):
        is_text = isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in elsewhere
        if is_text and CODE.fullmatch(one.value):
            yield from {one.value} - NO_REASONS


def _says_something_else(one: ast.AST) -> bool:
    """Codes of what stops a run or is a line of a connection test, and names of headers."""
    if isinstance(one, ast.Call):
        return getattr(one.func, "id", "") in OTHERS or getattr(one.func, "attr", "") in ("get", "_posted")
    return isinstance(one, ast.Tuple) and bool(one.elts) and getattr(one.elts[0], "id", "") in OTHERS


def _given(tree: ast.Module) -> Iterator[ast.expr]:
    """What is given as the code: to an error, to a verdict, or beside an error's class in a table."""
    for one in ast.walk(tree):
        if isinstance(one, ast.Call):
            place = {**dict.fromkeys(ERRORS, 0), "Verdict": 1}.get(getattr(one.func, "id", ""))
            if place is not None and len(one.args) > place:
                yield one.args[place]
        elif isinstance(one, ast.Tuple) and len(one.elts) > 1 and getattr(one.elts[0], "id", "") in ERRORS:
            yield one.elts[1]
