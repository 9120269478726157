"""The tokens a cloud has handed out."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from simulator.clock import SimulatedClock


@dataclass(slots=True)
class Grant:
    """What one token is for."""

    kind: str
    expires_at: float | None
    values: dict[str, Any] = field(default_factory=dict)


class Tokens:
    """Access tokens, refresh tokens, codes: random texts of a kind, each with a lifetime and what it stands for."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._grants: dict[str, Grant] = {}

    def issue(self, kind: str, lifetime_seconds: float | None, prefix: str = "", **values: Any) -> str:
        """A new token; a lifetime of None is for ever."""
        token = prefix + secrets.token_urlsafe(32)
        expires_at = None if lifetime_seconds is None else self._clock.now() + lifetime_seconds
        self._grants[token] = Grant(kind, expires_at, values)
        return token

    def grant(self, token: str | None, kind: str) -> Grant | None:
        """What the token is for; None if it was never given, is of another kind, was revoked or is too old."""
        grant = self._grants.get(token or "")
        if grant is None or grant.kind != kind:
            return None
        if grant.expires_at is not None and self._clock.now() >= grant.expires_at:
            return None
        return grant

    def known(self, token: str) -> bool:
        """Whether the token was given and not revoked, however old it is."""
        return token in self._grants

    def revoke(self, token: str) -> None:
        """The token is worth nothing any more."""
        self._grants.pop(token, None)

    def expire(self, kind: str) -> None:
        """Every token of a kind given so far is too old from now on."""
        for grant in self._grants.values():
            if grant.kind == kind:
                grant.expires_at = 0.0
