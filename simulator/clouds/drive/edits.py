"""What changes files: files.create, update, copy, delete, emptyTrash; with and without content."""

import mimetypes
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simulator.clouds.base import Answer, Content, Spool, json_answer, received
from simulator.clouds.drive import bodies, resources
from simulator.clouds.drive.calls import Asked
from simulator.clouds.drive.masks import picked
from simulator.clouds.drive.refusals import Refusal, bad_request, invalid, no_permission, not_found
from simulator.clouds.drive.store import FOLDER, NATIVE, PERSON, SHORTCUT, Entry, Revision, new_id

if TYPE_CHECKING:
    from simulator.clouds.drive.service import Drive

UPLOAD_BYTES_MAX = 5 * 1024**4
"""https://developers.google.com/workspace/drive/api/guides/manage-uploads: what a file can have at most."""
_OCTETS = "application/octet-stream"
_KEPT_AS_SET = frozenset(("folderColorRgb", "copyRequiresWriterPermission", "writersCanShare"))


async def upload(drive: "Drive", asked: Asked) -> Answer:
    """files.create and files.update, at either address."""
    call = asked.call
    creation = not asked.path
    if not call.path.startswith("/upload/"):
        fields = bodies.file_fields(await received(call), creation=creation)
        return commit(drive, asked, fields, None, "")
    kind = call.first("uploadType")
    if kind == "media":
        content = Content.of(await received(call))
        return commit(drive, asked, {}, content, call.headers.get("content-type", ""))
    if kind == "multipart":
        parts = bodies.related(call.headers.get("content-type", ""), await received(call))
        fields = bodies.file_fields(parts.metadata, creation=creation)
        return commit(drive, asked, fields, Content.of(parts.content), parts.content_type)
    if kind == "resumable":
        fields = bodies.file_fields(await received(call), creation=creation)
        _check(drive, asked, fields, int(call.headers.get("x-upload-content-length") or 0))
        return drive.sessions.begin(asked, fields)
    raise invalid("uploadType")


def commit(drive: "Drive", asked: Asked, fields: dict[str, Any], content: Content | None, mime_type: str) -> Answer:
    """Make or change the file. Raises Refusal; nothing is changed then."""
    _check(drive, asked, fields, 0 if content is None else content.size_bytes, sized=content is not None)
    entry = (
        _create(drive, asked, fields, content, mime_type)
        if not asked.path
        else _edit(drive, asked, fields, content, mime_type)
    )
    drive.store.changed(entry)
    return shown_file(drive, asked, entry)


def shown_file(drive: "Drive", asked: Asked, entry: Entry) -> Answer:
    """A file as it was asked for."""
    return json_answer(picked(file_of(drive, asked, entry), asked.mask))


def file_of(drive: "Drive", asked: Asked, entry: Entry, below: str | None = None) -> dict[str, Any]:
    """A file resource; `below`: the field of the answer that it is in."""
    mask = asked.mask if below is None or "*" in asked.mask else asked.mask.get(below, {})
    return resources.file(drive.store, entry, mask, asked.user, drive.switches)


def found(drive: "Drive", asked: Asked) -> Entry:
    """The file in the path. Raises Refusal."""
    entry = drive.store.visible(asked.path[0], asked.user, all_drives=asked.all_drives)
    if entry is None:
        raise not_found(asked.path[0])
    return entry


async def copy(drive: "Drive", asked: Asked) -> Answer:
    """files.copy: the present content under a new id, without its revisions."""
    entry = found(drive, asked)
    fields = bodies.file_fields(await received(asked.call), creation=True)
    if entry.is_folder:
        raise Refusal(403, "cannotCopyFile", "This file cannot be copied by the user.")
    kept = {"name": f"Copy of {entry.name}", "parents": [entry.parent], "mimeType": entry.mime_type}
    head = entry.head
    content = None if head is None else _again(head.content)
    new = replace(asked, path=())
    _check(drive, new, kept | fields, 0 if content is None else content.size_bytes)
    made = _create(drive, new, kept | fields, content, entry.mime_type)
    made.shortcut_to = entry.shortcut_to
    return shown_file(drive, asked, made)


def _again(content: Content) -> Content:
    spool = Spool()
    for piece in content.pieces():
        spool.write(piece)
    return spool.finish()


