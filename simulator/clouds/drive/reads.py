"""What reads: files.list, get, export; revisions; changes; drives; about."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from simulator.clouds.base import Answer, download, received
from simulator.clouds.drive import bodies, queries, resources
from simulator.clouds.drive.calls import Asked, shown
from simulator.clouds.drive.edits import file_of, found, shown_file
from simulator.clouds.drive.listings import Place
from simulator.clouds.drive.refusals import Refusal, bad_request, invalid, not_found, not_writable
from simulator.clouds.drive.resources import EXPORTS, person, time_text
from simulator.clouds.drive.store import PERSON, Change, Entry, Revision

if TYPE_CHECKING:
    from simulator.clouds.drive.service import Drive

EXPORT_BYTES_MAX = 10 * 1024 * 1024
_LISTING = ("q", "orderBy", "corpora", "driveId", "includeItemsFromAllDrives", "supportsAllDrives", "spaces")
_ORDERS: dict[str, Callable[[Entry], Any]] = {
    "createdTime": lambda entry: entry.created_ms,
    "folder": lambda entry: not entry.is_folder,
    "modifiedByMeTime": lambda entry: entry.modified_ms,
    "modifiedTime": lambda entry: entry.modified_ms,
    "name": lambda entry: entry.name.casefold(),
    "name_natural": lambda entry: entry.name.casefold(),
    "quotaBytesUsed": lambda entry: sum(one.content.size_bytes for one in entry.revisions),
    "recency": lambda entry: entry.modified_ms,
    "sharedWithMeTime": lambda entry: entry.created_ms,
    "starred": lambda entry: not entry.starred,
    "viewedByMeTime": lambda entry: entry.viewed_ms or 0,
}
Scope = Callable[[Entry], bool]
_NOT_BINARY = "Only files with binary content can be downloaded. Use Export with Docs Editors files."


async def list_files(drive: "Drive", asked: Asked) -> Answer:
    """files.list."""
    scope = _scope(drive, asked)
    query = _query(drive, asked)
    now, about = drive.clock.now(), (asked.user, *(asked.text(name) for name in _LISTING))
    token = asked.text("pageToken")
    if token is None:
        place = Place(about, _ordered(drive, asked, query, scope), 0, 0.0)
    else:
        known = drive.listings.find(token, about, now)
        if known is None:
            raise invalid("pageToken")
        place = known
    size = min(asked.number("pageSize", 100, 1000), drive.switches.page_entries_max)
    page, at = _page(drive, place, query, scope, size)
    answer: dict[str, Any] = {
        "kind": "drive#fileList",
        "incompleteSearch": drive.switches.incomplete_search and asked.text("corpora") == "allDrives",
    }
    if at < len(place.ids):
        expires_at = now + drive.switches.page_token_lifetime_seconds
        answer["nextPageToken"] = drive.listings.keep(Place(about, place.ids, at, expires_at))
    answer["files"] = [file_of(drive, asked, entry, "files") for entry in page]
    return shown(asked, answer)


def _query(drive: "Drive", asked: Asked) -> queries.Query | None:
    text, root = asked.text("q"), drive.store.roots[asked.user]
    return queries.parsed(text, lambda one: root if one == "root" else one) if text else None


def _scope(drive: "Drive", asked: Asked) -> Scope:
    """Which files can be found at all. Raises Refusal for parameters that contradict each other."""
    corpora, drive_id = asked.text("corpora") or "user", asked.text("driveId")
    everywhere = asked.flag("includeItemsFromAllDrives")
    if corpora not in ("user", "domain", "drive", "allDrives"):
        raise invalid("corpora")
    if asked.text("spaces") not in (None, "", "drive"):
        raise invalid("spaces")
    if (drive_id is not None) != (corpora == "drive"):
        text = "The driveId parameter must be specified if and only if corpora is set to drive."
        raise Refusal(403, "teamDriveIdRequired", text, location="driveId")
    if everywhere and not asked.all_drives:
        text = "The supportsAllDrives parameter must be set to true if includeItemsFromAllDrives is true."
        raise Refusal(403, "teamDrivesNotSupported", text, location="supportsAllDrives")
    if corpora in ("drive", "allDrives") and not everywhere:
        text = "The includeItemsFromAllDrives parameter must be set to true for this corpora."
        raise Refusal(403, "teamDriveIncludeRequired", text, location="includeItemsFromAllDrives")
    if drive_id is not None and drive_id != drive.store.drive_id:
        raise not_found(drive_id, "driveId")
    if corpora == "drive":
        return lambda entry: entry.drive_id == drive_id
    return lambda entry: entry.owner == asked.user or (everywhere and entry.drive_id is not None)


def _ordered(drive: "Drive", asked: Asked, query: queries.Query | None, scope: Scope) -> list[str]:
    """The ids that a listing goes through, in its order; without an order they come in no useful one."""
    entries = drive.store.entries
    if query is None or query.parents is None:
        entries_found: list[Entry] = [entry for entry in entries.values() if entry.parent is not None]
    else:
        entries_found = [e for parent in query.parents for e in drive.store.children.get(parent, {}).values()]
    order = asked.text("orderBy")
    if order and query is not None and query.full_text:
        raise bad_request(
            "Sorting is not supported for queries with fullText terms. Results are always in descending relevance "
            "order."
        )
    entries_found.sort(key=lambda entry: entry.id)
    for key in reversed((order or "").split(",") if order else []):
        name, _, direction = key.strip().partition(" ")
        if name not in _ORDERS or direction not in ("", "desc"):
            raise invalid("orderBy")
        entries_found.sort(key=_ORDERS[name], reverse=direction == "desc")
    return [entry.id for entry in entries_found if scope(entry) and (query is None or query.test(entry))]


def _page(
    drive: "Drive", place: Place, query: queries.Query | None, scope: Scope, size: int
) -> tuple[list[Entry], int]:  # fmt: skip
    """The entries of a page that are still there and still match, and where the next one begins."""
    page: list[Entry] = []
    at = place.at
    size = size - 1 if drive.switches.short_pages and size > 1 and len(place.ids) - at > size else size
    while at < len(place.ids) and len(page) < size:
        entry = drive.store.get(place.ids[at])
        at += 1
        if entry is not None and scope(entry) and (query is None or query.test(entry)):
            page.append(entry)
    return page, at


async def get_file(drive: "Drive", asked: Asked) -> Answer:
    """files.get, of what is known of a file or (alt=media) of its content."""
    entry = found(drive, asked)
    if asked.text("alt") != "media":
        return shown_file(drive, asked, entry)
    head = entry.head
    if head is None:
        raise Refusal(403, "fileNotDownloadable", _NOT_BINARY, location="alt")
    if entry.abusive and not asked.flag("acknowledgeAbuse"):
        text = "This file has been identified as malware or spam and cannot be downloaded."
        raise Refusal(403, "cannotDownloadAbusiveFile", text)
    return _bytes(asked, head)


def _bytes(asked: Asked, one: Revision) -> Answer:
    answer = download(asked.call, one.content, [(b"content-type", one.mime_type.encode("latin-1", "replace"))])
    if answer.status == 416:
        refused = Refusal(
            416, "requestedRangeNotSatisfiable", "Request range not satisfiable", location="Range", kind="header"
        )
        refusal = refused.answer()
        refusal.headers += [header for header in answer.headers if header[0] == b"content-range"]
        return refusal
    return answer


async def export(drive: "Drive", asked: Asked) -> Answer:
    """files.export: a document of Google's own kind in another one, 10 MB at most."""
    entry, wanted = found(drive, asked), asked.text("mimeType")
    if wanted is None:
        raise Refusal(400, "required", "Required parameter: mimeType", location="mimeType")
    if entry.mime_type not in EXPORTS:
        raise Refusal(403, "fileNotExportable", "Export only supports Docs Editors files.")
    if wanted not in EXPORTS[entry.mime_type]:
        raise Refusal(400, "badRequest", "The requested conversion is not supported.", location="convertTo")
    text = entry.revisions[-1].content.read() if entry.revisions else b""
    if len(text) > EXPORT_BYTES_MAX:
        raise Refusal(403, "exportSizeLimitExceeded", "This file is too large to be exported.")
    return Answer(200, wanted.encode() + b"\n" + text, [(b"content-type", wanted.encode())])


