"""The leases of Prefect's concurrency limits as its file storage keeps them: read to say when slots return, and set
right with the database while the server is down."""

import contextlib
import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from migration.state import write_json_atomically

_LEASES_FOLDER = "concurrency_leases"
_ENDS = "expirations.json"
_log = logging.getLogger("sitehaul.server")


@dataclass(frozen=True, slots=True)
class Lease:
    """Slots of one limit taken together; they return soon after `expires_at` (UTC)."""

    limit_ids: tuple[str, ...]
    slots: int
    created_at: datetime
    expires_at: datetime
    holder: str | None


def read_leases(prefect_home: Path) -> list[Lease]:
    """All readable leases not yet revoked, the earliest to end first; empty if there is no such folder here."""
    leases = (_read(path) for path in _lease_files(prefect_home))
    return sorted((lease for lease in leases if lease is not None), key=lambda lease: lease.expires_at)


def repair_slots(prefect_home: Path) -> None:
    """Make the taken slots of every `procore-…-hourly` limit equal to what its leases hold, and let every lease end.

    A server killed between counting slots, writing their lease and noting when it ends (or between removing a lease and
    uncounting) leaves slots taken that nothing would ever return. The server must be down. If a lease cannot be read,
    or the database has another shape, the slots stay as they are: that only costs calls.
    """
    database = prefect_home / "prefect.db"
    files = _lease_files(prefect_home)
    if not database.exists():
        return
    leases = {path: _read(path) for path in files}
    known = {path: lease for path, lease in leases.items() if lease is not None}
    if known:
        ends = {path.stem: lease.expires_at.isoformat() for path, lease in known.items()}
        write_json_atomically(prefect_home / _LEASES_FOLDER / _ENDS, ends)
    if len(known) < len(leases):
        _log.warning("a lease of the call budget cannot be read; taken slots are left as they are")
        return
    held: Counter[str] = Counter()
    for lease in known.values():
        held.update(dict.fromkeys(lease.limit_ids, lease.slots))
    try:
        _set_taken(database, held)
    except sqlite3.Error as error:
        _log.warning("the call budget's slots were not compared with their leases: %s", error)


def _set_taken(database: Path, held: Mapping[str, int]) -> None:
    with contextlib.closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        rows = connection.execute(
            "SELECT id, active_slots FROM concurrency_limit_v2"
            " WHERE (name LIKE 'procore-%-hourly' OR name LIKE 'procore-%-hourly-but-%') AND slot_decay_per_second = 0"
        ).fetchall()
        for limit_id, taken in rows:
            slots = held.get(str(limit_id), 0)
            if slots != taken:
                _log.info("%d slots were taken, their leases hold %d", taken, slots)
                connection.execute(
                    "UPDATE concurrency_limit_v2 SET active_slots = ? WHERE id = ?",
                    (slots, limit_id),
                )


def _lease_files(prefect_home: Path) -> list[Path]:
    return [path for path in (prefect_home / _LEASES_FOLDER).glob("*.json") if path.name != _ENDS]


def _read(path: Path) -> Lease | None:
    """None if the file is not a lease, or is gone by now."""
    try:
        return _lease(json.loads(path.read_text("utf-8")))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _lease(content: dict[str, object]) -> Lease:
    metadata = content["metadata"] if isinstance(content["metadata"], dict) else {}
    holder = metadata.get("holder")
    ids = content["resource_ids"]
    return Lease(
        limit_ids=tuple(str(one) for one in ids) if isinstance(ids, list) else (),
        slots=int(metadata.get("slots", 0)),
        created_at=datetime.fromisoformat(str(content["created_at"])),
        expires_at=datetime.fromisoformat(str(content["expiration"])),
        holder=f"{holder['type']} {holder['id']}" if isinstance(holder, dict) else None,
    )
