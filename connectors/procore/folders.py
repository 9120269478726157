"""What this connector knows of the folders it writes to, so that as few calls as possible ask for it.

All folders of a project come with one call per page of the flat index, when the first path in it is named. A folder
made here is known to be empty then. What a folder holds is asked for with one call and believed for a few seconds, what
was written here meanwhile included; that is enough to decide what to try, and never decides what is overwritten: that
is the server's refusal of a name that is taken.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.procore.api import ApiClient
from connectors.procore.errors import ProcoreRefusal
from connectors.procore.index import Index, IndexForm
from connectors.procore.names import Names, check_path, shown
from connectors.procore.projects import Project, choose, documents_refused, list_projects, project_needed
from connectors.procore.records import PROJECT, SYSTEM, EntryMaker
from connectors.procore.refusals import Refusals, name_taken, not_a_folder, parent_missing
from connectors.procore.settings import ProcoreSettings
from migration.capabilities import NameRules
from migration.clock import Clock
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ConfigurationError, ItemError, RetryableError

BELIEVED_SECONDS = 5.0
"""How old a listing may be that answers what is in a folder. One listing so answers all that is asked about it by the
files of a batch."""
LISTINGS_MAX = 16
"""How many are kept; each may hold thousands of files."""
Record = dict[str, Any]


@dataclass(slots=True, eq=False)
class Folder:
    """One folder, as far as it is known."""

    id: str
    name: str
    parent: "Folder | None"
    project: Project
    made_here: bool = False
    folders: "Names[Folder]" = field(default_factory=Names)
    """Also under the names they were asked for by, where the server keeps another one."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while it is listed or something is made in it."""
    added: list[Entry] = field(default_factory=list)
    """Files written here while it was being listed."""

    @property
    def path(self) -> PathParts:
        """From the connection's root: the project's name, then the folders as Procore calls them."""
        return (self.project.name,) if self.parent is None else (*self.parent.path, self.name)


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a folder at a moment; its folders are in `Folder.folders`."""

    began_at: float
    files: Names[Entry]


class Folders:
    """The folders of the projects a connector writes to. May be used by many tasks at once."""

    def __init__(
        self, api: ApiClient, settings: ProcoreSettings, clock: Clock, rules: NameRules, refusals: Refusals
    ) -> None:
        self._api = api
        self._settings = settings
        self._clock = clock
        self._rules = rules
        self._refusals = refusals
        self._projects: list[Project] | None = None
        self._roots: dict[str, Folder] = {}
        self._loading = asyncio.Lock()
        self._listings: OrderedDict[str, Listing] = OrderedDict()

    async def find(self, path: PathParts) -> Folder | None:
        """The folder at a path; None if it is not there. What is not known is looked up.

        ItemError `not-a-folder` when a file is there or above. ConfigurationError when the project is not there.
        """
        check_path(path, self._rules)
        folder = await self._root(path)
        for depth, name in enumerate(path[1:], start=2):
            child = folder.folders.find(name)
            if child is None:
                listing = await self.listing(folder)
                child = folder.folders.find(name)
                if child is None and listing is not None and listing.files.find(name) is not None:
                    raise not_a_folder(path[:depth])
            if child is None:
                return None
            folder = child
        return folder

    async def parent_of(self, path: PathParts) -> Folder:
        """The folder that something is put into. ItemError `parent-missing`, `not-a-folder`."""
        check_path(path, self._rules)
        folder = await self.find(path[:-1])
        if folder is None:
            raise parent_missing(path)
        return folder

    async def make(self, path: PathParts) -> Folder:
        """The folder at a path, made with its parents where it is not known. ItemError `not-a-folder`."""
        check_path(path, self._rules)
        folder = await self._root(path)
        for depth, name in enumerate(path[1:], start=2):
            folder = folder.folders.find(name) or await self._made(folder, name, path[:depth])
        return folder

    async def look(self, path: PathParts) -> Entry | None:
        """What is at a path, as of at most BELIEVED_SECONDS ago; None if nothing is."""
        if len(path) <= 1:
            return _folder_entry(await self._root(path), path)
        check_path(path, self._rules)
        try:
            parent = await self.find(path[:-1])
        except ItemError as error:
            if error.code != "not-a-folder":
                raise
            return None
        listing = await self.listing(parent) if parent is not None else None
        if parent is None or listing is None:
            return None
        file, folder = listing.files.find(path[-1]), parent.folders.find(path[-1])
        if file is not None and (folder is None or folder.name != path[-1] or file.name == path[-1]):
            return replace(file, path=path)
        return None if folder is None else _folder_entry(folder, path)

    async def inside(self, path: PathParts) -> tuple[Entry, ...]:
        """What is directly in a folder now, by name. ConfigurationError `folder-not-found`."""
        folder = await self.find(path)
        listing = None if folder is None else await self.listing(folder, now=True)
        if folder is None or listing is None:
            raise ConfigurationError(
                "folder-not-found", f"There is no folder {shown(path)}.", fix="Check the path of the job."
            )
        folders = {child.id: _folder_entry(child, (*path, child.name)) for child in folder.folders}
        files = {entry.ref.id: entry for entry in listing.files}
        return tuple(sorted((*folders.values(), *files.values()), key=lambda entry: (entry.name, entry.ref.id)))

    async def listing(self, folder: Folder, *, now: bool = False) -> Listing | None:
        """What is in a folder; None if it is gone. `now`: as of this moment, not a few seconds ago.

        Those who ask at the same time are answered by one call.
        """
        since = self._clock.monotonic() - (0.0 if now else BELIEVED_SECONDS)
        async with folder.lock:
            return await self._listed(folder, since)

    def add(self, folder: Folder, entry: Entry) -> None:
        """Note a file that was just written or moved there."""
        listing = self._listings.get(folder.id)
        if listing is not None:
            listing.files.add(entry.name, entry)
        if folder.lock.locked():
            folder.added.append(entry)

    def take_away(self, folder_id: str, entry_id: str) -> None:
        """Note that an entry was moved away or deleted."""
        self._listings.pop(folder_id, None)
        for root in self._roots.values():
            folder = _by_id(root, entry_id)
            if folder is not None:
                _detach(folder)

    def forget_listing(self, folder: Folder) -> None:
        """Ask again next time what is in a folder."""
        self._listings.pop(folder.id, None)
        folder.made_here = False

    async def project(self, project_id: str) -> Project | None:
        """A project that this account sees, by its id."""
        return next((project for project in await self._seen() if project.id == project_id), None)

    async def by_id(self, project_id: str, folder_id: str) -> Folder | None:
        """A folder that is known by its id."""
        project = await self.project(project_id)
        return None if project is None else _by_id(await self._entered(project), folder_id)

    async def _made(self, parent: Folder, name: str, path: PathParts) -> Folder:
        async with parent.lock:
            known = parent.folders.find(name) or await self._there(parent, name, path)
            if known is not None:
                return known
            body = {"folder": {"name": name, "parent_id": int(parent.id)}}
            query = {"project_id": parent.project.id}

            async def settle(_: RetryableError) -> Record | None:
                found = await self._there(parent, name, path, now=True)
                return None if found is None else {"id": found.id, "name": found.name}

            try:
                what = f"the folder {shown(path)}"
                answer = await self._api.change("POST", what, "/rest/v1.0/folders", query, body, settle=settle)
            except ProcoreRefusal as refusal:
                return await self._refused(refusal, parent, name, path)
            return parent.folders.find(name) or self._new(parent, name, answer.value)

    def _new(self, parent: Folder, name: str, record: Record) -> Folder:
        folder = Folder(str(record["id"]), str(record["name"]), parent, parent.project, made_here=True)
        parent.folders.add(folder.name, folder)
        parent.folders.add(name, folder)
        now = self._clock.monotonic()
        self._keep(folder, Listing(now, Names()))
        return folder

    async def _there(self, parent: Folder, name: str, path: PathParts, *, now: bool = False) -> Folder | None:
        """The child folder as the parent's listing knows it. What was made here holds nothing that is not known."""
        if not parent.made_here or now:
            listing = await self._listed(parent, self._clock.monotonic() - (0.0 if now else BELIEVED_SECONDS))
            if listing is None:
                raise _vanished(path)
        found = parent.folders.find(name)
        known = self._listings.get(parent.id)
        if found is None and known is not None and known.files.find(name) is not None:
            raise not_a_folder(path)
        return found

    async def _refused(self, refusal: ProcoreRefusal, parent: Folder, name: str, path: PathParts) -> Folder:
        """Somebody else may have made it meanwhile: whether the name is taken is seen, not read from the message."""
        if refusal.status != 403:
            found = await self._there(parent, name, path, now=True)
            if found is not None:
                return found
            if "taken" in refusal.text:
                raise name_taken(path) from refusal
        raise await self._refusals.meaning(refusal, parent.project, path) from refusal

    async def _listed(self, folder: Folder, since: float) -> Listing | None:
        known = self._listings.get(folder.id)
        if known is not None and known.began_at >= since:
            return known
        folder.added.clear()
        began_at = self._clock.monotonic()
        query = {"project_id": folder.project.id, "show_latest_file_version_only": "true"}
        try:
            what = f"the folder {shown(folder.path)}"
            answer = await self._api.get(what, f"/rest/v1.0/folders/{folder.id}", query)
        except ProcoreRefusal as refusal:
            if refusal.status != 404:
                raise await self._refusals.meaning(refusal, folder.project, folder.path) from refusal
            answer = None
        if answer is None or answer.value.get("is_deleted"):
            _detach(folder)
            return None
        listing = Listing(began_at, Names())
        maker = EntryMaker(folder.project.id, self._clock.now())
        for record in answer.value.get("files") or ():
            if not record.get("is_deleted"):
                entry = maker.current(record, folder.id, folder.path)
                listing.files.add(entry.name, entry)
        for entry in folder.added:
            listing.files.add(entry.name, entry)
        _renew(folder, answer.value.get("folders") or ())
        self._keep(folder, listing)
        return listing

    def _keep(self, folder: Folder, listing: Listing) -> None:
        self._listings[folder.id] = listing
        self._listings.move_to_end(folder.id)
        if len(self._listings) > LISTINGS_MAX:
            self._listings.popitem(last=False)

    async def _root(self, path: PathParts) -> Folder:
        projects = await self._seen()
        if not path:
            raise project_needed(projects)
        return await self._entered(choose(projects, path[0]))

    async def _seen(self) -> list[Project]:
        async with self._loading:
            if self._projects is None:
                self._projects = await list_projects(self._api, self._settings.company_id)
            return self._projects

    async def _entered(self, project: Project) -> Folder:
        root = self._roots.get(project.id)
        if root is None:
            async with self._loading:
                root = self._roots.get(project.id) or await self._load(project)
                self._roots[project.id] = root
        return root

    async def _load(self, project: Project) -> Folder:
        """Every folder of the project. What the listing misses because it changes meanwhile is looked up later."""
        index = Index(
            self._api,
            company_id=self._settings.company_id,
            project_id=project.id,
            form=IndexForm.V1,
            page_size=self._settings.page_size,
        )
        records: dict[str, Record] = {}
        position, finished = index.start(), False
        while not finished:
            try:
                part = await index.read("folder", None, position)
            except ProcoreRefusal as refusal:
                if refusal.status not in (403, 404):
                    raise
                raise documents_refused(project.name, refusal.text) from refusal
            records.update((str(record["id"]), _facts(record)) for record in part.records)
            position, finished = part.position, part.finished
        root = Folder(await self._root_id(project, records), project.name, None, project)
        _grow(root, records)
        return root

    async def _root_id(self, project: Project, records: dict[str, Record]) -> str:
        for folder_id, record in records.items():
            if record["parent_id"] is None and not record["noise"]:
                return folder_id
        query = {"project_id": project.id, "exclude_folders": "true", "exclude_files": "true"}
        answer = await self._api.get("the project's root folder", "/rest/v1.0/folders", query)
        return str(answer.value["id"])