async def list_revisions(drive: "Drive", asked: Asked) -> Answer:
    """revisions.list, oldest first. The id alone counts here, also of a file in a shared drive."""
    entry = _for_revisions(drive, asked)
    if not entry.revisions:
        raise Refusal(403, "revisionsNotSupported", "The file does not support revisions.")
    size, token = asked.number("pageSize", 200, 1000), asked.text("pageToken") or "0"
    if not token.isdecimal():
        raise invalid("pageToken")
    at = int(token)
    answer: dict[str, Any] = {
        "kind": "drive#revisionList",
        "revisions": [resources.revision(entry, one) for one in entry.revisions[at : at + size]],
    }
    if at + size < len(entry.revisions):
        answer["nextPageToken"] = str(at + size)
    return shown(asked, answer)


async def get_revision(drive: "Drive", asked: Asked) -> Answer:
    """revisions.get."""
    entry, one = _revision(drive, asked)
    if asked.text("alt") != "media":
        return shown(asked, resources.revision(entry, one))
    if entry.is_native:
        raise Refusal(403, "fileNotDownloadable", _NOT_BINARY, location="alt")
    if not (one is entry.head or one.keep_forever or drive.switches.revisions_downloadable):
        text = "This revision cannot be downloaded by the authenticated user."
        raise Refusal(403, "download_restricted_for_revision", text)
    return _bytes(asked, one)


