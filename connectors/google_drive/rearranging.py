"""Moving, deleting and bringing back (https://developers.google.com/workspace/drive/api/reference/rest/v3/files/update).

None of these is conditional at Google: the entry, and the place where it is to go, are looked at right before.
"""

import json
from typing import TYPE_CHECKING

from connectors.google_drive.records import Record, entry_of, ref_of
from connectors.shared.giving import source_changed
from connectors.shared.tree import destination_changed, same_version
from migration.entries import Entry, PathParts, Ref
from migration.errors import ContractViolation, ItemError

if TYPE_CHECKING:
    from connectors.google_drive.connector import GoogleDriveConnector

DEPTH_MAX = 200


class Rearranging:
    """What happens to entries that are there."""

    def __init__(self, connector: "GoogleDriveConnector") -> None:
        self._connector = connector

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        """As `Movable.move`. The time a file was modified stays."""
        connector, shown = self._connector, self._connector.shown(to)
        parent = (await connector.folders.parent_of(to)).id
        record = await self._same(entry)
        await self._is_free(parent, to, but=entry.ref.id)
        path = None if entry.is_file else await self._path_of(record)
        what = f"move {entry.name} to {shown}"
        before = [str(one) for one in record.get("parents", ())]
        between = {} if parent in before else {"addParents": parent, "removeParents": ",".join(before)}
        moved = await connector.api.change(
            what, entry.ref.id, {"name": to[-1], "modifiedTime": record["modifiedTime"]}, between
        )
        if path is not None:
            connector.folders.forget(path)
        return ref_of(moved)

    async def delete_to_trash(self, entry: Entry) -> str:
        """As `Trash.delete_to_trash`."""
        connector = self._connector
        record = await self._same(entry)
        path = await self._path_of(record)
        if not path:
            raise source_changed(connector.shown(entry.path))
        await connector.api.change(f"delete {connector.shown(path)}", entry.ref.id, {"trashed": True})
        connector.folders.forget(path)
        return deletion(entry.ref.id, path)

    async def restore(self, token: str) -> PathParts:
        """As `Trash.restore`."""
        connector = self._connector
        file_id, path = _deleted(token)
        shown = connector.shown(path)
        record = await connector.api.get(f"look at {shown}", file_id)
        if record is None or not record.get("trashed"):
            raise ItemError(
                "not-restorable",
                f"{shown} is no longer in the trash.",
                fix="Google Drive empties the trash after 30 days; somebody may also have restored it.",
            )
        parents = [str(one) for one in record.get("parents", ())]
        if parents:
            await self._is_free(parents[0], path, but=file_id)
        await connector.api.change(f"bring back {shown}", file_id, {"trashed": False})
        return path

    async def _same(self, entry: Entry) -> Record:
        """What Google says about the entry now. ItemError `source-changed`."""
        shown = self._connector.shown(entry.path)
        record = await self._connector.api.get(f"look at {shown}", entry.ref.id)
        if record is None or record.get("trashed"):
            raise source_changed(shown)
        if entry.is_file and not same_version(entry_of(record, entry.path, None), entry):
            raise source_changed(shown)
        return record

    async def _is_free(self, parent: str, path: PathParts, *, but: str) -> None:
        shown = self._connector.shown(path)
        there = await self._connector.named(parent, path[-1], shown)
        if any(other["id"] != but for other in there):
            raise destination_changed(shown, "something is there now")

    async def _path_of(self, record: Record) -> PathParts | None:
        """The way from the connection's root; None when it is not below it."""
        connector = self._connector
        root = await connector.root_id()
        names: list[str] = []
        for _ in range(DEPTH_MAX):
            if record["id"] == root:
                return tuple(reversed(names))
            names.append(str(record["name"]))
            parents = record.get("parents") or [None]
            above = None if parents[0] is None else await connector.api.get("find the way to a folder", parents[0])
            if above is None:
                return None
            record = above
        return None


def deletion(file_id: str, path: PathParts) -> str:
    """The token of something in the trash."""
    return json.dumps({"id": file_id, "from": path})


def _deleted(token: str) -> tuple[str, PathParts]:
    try:
        values = json.loads(token)
        return str(values["id"]), tuple(str(name) for name in values["from"])
    except (ValueError, TypeError, KeyError) as error:
        raise ContractViolation("not-a-token", f"{token!r} names nothing that was deleted") from error
