"""One call to a simulated Dropbox that is allowed to be made, and what it finds at paths."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.clouds.base import Call
from simulator.clouds.dropbox.errors import PathProblem, Tagged, tagged
from simulator.clouds.dropbox.tokens import ACCOUNT_ID
from simulator.clouds.dropbox.world import Entry, Revision, content_hash, folded, time_text

if TYPE_CHECKING:
    from simulator.clouds.dropbox.service import Dropbox


@dataclass(frozen=True, slots=True)
class Asked:
    """A call with its arguments; `root` is what its paths begin at (header Dropbox-API-Path-Root)."""

    dropbox: "Dropbox"
    call: Call
    route: str
    values: dict[str, Any]
    root: Entry

    def get(self, name: str, default: Any = None) -> Any:
        """An argument."""
        return self.values.get(name, default)

    def place(self, path: str) -> tuple[Entry, list[str]]:
        """Where a path that is no id begins, and its names from there. Raises PathProblem."""
        root, rest = self.root, path
        if path.startswith("ns:"):
            number, slash, below = path[3:].partition("/")
            found = self.dropbox.namespaces.get(number)
            if found is None:
                raise PathProblem(tagged("not_found"))
            root, rest = found, slash + below
        return root, self.dropbox.world.names(rest)

    def find(self, path: str) -> Entry | None:
        """What a path or an id means now; None if nothing. Raises PathProblem."""
        world = self.dropbox.world
        if path.startswith("rev:"):
            found = world.by_rev.get(path[4:])
            return None if found is None else found[0]
        if not path.startswith("id:"):
            return world.at(*self.place(path))
        file_id, slash, below = path.partition("/")
        entry = world.by_id.get(file_id)
        return world.at(entry, world.names(slash + below)) if entry is not None else None

    def found(self, path: str) -> Entry:
        """What a path or an id means. Raises PathProblem if nothing."""
        entry = self.find(path)
        if entry is None:
            raise PathProblem(tagged("not_found"))
        return entry

    def lower(self, path: str) -> str:
        """A path below the whole tree's root, in lower case."""
        root, names = self.place(path)
        return folded((root.path(self.dropbox.world.root) or "") + "".join(f"/{name}" for name in names))

    def metadata(self, entry: Entry, *, tag: bool = True) -> Tagged:
        """What is known of a file or folder; with its tag where the description has a union of both."""
        path = entry.path(self.root)
        values: Tagged = {".tag": "folder" if entry.is_folder else "file"} if tag else {}
        values |= {"name": entry.name, "id": entry.id}
        if path is not None:
            values |= {"path_lower": path.lower(), "path_display": path}
        shared = next((one.namespace for one in entry.above() if one.namespace and one.parent), None)
        if entry.is_folder:
            return values | self._sharing(entry, shared)
        return values | file_facts(entry, entry.current, shared)

    def _sharing(self, entry: Entry, shared: str | None) -> Tagged:
        if shared is None or shared == self.dropbox.home.namespace:
            return {}
        facts = {"read_only": False, "traverse_only": False, "no_access": False}
        if entry.namespace is None:
            return {"sharing_info": facts | {"parent_shared_folder_id": shared}}
        return {"shared_folder_id": shared, "sharing_info": facts | {"shared_folder_id": shared}}

    def deleted(self, path: str) -> Tagged:
        """That there was something at a path below the root of the call."""
        return {
            ".tag": "deleted", "name": path.rpartition("/")[2], "path_lower": path.lower(), "path_display": path,
        }  # fmt: skip


def file_facts(entry: Entry, one: Revision, shared: str | None = None) -> Tagged:
    """What is known of a revision of a file."""
    values: Tagged = {
        "client_modified": time_text(one.client_modified), "server_modified": time_text(one.server_modified),
        "rev": one.rev, "size": one.content.size_bytes, "is_downloadable": entry.export_as is None,
    }  # fmt: skip
    if entry.export_as is None:
        values["content_hash"] = content_hash(one.content)
    else:
        values["export_info"] = {"export_as": entry.export_as, "export_options": [entry.export_as]}
    if shared is not None:
        values["sharing_info"] = {
            "read_only": False, "parent_shared_folder_id": shared, "modified_by": ACCOUNT_ID,
        }  # fmt: skip
    return values