async def update_revision(drive: "Drive", asked: Asked) -> Answer:
    """revisions.update: only `keepForever` can be set here."""
    entry, one = _revision(drive, asked)
    values = bodies.json_object(await received(asked.call))
    if values.keys() - {"keepForever"}:
        raise not_writable()
    if one.keep_forever and values.get("keepForever") is False:
        text = "Bad Request. Cannot update a revision to false that is marked as keepForever."
        raise Refusal(400, "illegalKeepForeverModification", text)
    one.keep_forever = bool(values.get("keepForever", one.keep_forever))
    return shown(asked, resources.revision(entry, one))


async def delete_revision(drive: "Drive", asked: Asked) -> Answer:
    """revisions.delete: not the only one."""
    entry, one = _revision(drive, asked)
    if len(entry.revisions) == 1 or entry.is_native:
        raise Refusal(403, "cannotDeleteOnlyRevision", "The only revision of a file cannot be deleted.")
    entry.revisions.remove(one)
    drive.store.changed(entry)
    return Answer(204, b"")


def _for_revisions(drive: "Drive", asked: Asked) -> Entry:
    entry = drive.store.visible(asked.path[0], asked.user, all_drives=True)
    if entry is None:
        raise not_found(asked.path[0])
    return entry


def _revision(drive: "Drive", asked: Asked) -> tuple[Entry, Revision]:
    entry, wanted = _for_revisions(drive, asked), asked.path[1]
    for one in entry.revisions:
        if one.id == wanted or (wanted == "head" and one is entry.revisions[-1]):
            return entry, one
    raise Refusal(404, "notFound", f"Revision not found: {wanted}.", location="revisionId")


async def start_page_token(drive: "Drive", asked: Asked) -> Answer:
    """changes.getStartPageToken: from now on."""
    _change_scope(drive, asked)
    token = str(len(drive.store.changes) + 1)
    return shown(asked, {"kind": "drive#startPageToken", "startPageToken": token})


