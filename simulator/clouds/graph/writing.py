"""What changes a drive: folders, small uploads, renames, moves, deletions, restored versions."""

import asyncio
import io
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from simulator.clouds.base import (
    Answer,
    Call,
    Content,
    Cycle,
    Entry,
    NameTaken,
    Spool,
    Version,
    chunks,
    json_answer,
    json_object,
    unknown,
    utc,
)
from simulator.clouds.graph import shapes
from simulator.clouds.graph.addresses import ItemAddress
from simulator.clouds.graph.errors import (
    denied,
    error_answer,
    invalid,
    modified,
    name_taken,
    not_found,
    refused,
)
from simulator.clouds.graph.quickxor import QuickXor
from simulator.clouds.graph.reading import labelled, matches, queried
from simulator.clouds.graph.state import Drive, GraphState

BEHAVIOUR = "@microsoft.graph.conflictBehavior"
SMALL_BYTES_MAX = 250 * 1024 * 1024
"""The limit of PUT /content: https://learn.microsoft.com/en-us/graph/api/driveitem-put-content."""
_FILE_TIMES = frozenset({"createdDateTime", "lastModifiedDateTime", "lastAccessedDateTime", "@odata.type"})
_REFERENCE = frozenset(
    {"id", "path", "driveId", "driveType", "name", "siteId", "shareId", "sharepointIds", "@odata.type"}
)
_UPDATABLE = frozenset({"name", "parentReference", "fileSystemInfo", "description", BEHAVIOUR, "@odata.type"})
_CREATABLE = frozenset({"name", "folder", "file", "fileSystemInfo", "description", BEHAVIOUR, "@odata.type"})


def check_conditions(call: Call, entry: Entry | None) -> None:
    """Raises Refused, 412, if an If-Match or If-None-Match of the call does not hold."""
    wanted, unwanted = call.headers.get("if-match"), call.headers.get("if-none-match")
    if wanted is not None and (entry is None or not matches(wanted, entry)):
        raise modified()
    if unwanted is not None and entry is not None and matches(unwanted, entry):
        raise modified()


async def body_of(call: Call, known: frozenset[str]) -> dict[str, Any]:
    """The JSON body. Raises Refused, 400, for another kind of body or one with an unknown property."""
    kind = call.headers.get("content-type", "")
    values = await json_object(call)
    if values is None or (values and "application/json" not in kind):
        raise invalid("Unable to read JSON request payload. Please ensure Content-Type header is set.")
    missing = unknown(values, known)
    if missing:
        raise invalid(f"The property '{missing[0]}' does not exist on the type or cannot be written.")
    return values


def behaviour_of(values: Mapping[str, Any], query: Mapping[str, str], default: str) -> str:
    """What to do about a taken name: fail, replace or rename. Raises Refused, 400, for anything else."""
    given = query.get(BEHAVIOUR) or values.get(BEHAVIOUR) or default
    if given not in ("fail", "replace", "rename"):
        raise invalid(f"The value '{given}' of {BEHAVIOUR} is not valid.")
    return str(given)


async def create(state: GraphState, call: Call, address: ItemAddress) -> Answer:
    """POST …/children: a folder, or an empty file."""
    query = queried(call, frozenset({BEHAVIOUR}))
    values = await body_of(call, _CREATABLE)
    drive, parent = address.drive, address.entry()
    if not parent.is_folder or ("folder" in values) == ("file" in values):
        raise invalid("Exactly one of the facets folder and file is needed, below a folder.")
    folder = "folder" in values
    name = state.accepted_name(drive, parent, values.get("name"), folder=folder)
    behaviour = behaviour_of(values, query, "fail")
    there = drive.tree.child(parent, name)
    if there is not None and behaviour == "fail":
        raise name_taken()
    if there is not None and behaviour == "rename":
        name = free_name(drive, parent, name)
    elif there is not None:
        drive.tree.trash(there)
    times = file_times(values.get("fileSystemInfo"))
    entry = drive.tree.add_folder(parent, name) if folder else drive.tree.add_file(parent, name, Content.of(b""))
    set_times(entry, times)
    return json_answer(shapes.item(state, drive, entry), 201)


async def put_content(state: GraphState, call: Call, address: ItemAddress) -> Answer:
    """PUT …/content: the whole of a small file."""
    query = queried(call, frozenset({BEHAVIOUR}))
    announced = call.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > SMALL_BYTES_MAX:
        raise refused(413, "requestEntityTooLarge", "The request is too large; use an upload session.")
    behaviour = behaviour_of({}, query, "replace")
    existing = address.find()
    if existing is None and not address.path:
        raise not_found()
    spool = Spool({"quickxor": QuickXor})
    async for chunk in chunks(call):
        spool.write(chunk)
        if spool.length > SMALL_BYTES_MAX:
            raise refused(413, "requestEntityTooLarge", "The request is too large; use an upload session.")
    content = spool.finish()
    existing = address.find()
    if state.switches.put_if_match:
        check_conditions(call, existing)
    if not address.path:
        entry = address.entry()
        replace_content(state, address.drive, entry, content, {})
        return json_answer(shapes.item(state, address.drive, entry))
    parent = parent_for(state, address)
    entry, made = place_file(state, address.drive, parent, address.path[-1], content, behaviour, {})
    return json_answer(shapes.item(state, address.drive, entry), 201 if made else 200)


