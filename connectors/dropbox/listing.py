"""Listing folders (https://www.dropbox.com/developers/documentation/http/documentation#files-list_folder).

Dropbox also lists whole trees, but in no order, with what is in a folder perhaps before the folder, and advises against
it where there is much. So a walk asks for the tree below each folder it comes to, and takes it if it is whole in the
first answer, as most are; otherwise it asks for the folder alone, and goes on with the folders in it. A tree of many
small folders is listed in about one call per thousand entries, the walk's order stays, and what is kept meanwhile is
bounded.
"""

from typing import TYPE_CHECKING, Any

from connectors.dropbox.errors import CURSOR_RESET
from connectors.dropbox.records import entry_of, problem_of
from connectors.shared.walking import Listing
from migration.entries import Entry, PathParts
from migration.errors import ItemError, RetryableError

if TYPE_CHECKING:
    from connectors.dropbox.connector import DropboxConnector

ENTRIES_PER_PAGE = 2_000
_LISTED_ANEW_MAX = 3
_KEPT = (
    ".tag", "name", "id", "rev", "size", "client_modified", "content_hash", "file_lock_info", "symlink_info",
    "is_downloadable", "export_info",
)  # fmt: skip
Record = dict[str, Any]


class Lister:
    """Lists the folders of one walk, each once."""

    def __init__(self, connector: "DropboxConnector") -> None:
        self._connector = connector
        self._inside: dict[str, list[Record]] = {}
        """What is in folders that were told about already, by the folder's id."""

    async def list_folder(self, folder: Entry) -> Listing:
        """As `TreeConnector.list_folder`."""
        known = self._inside.pop(folder.ref.id, None)
        if known is not None:
            return listing_of(known, folder, 0)
        below = await self._below(folder)
        if below is None:
            found = await self._connector.list_folder(folder)
            return Listing(found.entries, found.problems, found.calls + 1)
        mine = below.pop(folder.ref.id, [])
        self._inside |= below
        return listing_of(mine, folder, 1)

    async def _below(self, folder: Entry) -> dict[str, list[Record]] | None:
        """What is in the folder and in every folder below it, by the folders' ids; None if that is too much."""
        what = f"list what is below {self._connector.shown(folder.path)}"
        arguments = {"path": folder.ref.id, "recursive": True, "limit": ENTRIES_PER_PAGE}
        try:
            answer = await self._connector.api.ask(what, "files/list_folder", arguments)
        except RetryableError as error:
            if error.code != "server-fault":
                raise
            return None  # where a tree is too much for Dropbox, the folder alone may not be
        return None if answer["has_more"] else _by_folder(answer["entries"], folder.ref.id)


async def records_of(connector: "DropboxConnector", folder: Entry) -> tuple[list[Record], int]:
    """What is directly in a folder, and how many calls it took."""
    what = f"list {connector.shown(folder.path)}"
    for _ in range(_LISTED_ANEW_MAX):
        try:
            return await _pages(connector, what, folder.ref.id)
        except ItemError as error:
            if error.code != CURSOR_RESET:
                raise
    raise RetryableError("listing-changes", f"Could not {what}: Dropbox had it begin anew several times.")


def listing_of(records: list[Record], folder: Entry, calls: int) -> Listing:
    """The records as what is in this folder."""
    entries, problems = [], []
    for record in records:
        path: PathParts = (*folder.path, str(record["name"]))
        problem = problem_of(record, path)
        if problem is None:
            entries.append(entry_of(record, path, folder.ref))
        else:
            problems.append(problem)
    return Listing(entries, problems, calls)


async def _pages(connector: "DropboxConnector", what: str, where: str) -> tuple[list[Record], int]:
    """Every page. A later one may take back what an earlier one said."""
    found: dict[str, Record] = {}
    answer = await connector.api.ask(what, "files/list_folder", {"path": where, "limit": ENTRIES_PER_PAGE})
    calls = 1
    while True:
        for record in answer["entries"]:
            key = str(record.get("path_lower") or record.get("id"))
            if record.get(".tag") == "deleted":
                found.pop(key, None)
            else:
                found[key] = record
        if not answer["has_more"]:
            return list(found.values()), calls
        answer = await connector.api.ask(what, "files/list_folder/continue", {"cursor": answer["cursor"]})
        calls += 1


def _by_folder(records: list[Record], root: str) -> dict[str, list[Record]] | None:
    """A tree's records by the id of the folder each is in; None if that cannot be told. The tree's own folder may be
    among them or not."""
    inside: dict[str, list[Record]] = {}
    folders: dict[str, str] = {}
    for record in records:
        path = record.get("path_lower")
        if not path or record.get(".tag") == "deleted":
            return None
        if record[".tag"] == "folder":
            folders[path] = record["id"]
        if record["id"] != root:
            inside.setdefault(path.rpartition("/")[0], []).append({key: record[key] for key in _KEPT if key in record})
    outside = [path for path in inside if path not in folders]
    if len(outside) > 1:
        return None
    below = {identity: inside.get(path, []) for path, identity in folders.items()}
    if outside:
        below[root] = inside[outside[0]]
    return below