async def list_changes(drive: "Drive", asked: Asked) -> Answer:
    """changes.list: each file once, with its last change, as it is now."""
    in_scope, token = _change_scope(drive, asked), asked.text("pageToken")
    if token is None:
        raise Refusal(400, "required", "Required parameter: pageToken", location="pageToken")
    end = len(drive.store.changes) + 1
    if not token.isdecimal() or not 1 <= int(token) <= end:
        raise invalid("pageToken")
    size = min(asked.number("pageSize", 100, 1000), drive.switches.page_entries_max)
    page: list[dict[str, Any]] = []
    at = int(token)
    for change in _changes_from(drive, at):
        if len(page) == size:
            break
        at = change.number + 1
        if in_scope(change):
            page.append(_change(drive, asked, change))
    else:
        at = end
    if not asked.flag("includeRemoved", True):
        page = [one for one in page if not one["removed"]]
    follows = {"newStartPageToken": str(end)} if at == end else {"nextPageToken": str(at)}
    return shown(asked, {"kind": "drive#changeList", **follows, "changes": page})


def _changes_from(drive: "Drive", number: int) -> Iterator[Change]:
    for change in drive.store.changes[number - 1 :]:
        if drive.store.latest[change.file_id] == change.number:
            yield change


def _change_scope(drive: "Drive", asked: Asked) -> Callable[[Change], bool]:
    drive_id = asked.text("driveId")
    if drive_id is not None and not asked.all_drives:
        raise Refusal(403, "teamDrivesNotSupported", "supportsAllDrives must be true.", location="supportsAllDrives")
    if drive_id is not None and drive_id != drive.store.drive_id:
        raise not_found(drive_id, "driveId")
    if drive_id is not None:
        return lambda change: change.drive_id == drive_id
    everywhere = asked.all_drives and asked.flag("includeItemsFromAllDrives") and not asked.flag("restrictToMyDrive")
    return lambda change: change.owner == asked.user or (everywhere and change.drive_id is not None)


def _change(drive: "Drive", asked: Asked, change: Change) -> dict[str, Any]:
    entry = drive.store.get(change.file_id)
    values: dict[str, Any] = {
        "kind": "drive#change", "type": "file", "changeType": "file", "time": time_text(change.at_ms),
        "removed": entry is None, "fileId": change.file_id,
    }  # fmt: skip
    if change.drive_id is not None:
        values |= {"driveId": change.drive_id, "teamDriveId": change.drive_id}
    if entry is not None:
        mask = {} if "*" in asked.mask else asked.mask.get("changes", {})
        below = {} if not mask or "*" in mask else mask.get("file", {})
        values["file"] = resources.file(drive.store, entry, below, asked.user, drive.switches)
    return values


async def list_drives(drive: "Drive", asked: Asked) -> Answer:
    """drives.list."""
    if asked.text("pageToken"):
        raise invalid("pageToken")
    asked.number("pageSize", 10, 100)
    return shown(asked, {"kind": "drive#driveList", "drives": [_drive(drive, asked)]})


async def get_drive(drive: "Drive", asked: Asked) -> Answer:
    """drives.get."""
    if asked.path[0] != drive.store.drive_id:
        raise Refusal(404, "notFound", f"Shared drive not found: {asked.path[0]}", location="driveId")
    return shown(asked, _drive(drive, asked))


def _drive(drive: "Drive", asked: Asked) -> dict[str, Any]:
    return resources.drive(drive.store, user=asked.user, read_only=drive.switches.read_only)


async def about(drive: "Drive", asked: Asked) -> Answer:
    """about.get: who calls, and how much space there is (no `limit` = without limit)."""
    own = asked.user == PERSON
    used, trash = (drive.store.used_bytes(), drive.store.used_bytes(trash_only=True)) if own else (0, 0)
    quota = {"usage": str(used), "usageInDrive": str(used), "usageInDriveTrash": str(trash)}
    limit = drive.switches.quota_bytes if own else 0
    if limit is not None:
        quota["limit"] = str(limit)
    return shown(asked, {
        "kind": "drive#about", "user": person(asked.user, me=True), "storageQuota": quota,
        "importFormats": {}, "exportFormats": {kind: list(formats) for kind, formats in EXPORTS.items()},
        "maxImportSizes": {}, "maxUploadSize": str(5 * 1024**4), "appInstalled": True, "canCreateDrives": own,
        "folderColorPalette": ["#8f8f8f"], "driveThemes": [],
    })  # fmt: skip
