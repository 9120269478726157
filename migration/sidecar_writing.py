"""Putting the sidecar's files at the destination, through the connector's own writing. It never fails a run."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.clock import Clock
from migration.contract import Destination, Flushable, Precondition
from migration.entries import Entry, PathParts
from migration.errors import ItemError, RetryableError
from migration.naming import SIDECAR_FOLDER
from migration.sidecar import Sidecar
from migration.state import write_json_atomically

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of the sidecar at the destination."""

    folder: PathParts
    """From the connection's root."""
    written: tuple[str, ...]
    problem: str | None = None
    """Why it is not there as a whole, one sentence; None = it is."""


async def put_sidecar(
    sidecar: Sidecar, destination: Destination, root: PathParts, job: str, *, noted: Path, clock: Clock
) -> Placed:
    """Replace those of the files that are not at the destination as they should be, each at once.

    `noted` (JSON) keeps what was put there, so that an unchanged file costs a look and no writing. A file that cannot
    be written becomes the result's `problem`; StoppedResumable and FatalError are raised.
    """
    folder = (*root, SIDECAR_FOLDER, *job.split("/"))
    known, written = _known(noted), list[str]()
    try:
        await destination.make_folder(folder)
        for name, file in sidecar.files.items():
            sha256, size_bytes = await asyncio.to_thread(_digest, file)
            path = (*folder, name)
            found = await destination.stat(path)
            if found is not None and known.get(name) == _note(sha256, found):
                continue
            stored = await destination.put(
                path,
                _chunks(file),
                size_bytes=size_bytes,
                modified_at=clock.now(),
                precondition=Precondition(found),
                staging_key=f"sidecar-{name}",
                before_publish=_nothing,
            )
            written.append(name)
            known[name] = [sha256, stored.ref.id, stored.ref.version_id, stored.size_bytes]
            write_json_atomically(noted, known)
        if written and isinstance(destination, Flushable):
            await destination.flush(tuple((*folder, name) for name in written))
    except (ItemError, RetryableError) as error:
        return Placed(folder, tuple(written), f"{error.message} ({error.code})")
    return Placed(folder, tuple(written))


async def _nothing() -> None:
    """Nothing is to be recorded before one of these files is published."""


def _note(sha256: str, found: Entry) -> list[Any]:
    return [sha256, found.ref.id, found.ref.version_id, found.size_bytes]


def _known(noted: Path) -> dict[str, Any]:
    try:
        known = json.loads(noted.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _digest(file: Path) -> tuple[str, int]:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest(), content.tell()


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    content = await asyncio.to_thread(open, file, "rb")
    try:
        while chunk := await asyncio.to_thread(content.read, CHUNK_BYTES):
            yield chunk
    finally:
        content.close()
