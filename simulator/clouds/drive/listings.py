"""Listings in pages: which entries a listing goes through, and the tokens of its further pages."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass

_KEPT = 5000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listing goes on."""

    about: tuple[str | None, ...]
    """The parameters it was begun with; with others its token is refused."""
    ids: list[str]
    at: int
    expires_at: float


class Listings:
    """The places that tokens stand for. What appears after a listing began is not in it; what vanished is left out."""

    def __init__(self) -> None:
        self._places: OrderedDict[str, Place] = OrderedDict()

    def keep(self, place: Place) -> str:
        """A token for a place; the oldest is forgotten when there are too many."""
        token = f"~!!~{secrets.token_urlsafe(40)}"
        self._places[token] = place
        if len(self._places) > _KEPT:
            self._places.popitem(last=False)
        return token

    def find(self, token: str, about: tuple[str | None, ...], now: float) -> Place | None:
        """The place of a token; None if it is unknown, too old, or of another listing."""
        place = self._places.get(token)
        return place if place is not None and place.about == about and place.expires_at > now else None
