"""Which thing an address means: https://learn.microsoft.com/en-us/graph/onedrive-addressing-driveitems."""

from dataclasses import dataclass
from urllib.parse import unquote

from simulator.clouds.base import Call, Entry, Refused
from simulator.clouds.graph.errors import invalid, not_found, refused
from simulator.clouds.graph.oauth import USER_ID
from simulator.clouds.graph.state import HOST, Drive, GraphState, Site, is_person


@dataclass(frozen=True, slots=True)
class SiteAddress:
    """A site, or what is below it."""

    site: Site
    action: str


@dataclass(frozen=True, slots=True)
class DriveAddress:
    """A drive itself."""

    drive: Drive


@dataclass(frozen=True, slots=True)
class ItemAddress:
    """An item by id (`path` is empty) or by its path below `base`, and what is wanted of it."""

    drive: Drive
    base: Entry
    path: tuple[str, ...]
    action: str

    def entry(self) -> Entry:
        """The item. Raises Refused, 404, if it is not there."""
        found = self.find()
        if found is None:
            raise not_found()
        return found

    def find(self) -> Entry | None:
        """The item, or None if it is not there."""
        return _walked(self.drive, self.base, self.path)

    def parent(self) -> Entry | None:
        """The folder that the path's last name is in, or None if it is not there."""
        return _walked(self.drive, self.base, self.path[:-1])


@dataclass(frozen=True, slots=True)
class OtherAddress:
    """A collection or the person signed in: `me`, `drives`, `sites`."""

    name: str


Address = SiteAddress | DriveAddress | ItemAddress | OtherAddress


def address_of(state: GraphState, call: Call, user: str | None) -> Address:
    """What a call below /v1.0 is about. Raises Refused: 404 if it is not there, 400 if there is no such address."""
    raw = call.scope["raw_path"].decode("ascii").partition("?")[0].removeprefix("/v1.0/").rstrip("/")
    first, _, rest = raw.partition("/")
    if first == "sites":
        return _site_address(state, rest)
    if first == "drives":
        drive_id, _, rest = rest.partition("/")
        return _in_drive(_drive(state, unquote(drive_id)), rest)
    if first == "me":
        if user is None:
            raise refused(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
        return _personal(state, rest)
    if first == "users":
        name, _, rest = rest.partition("/")
        if not is_person(USER_ID, unquote(name)):
            raise refused(404, "Request_ResourceNotFound", f"Resource '{unquote(name)}' does not exist.")
        return _personal(state, rest)
    raise _no_segment(first)


def _personal(state: GraphState, rest: str) -> Address:
    if rest in ("", "drives"):
        return OtherAddress(rest or "me")
    first, _, below = rest.partition("/")
    if first != "drive":
        raise _no_segment(first)
    return _in_drive(state.onedrive, below)


def _site_address(state: GraphState, rest: str) -> Address:
    if not rest:
        return OtherAddress("sites")
    first, _, below = rest.partition("/")
    if first.endswith(":"):
        path, _, below = below.partition(":")
        wanted = "/" + unquote(path).strip("/").lower()
        known = [site for site in state.sites if site.path.lower() == wanted]
        found = known if unquote(first[:-1]).lower() == HOST else []
        below = below.strip("/")
    else:
        found = [site for site in state.sites if site.id == unquote(first)]
    if not found:
        raise refused(404, "itemNotFound", "Requested site could not be found")
    return _in_site(state, found[0], below)


def _in_site(state: GraphState, site: Site, below: str) -> Address:
    first, _, rest = below.partition("/")
    if first == "drive":
        return _in_drive(site.drives[0], rest)
    if first == "drives" and rest:
        drive_id, _, rest = rest.partition("/")
        drive = _drive(state, unquote(drive_id))
        if drive.site is not site:
            raise not_found()
        return _in_drive(drive, rest)
    if below in ("", "drives", "sites"):
        return SiteAddress(site, below)
    raise _no_segment(first)


def _drive(state: GraphState, drive_id: str) -> Drive:
    drive = state.drives.get(drive_id)
    if drive is None:
        raise not_found() if drive_id.startswith("b!") else invalid("The provided drive id appears to be malformed.")
    return drive


def _in_drive(drive: Drive, rest: str) -> Address:
    if not rest:
        return DriveAddress(drive)
    parts = rest.split(":")
    if len(parts) > 3:
        raise invalid("Resource path contains more than one colon-delimited path.")
    start, _, action = parts[0].partition("/")
    if start == "root":
        base = drive.tree.root
    elif start == "items":
        item_id, _, action = action.partition("/")
        base = _visible(drive, unquote(item_id))
    else:
        raise _no_segment(start)
    if len(parts) == 1:
        return ItemAddress(drive, base, (), unquote(action))
    if action or not parts[1].startswith("/"):
        raise invalid("The path after the colon must begin with a slash.")
    path = tuple(unquote(name) for name in parts[1].strip("/").split("/") if name)
    return ItemAddress(drive, base, path, unquote(parts[2].strip("/")) if len(parts) == 3 else "")


def _visible(drive: Drive, item_id: str) -> Entry:
    entry = drive.tree.root if item_id == "root" else drive.tree.visible(item_id)
    if entry is None:
        raise not_found()
    return entry


def _walked(drive: Drive, base: Entry, path: tuple[str, ...]) -> Entry | None:
    entry: Entry | None = base
    for name in path:
        entry = drive.tree.child(entry, name) if entry is not None and entry.is_folder else None
    return entry


def _no_segment(segment: str) -> Refused:
    return refused(400, "BadRequest", f"Resource not found for the segment '{segment}'.")
