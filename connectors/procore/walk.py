"""Listing a project: folders first, then files, in pages that can be continued after any interruption.

Calls of a walk: one to find the project, one for the rights in it, then one per page of folders and of files. A walk of
all versions makes one call per folder instead of the pages of files. A resumed walk reads the folders again.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from connectors.procore import errors
from connectors.procore.api import ApiClient, Query
from connectors.procore.cursor import Mark
from connectors.procore.errors import ProcoreRefusal
from connectors.procore.index import Index, Position, Record, Slice
from connectors.procore.listing import UNSTABLE, Listing, folder_problem, parentless_problem, private_problem
from connectors.procore.projects import (
    documents_off,
    documents_refused,
    find_project,
    list_projects,
    project_needed,
    rights_in,
)
from connectors.procore.records import EntryMaker
from connectors.procore.settings import ProcoreSettings
from connectors.procore.tree import FolderTree, folder_facts
from migration.clock import Clock
from migration.contract import WalkPage
from migration.entries import Entry, ListingProblem, PathParts
from migration.errors import FatalError

RESTARTS_MAX = 3
"""A listing that changes more often is taken as it is, and said to be unreliable."""
LOOK_UPS_MAX = 20
"""How many unknown parent folders one walk asks Procore about."""


class ListingChanged(Exception):
    """The listing changed under the walk; what was given out so far is not to be trusted."""


class Walk:
    """One walk below `root`: the project, then folders in it."""

    def __init__(
        self,
        api: ApiClient,
        settings: ProcoreSettings,
        clock: Clock,
        root: PathParts,
        *,
        all_versions: bool = False,
    ) -> None:
        self._api = api
        self._settings = settings
        self._clock = clock
        self._root = root
        self._all_versions = all_versions
        self._calls_told = api.calls
        self._invisible: set[str] = set()
        self._problems: list[ListingProblem] = []
        """Not given out yet."""
        self._unstable = False

    async def pages(self, resume_from: str | None) -> AsyncIterator[WalkPage]:
        """The pages after a cursor.

        Raises ConfigurationError before the first page when nothing can be listed, and what `ApiClient.get` raises.
        """
        mark = None if resume_from is None else Mark.parsed(resume_from)
        if mark is None:
            mark = await self._begin()
            if resume_from is not None:
                yield self._page((), mark, restarted=True)
        while True:
            try:
                async for page in self._attempt(mark):
                    yield page
            except ListingChanged:
                mark = self._again(mark)
                yield self._page((), mark, restarted=True)
            else:
                return

    async def _begin(self) -> Mark:
        try:
            company_id = self._settings.company_id
            if not self._root:
                raise project_needed(await list_projects(self._api, company_id))
            project = await find_project(self._api, company_id, self._root[0])
            rights = await rights_in(self._api, project, self._settings.company_id)
        except FatalError as error:
            raise errors.before_start(error) from error
        if not rights.documents_on:
            raise documents_off(project)
        level = "" if rights.sees_private else rights.level
        self._problems = [private_problem(level)] if level else []
        return Mark(project_id=project.id, project_name=project.name, level=level)

    def _again(self, mark: Mark) -> Mark:
        """The mark of a walk that begins again in the same project."""
        self._problems = [private_problem(mark.level)] if mark.level else []
        return replace(mark, restarts=mark.restarts + 1, digest="", folders_given=0, folders_read=0, files=None)

    async def _attempt(self, mark: Mark) -> AsyncIterator[WalkPage]:
        index = Index(
            self._api,
            company_id=self._settings.company_id,
            project_id=mark.project_id,
            form=mark.form,
            page_size=self._settings.page_size,
        )
        tree = await self._tree(index, mark)
        if mark.digest not in ("", tree.digest()):
            raise ListingChanged("the folders are not those of the walk's beginning")
        listing = Listing(tree, tree.find(self._root[1:]), EntryMaker(mark.project_id, self._clock.now()))
        if not mark.digest:
            self._problems.extend(listing.problems)
        mark = replace(mark, digest=tree.digest(), form=index.form)
        async for page in self._folder_pages(listing, mark):
            yield page
        mark = replace(mark, folders_given=len(listing.folders))
        files = self._version_pages(listing, mark) if self._all_versions else self._file_pages(listing, index, mark)
        async for page in files:
            yield page

    async def _tree(self, index: Index, mark: Mark) -> FolderTree:
        """All folders of the project, read again when they change meanwhile."""
        records, drift = await self._folder_records(index, mark)
        for _ in range(RESTARTS_MAX):
            if drift is None:
                break
            records, drift = await self._folder_records(index, mark)
        if drift is not None:
            self._note_unstable()
        return FolderTree.built(records, await self._root_id(records, mark))

    async def _folder_records(self, index: Index, mark: Mark) -> tuple[list[Record], str | None]:
        records: dict[str, Record] = {}
        people: dict[Any, Any] = {}
        position, finished, drift = index.start(), False, None
        while not finished:
            part = await self._read(index, "folder", None, position, mark)
            records.update((str(record["id"]), folder_facts(record, people)) for record in part.records)
            position, finished, drift = part.position, part.finished, drift or part.drift
        return list(records.values()), drift

    async def _root_id(self, records: Sequence[Record], mark: Mark) -> str:
        for record in records:
            if record.get("parent_id") is None and not record.get("is_recycle_bin"):
                return str(record["id"])
        answer = await self._api.get("the project's root folder", "/rest/v1.0/folders", _folder_query(mark))
        return str(answer.value["id"])

    async def _folder_pages(self, listing: Listing, mark: Mark) -> AsyncIterator[WalkPage]:
        size = self._settings.page_size
        for start in range(mark.folders_given, len(listing.folders), size):
            part = listing.folders[start : start + size]
            after = replace(mark, folders_given=start + len(part))
            yield self._page([listing.folder(folder) for folder in part], after)

    async def _file_pages(self, listing: Listing, index: Index, mark: Mark) -> AsyncIterator[WalkPage]:
        subtree = None if listing.at_project_root else listing.root_id
        fresh = index.start()
        position, finished = mark.files or fresh, False
        while not finished:
            part = await self._read(index, "file", subtree, position, mark)
            if part.drift is not None:
                self._changed(part.drift, mark)
            entries, parentless = listing.files(part.records)
            for folder_id, names in parentless.items():
                await self._explain(listing, folder_id, names, mark)
            position, finished = part.position, part.finished
            after = None if finished else replace(mark, files=position, form=index.form)
            expected = None if position.total is None else position.total + len(listing.folders)
            yield self._page(entries, after, expected=expected)

    async def _version_pages(self, listing: Listing, mark: Mark) -> AsyncIterator[WalkPage]:
        folder_ids = [listing.root_id, *(folder.id for folder in listing.folders)]
        for place in range(mark.folders_read, len(folder_ids)):
            folder_id = folder_ids[place]
            entries = listing.versions(folder_id, await self._files_in(folder_id, listing, mark))
            last = place + 1 == len(folder_ids)
            yield self._page(entries, None if last else replace(mark, folders_read=place + 1))

    async def _files_in(self, folder_id: str, listing: Listing, mark: Mark) -> list[Record]:
        query: Query = {"project_id": mark.project_id, "exclude_folders": "true"}
        try:
            answer = await self._api.get("a folder", f"/rest/v1.0/folders/{folder_id}", query)
        except ProcoreRefusal as refusal:
            if refusal.status not in (403, 404):
                raise
            self._problems.append(folder_problem(listing.path_of(folder_id), refusal.text))
            return []
        files = answer.value.get("files") if isinstance(answer.value, dict) else None
        return files if isinstance(files, list) else []

    async def _read(self, index: Index, kind: str, folder_id: str | None, position: Position, mark: Mark) -> Slice:
        try:
            return await index.read(kind, folder_id, position)
        except ProcoreRefusal as refusal:
            if refusal.status not in (403, 404):
                raise
            raise documents_refused(mark.project_name, refusal.text) from refusal

    async def _explain(self, listing: Listing, folder_id: str, names: list[str], mark: Mark) -> None:
        """Say why files without a known folder are left out; a folder that is merely new begins the walk again."""
        known = listing.is_cut_off(folder_id) or folder_id in self._invisible
        if not known and len(self._invisible) < LOOK_UPS_MAX:
            if await self._exists(folder_id, mark):
                self._changed("a folder was added", mark)
            self._invisible.add(folder_id)
        self._problems.append(parentless_problem(folder_id, names))

    async def _exists(self, folder_id: str, mark: Mark) -> bool:
        try:
            await self._api.get("a folder", f"/rest/v1.0/folders/{folder_id}", _folder_query(mark))
        except ProcoreRefusal as refusal:
            if refusal.status in (403, 404):
                return False
            raise
        return True

    def _changed(self, why: str, mark: Mark) -> None:
        """The listing changed: begin again, or, after too many times, go on and say it."""
        if mark.restarts < RESTARTS_MAX:
            raise ListingChanged(why)
        self._note_unstable()

    def _note_unstable(self) -> None:
        if not self._unstable:
            self._unstable = True
            self._problems.append(UNSTABLE)

    def _page(
        self, entries: Sequence[Entry], mark: Mark | None, *, expected: int | None = None, restarted: bool = False
    ) -> WalkPage:
        """The next page, with what is to be said and the calls that it cost. A restart says nothing yet."""
        problems = () if restarted else tuple(self._problems)
        if not restarted:
            self._problems = []
        calls, self._calls_told = self._api.calls - self._calls_told, self._api.calls
        cursor = None if mark is None else mark.text
        return WalkPage(tuple(entries), problems, cursor, calls=calls, expected_total=expected, restarted=restarted)


def _folder_query(mark: Mark) -> Query:
    return {"project_id": mark.project_id, "exclude_folders": "true", "exclude_files": "true"}