async def delete(drive: "Drive", asked: Asked) -> Answer:
    """files.delete: for ever, without the trash, with all that is in a folder."""
    entry = found(drive, asked)
    if entry.parent is None or (entry.drive_id is not None and asked.user != PERSON):
        raise no_permission(entry.id)
    drive.store.delete(entry)
    return Answer(204, b"")


async def empty_trash(drive: "Drive", asked: Asked) -> Answer:
    """files.emptyTrash, of My Drive or of one shared drive."""
    drive_id = asked.text("driveId")
    for entry in list(drive.store.entries.values()):
        mine = entry.owner == asked.user if drive_id is None else entry.drive_id == drive_id
        if mine and entry.explicitly_trashed and entry.id in drive.store.entries:
            drive.store.delete(entry)
    return Answer(204, b"")


async def generate_ids(drive: "Drive", asked: Asked) -> Answer:
    """files.generateIds: ids that files.create then takes, once."""
    if asked.text("space") not in (None, "drive") or asked.text("type") not in (None, "files", "shortcuts"):
        raise invalid("space")
    ids = [new_id() for _ in range(asked.number("count", 10, 1000))]
    drive.store.generated.update(ids)
    return json_answer(picked({"kind": "drive#generatedIds", "space": "drive", "ids": ids}, asked.mask))


def _check(drive: "Drive", asked: Asked, fields: dict[str, Any], size_bytes: int, *, sized: bool = True) -> None:
    """Raise Refusal for what can be known before any byte is there."""
    if size_bytes > UPLOAD_BYTES_MAX:
        raise bad_request("The file is too large.")
    if asked.path:
        entry = found(drive, asked)
        if sized and entry.is_native:
            raise bad_request("Content cannot be uploaded to this kind of file.")
        if not sized and fields.get("mimeType", entry.mime_type) != entry.mime_type:
            raise bad_request("The mimeType can only be changed with a new content.")
        drive.room(asked.user, entry, size_bytes)
        return
    parent = _parent(drive, asked, fields)
    kind = fields.get("mimeType", "")
    if "id" in fields:
        _check_id(drive, fields["id"], kind)
    if not kind.startswith(NATIVE) and (sized or asked.user == PERSON):
        drive.room(asked.user, parent, size_bytes)
    if kind == SHORTCUT and not isinstance((fields.get("shortcutDetails") or {}).get("targetId"), str):
        raise bad_request("A shortcut needs shortcutDetails.targetId.")


def _check_id(drive: "Drive", file_id: str, mime_type: str) -> None:
    if file_id in drive.store.entries:
        raise Refusal(409, "fileIdInUse", "A file already exists with the provided ID.")
    native = mime_type.startswith(NATIVE) and mime_type not in (FOLDER, SHORTCUT)
    if file_id not in drive.store.generated or native:
        raise Refusal(400, "invalid", "The provided file ID is not usable.", location="file.id", kind="other")


def _parent(drive: "Drive", asked: Asked, fields: dict[str, Any]) -> Entry:
    wanted = fields.get("parents") or ["root"]
    if len(wanted) > 1:
        raise Refusal(403, "cannotAddParent", "A file cannot be created in more than one folder.")
    return drive.store.parent_of(wanted[0], asked.user, all_drives=asked.all_drives)


def _create(
    drive: "Drive", asked: Asked, fields: dict[str, Any], content: Content | None, mime_type: str
) -> Entry:  # fmt: skip
    parent, now = _parent(drive, asked, fields), drive.store.now_ms()
    name = fields.get("name", "Untitled")
    entry = Entry(
        fields.get("id") or new_id(), name, _mime_type(fields, mime_type, name), parent.id, parent.drive_id,
        parent.owner, fields.get("createdTime", now), now, drive.store,
    )  # fmt: skip
    _apply(entry, {**fields, "mimeType": entry.mime_type}, now)
    entry.modified_ms = fields.get("modifiedTime", now)
    if entry.mime_type == SHORTCUT:
        entry.shortcut_to = fields["shortcutDetails"]["targetId"]
    drive.store.add(entry)
    if not entry.is_native or entry.mime_type not in (FOLDER, SHORTCUT):
        _store(drive, asked, entry, Content.of(b"") if content is None else content)
    return entry


