"""Makes a believable company with construction projects, deterministic in its seed and fast enough for a million files.

The sample project comes first. Then, as far as asked for: a small permitted project, one the service account is not
permitted to, one whose Documents tool is off, further small permitted ones.
"""

import itertools
import math
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simulator.clock import time_text
from simulator.project_writer import DAY_SECONDS, DAYS, ProjectWriter, Shared, WorldOptions
from simulator.store import FILE_NAME, Store

COMPANY_ID = 4264807
COMPANY_NAME = "Northwind Builders"
STANDARD, ADMIN = 3, 4
_FIRST_ID = 2**31 + 100_000

_PEOPLE = (
    ("Maria Santos", COMPANY_NAME), ("Tom O'Neill", COMPANY_NAME), ("José Álvarez", "Delgado Electric"),
    ("Zoë Krüger", "Fjord Mechanical GmbH"), ("李伟", "Coastal Steel Erectors"),
    ("Priya Raman", "Alder & Finch Architects"), ("Sam Whitaker", "Bay Concrete"),
    ("Anna Ivanova", "Ivanova Interiors"), ("Dwayne Brooks", COMPANY_NAME),
    ("Fatima Haddad", "Hollis Glass"), ("Kenji Mori", "Juniper Roofing Co"), ("Grace Lindqvist", "Gray Plumbing, Inc"),
)  # fmt: skip
_PROJECTS = (
    ("Harbor Street Medical Center", "24-017"), ("Lakeside Elementary Modernization", "24-022"),
    ("Confidential Tenant Improvement", "25-003"), ("Riverside Parking Structure", "23-041"),
)  # fmt: skip
_NOT_PERMITTED, _TOOL_OFF = 2, 3


def make_world(folder: Path, options: WorldOptions, now: float) -> None:
    """Make the world in an empty folder; one that is there is left alone.

    Raises ValueError if a world made of something else is there, or if the options make no sense. Stopped on the way,
    it leaves nothing that counts as a world.
    """
    if (folder / FILE_NAME).exists():
        check_same_world(folder, options)
        return
    sizes = (options.max_file_bytes, options.file_bytes, options.further_files)
    if options.files < 1 or options.projects < 1 or min(sizes) < 0:
        raise ValueError("a world needs at least one project and one file, and sizes that are not negative")
    store = Store(folder, to_fill=True)
    _Builder(store, options, math.floor(now / DAY_SECONDS) * DAY_SECONDS).build()
    store.finish_filling()


def check_same_world(folder: Path, options: WorldOptions) -> None:
    """Raises ValueError unless the folder's world was made with these options."""
    store = Store(folder)
    made = store.meta("options")
    store.close()
    if made is None or WorldOptions(**made) != options:
        there = ", ".join(f"{name}={value}" for name, value in (made or {}).items())
        raise ValueError(f"{folder} holds a world made with {there}; name another folder, or leave these options away")


def options_of(folder: Path) -> WorldOptions | None:
    """What the folder's world was made with; None if there is none."""
    if not (folder / FILE_NAME).exists():
        return None
    store = Store(folder)
    made = store.meta("options")
    store.close()
    return WorldOptions(**made)


def project_facts(store: Store) -> list[dict[str, Any]]:
    """Each project: id, name, project_number, files (live, visible), documents_on, permitted (the service account)."""
    service_user_id = store.meta("service_user_id")
    rows = store.all(
        "SELECT p.*, EXISTS (SELECT 1 FROM permissions r WHERE r.project_id = p.id AND r.user_id = ?) AS permitted "
        "FROM projects p ORDER BY p.id",
        service_user_id,
    )
    counts = store.meta("file_counts", {})
    return [
        {
            "id": row["id"], "name": row["name"], "project_number": row["project_number"],
            "files": counts.get(str(row["id"]), 0), "documents_on": bool(row["documents_on"]),
            "permitted": bool(row["permitted"]),
        }
        for row in rows
    ]  # fmt: skip


class _Builder:
    """Writes one world into an empty store."""

    def __init__(self, store: Store, options: WorldOptions, now: float) -> None:
        self._store = store
        self._options = options
        self._world = Shared(
            store=store, options=options, now=now, start=now - DAYS * DAY_SECONDS, ids=itertools.count(_FIRST_ID),
            version_ids=itertools.count(_FIRST_ID + 500_000_000),
        )  # fmt: skip

    def build(self) -> None:
        store, options = self._store, self._options
        chance = random.Random(f"world-{options.seed}")
        store.set_meta("options", asdict(options))
        store.set_meta("seed", options.seed)
        store.set_meta("company_id", COMPANY_ID)
        store.set_meta("company_name", COMPANY_NAME)
        store.set_meta("link_secret", f"{chance.getrandbits(256):064x}")
        self._people(chance)
        counts = {}
        for number in range(options.projects):
            project_id = 562949954 + options.seed % 1000 * 1000 + number
            counts[str(project_id)] = self._project(number, project_id)
        store.set_meta("file_counts", counts)

    def _people(self, chance: random.Random) -> None:
        store = self._store
        first = 8_000_001
        for number, (name, firm) in enumerate(_PEOPLE):
            login = f"{'.'.join(name.casefold().split())}@example.com"
            self._world.authors.append(
                store.insert("users", id=first + number, login=login, name=name, company_name=firm)
            )
        service = store.insert(
            "users", id=first + 900, login="sitehaul-dmsa@example.com", name="SiteHaul Service Account",
            company_name=COMPANY_NAME,
        )  # fmt: skip
        admin = store.insert(
            "users", id=first + 901, login="admin@example.com", name="Robin Admin", company_name=COMPANY_NAME
        )
        store.set_meta("service_user_id", service)
        store.set_meta("admin_user_id", admin)
        store.set_meta("authors", self._world.authors)
        for role, user_id in (("service", service), ("user", admin)):
            client_id, secret = f"{role}-{chance.getrandbits(96):024x}", f"secret-{chance.getrandbits(128):032x}"
            store.insert("clients", client_id=client_id, secret=secret, user_id=user_id)
            store.set_meta(f"{role}_client", [client_id, secret])

    def _project(self, number: int, project_id: int) -> int:
        """Make one project; how many live, visible files it has."""
        name, label = _PROJECTS[number] if number < len(_PROJECTS) else (f"Small Works {number}", f"25-{100 + number}")
        store, created = self._store, time_text(self._world.start)
        root_id, bin_id, schedules_id = next(self._world.ids), next(self._world.ids), next(self._world.ids)
        store.insert(
            "projects", id=project_id, company_id=COMPANY_ID, name=name, active=1, root_id=root_id, bin_id=bin_id,
            documents_on=int(number != _TOOL_OFF), created_at=created, updated_at=created, project_number=label,
        )  # fmt: skip
        permitted = [(store.meta("admin_user_id"), ADMIN, 1)]
        if number != _NOT_PERMITTED:
            permitted.append((store.meta("service_user_id"), STANDARD, 0))
        for user_id, level, private_access in permitted:
            store.insert(
                "permissions", user_id=user_id, project_id=project_id, level=level, private_access=private_access
            )
        count = self._options.files if number == 0 else min(self._options.further_files, self._options.files)
        writer = ProjectWriter(self._world, project_id, name, (root_id, bin_id, schedules_id), sample=number == 0)
        writer.write(count)
        return count
