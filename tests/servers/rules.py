"""When a scripted fault strikes: the same words for every faulty server of the tests.

A rule is a mapping: `fault` (what goes wrong, the server's docstring lists them), `route` (regular expression searched
in the path, default all), `method` (or operation), and when: `nth` (a number or list, counted from 1 over the calls the
rule matches), `every` (each k-th), `count` (how often at most). Further keys are the fault's own.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

_COMMON = frozenset({"fault", "route", "method", "nth", "every", "count"})


class Rules:
    """The rules in force; may be changed and asked from any thread."""

    def __init__(self, known: Mapping[str, frozenset[str]]) -> None:
        """`known` names the faults, each with the keys of its own."""
        self._known = known
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []

    def load(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rules; an empty list ends all faults. Raises ValueError naming what makes no sense."""
        for rule in rules:
            own = self._known.get(rule.get("fault", ""))
            if own is None:
                raise ValueError(
                    f"there is no fault {rule.get('fault')!r}; there are: {', '.join(sorted(self._known))}"
                )
            if unknown := set(rule) - _COMMON - own:
                raise ValueError(f"the fault {rule['fault']} knows no {', '.join(sorted(unknown))}")
        with self._lock:
            self._rules = [_Rule(dict(rule)) for rule in rules]

    def pick(self, method: str, path: str) -> dict[str, Any] | None:
        """The first rule that is due for this call; every rule that matches counts it."""
        chosen = None
        with self._lock:
            for rule in self._rules:
                if rule.matches(method, path) and chosen is None and rule.strikes():
                    chosen = rule.values
        return chosen

    @property
    def struck(self) -> int:
        """How often the rules in force have struck."""
        with self._lock:
            return sum(rule.struck for rule in self._rules)


class _Rule:
    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self.struck = 0
        self._matched = 0
        self._route = re.compile(values.get("route", ""))

    def matches(self, method: str, path: str) -> bool:
        if self.values.get("method", method) != method or not self._route.search(path):
            return False
        self._matched += 1
        return True

    def strikes(self) -> bool:
        nth, every = self.values.get("nth"), self.values.get("every")
        due = (nth is None or self._matched in (nth if isinstance(nth, list) else [nth])) and (
            every is None or self._matched % every == 0
        )
        if not due or self.struck >= self.values.get("count", 10**9):
            return False
        self.struck += 1
        return True