def _edit(
    drive: "Drive", asked: Asked, fields: dict[str, Any], content: Content | None, mime_type: str
) -> Entry:  # fmt: skip
    entry, now = found(drive, asked), drive.store.now_ms()
    if entry.parent is None and (fields.keys() & {"name", "trashed"} or asked.text("addParents")):
        raise no_permission(entry.id)
    properties = {
        name: bodies.merged(getattr(entry, attribute), fields[name])
        for name, attribute in (("properties", "properties"), ("appProperties", "app_properties"))
        if name in fields
    }
    _move(drive, asked, entry)
    renamed = fields.get("name", entry.name) != entry.name
    _apply(entry, {**fields, **properties}, now)
    if content is not None:
        if mime_type and "mimeType" not in fields:
            entry.mime_type = _mime_type(fields, mime_type, entry.name)
        _store(drive, asked, entry, content)
    if "modifiedTime" not in fields and (content is not None or (renamed and drive.switches.rename_sets_modified_time)):
        entry.modified_ms = now
    if "modifiedTime" in fields and entry.head is not None:
        entry.head.modified_ms = fields["modifiedTime"]
    if "trashed" in fields and drive.switches.folder_changes_repeated:
        for below in list(drive.store.below(entry))[1:]:
            drive.store.changed(below)
    return entry


def _move(drive: "Drive", asked: Asked, entry: Entry) -> None:
    added = [one for one in (asked.text("addParents") or "").split(",") if one]
    removed = [one for one in (asked.text("removeParents") or "").split(",") if one]
    if not added and not removed:
        return
    parents = [
        drive.store.parent_of(one, asked.user, all_drives=asked.all_drives, location="addParents") for one in added
    ]
    roots = {"root": drive.store.roots[asked.user]}
    if any(roots.get(one, one) != entry.parent for one in removed):
        raise not_found(removed[0], "removeParents")
    if len(parents) > 1 or (parents and not removed and parents[0].id != entry.parent):
        raise _one_parent(entry)
    if entry.drive_id is not None and not parents:
        raise _one_parent(entry)
    drive.store.move(entry, parents[0] if parents else drive.store.entries[drive.store.roots[asked.user]])


def _one_parent(entry: Entry) -> Refusal:
    if entry.drive_id is not None:
        return Refusal(403, "teamDrivesParentLimit", "A shared drive item must have exactly one parent.")
    return Refusal(403, "cannotAddParent", "Increasing the number of parents is not allowed")


def _apply(entry: Entry, fields: dict[str, Any], now: int) -> None:
    """Set what a request sets, but for what needs more than that."""
    entry.name = fields.get("name", entry.name)
    entry.mime_type = fields.get("mimeType", entry.mime_type)
    entry.description = fields.get("description", entry.description)
    entry.starred = fields.get("starred", entry.starred)
    entry.viewed_ms = fields.get("viewedByMeTime", entry.viewed_ms)
    entry.modified_ms = fields.get("modifiedTime", entry.modified_ms)
    entry.original_filename = fields.get("originalFilename", entry.original_filename)
    entry.properties = bodies.merged({}, fields.get("properties", entry.properties))
    entry.app_properties = bodies.merged({}, fields.get("appProperties", entry.app_properties))
    entry.flags.update({name: fields[name] for name in _KEPT_AS_SET & fields.keys()})
    if "trashed" in fields and fields["trashed"] != entry.explicitly_trashed:
        entry.explicitly_trashed = fields["trashed"]
        entry.trashed_ms = now if entry.explicitly_trashed else None


def _store(drive: "Drive", asked: Asked, entry: Entry, content: Content) -> None:
    name = entry.original_filename or entry.name
    one = Revision(new_id("0B"), content, entry.mime_type, entry.modified_ms, name, asked.flag("keepRevisionForever"))
    drive.store.set_content(entry, one)


def _mime_type(fields: dict[str, Any], content_type: str, name: str) -> str:
    """What the request says, else what its content is said to be, else what the name looks like."""
    given = fields.get("mimeType") or content_type.partition(";")[0].strip()
    if given and given != _OCTETS:
        return str(given)
    return mimetypes.guess_type(name, strict=False)[0] or _OCTETS
