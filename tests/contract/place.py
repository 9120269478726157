"""What the contract's checks need of a system: a running server, ways to look at it and to change it that do not go
through the connector, and its troubles."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from migration.contract import Source
from migration.entries import PathParts

MODIFIED = datetime(2023, 4, 5, 6, 7, 8, 901_234, tzinfo=UTC)


class Place(ABC):
    """An empty part of one running system, for one test.

    The troubles below return None (or False) where the system knows no such thing; the check is then skipped, and the
    run counts it. A connector they return is not entered yet.
    """

    repetitions: ClassVar[float] = 1.0
    """Below 1 for systems over the network: what a check repeats hundreds of times is repeated less often."""

    @abstractmethod
    def connector(self, *, page_entries: int | None = None) -> Source:
        """A connector to it, not entered yet; `page_entries` asks for small pages of walks."""

    @abstractmethod
    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        """Put a file there, with its folders, replacing what is there."""

    @abstractmethod
    async def plant_folder(self, path: PathParts) -> None:
        """Make an empty folder there, with its parents."""

    @abstractmethod
    async def remove(self, path: PathParts) -> None:
        """Remove the file there."""

    @abstractmethod
    async def content(self, path: PathParts) -> bytes | None:
        """The bytes of the file there; None if there is none."""

    @abstractmethod
    async def everything(self) -> set[PathParts]:
        """Every file that is there, staged ones included; an open upload session counts as a file `("session", …)`.
        What lies in SiteHaul's own trash folder does not count."""

    def wrong_password(self) -> Source | None:
        """A connector whose credentials are wrong."""
        return None

    def missing_root(self) -> Source | None:
        """A connector whose folder, share, bucket, site … is not there."""
        return None

    def unreachable(self) -> Source | None:
        """A connector to an address where nobody listens."""
        return None

    def untrusted(self) -> Source | None:
        """A connector to a server whose certificate or host key it must not trust."""
        return None

    def read_only(self) -> Source | None:
        """A connector that may read what is planted, and write nothing."""
        return None

    def full(self) -> Source | None:
        """A connector to an empty place that takes some small files but not one of 40 MB."""
        return None

    async def expire(self) -> bool:
        """From now on refuse every sign-in handed out so far; whether the system has such a thing."""
        return False

    async def throttle(self, requests: int, seconds: float) -> bool:
        """Refuse the next requests with "try again in so many seconds"; whether the system has such a thing."""
        return False

    async def lose(self, nth: int, *, answered: bool) -> bool:
        """Cut the connection at the n-th request from now (0 = heal): before it is carried out, or, if `answered`,
        after that and before its answer arrives; whether the system can be told so."""
        return False

    async def hits(self) -> int:
        """How often `lose` or `throttle` struck."""
        return 0


@dataclass(frozen=True, slots=True)
class Row:
    """How a place is made, given its server (the session fixture of this name, see tests/servers/fixtures.py) and an
    empty local folder."""

    name: str
    open: Callable[[Any, Path], AbstractAsyncContextManager[Place]]
    server: str | None = None
