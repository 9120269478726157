"""What a sidecar at the source says of files that are earlier versions of others: SiteHaul made them so when they came.

Their names alone would not always tell: of some only the newest were copied, and some got another name.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple

from migration.capabilities import Capabilities
from migration.contract import Source, WalkPage
from migration.entries import Entry, PathParts
from migration.errors import ConfigurationError, ItemError
from migration.jobs import Job
from migration.naming import SIDECAR_FOLDER
from migration.sidecar import MANIFEST_LINES
from migration.stored_text import from_stored
from migration.versions import version_policy

LINE_MAX_BYTES = 1024 * 1024
"""A longer line is no line of a manifest."""


class KnownVersion(NamedTuple):
    """An earlier version that became a file."""

    current: str
    """The name of the file it belongs to, in the same folder."""
    number: int
    size_bytes: int | None


KnownVersions = Mapping[PathParts, KnownVersion]
"""By path from the job's source root."""


async def known_versions(source: Source, job: Job, destination: Capabilities) -> KnownVersions:
    """What the sidecars in the job's source folder say; nothing where files do not become versions again.

    Raises what listing and reading the source raise; a manifest that is not one says nothing.
    """
    if not version_policy(job.rules.versioning, source.capabilities, destination).folds:
        return {}
    found: dict[PathParts, KnownVersion] = {}
    try:
        manifests = [entry async for entry in _manifests(source, (*job.source.parts, SIDECAR_FOLDER))]
    except ConfigurationError:
        return {}
    for entry in manifests:
        found |= await _versions_in(source, entry)
    return found


async def _manifests(source: Source, root: PathParts) -> AsyncIterator[Entry]:
    pages: Any = source.walk(root)
    async with aclosing(pages):
        page: WalkPage
        async for page in pages:
            for entry in page.entries:
                if entry.is_file and entry.name == MANIFEST_LINES:
                    yield entry


async def _versions_in(source: Source, entry: Entry) -> dict[PathParts, KnownVersion]:
    files: dict[tuple[str, str], PathParts] = {}
    versions: list[tuple[tuple[str, str], PathParts, int, int | None]] = []
    try:
        async with source.open(entry) as chunks:
            async for line in _lines(chunks):
                row = _row(line)
                if row is None:
                    continue
                owner, path = (row["source_system"], row["source_id"]), tuple(map(from_stored, row["destination_path"]))
                if row["kind"] == "version":
                    versions.append((owner, path, row["version_number"], row.get("size_bytes")))
                elif row.get("version_number") != 1:
                    files[owner] = path
    except ItemError:
        return {}
    return {
        path: KnownVersion(files[owner][-1], number, size_bytes)
        for owner, path, number, size_bytes in versions
        if owner in files and files[owner][:-1] == path[:-1] and files[owner] != path
    }


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > LINE_MAX_BYTES:
            return
    yield rest


def _row(line: bytes) -> dict[str, Any] | None:
    """A line of a manifest that is about a file or a version; None for anything else."""
    try:
        row = json.loads(line)
        known = (
            isinstance(row["source_system"], str)
            and isinstance(row["source_id"], str)
            and all(isinstance(name, str) for name in row["destination_path"])
            and row["destination_path"]
            and (row["kind"] == "file" or (row["kind"] == "version" and isinstance(row["version_number"], int)))
        )
    except (ValueError, KeyError, TypeError):
        return None
    return row if known else None
