"""A folder of Box as source and destination (https://developer.box.com/reference/).

* A file is published by the request that uploads it, or, from 20 MB on, by committing an upload session: nothing is
  staged under a name. Box refuses names that are taken; a version is uploaded under the condition that the file still
  has the etag (`If-Match`) that it had when its version was looked at.
* An upload session that a process left behind is named by nothing and expires by itself (after 7 days), so there is
  nothing to sweep.
* Deleting means Box's trash; where the enterprise has switched that off, it deletes for good
  (https://developer.box.com/reference/delete-files-id/).
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import orjson

from connectors.box.errors import CONDITION_FAILED, NameTaken
from connectors.box.settings import BoxSettings
from connectors.box.shapes import (
    FIELDS,
    FIELDS_WITH_PATH,
    HISTORIC,
    SYSTEM,
    address_of,
    entry_of,
    id_of,
    path_below,
    version_of,
)
from connectors.box.tree import JSON, PAGE_ENTRIES, BoxTree
from connectors.box.upload import SESSION_BYTES_MIN, BoxUpload
from connectors.shared.giving import source_changed
from connectors.shared.services import Services
from connectors.shared.settings import is_loopback
from connectors.shared.tree import Incoming, destination_changed, same_version
from migration.contract import Finding
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ContractViolation, FatalError, ItemError, RetryableError

NOT_READY_TRIES = 30
NOT_READY_SECONDS = 2.0
_UNLIMITED_BYTES = 900_000_000_000_000
"""Box says a little more than this where space has no limit."""


class BoxConnector(BoxTree):
    """Implements Source, Destination, Movable, Trash and Versioned of migration/contract.py."""

    def __init__(
        self,
        settings: BoxSettings,
        services: Services,
        *,
        page_entries: int | None = None,
        session_bytes_min: int = SESSION_BYTES_MIN,
    ) -> None:
        """`session_bytes_min`: files from this size on are uploaded in parts."""
        super().__init__(settings, services, page_entries=page_entries)
        self.session_bytes_min = session_bytes_min

    async def unchanged(self, entry: Entry) -> bool:
        return HISTORIC in entry.extra or await super().unchanged(entry)

    @asynccontextmanager
    async def read(self, entry: Entry, offset: int, length: int | None) -> AsyncIterator[AsyncIterator[bytes]]:
        what = f"read {self.shown(entry.path)}"
        link = await self._link(entry, what)
        last = "" if length is None else str(offset + length - 1)
        ranged = offset > 0 or length is not None
        headers = {"Range": f"bytes={offset}-{last}"} if ranged else {}
        refused = frozenset({401, 403, 404, 410})
        async with self.calls.stream(
            what, "GET", link, headers=headers, signed=False, accept=refused | {416}
        ) as response:
            if response.status_code in refused:
                raise RetryableError(
                    "link-expired", f"The link to {self.shown(entry.path)} was refused (HTTP {response.status_code})."
                )
            if response.status_code == 416:
                raise source_changed(self.shown(entry.path))
            if ranged and response.status_code != 206:
                raise FatalError(
                    "no-ranges",
                    "The server that Box keeps content on gives no parts of files, so a broken download cannot be "
                    "continued.",
                    fix="Check for a proxy between here and Box that answers instead of it.",
                )
            yield self.calls.chunks_of(response)

    async def _link(self, entry: Entry, what: str) -> str:
        """Where the content is; that address proves itself, so no token is sent there
        (https://developer.box.com/guides/downloads/file/)."""
        version = entry.extra.get(HISTORIC)
        address = f"{self.api}/files/{id_of(entry.ref)}/content" + (f"?version={version}" if version else "")
        for _ in range(NOT_READY_TRIES):
            try:
                reply = await self.calls.call(what, "GET", address, accept=frozenset({302}))
            except ItemError as error:
                if error.code != "not-found":
                    raise
                raise source_changed(self.shown(entry.path)) from error
            if reply.status == 202:
                await self.pause(reply, NOT_READY_SECONDS)
                continue
            link = urlsplit(reply.headers.get("location", ""))
            if link.scheme == "https" or (link.scheme == "http" and is_loopback(link.hostname or "")):
                return str(link.geturl())
            raise FatalError(
                "unsafe-link",
                f"Could not {what}: Box gave no safe address of the content (HTTP {reply.status}).",
                fix="Check for a proxy between here and Box that answers instead of it.",
            )
        raise RetryableError("not-ready", f"{self.shown(entry.path)} is not ready for download at Box yet.")

    def upload(self, file: Incoming) -> BoxUpload:
        return BoxUpload(self, file)

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        """As `Movable.move`."""
        self.check(to)
        parent = await self.folders.parent_of(to)
        values = await self._same(entry)
        asked = {"name": to[-1], "parent": {"id": id_of(parent)}}
        what = f"move {self.shown(entry.path)} to {self.shown(to)}"
        try:
            reply = await self.calls.call(
                what,
                "PUT",
                f"{self.api}/{address_of(entry.ref)}?fields={FIELDS}",
                headers={**JSON, "If-Match": str(values["etag"])},
                content=orjson.dumps(asked),
                again=False,
            )
            moved = entry_of(reply.json(), to, parent)
        except NameTaken as taken:
            raise destination_changed(self.shown(to), "something is there now") from taken
        except ItemError as error:
            if error.code not in (CONDITION_FAILED, "not-found"):
                raise
            raise source_changed(self.shown(entry.path)) from error
        except RetryableError as error:
            moved = await self._moved_after_all(entry, to, parent, error)
        if entry.kind is EntryKind.FOLDER:
            self.folders.forget(())
        return moved.ref

    async def _moved_after_all(self, entry: Entry, to: PathParts, parent: Ref, lost: RetryableError) -> Entry:
        if lost.code != "answer-lost":
            raise lost
        values = await self.described(entry.ref, FIELDS_WITH_PATH, f"look at {self.shown(to)}")
        if values["name"] != to[-1] or str((values.get("parent") or {}).get("id")) != id_of(parent):
            raise lost
        return entry_of(values, to, parent)

    async def delete_to_trash(self, entry: Entry, key: str | None = None) -> str:  # noqa: ARG002
        """As `Trash.delete_to_trash`."""
        values = await self._same(entry)
        path = path_below(id_of((await self.root()).ref), values)
        recursive = "?recursive=true" if entry.kind is EntryKind.FOLDER else ""
        try:
            await self.calls.call(
                f"delete {self.shown(path)}",
                "DELETE",
                f"{self.api}/{address_of(entry.ref)}{recursive}",
                headers={"If-Match": str(values["etag"])},
                accept=frozenset({404}),  # a lost answer had said so already
            )
        except ItemError as error:
            if error.code != CONDITION_FAILED:
                raise
            raise source_changed(self.shown(path)) from error
        if entry.kind is EntryKind.FOLDER:
            self.folders.forget(path)
        return _deletion(entry.ref, path)

    async def find_deleted(self, entry: Entry, path: PathParts, key: str) -> str | None:  # noqa: ARG002
        """As `Trash.find_deleted`."""
        return _deletion(entry.ref, path)

    async def restore(self, token: str) -> PathParts:
        """As `Trash.restore`."""
        ref, path = _deleted(token)
        parent = await self.folders.make(path[:-1])
        try:
            await self.calls.call(
                f"bring back {self.shown(path)}",
                "POST",
                f"{self.api}/{address_of(ref)}",
                headers=JSON,
                content=orjson.dumps({"name": path[-1], "parent": {"id": id_of(parent)}}),
                again=False,
            )
        except NameTaken as taken:
            raise destination_changed(self.shown(path), "something is there now") from taken
        except ItemError as error:
            if error.code != "not-found":
                raise
            raise ItemError(
                "not-restorable",
                f"{self.shown(path)} is no longer in the trash of Box.",
                fix="Box empties the trash after 30 days unless the administrator chose otherwise.",
            ) from error
        return path

    async def versions(self, entry: Entry) -> tuple[Entry, ...]:
        """As `Versioned.versions`. Box lists the earlier ones newest first, without the current one
        (https://developer.box.com/reference/get-files-id-versions/)."""
        current = await self.look_at(entry)
        if current is None:
            raise ItemError("not-found", f"{self.shown(entry.path)} is not there any more.")
        found: list[Entry] = []
        listed = total = 0
        while listed == 0 or listed < total:
            reply = await self.calls.call(
                f"list the versions of {self.shown(entry.path)}",
                "GET",
                f"{self.api}/{address_of(entry.ref)}/versions?limit={PAGE_ENTRIES}&offset={listed}",
            )
            page = reply.json()
            total = int(page.get("total_count") or 0)
            found += [version_of(current, values) for values in page["entries"] if not values.get("trashed_at")]
            listed += len(page["entries"])
            if not page["entries"]:
                break
        return (*reversed(found), current)

    async def examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        reply = await self.calls.call(
            "ask who this is", "GET", f"{self.api}/users/me?fields=name,login,space_amount,space_used,max_upload_size"
        )
        user = reply.json()
        root = await self.root()
        values = await self.described(root.ref, "id,type,name,permissions", f"look at {self.shown(())}")
        findings: list[Finding] = []
        free = int(user.get("space_amount") or 0) - int(user.get("space_used") or 0)
        if 0 < int(user.get("space_amount") or 0) < _UNLIMITED_BYTES:
            findings.append(Finding("info", "space", f"{max(free, 0) / 1e9:,.1f} GB are free."))
        if user.get("max_upload_size"):
            largest = int(user["max_upload_size"]) / 1e9
            findings.append(Finding("info", "largest-file", f"A file may be up to {largest:,.2f} GB."))
        if (values.get("permissions") or {}).get("can_upload") is False:
            findings.append(
                Finding(
                    "warning",
                    "read-only",
                    f"{self.shown(())} can be read, but this user may not upload into it.",
                    "To write there, invite the user to the folder as Editor or Co-owner.",
                )
            )
        return f"{user.get('name')} ({user.get('login')})", tuple(findings)

    async def _same(self, entry: Entry) -> dict[str, Any]:
        """What Box says of the entry now, its etag above all. ItemError `source-changed`."""
        try:
            values = await self.described(entry.ref, FIELDS_WITH_PATH, f"look at {self.shown(entry.path)}")
        except ItemError as error:
            if error.code != "not-found":
                raise
            raise source_changed(self.shown(entry.path)) from error
        if entry.is_file and not same_version(entry_of(values, entry.path, entry.parent), entry):
            raise source_changed(self.shown(entry.path))
        return values


def _deletion(ref: Ref, path: PathParts) -> str:
    return json.dumps({"ref": ref.id, "path": path})


def _deleted(token: str) -> tuple[Ref, PathParts]:
    try:
        values = json.loads(token)
        path = tuple(str(name) for name in values["path"])
        return Ref(SYSTEM, str(values["ref"])), (*path[:-1], path[-1])
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ContractViolation("not-a-token", f"{token!r} names nothing that was deleted") from error
