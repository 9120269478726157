"""Egnyte's two limits of every access token: calls per second and calls per day (of UTC).

https://developers.egnyte.com/docs/read/Best_Practices says 403 with `X-Mashery-Error-Code`, newer pages of the same
documentation say 429; both with Retry-After. A switch chooses.
"""

from dataclasses import dataclass, field

from simulator.clock import SimulatedClock
from simulator.clouds.egnyte.errors import gateway
from simulator.web import Answer, Header

_DAY_SECONDS = 86_400


@dataclass(slots=True)
class _Used:
    second: int = 0
    in_second: int = 0
    day: int = 0
    in_day: int = 0


@dataclass(slots=True)
class Limits:
    """How much of its limits each token has used."""

    clock: SimulatedClock
    used: dict[str, _Used] = field(default_factory=dict)

    def count(self, token: str, per_second: int, per_day: int, status: int) -> tuple[Answer | None, list[Header]]:
        """Count a call: the refusal if it is one too many, and the headers that every answer carries."""
        now = self.clock.now()
        used = self.used.setdefault(token, _Used())
        if used.second != int(now):
            used.second, used.in_second = int(now), 0
        if used.day != int(now // _DAY_SECONDS):
            used.day, used.in_day = int(now // _DAY_SECONDS), 0
        refusal = None
        if used.in_day >= per_day:
            wait = int(_DAY_SECONDS - now % _DAY_SECONDS) + 1
            refusal = self._refusal(status, "ERR_403_DEVELOPER_OVER_RATE", "Developer Over Rate", wait)
        elif used.in_second >= per_second:
            refusal = self._refusal(status, "ERR_403_DEVELOPER_OVER_QPS", "Developer Over Qps", 1)
        else:
            used.in_second += 1
            used.in_day += 1
        return refusal, [
            (b"x-accesstoken-qps-allotted", str(per_second).encode()),
            (b"x-accesstoken-qps-current", str(used.in_second).encode()),
            (b"x-accesstoken-quota-allotted", str(per_day).encode()),
            (b"x-accesstoken-quota-current", str(used.in_day).encode()),
        ]

    @staticmethod
    def _refusal(status: int, code: str, text: str, seconds: int) -> Answer:
        wait: Header = (b"retry-after", str(seconds).encode())
        if status == 429:
            return Answer.json({"errorMessage": "Too many requests"}, 429, [wait])
        return gateway(status, code, text, [wait])