def _facts(record: Record) -> Record:
    parent_id = record.get("parent_id")
    return {
        "name": str(record["name"]),
        "parent_id": None if parent_id is None else str(parent_id),
        "noise": bool(record.get("is_deleted") or record.get("is_recycle_bin")),
    }


def _grow(root: Folder, records: dict[str, Record]) -> None:
    """Hang every folder below the root to its parent. Not recursive: nothing bounds the depth of a tree."""
    children: dict[str, list[str]] = {}
    for folder_id, record in records.items():
        if record["parent_id"] is not None and not record["noise"]:
            children.setdefault(record["parent_id"], []).append(folder_id)
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        for folder_id in children.pop(parent.id, ()):
            folder = Folder(folder_id, records[folder_id]["name"], parent, root.project)
            parent.folders.add(folder.name, folder)
            waiting.append(folder)


def _renew(folder: Folder, records: list[Record] | tuple[()]) -> None:
    """Make a folder's children those of its own listing; the ones that stay keep what is known of them."""
    before: dict[str, list[str]] = {}
    known: dict[str, Folder] = {}
    for name, child in folder.folders.items():
        before.setdefault(child.id, []).append(name)
        known[child.id] = child
    folder.folders = Names()
    for record in records:
        if record.get("is_deleted") or record.get("is_recycle_bin"):
            continue
        child_id, name = str(record["id"]), str(record["name"])
        child = known.get(child_id) or Folder(child_id, name, folder, folder.project)
        asked_for = [other for other in before.get(child_id, ()) if other != child.name]
        child.name = name
        for each in (name, *asked_for):
            folder.folders.add(each, child)


def _detach(folder: Folder) -> None:
    if folder.parent is not None:
        folder.parent.folders.remove(folder)


def _by_id(root: Folder, folder_id: str) -> Folder | None:
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        if folder.id == folder_id:
            return folder
        waiting.extend(folder.folders)
    return None


def _folder_entry(folder: Folder, path: PathParts) -> Entry:
    return Entry(
        ref=Ref(SYSTEM, folder.id),
        parent=None if folder.parent is None else Ref(SYSTEM, folder.parent.id),
        name=folder.name,
        path=path,
        kind=EntryKind.FOLDER,
        extra={PROJECT: folder.project.id},
    )


def _vanished(path: PathParts) -> RetryableError:
    return RetryableError("folder-vanished", f"{shown(path)}: the folder above it was deleted or moved just now.")