def parent_for(state: GraphState, address: ItemAddress) -> Entry:
    """The folder an upload by path goes to. Raises Refused: 404 if it is not there and is not made."""
    parent = address.parent()
    if parent is not None and parent.is_folder:
        return parent
    if parent is not None or not state.switches.makes_parents:
        raise not_found()
    folder, tree = address.base, address.drive.tree
    for name in address.path[:-1]:
        below = tree.child(folder, name)
        folder = below or tree.add_folder(folder, state.accepted_name(address.drive, folder, name, folder=True))
    return folder


def place_file(
    state: GraphState, drive: Drive, parent: Entry, name: str, content: Content, behaviour: str,
    times: Mapping[str, datetime],
) -> tuple[Entry, bool]:  # fmt: skip
    """A file of this content in a folder, and whether it is a new one. Raises Refused: 409, 423, 507, 400."""
    name = state.accepted_name(drive, parent, name, folder=False)
    existing = drive.tree.child(parent, name)
    if existing is not None and behaviour != "rename":
        if existing.is_folder or behaviour == "fail":
            raise name_taken()
        replace_content(state, drive, existing, content, times)
        return existing, False
    state.check_room(drive, content.size_bytes)
    if existing is not None:
        name = free_name(drive, parent, name)
    entry = drive.tree.add_file(parent, name, content, times.get("lastModifiedDateTime"))
    set_times(entry, times)
    settle(state, drive, entry)
    return entry, True


def replace_content(
    state: GraphState, drive: Drive, entry: Entry, content: Content, times: Mapping[str, datetime]
) -> None:
    """A new version of a file. Raises Refused: 423, 507, 400 for a folder."""
    if entry.is_folder:
        raise invalid("The specified item does not have content.", "notAFile")
    state.check_unlocked(entry)
    state.check_room(drive, content.size_bytes)
    drive.tree.add_version(entry, content, times.get("lastModifiedDateTime"))
    entry.extra.pop("touched", None)
    set_times(entry, times)
    while len(entry.versions) > state.switches.versions_max:
        drive.tree.drop_version(entry, entry.versions[0])
    settle(state, drive, entry)


def settle(state: GraphState, drive: Drive, entry: Entry) -> None:
    """Let SharePoint write its own properties into an Office file, now or a moment later."""
    switches = state.switches
    suffix = PurePosixPath(entry.name).suffix.lower()
    if (
        drive.site is None
        or not switches.office_rewrite
        or not suffix
        or suffix not in switches.office_suffixes.split()
    ):
        return
    version = entry.current
    if switches.settle_seconds:
        asyncio.get_running_loop().call_later(switches.settle_seconds, _rewrite, drive, entry, version)
    else:
        _rewrite(drive, entry, version)


def _rewrite(drive: Drive, entry: Entry, version: Version) -> None:
    if entry.id not in drive.tree.entries or entry.current is not version:
        return
    before = version.content
    version.content = Content.of(_promoted(before.read(), drive))
    drive.tree.used_bytes += version.content.size_bytes - before.size_bytes
    entry.extra["rewrites"] = entry.extra.get("rewrites", 0) + 1
    drive.tree.changed(entry)


def _promoted(data: bytes, drive: Drive) -> bytes:
    """An Office file with properties of its library inside; still an archive if it was one."""
    properties = f'<?xml version="1.0"?><p:properties xmlns:p="urn:library"><id>{drive.id}</id></p:properties>'
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return data + properties.encode()
    changed = io.BytesIO(data)
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr("customXml/library.xml", properties)
    return changed.getvalue()


async def update(state: GraphState, call: Call, address: ItemAddress) -> Answer:
    """PATCH: rename, move, times."""
    query = queried(call, frozenset({BEHAVIOUR}))
    values = await body_of(call, _UPDATABLE)
    drive, entry = address.drive, address.entry()
    check_conditions(call, entry)
    state.check_unlocked(entry)
    if entry is drive.tree.root:
        raise invalid("The root of a drive cannot be updated.")
    times = file_times(values.get("fileSystemInfo"))
    parent = _new_parent(drive, values.get("parentReference")) or drive.tree.entries[entry.parent_id or ""]
    name = values.get("name", entry.name)
    if name != entry.name or parent.id != entry.parent_id:
        kept = state.accepted_name(drive, parent, name, folder=entry.is_folder)
        _move(state, drive, entry, parent, kept, behaviour_of(values, query, "fail"))
    if times:
        set_times(entry, times)
        drive.tree.changed(entry)
    entry.extra["touched"] = utc(state.clock.now())
    return json_answer(shapes.item(state, drive, entry))


