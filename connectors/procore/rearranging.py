"""Moving, renaming, deleting to the recycle bin, taking back, and the versions of a file (API.md sections 2.2 to 2.8).

Every change reads the entry first, so that only the one that was listed is touched: two calls, and a third where the
new folder has to be looked into. A repeated change is harmless, so a lost answer is answered by asking again.

Procore documents no way to take something out of the recycle bin but moving it out, and no purge: what is deleted stays
there. Whether an account may move out what it deleted is Procore's to say.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.procore.api import ApiClient
from connectors.procore.errors import ProcoreRefusal
from connectors.procore.folders import Folder, Folders
from connectors.procore.names import shown
from connectors.procore.projects import Project
from connectors.procore.records import PROJECT, SYSTEM, EntryMaker, current_version
from connectors.procore.refusals import Refusals, destination_changed, parent_missing, source_changed
from migration.clock import Clock
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ItemError

TOKEN_VERSION = 1
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Handle:
    """What Procore calls one entry."""

    kind: EntryKind
    id: str
    project_id: str

    @property
    def address(self) -> str:
        return f"/rest/v1.0/{self.kind.value}s/{self.id}"

    @property
    def query(self) -> dict[str, str | int]:
        return {"project_id": self.project_id}


class Rearranger:
    """Changes where entries are. May be used for many at once."""

    def __init__(self, api: ApiClient, folders: Folders, refusals: Refusals, clock: Clock) -> None:
        self._api = api
        self._folders = folders
        self._refusals = refusals
        self._clock = clock

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        """Give an entry another place, another name or both, inside its project; its id and versions stay.

        PreconditionFailed `destination-changed` when something is there; ItemError `parent-missing`, `not-a-folder`,
        `source-changed`, `other-project`, `locked`.
        """
        folder = await self._folders.parent_of(to)
        handle = _handle(entry)
        if handle.project_id != folder.project.id:
            raise ItemError(
                "other-project",
                f"{shown(entry.path)} cannot be moved to {shown(to)}: Procore moves nothing between projects.",
                fix="Copy it, then delete the original.",
            )
        record = await self._as_listed(handle, entry, folder.project)
        await self._refuse_occupied(handle, folder, to)
        values: dict[str, Any] = {"name": to[-1]}
        if str(record.get("parent_id")) != folder.id:
            values["parent_id"] = int(folder.id)

        async def patch() -> Record:
            what = f"moving {shown(entry.path)}"
            body = {handle.kind.value: values}
            answer = await self._api.change("PATCH", what, handle.address, handle.query, body)
            return answer.value if isinstance(answer.value, dict) else {}

        try:
            moved = await self._refusals.when_unlocked(patch, entry.path, record)
        except ProcoreRefusal as refusal:
            raise await self._refused_move(refusal, handle, entry, folder, to) from refusal
        self._note_moved(handle, record, moved, folder)
        return Ref(SYSTEM, entry.ref.id, entry.ref.version_id)

    async def delete_to_trash(self, entry: Entry) -> str:
        """Move an entry, with everything in it, to the project's recycle bin; what `restore` needs to take it back.

        ItemError `source-changed`, `locked`, `permission-denied`.
        """
        handle = _handle(entry)
        project = await self._project(handle, entry.path)
        record = await self._as_listed(handle, entry, project)

        async def delete() -> None:
            await self._api.change("DELETE", f"deleting {shown(entry.path)}", handle.address, handle.query)

        try:
            # Files of others that are checked out are refused with 400 like other things that cannot be deleted.
            await self._refusals.when_unlocked(delete, entry.path, record, locked_by=400)
        except ProcoreRefusal as refusal:
            if not await self._is_deleted(refusal, handle):
                raise await self._refused_deletion(refusal, project, entry.path) from refusal
        self._folders.take_away(str(record.get("parent_id")), entry.ref.id)
        return _token(handle, str(record.get("parent_id")), str(record.get("name")))

    async def restore(self, token: str) -> PathParts:
        """Move what was deleted back to the folder it was in; where it is now.

        PreconditionFailed `destination-changed` when something else is there now, ItemError `not-restorable` when that
        folder is gone, or Procore does not let this account.
        """
        values = _parsed(token)
        handle = _Handle(EntryKind(values["kind"]), values["id"], values["project"])
        folder = await self._folders.by_id(handle.project_id, values["parent"])
        if folder is None:
            raise _not_restorable(values["name"], "the folder it was in is gone")
        if await self._folders.listing(folder) is None:
            raise _not_restorable(values["name"], "the folder it was in is gone")
        await self._refuse_occupied(handle, folder, (*folder.path, values["name"]))
        body = {handle.kind.value: {"parent_id": int(folder.id)}}
        try:
            answer = await self._api.change(
                "PATCH", f"restoring '{values['name']}'", handle.address, handle.query, body
            )
        except ProcoreRefusal as refusal:
            self._folders.forget_listing(folder)
            await self._refuse_occupied(handle, folder, (*folder.path, values["name"]))
            raise _not_restorable(values["name"], f"Procore says: {refusal.text or refusal.status}") from refusal
        record = answer.value if isinstance(answer.value, dict) else {}
        if record.get("is_deleted") or str(record.get("parent_id")) != folder.id:
            raise _not_restorable(values["name"], "Procore left it in the recycle bin")
        await self._folders.listing(folder, now=True)
        return (*folder.path, str(record["name"]))

    async def versions(self, entry: Entry) -> tuple[Entry, ...]:
        """Every version of a file, oldest first; one call. ItemError `not-found`, `not-a-file`."""
        if not entry.is_file:
            raise ItemError("not-a-file", f"{shown(entry.path)} is a folder and has no versions.")
        handle = _handle(entry)
        record = await self._read(handle, entry)
        if record is None:
            raise _not_found(entry.path)
        maker = EntryMaker(handle.project_id, self._clock.now())
        parent_id = None if entry.parent is None else entry.parent.id
        return tuple(maker.versions({**record, "name": entry.name}, parent_id, entry.path[:-1]))

    async def _as_listed(self, handle: _Handle, entry: Entry, project: Project) -> Record:
        """The entry as it is now, if it still is the one that was listed."""
        record = await self._read(handle, entry, project)
        if record is None:
            raise source_changed(entry.path, "it is gone")
        if record.get("name") != entry.name:
            raise source_changed(entry.path, "it was renamed")
        if entry.parent is not None and str(record.get("parent_id")) != entry.parent.id:
            raise source_changed(entry.path, "it was moved")
        current = current_version(record)
        if entry.is_file and entry.ref.version_id and str((current or {}).get("id")) != entry.ref.version_id:
            raise source_changed(entry.path, "it has another version")
        return record

    async def _read(self, handle: _Handle, entry: Entry, project: Project | None = None) -> Record | None:
        query = dict(handle.query)
        if handle.kind is EntryKind.FOLDER:
            query |= {"exclude_folders": "true", "exclude_files": "true"}
        try:
            answer = await self._api.get(shown(entry.path), handle.address, query)
        except ProcoreRefusal as refusal:
            if refusal.status == 404:
                return None
            project = project or await self._project(handle, entry.path)
            raise await self._refusals.meaning(refusal, project, entry.path) from refusal
        record: Record = answer.value
        return None if record.get("is_deleted") else record

    async def _refuse_occupied(self, handle: _Handle, folder: Folder, to: PathParts) -> None:
        """Procore refuses a name that another entry of the same kind has; for a path any kind counts."""
        listing = await self._folders.listing(folder)
        if listing is None:
            raise parent_missing(to)
        file, child = listing.files.find(to[-1]), folder.folders.find(to[-1])
        occupied = {found for found in (file and file.ref.id, child and child.id) if found}
        if occupied - {handle.id}:
            raise destination_changed(to, "something is there now")

    async def _refused_move(
        self, refusal: ProcoreRefusal, handle: _Handle, entry: Entry, folder: Folder, to: PathParts
    ) -> Exception:
        if refusal.status == 404:
            return source_changed(entry.path, "it is gone")
        if refusal.status != 403:
            listing = await self._folders.listing(folder, now=True)
            if listing is None:
                return parent_missing(to)
            await self._refuse_occupied(handle, folder, to)
        return await self._refusals.meaning(refusal, folder.project, to)

    async def _refused_deletion(self, refusal: ProcoreRefusal, project: Project, path: PathParts) -> Exception:
        if refusal.status != 403:
            return await self._refusals.meaning(refusal, project, path)
        return ItemError(
            "permission-denied",
            f"Procore does not let this account delete {shown(path)}: {refusal.text or 'no reason given'}.",
            fix="Grant Admin, or the right to delete folders and files, in the Documents tool of the project.",
        )

    async def _is_deleted(self, refusal: ProcoreRefusal, handle: _Handle) -> bool:
        """Whether a deletion was refused because it had been carried out; its first answer may have been lost."""
        if refusal.status != 404:
            return False
        try:
            answer = await self._api.get("what was deleted", handle.address, handle.query)
        except ProcoreRefusal as gone:
            return gone.status == 404
        return bool(answer.value.get("is_deleted"))

    async def _project(self, handle: _Handle, path: PathParts) -> Project:
        project = await self._folders.project(handle.project_id)
        if project is None:
            raise _not_found(path)
        return project

    def _note_moved(self, handle: _Handle, before: Record, moved: Record, folder: Folder) -> None:
        self._folders.take_away(str(before.get("parent_id")), handle.id)
        if handle.kind is EntryKind.FILE and moved:
            entry = EntryMaker(handle.project_id, self._clock.now()).current(moved, folder.id, folder.path)
            self._folders.add(folder, entry)
        else:
            self._folders.forget_listing(folder)


def _handle(entry: Entry) -> _Handle:
    return _Handle(entry.kind, entry.ref.id, entry.extra.get(PROJECT, ""))


def deletion(folder: Entry, entry: Entry, name: str) -> str:
    """The token of an entry that was deleted from the folder."""
    handle = _Handle(entry.kind, entry.ref.id, folder.extra.get(PROJECT, ""))
    return _token(handle, folder.ref.id, name)


def _token(handle: _Handle, parent_id: str, name: str) -> str:
    return json.dumps(
        {
            "v": TOKEN_VERSION,
            "project": handle.project_id,
            "kind": handle.kind.value,
            "id": handle.id,
            "parent": parent_id,
            "name": name,
        }
    )


def _parsed(token: str) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(token)
        known = values["v"] == TOKEN_VERSION and {"project", "kind", "id", "parent", "name"} <= values.keys()
    except (AttributeError, KeyError, TypeError, ValueError):
        known, values = False, {}
    if not known:
        raise _not_restorable("the entry", "another version of SiteHaul noted its deletion")
    return values


def _not_found(path: PathParts) -> ItemError:
    return ItemError("not-found", f"{shown(path)} is not there any more.", fix="Run again; it is listed anew.")


def _not_restorable(name: str, why: str) -> ItemError:
    return ItemError(
        "not-restorable",
        f"'{name}' could not be taken out of the recycle bin: {why}.",
        fix="Let an administrator move it out of the Recycle Bin in Procore's Documents tool.",
    )
