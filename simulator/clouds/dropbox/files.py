"""Everything of files/ but listings and uploads: metadata, downloads, folders, moves, deletions, revisions."""

import secrets
from typing import TYPE_CHECKING

import orjson

from simulator.clouds.base import Answer, download
from simulator.clouds.dropbox.arguments import WRITE, each, tag_of
from simulator.clouds.dropbox.asked import Asked, file_facts
from simulator.clouds.dropbox.errors import ApiError, PathProblem, Tagged, answer, tagged, within
from simulator.clouds.dropbox.uploads import free_name
from simulator.clouds.dropbox.world import RELOCATED_MAX, Entry, Revision, check_name, folded, new_id, time_text

if TYPE_CHECKING:
    from simulator.clouds.dropbox.service import Dropbox

FOLDERS_MAX = 10_000


async def get_metadata(asked: Asked) -> Answer:
    """files/get_metadata."""
    path = asked.values["path"]
    try:
        entry = asked.find(path)
        if entry is None and asked.get("include_deleted") and not path.startswith(("id:", "rev:")):
            gone = asked.dropbox.world.deleted.get(asked.lower(path))
            shown = None if gone is None else gone.path(asked.root)
            if shown is not None:
                return answer(asked.deleted(shown))
        if entry is None or (entry.deleted_at is not None and not path.startswith("rev:")):
            raise PathProblem(tagged("not_found"))
    except PathProblem as problem:
        raise ApiError(within("path", problem.error)) from None
    if entry is asked.root:
        raise ApiError(tagged("path", "malformed_path"))
    return answer(asked.metadata(entry))


async def get_bytes(asked: Asked) -> Answer:
    """files/download, of the current revision, of an id or of one revision (`rev:`)."""
    path, rev = asked.values["path"], asked.get("rev")
    path = path if rev is None else f"rev:{rev}"
    entry, one = _file(asked, path)
    if entry.export_as is not None:
        raise ApiError(tagged("unsupported_file"))
    shown = (
        asked.metadata(entry, tag=False) | file_facts(entry, one)
        if one is not entry.current
        else asked.metadata(entry, tag=False)
    )
    headers = [
        (b"content-type", b"application/octet-stream"), (b"dropbox-api-result", header_safe(shown)),
        (b"etag", f'W/"{one.rev}"'.encode()), (b"original-content-length", str(one.content.size_bytes).encode()),
    ]  # fmt: skip
    return download(asked.call, one.content, headers)


async def export(asked: Asked) -> Answer:
    """files/export, of what cannot be downloaded."""
    entry, one = _file(asked, asked.values["path"])
    if entry.export_as is None:
        raise ApiError(tagged("non_exportable"))
    if asked.get("export_format", entry.export_as) != entry.export_as:
        raise ApiError(tagged("invalid_export_format"))
    shown = {
        "export_metadata": {"name": f"{entry.name}.{entry.export_as}", "size": one.content.size_bytes},
        "file_metadata": asked.metadata(entry, tag=False),
    }
    return download(asked.call, one.content, [(b"dropbox-api-result", header_safe(shown))])


def header_safe(value: Tagged) -> bytes:
    """JSON that can be in a header: no character that is not printable ASCII."""
    text = orjson.dumps(value).decode()
    escaped = text if text.isascii() else "".join(one if one.isascii() else _escaped(one) for one in text)
    return escaped.replace("\x7f", "\\u007f").encode()


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _file(asked: Asked, path: str) -> tuple[Entry, Revision]:
    try:
        if path.startswith("rev:"):
            found = asked.dropbox.world.by_rev.get(path[4:])
            if found is None:
                raise PathProblem(tagged("not_found"))
            return found
        entry = asked.found(path)
        if entry.is_folder:
            raise PathProblem(tagged("not_file"))
    except PathProblem as problem:
        raise ApiError(within("path", problem.error)) from None
    return entry, entry.current


async def create_folder(asked: Asked) -> Answer:
    """files/create_folder_v2, with the folders above it."""
    async with asked.dropbox.writing(asked):
        try:
            entry = _create(asked, asked.values["path"], autorename=asked.get("autorename", False))
        except PathProblem as problem:
            raise ApiError(within("path", problem.error)) from None
        return answer({"metadata": asked.metadata(entry, tag=False)})