def _move(state: GraphState, drive: Drive, entry: Entry, parent: Entry, name: str, behaviour: str) -> None:
    there = drive.tree.child(parent, name)
    if there is not None and there is not entry:
        if behaviour == "rename":
            name = free_name(drive, parent, name)
        elif behaviour == "replace" and state.switches.move_replaces and not there.is_folder:
            drive.tree.trash(there)
    try:
        drive.tree.move(entry, parent, name)
    except NameTaken:
        raise name_taken() from None
    except Cycle:
        raise invalid("An item cannot be moved into itself.", "moveIntoSelf") from None


def _new_parent(drive: Drive, reference: Any) -> Entry | None:
    """The folder a parentReference names; None if there is none. Raises Refused: 400, 404."""
    if reference is None:
        return None
    if not isinstance(reference, dict) or unknown(reference, _REFERENCE):
        raise invalid("The parentReference is not valid.")
    if reference.get("driveId", drive.id) != drive.id:
        raise invalid("Items cannot be moved between drives using this request.")
    if "id" in reference:
        parent = drive.tree.root if reference["id"] == "root" else drive.tree.visible(str(reference["id"]))
    elif "path" in reference:
        parent = _by_path(drive, str(reference["path"]))
    else:
        raise invalid("The parentReference names no folder.")
    if parent is None:
        raise not_found()
    if not parent.is_folder:
        raise invalid("The parentReference names no folder.")
    return parent


def _by_path(drive: Drive, text: str) -> Entry | None:
    start, separator, path = text.partition("root:")
    if not separator or start not in ("/", "/drive/", f"/drives/{drive.id}/"):
        raise invalid("The path of the parentReference is not valid.")
    return drive.tree.at(tuple(name for name in path.split("/") if name))


def delete(state: GraphState, call: Call, address: ItemAddress) -> Answer:
    """DELETE: into the recycle bin."""
    queried(call, frozenset())
    entry = address.entry()
    check_conditions(call, entry)
    state.check_unlocked(entry)
    if entry is address.drive.tree.root:
        raise denied("The root of a drive cannot be deleted.")
    address.drive.tree.trash(entry)
    return Answer(204)


def delete_for_good(state: GraphState, call: Call, address: ItemAddress) -> Answer:
    """POST …/permanentDelete: https://learn.microsoft.com/en-us/graph/api/driveitem-permanentdelete."""
    queried(call, frozenset())
    entry = address.entry()
    state.check_unlocked(entry)
    if entry is address.drive.tree.root:
        raise denied("The root of a drive cannot be deleted.")
    address.drive.tree.purge(entry)
    return Answer(204)


def restore() -> Answer:
    """POST …/restore, which Microsoft has for OneDrive Personal only (driveitem-restore)."""
    return error_answer(501, "notSupported", "Restoring from the recycle bin is only supported on OneDrive Personal.")


def restore_version(state: GraphState, call: Call, address: ItemAddress, label: str) -> Answer:
    """POST …/versions/{id}/restoreVersion: the old content becomes the newest version."""
    queried(call, frozenset())
    entry = address.entry()
    if entry.is_folder:
        raise invalid("The specified item does not have content.", "notAFile")
    found = labelled(entry, label)
    replace_content(state, address.drive, entry, found.content, {})
    return Answer(204)


def free_name(drive: Drive, parent: Entry, name: str) -> str:
    """The name with the first number behind it that is free."""
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    number = 1
    while drive.tree.child(parent, f"{stem} {number}{dot}{suffix}") is not None:
        number += 1
    return f"{stem} {number}{dot}{suffix}"


def file_times(given: Any) -> dict[str, datetime]:
    """The times in a fileSystemInfo, in whole seconds. Raises Refused, 400, for what is no time."""
    if given is None:
        return {}
    if not isinstance(given, dict) or unknown(given, _FILE_TIMES):
        raise invalid("The fileSystemInfo is not valid.")
    times: dict[str, datetime] = {}
    for name, text in given.items():
        if name == "@odata.type" or text is None:
            continue
        try:
            moment = datetime.fromisoformat(text)
        except (ValueError, TypeError):
            raise invalid(f"Cannot convert the value of {name} to a time.") from None
        if moment.tzinfo is None:
            raise invalid(f"Cannot convert the value of {name} to a time with an offset.")
        times[name] = moment.astimezone(UTC).replace(microsecond=0)
    return times


def set_times(entry: Entry, times: Mapping[str, datetime]) -> None:
    """Keep the client's times."""
    if "createdDateTime" in times:
        entry.extra["client_created"] = shapes.time_text(times["createdDateTime"])
    if "lastModifiedDateTime" in times:
        entry.modified_at = times["lastModifiedDateTime"]
