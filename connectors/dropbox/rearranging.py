"""Moving, deleting, bringing back, and earlier versions
(https://www.dropbox.com/developers/documentation/http/documentation#files-move_v2 and following).

* A file that is deleted is one of Dropbox's deleted files, which people find there and which `restore` brings back by
  its rev; how long they are kept depends on the plan. The API cannot bring back a folder, so a folder that is deleted
  is moved into SiteHaul's own trash folder at the connection's root instead.
* Deleting a file is conditional at Dropbox itself. Moving is not: the entry is looked at right before.
* Dropbox does not change only the case or the normal form of a name, so such a move takes two steps.
"""

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from connectors.dropbox.errors import CONFLICT
from connectors.dropbox.records import entry_of, folded, shown_path
from connectors.shared.giving import source_changed
from connectors.shared.paths import staged_name
from connectors.shared.trash import TRASH_FOLDER
from connectors.shared.tree import check_expected, destination_changed, same_version
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ContractViolation, ItemError, RetryableError

if TYPE_CHECKING:
    from connectors.dropbox.connector import DropboxConnector

REVISIONS_MAX = 100
"""As many as one call gives."""


class Rearranging:
    """What happens to entries that are there."""

    def __init__(self, connector: "DropboxConnector") -> None:
        self._connector = connector

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        """As `Movable.move`."""
        connector = self._connector
        await connector.folders.parent_of(to)
        path = await self._same(entry)
        if path == to:
            return entry.ref
        if folded(path) == folded(to):
            between = await self._move(entry.ref, (*path[:-1], staged_name(uuid4().hex)))
            try:
                moved = await self._move(between, to)
            except ItemError:
                await self._move(between, path)
                raise
        else:
            moved = await self._move(entry.ref, to)
        connector.folders.forget(path)
        return moved

    async def delete_to_trash(self, entry: Entry, key: str | None = None) -> str:
        """As `Trash.delete_to_trash`."""
        connector = self._connector
        path = await self._same(entry)
        if entry.is_file:
            await self.delete(entry.ref, f"delete {connector.shown(path)}")
            return json.dumps({"from": path, "rev": entry.ref.version_id})
        holder = (TRASH_FOLDER, key or uuid4().hex)
        await connector.folders.make(holder)
        await self._move(entry.ref, (*holder, path[-1]))
        connector.folders.forget(path)
        return json.dumps({"from": path, "in": holder[1]})

    async def find_deleted(self, entry: Entry, path: PathParts, key: str) -> str | None:
        """As `Trash.find_deleted`; deleted files are found by their revision."""
        if entry.is_file:
            return json.dumps({"from": path, "rev": entry.ref.version_id})
        place = (TRASH_FOLDER, key, path[-1])
        return None if await self._connector.look(place) is None else json.dumps({"from": path, "in": key})

    async def restore(self, token: str) -> PathParts:
        """As `Trash.restore`. Where a file was deleted, one that appears within the instant between looking and
        restoring becomes its version before."""
        connector = self._connector
        path, rev, place = _deleted(token)
        shown = connector.shown(path)
        check_expected(shown, await connector.look(path), None)
        if rev is not None:
            arguments = {"path": connector.written(path), "rev": rev}
            try:
                await connector.api.ask(f"bring back {shown}", "files/restore", arguments)
            except ItemError as error:
                if error.code == "not-found":
                    raise _not_restorable(shown) from error
                raise
            return path
        found = await connector.look(place)
        if found is None:
            raise _not_restorable(shown)
        await connector.folders.make(path[:-1])
        await self._move(found.ref, path)
        return path

    async def versions(self, entry: Entry) -> tuple[Entry, ...]:
        """As `Versioned.versions`. Those before the last hundred are found as long as the file was not moved."""
        connector = self._connector
        current = await connector.look_at(entry)
        if current is None or not current.is_file:
            raise ItemError("not-found", f"{connector.shown(entry.path)} is not there.")
        arguments: dict[str, Any] = {"path": entry.ref.id, "mode": "id", "limit": REVISIONS_MAX}
        records: list[dict[str, Any]] = []
        what = f"list the versions of {connector.shown(entry.path)}"
        while True:
            answer = await connector.api.ask(what, "files/list_revisions", arguments)
            records += [record for record in answer["entries"] if record["id"] == entry.ref.id]
            if not answer.get("has_more") or not answer["entries"]:
                break
            arguments = {
                "path": entry.ref.id,
                "mode": "path",
                "limit": REVISIONS_MAX,
                "before_rev": answer["entries"][-1]["rev"],
            }
        found = [entry_of(record, entry.path, entry.parent, revision=True) for record in reversed(records)]
        return tuple(
            version if version.ref != current.ref else entry_of(records[0], entry.path, entry.parent)
            for version in found
        )

    async def delete(self, ref: Ref, what: str) -> None:
        """Delete the file in this version. ItemError `source-changed` when it is another by now."""
        connector = self._connector
        arguments = {"path": ref.id, "parent_rev": ref.version_id}
        try:
            await connector.api.ask(what, "files/delete_v2", arguments, again=False)
        except ItemError as error:
            if error.code in (CONFLICT, "not-found"):
                raise source_changed(what.partition(" ")[2]) from error
            raise
        except RetryableError as error:
            if error.code != "answer-lost" or await connector.record(ref.id, what) is not None:
                raise

    async def _same(self, entry: Entry) -> PathParts:
        """Where the entry is now, from the connection's root. ItemError `source-changed`."""
        connector = self._connector
        shown = connector.shown(entry.path)
        record = await connector.record(entry.ref.id, f"look at {shown}") if entry.ref.id else None
        path = None if record is None else connector.below(shown_path(record))
        if record is None or not path:
            raise source_changed(shown)
        found = entry_of(record, path, entry.parent)
        if found.kind is not entry.kind or (found.kind is EntryKind.FILE and not same_version(found, entry)):
            raise source_changed(shown)
        return path

    async def _move(self, ref: Ref, to: PathParts) -> Ref:
        connector = self._connector
        what = f"move something to {connector.shown(to)}"
        arguments = {"from_path": ref.id, "to_path": connector.written(to), "autorename": False}
        try:
            record = (await connector.api.ask(what, "files/move_v2", arguments, again=False))["metadata"]
        except ItemError as error:
            if error.code == CONFLICT:
                raise destination_changed(connector.shown(to), "something is there now") from error
            if error.code == "not-found":
                raise source_changed(connector.shown(to)) from error
            raise
        except RetryableError as error:
            found = await connector.record(ref.id, what) if error.code == "answer-lost" else None
            if found is None or connector.below(shown_path(found)) != to:
                raise
            record = found
        return entry_of(record, to, None).ref


def _not_restorable(shown: str) -> ItemError:
    return ItemError(
        "not-restorable",
        f"{shown} cannot be brought back any more.",
        fix="Look under Deleted files in Dropbox; how long they are kept depends on the plan.",
    )


def _deleted(token: str) -> tuple[PathParts, str | None, PathParts]:
    try:
        values = json.loads(token)
        path = tuple(str(name) for name in values["from"])
        rev = values.get("rev")
        return path, rev, () if rev is not None else (TRASH_FOLDER, str(values["in"]), path[-1])
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ContractViolation("not-a-token", f"{token!r} names nothing that was deleted") from error
