"""Procore's JSON objects as entries. This is the hot path of a listing: 10⁶ files pass here."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from migration.entries import Entry, EntryKind, PathParts, Ref

SYSTEM = "procore"
URL, PROJECT, HISTORY = "url", "project", "history"
"""Keys of `Entry.extra`: the content link, the project's id, and a mark that an older version is meant on purpose."""

_HISTORY_MARK = {HISTORY: "1"}


class EntryMaker:
    """Makes the entries of one walk. `now` decides which check-outs still hold."""

    def __init__(self, project_id: str, now: datetime) -> None:
        self._project_id = project_id
        self._extra = {PROJECT: project_id}
        self._now = now
        self._parents: dict[str, Ref] = {}

    def folder(self, record: Mapping[str, Any], parent_id: str | None, path: PathParts) -> Entry:
        """A folder of the index. `parent_id` is None directly below the walked root."""
        return Entry(
            ref=Ref(SYSTEM, str(record["id"])),
            parent=self._parent(parent_id),
            name=path[-1],
            path=path,
            kind=EntryKind.FOLDER,
            created_at=time_of(record.get("created_at")),
            created_by=_person(record.get("created_by")),
            private=record.get("private"),
            extra=self._extra,
        )

    def file(self, record: Mapping[str, Any], parent_id: str | None, folder_path: PathParts) -> Entry:
        """A file of the index (extended view), as its current version."""
        file = record.get("file") or {}
        version = file.get("current_version") or {}
        return self._version(record, version, parent_id, folder_path, _locked(file, self._now), None, {})

    def current(self, record: Mapping[str, Any], parent_id: str | None, folder_path: PathParts) -> Entry:
        """A file of a folder's listing, or alone, as its current version."""
        version = current_version(record) or {}
        return self._version(record, version, parent_id, folder_path, _locked(record, self._now), None, {})

    def versions(self, record: Mapping[str, Any], parent_id: str | None, folder_path: PathParts) -> list[Entry]:
        """Every version of a file of a folder's listing, oldest first."""
        versions = sorted(record.get("file_versions") or [], key=lambda version: version.get("number") or 0)
        locked = _locked(record, self._now)
        return [
            self._version(record, version, parent_id, folder_path, locked, len(versions), _HISTORY_MARK)
            for version in versions
        ]

    def _version(
        self,
        record: Mapping[str, Any],
        version: Mapping[str, Any],
        parent_id: str | None,
        folder_path: PathParts,
        locked: bool,
        count: int | None,
        marks: Mapping[str, str],
    ) -> Entry:
        name = record["name"]
        version_id = version.get("id")
        url = version.get("url")
        extra = {URL: url, PROJECT: self._project_id, **marks} if url else {PROJECT: self._project_id, **marks}
        return Entry(
            ref=Ref(SYSTEM, str(record["id"]), None if version_id is None else str(version_id)),
            parent=self._parent(parent_id),
            name=name,
            path=(*folder_path, name),
            kind=EntryKind.FILE,
            size_bytes=version.get("size"),
            created_at=time_of(record.get("created_at")),
            modified_at=time_of(version.get("created_at")),
            created_by=_person(version.get("created_by")),
            version_number=version.get("number"),
            version_count=count,
            locked=locked,
            private=record.get("private"),
            extra=extra,
        )

    def _parent(self, parent_id: str | None) -> Ref | None:
        if parent_id is None:
            return None
        ref = self._parents.get(parent_id)
        if ref is None:
            ref = self._parents[parent_id] = Ref(SYSTEM, parent_id)
        return ref


def current_version(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The version with the highest number: the order of `file_versions` is not documented."""
    versions = record.get("file_versions") or []
    return max(versions, key=lambda version: version.get("number") or 0, default=None)


def time_of(text: str | None) -> datetime | None:
    """A time as Procore writes it, in UTC; None if there is none or it is not understood."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    if time.tzinfo is UTC:
        return time
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _person(value: Mapping[str, Any] | None) -> str | None:
    return (value.get("name") or value.get("login")) if value else None


def _locked(file: Mapping[str, Any], now: datetime) -> bool:
    until = time_of(file.get("checked_out_until"))
    return until is not None and until > now