def _create(asked: Asked, path: str, *, autorename: bool) -> Entry:
    dropbox = asked.dropbox
    dropbox.may_write()
    root, names = asked.place(path)
    if not names:
        raise PathProblem(tagged("conflict", "folder"))
    check_name(names[-1])
    folder = dropbox.world.folders(root, names[:-1])
    name, there = names[-1], dropbox.world.child(folder, names[-1])
    if there is not None and not autorename:
        raise PathProblem(tagged("conflict", "folder" if there.is_folder else "file"))
    if there is not None:
        name = free_name(folder, name)
    return dropbox.world.add(folder, Entry(new_id(), name, folder, True))


async def create_folder_batch(asked: Asked) -> Answer:
    """files/create_folder_batch: at once if it is small, else as a job."""
    paths = each(asked.values["paths"], WRITE, FOLDERS_MAX, "request body: paths")
    results: list[Tagged] = []
    async with asked.dropbox.writing(asked):
        for path in dict.fromkeys(paths):
            try:
                entry = _create(asked, path, autorename=asked.get("autorename", False))
                results.append({".tag": "success", "metadata": asked.metadata(entry, tag=False)})
            except PathProblem as problem:
                results.append(within("failure", within("path", problem.error)))
    if len(paths) <= asked.dropbox.switches.batch_entries_at_once_max and not asked.get("force_async"):
        return answer(tagged("complete", entries=results))
    job = f"dbjid:{secrets.token_urlsafe(24)}"
    asked.dropbox.jobs[job] = ("in_progress", results)
    return answer({".tag": "async_job_id", "async_job_id": job})


async def check_folder_batch(asked: Asked) -> Answer:
    """files/create_folder_batch/check: not done when it is asked for the first time."""
    job = asked.values["async_job_id"]
    if job not in asked.dropbox.jobs:
        raise ApiError(tagged("invalid_async_job_id"))
    state, results = asked.dropbox.jobs[job]
    asked.dropbox.jobs[job] = ("complete", results)
    return answer(tagged("in_progress") if state == "in_progress" else tagged("complete", entries=results))


async def delete(asked: Asked) -> Answer:
    """files/delete_v2, with all that is in a folder; `parent_rev` only for files."""
    async with asked.dropbox.writing(asked):
        try:
            entry = asked.found(asked.values["path"])
            if entry.parent is None or entry.namespace is not None:
                raise PathProblem(tagged("malformed_path"))
        except PathProblem as problem:
            raise ApiError(within("path_lookup", problem.error)) from None
        rev = asked.get("parent_rev")
        if rev is not None and (entry.is_folder or entry.current.rev != rev):
            raise ApiError(tagged("path_write", "conflict", "folder" if entry.is_folder else "file"))
        _may_write(asked.dropbox, "path_write")
        shown = asked.metadata(entry)
        asked.dropbox.world.delete(entry)
        return answer({"metadata": shown})


def _may_write(dropbox: "Dropbox", tag: str) -> None:
    try:
        dropbox.may_write()
    except PathProblem as problem:
        raise ApiError(within(tag, problem.error)) from None


async def move(asked: Asked) -> Answer:
    """files/move_v2: ids stay, files get new revisions. A change of case only is not possible."""
    async with asked.dropbox.writing(asked):
        entry, folder, name = _relocation(asked)
        if entry.namespace is not None:
            raise ApiError(tagged("cant_move_shared_folder"))
        world = asked.dropbox.world
        world.take(entry)
        entry.name = name
        world.add(folder, entry)
        for one in (entry, *entry.below()):
            if one.revisions:
                world.write(one, one.current.content, one.current.client_modified)
        return answer({"metadata": asked.metadata(entry)})


async def copy(asked: Asked) -> Answer:
    """files/copy_v2: with new ids; the clients' times stay."""
    async with asked.dropbox.writing(asked):
        entry, folder, name = _relocation(asked)
        size = sum(one.current.content.size_bytes for one in (entry, *entry.below()) if one.revisions)
        try:
            asked.dropbox.room(size)
        except PathProblem:
            raise ApiError(tagged("insufficient_quota")) from None
        made = _copied(asked.dropbox, entry, folder, name)
        return answer({"metadata": asked.metadata(made)})


def _copied(dropbox: "Dropbox", entry: Entry, folder: Entry, name: str) -> Entry:
    made = Entry(new_id(), name, folder, entry.is_folder, export_as=entry.export_as)
    if not entry.is_folder:
        dropbox.world.write(made, entry.current.content, entry.current.client_modified)
    dropbox.world.add(folder, made)
    for child in list(entry.children.values()):
        _copied(dropbox, child, made, child.name)
    return made


