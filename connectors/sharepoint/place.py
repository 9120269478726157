"""From what a person says (a site, a user name, a drive's ID) to the drive and the folder in it.

https://learn.microsoft.com/en-us/graph/api/drive-get, https://learn.microsoft.com/en-us/graph/api/site-getbypath
"""

from dataclasses import dataclass
from typing import Any

from connectors.sharepoint.graph import Graph, escaped
from connectors.sharepoint.settings import SharePointSettings
from connectors.sharepoint.shapes import SELECTED
from migration.errors import FatalError, ItemError

_NOT_THERE = frozenset({400, 404})
"""A host that is none of the tenant's is answered 400."""
_DRIVE = "$select=id,name,driveType,webUrl,quota"


@dataclass(frozen=True, slots=True)
class Drive:
    """The drive of a connection and the folder that is its root."""

    id: str
    name: str
    root: dict[str, Any]
    """The folder as Microsoft Graph shows it."""
    remaining_bytes: int | None

    @property
    def path(self) -> str:
        """How its content's addresses begin."""
        return f"/drives/{self.id}"

    @property
    def root_id(self) -> str:
        """The folder's ID."""
        return str(self.root["id"])


async def find_drive(graph: Graph, settings: SharePointSettings) -> Drive:
    """The drive, in two or three calls. FatalError `root-missing` says what is not there; what the app may not see at
    all is a FatalError, too."""
    try:
        return await _found(graph, settings)
    except ItemError as error:
        raise FatalError(error.code, error.message, fix=error.fix) from error


async def _found(graph: Graph, settings: SharePointSettings) -> Drive:
    shown = await _drive(graph, settings)
    if shown.get("driveType") == "personal":
        raise FatalError(
            "not-for-work",
            f"{settings.where} is a OneDrive of a private person, which works differently.",
            fix="Connect a site's library or the OneDrive of somebody in an organisation.",
        )
    names = settings.folder_names
    path = f"/drives/{shown['id']}/root" + (f":/{escaped(*names)}" if names else "")
    root = await graph.values(f"find the folder {settings.summary}", f"{path}?$select={SELECTED}", _NOT_THERE)
    if root is None or "folder" not in root:
        raise _missing(
            f"There is no folder {settings.folder} in {shown.get('name')} of {settings.where}.", "the folder"
        )
    remaining = (shown.get("quota") or {}).get("remaining")
    return Drive(str(shown["id"]), str(shown.get("name") or ""), root, remaining)


async def _drive(graph: Graph, settings: SharePointSettings) -> dict[str, Any]:
    if settings.library is not None:
        return await _library(graph, settings, settings.library)
    if settings.is_site:
        path, what = f"{_site(settings, inside=True)}/drive", "the site's address"
    elif settings.is_person:
        path, what = f"/users/{escaped(settings.where)}/drive", "the user name, and that the person has a OneDrive"
    else:
        path, what = f"/drives/{escaped(settings.where)}", "the ID of the drive"
    found = await graph.values(f"find {settings.where}", f"{path}?{_DRIVE}", _NOT_THERE)
    if found is None:
        raise _missing(f"There is no {settings.where} in this tenant, or the app may not see it.", what)
    return found


async def _library(graph: Graph, settings: SharePointSettings, library: str) -> dict[str, Any]:
    site = await graph.values(f"find {settings.where}", f"{_site(settings, inside=False)}?$select=id", _NOT_THERE)
    if site is None:
        raise _missing(f"There is no site {settings.where}, or the app may not see it.", "the site's address")
    found: list[dict[str, Any]] = []
    path = f"/sites/{site['id']}/drives?{_DRIVE}"
    async for page in graph.pages(f"list the libraries of {settings.where}", path):
        found += page
    for drive in found:
        if library.lower() in (str(drive.get("name")).lower(), str(drive.get("webUrl")).rsplit("/", 1)[-1].lower()):
            return drive
    names = ", ".join(sorted(str(drive.get("name")) for drive in found)) or "none that the app may see"
    raise FatalError(
        "root-missing",
        f"{settings.where} has no library {library}.",
        fix=f"Give one of its libraries with --library: {names}.",
    )


def _site(settings: SharePointSettings, *, inside: bool) -> str:
    host, path = settings.site
    if not path:
        return f"/sites/{host}"
    return f"/sites/{host}:/{escaped(*path.split('/'))}" + (":" if inside else "")


def _missing(message: str, what: str) -> FatalError:
    return FatalError("root-missing", message, fix=f"Check {what} in the settings of the connection.")
