"""Everything that one simulated Procore is: its database, time, switches, windows, faults, bodies and addresses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.bodies import Bodies
from simulator.clock import SimulatedClock
from simulator.faults import FaultScript
from simulator.limits import RateLimits
from simulator.request_log import RequestLog
from simulator.settings import Settings
from simulator.store import Store
from simulator.web import Answer

HOSTS = ("login", "api", "storage", "blob", "control", "peer")
_VERSIONS_MAX = 100_000
Observer = Callable[[str, str, Mapping[str, str], bytes, Answer], None]
"""Told of each exchange with the API host: method, address, headers, request body, answer.

Not of those that a scripted fault touched, nor of errors in a shape that the switch `error_shape` forced.
"""


@dataclass(frozen=True, slots=True)
class Version:
    """What a download needs to know of a version."""

    id: int
    file_id: int
    project_id: int
    size_bytes: int
    body_key: str
    filename: str
    created_at: str


@dataclass(slots=True)
class State:
    """One simulated Procore. Used by one thread at a time."""

    store: Store
    clock: SimulatedClock
    settings: Settings
    limits: RateLimits
    faults: FaultScript
    bodies: Bodies
    urls: dict[str, str]
    """`login`, `api`, `storage`, `blob`, `control`, `peer` → http://127.0.0.1:PORT."""
    company_id: int
    log: RequestLog
    observer: Observer | None = None
    _versions: dict[int, Version] = field(default_factory=dict)

    @classmethod
    def opened(cls, folder: Path, urls: Mapping[str, str], settings: Settings) -> "State":
        """The state of a folder that holds a world (see `simulator.world`), its clock where it was moved to."""
        store = Store(folder)
        clock = SimulatedClock(store.meta("clock_offset_seconds", 0.0))
        return cls(
            store=store,
            clock=clock,
            settings=settings,
            limits=RateLimits(clock, folder / "calls.sqlite"),
            faults=FaultScript(),
            bodies=Bodies(store.meta("seed", 0), store.uploads_folder),
            urls=dict(urls),
            company_id=store.meta("company_id", 1),
            log=RequestLog(store),
        )

    def close(self) -> None:
        """Close the databases; what they hold stays."""
        self.limits.close()
        self.store.close()

    def advance(self, seconds: float) -> None:
        """Move the time; a restarted simulator stays there."""
        self.clock.advance(seconds)
        self.store.set_meta("clock_offset_seconds", self.store.meta("clock_offset_seconds", 0.0) + seconds)

    def change_settings(self, values: Mapping[str, Any]) -> None:
        """Change switches. Raises ValueError naming an unknown one or a wrong value; nothing is changed then."""
        self.settings = self.settings.changed(dict(values))

    def version(self, version_id: int) -> Version | None:
        """A version by its id. Versions never change and are never deleted, so they are remembered."""
        known = self._versions.get(version_id)
        if known is None:
            row = self.store.one(
                "SELECT v.id, v.file_id, d.project_id, v.size_bytes, v.body_key, v.filename, v.created_at "
                "FROM versions v JOIN documents d ON d.id = v.file_id WHERE v.id = ?",
                version_id,
            )
            if row is None:
                return None
            if len(self._versions) >= _VERSIONS_MAX:
                self._versions.clear()
            known = self._versions[version_id] = Version(*row)
        return known