def _relocation(asked: Asked) -> tuple[Entry, Entry, str]:
    """What is to be where, under which name. Raises ApiError; nothing is changed then."""
    world, to_path = asked.dropbox.world, asked.values["to_path"]
    try:
        entry = asked.found(asked.values["from_path"])
    except PathProblem as problem:
        raise ApiError(within("from_lookup", problem.error)) from None
    if entry.parent is None:
        raise ApiError(tagged("from_lookup", "malformed_path"))
    _may_write(asked.dropbox, "from_write")
    if 1 + sum(1 for _ in entry.below()) > RELOCATED_MAX:
        raise ApiError(tagged("too_many_files"))
    try:
        if to_path.startswith("id:"):
            raise PathProblem(tagged("malformed_path"))
        root, names = asked.place(to_path)
        if not names:
            raise PathProblem(tagged("conflict", "folder"))
        there = world.at(root, names)
        if there is entry:
            raise ApiError(tagged("duplicated_or_nested_paths"))
        check_name(names[-1])
        _not_into_itself(asked, entry, root, names)
        folder, name = world.folders(root, names[:-1]), names[-1]
        if there is not None and not asked.get("autorename", False):
            raise PathProblem(tagged("conflict", "folder" if there.is_folder else "file"))
    except PathProblem as problem:
        raise ApiError(within("to", problem.error)) from None
    return entry, folder, name if there is None else free_name(folder, name)


def _not_into_itself(asked: Asked, entry: Entry, root: Entry, names: list[str]) -> None:
    own = folded(entry.path(asked.dropbox.world.root) or "")
    to = folded((root.path(asked.dropbox.world.root) or "") + "".join(f"/{name}" for name in names))
    if entry.is_folder and to.startswith(f"{own}/"):
        raise ApiError(tagged("cant_move_folder_into_itself"))


async def restore(asked: Asked) -> Answer:
    """files/restore: an earlier revision becomes the newest one at a path."""
    async with asked.dropbox.writing(asked):
        world, found = asked.dropbox.world, asked.dropbox.world.by_rev.get(asked.values["rev"])
        if found is None:
            raise ApiError(tagged("invalid_revision"))
        _may_write(asked.dropbox, "path_write")
        try:
            root, names = asked.place(asked.values["path"])
            there = world.at(root, names)
            if not names or (there is not None and there.is_folder):
                raise PathProblem(tagged("conflict", "folder"))
            folder = world.folders(root, names[:-1])
        except PathProblem as problem:
            raise ApiError(within("path_write", problem.error)) from None
        one = found[1]
        if there is None:
            there = Entry(new_id(), names[-1], folder, False)
            world.write(there, one.content, one.client_modified)
            world.add(folder, there)
        else:
            world.write(there, one.content, one.client_modified)
        return answer(asked.metadata(there, tag=False))


async def list_revisions(asked: Asked) -> Answer:
    """files/list_revisions, newest first: of a path, or (mode id) of a file wherever it was."""
    path = asked.values["path"]
    by_id = tag_of(asked.get("mode", "path"), {"path", "id"}, "mode") == "id"
    world = asked.dropbox.world
    try:
        entry = asked.find(path)
        gone = None if path.startswith("id:") else world.deleted.get(asked.lower(path))
        last = entry or gone
        if last is None:
            raise PathProblem(tagged("not_found"))
        if last.is_folder:
            raise PathProblem(tagged("not_file"))
    except PathProblem as problem:
        raise ApiError(within("path", problem.error)) from None
    where = folded(last.path(world.root) or "")
    revisions = last.revisions if by_id else world.revisions_at.get(where, [])
    newest = _before(list(reversed(revisions)), asked.get("before_rev"))
    limit = asked.get("limit", 10)
    shown = [{"name": one.name, "id": last.id, **_at(asked, one), **file_facts(last, one)} for one in newest[:limit]]
    values: Tagged = {"is_deleted": entry is None, "entries": shown, "has_more": len(newest) > limit}
    if entry is None and last.deleted_at is not None:
        values["server_deleted"] = time_text(last.deleted_at)
    return answer(values)


def _at(asked: Asked, one: Revision) -> Tagged:
    root = asked.root.path(asked.dropbox.world.root) or ""
    return {"path_lower": one.path[len(root) :].lower(), "path_display": one.path[len(root) :]}


def _before(newest: list[Revision], rev: str | None) -> list[Revision]:
    if rev is None:
        return newest
    for at, one in enumerate(newest):
        if one.rev == rev:
            return newest[at + 1 :]
    return []
