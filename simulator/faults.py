"""Scripted faults: which call of which route fails, and how (API.md section 11.1).

A script is a JSON list of rules. A rule: `host` (login, api, storage, blob, peer; default api), `route` (regular
expression of the path, default all), `method`, `fault` (see FAULTS), and when: `nth` (a number or list, counted from 1
over the calls the rule matches), `every` (each k-th), `probability` with `seed`, `count` (how often at most). Further
keys are the fault's own, see `simulator/faulty.py`.
"""

import random
import re
from dataclasses import dataclass
from typing import Any

FAULTS = frozenset({
    "429-hour", "429-spike", "503", "500", "502", "408", "401", "404", "expired", "html-200", "foreign-redirect",
    "redirect-loop", "reset", "reset-mid-body", "truncated", "short-length", "too-long", "corrupt", "stall", "slow",
    "lost-response", "range-ignored", "etag-changed", "wrong-total", "duplicate-entries", "missing-entries",
    "reordered-entries",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to inject now."""

    name: str
    values: dict[str, Any]

    def number(self, key: str, default: float) -> float:
        """A numeric value of the rule."""
        return float(self.values.get(key, default))


class _Rule:
    def __init__(self, values: dict[str, Any], known: frozenset[str], host: str | None) -> None:
        if values.get("fault") not in known:
            raise ValueError(f"there is no fault {values.get('fault')!r}; there are: {', '.join(sorted(known))}")
        self.values = values
        self._host = values.get("host", host)
        self._method = values.get("method")
        self._route = re.compile(values.get("route", ""))
        self._chance = random.Random(values.get("seed", 0))
        self.matched = 0
        self.injected = 0

    def matches(self, host: str, method: str, path: str) -> bool:
        if self._host is not None and host != self._host:
            return False
        if (self._method and method != self._method) or not self._route.search(path):
            return False
        self.matched += 1
        return True

    def strikes(self) -> bool:
        if self.injected >= self.values.get("count", 10**9) or not self._due():
            return False
        self.injected += 1
        return True

    def _due(self) -> bool:
        if "nth" in self.values:
            nth = self.values["nth"]
            return self.matched in (nth if isinstance(nth, list) else [nth])
        if "every" in self.values:
            return bool(self.matched % int(self.values["every"]) == 0)
        if "probability" in self.values:
            return self._chance.random() < float(self.values["probability"])
        return True


class FaultScript:
    """The rules in force; changeable while the simulator runs.

    `known` are the faults there are; `host` is that of a rule without one, None = every host.
    """

    def __init__(self, known: frozenset[str] = FAULTS, host: str | None = "api") -> None:
        self._rules: list[_Rule] = []
        self._known = known
        self._host = host

    def load(self, rules: list[dict[str, Any]]) -> None:
        """Replace the rules. Raises ValueError naming what is wrong; the old rules then stay."""
        self._rules = [_Rule(values, self._known, self._host) for values in rules]

    def extend(self, rules: list[dict[str, Any]]) -> None:
        """Add rules."""
        self._rules += [_Rule(values, self._known, self._host) for values in rules]

    def pick(self, host: str, method: str, path: str) -> Fault | None:
        """The fault for this call, of the first rule that is due; every matching rule counts the call."""
        if not self._rules:
            return None
        chosen: Fault | None = None
        for rule in self._rules:
            if rule.matches(host, method, path) and chosen is None and rule.strikes():
                chosen = Fault(rule.values["fault"], rule.values)
        return chosen

    def described(self) -> list[dict[str, Any]]:
        """The rules with how often they matched and struck."""
        return [{**rule.values, "matched": rule.matched, "injected": rule.injected} for rule in self._rules]
