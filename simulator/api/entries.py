"""The JSON of flat entries, many at a time: written as text, because ten thousand dictionaries a page would be slow."""

import json
import sqlite3
from collections.abc import Sequence
from json.encoder import encode_basestring as quoted

from simulator.api.documents import PROSTORE_OFFSET, Json, custom_fields_of, people, tree_of
from simulator.api.names import extension
from simulator.api.request import ApiRequest, Project
from simulator.links import link_signer

_COLUMNS = (
    "d.id, d.parent_id, d.kind, d.name, d.private, d.tracked, d.read_only, d.recycle_bin, d.deleted, d.created_at, "
    "d.created_by, d.updated_at, d.checked_out_by, d.checked_out_until, d.description, "
    "v.id, v.number, v.size_bytes, v.created_at, v.created_by, v.notes, v.filename"
)
_ROWS = (
    f"SELECT {_COLUMNS} FROM json_each(?) AS asked CROSS JOIN documents d ON d.id = asked.value "  # noqa: S608
    "LEFT JOIN versions v ON v.id = d.version_id"
)
_CHILDREN = (
    "SELECT parent_id, max(kind = 'file'), max(kind = 'folder') FROM documents "
    "WHERE parent_id IN (SELECT value FROM json_each(?)) AND (private = 0 OR ? OR created_by = ?) GROUP BY parent_id"
)
_FLAGS = ("false", "true")
NORMAL, EXTENDED, CHILD, COMPACT = "normal", "extended", "child", "compact"


class EntryWriter:
    """Writes entries of one project for one caller, in version 1 or 2, in one of the views above."""

    def __init__(self, request: ApiRequest, project: Project, view: str) -> None:
        self._request = request
        self._project = project
        self._store = request.store
        self._tree = tree_of(request, project)
        self._view = view
        self._v2 = request.v2
        self._mark = '"' if request.v2 else ""
        self._now_text = request.state.clock.text()
        self._sign = link_signer(request.state, project.id)
        rows = people(request.store)
        self._people = {user_id: self._person(row) for user_id, row in rows.items()}
        self._holders = {user_id: self._person(row, locale="en") for user_id, row in rows.items()}
        self._authors = {
            user_id: self._person(row, company_name=row["company_name"], locale="en") for user_id, row in rows.items()
        }
        self._nulls = request.settings.null_references
        self._places: dict[int | None, tuple[str, str, str]] = {}
        self._flags: dict[int, tuple[int, int]] = {}
        self._custom: dict[int, Json] = {}

    def array(self, ids: Sequence[int]) -> bytes:
        """A JSON array of the entries with these ids, in their order."""
        asked = json.dumps(list(ids))
        rows = self._store.all(_ROWS, asked)
        self._custom = custom_fields_of(self._store, ids)
        if self._view not in (NORMAL, COMPACT):
            self._flags = self._children_of([row[0] for row in rows if row[2] == "folder"])
        return f"[{','.join([self._entry(row) for row in rows])}]".encode()

    def _entry(self, row: sqlite3.Row) -> str:
        (
            document_id, parent_id, kind, name, private, tracked, read_only, recycle_bin, deleted, created_at,
            created_by, updated_at, *_
        ) = row  # fmt: skip
        mark = self._mark
        parent = "null" if parent_id is None else f"{mark}{parent_id}{mark}"
        safe_name = quoted(name)
        prefix, above, ancestor = self._places.get(parent_id) or self._place(parent_id)
        path = "" if self._v2 else f'"name_with_path":"{prefix}{safe_name[1:]},'
        if self._view == COMPACT:
            file = f',"file":{self._file(row)}' if kind == "file" else ""
            return (
                f'{{"id":{mark}{document_id}{mark},"name":{safe_name},"parent_id":{parent},"updated_at":"{updated_at}",'
                f'"document_type":"{kind}","private":{_FLAGS[private]},"is_deleted":{_FLAGS[deleted]}'
                f"{file}}}"
            )
        custom = json.dumps(self._custom[document_id]) if document_id in self._custom else "{}"
        entry = (
            f'{{"id":{mark}{document_id}{mark},"name":{safe_name},{path}"parent_id":{parent},"created_at":"{created_at}",'
            f'"created_by":{self._authors.get(created_by, "null")},"updated_at":"{updated_at}",'
            f'"read_only":{_FLAGS[read_only]},"is_deleted":{_FLAGS[deleted]},"is_recycle_bin":{_FLAGS[recycle_bin]},'
            f'"document_type":"{kind}","private":{_FLAGS[private]},"custom_fields":{custom}'
        )
        if self._view == NORMAL:
            return entry + "}"
        special = (
            f',"file":{self._file(row)}{self._none("children")}' if kind == "file" else self._children(document_id)
        )
        return f'{entry},"is_tracked":{_FLAGS[tracked]}{above}{special}{ancestor}}}'

    def _file(self, row: sqlite3.Row) -> str:
        (
            file_id, _, _, name, _, _, _, _, _, _, _, _, holder, until, description,
            version_id, version_number, size_bytes, created_at, created_by, notes, filename,
        ) = row  # fmt: skip
        mark = self._mark
        url = quoted(self._sign(version_id, filename))
        safe_filename = quoted(filename)
        held = until is not None and until > self._now_text
        held_by = f',"checked_out_by":{self._holders.get(holder, "null")}' if held else self._none("checked_out_by")
        return (
            f'{{"checked_out_until":{quoted(until) if held else "null"}{held_by},'
            f'"current_version":{{"id":{mark}{version_id}{mark},"notes":{"null" if notes is None else quoted(notes)},'
            f'"url":{url},"size":{size_bytes},"created_at":"{created_at}","number":{version_number},'
            f'"created_by":{self._people.get(created_by, "null")},'
            f'"prostore_file":{{"id":{mark}{version_id + PROSTORE_OFFSET}{mark},"name":{safe_filename},"url":{url},'
            f'"filename":{safe_filename}}},"file_id":{mark}{file_id}{mark}}},'
            f'"description":{"null" if description is None else quoted(description)},'
            f'"file_type":{quoted(extension(name))}}}'
        )

    def _children(self, folder_id: int) -> str:
        files, folders = self._flags.get(folder_id, (0, 0))
        return (
            f'{self._none("file")},"children":{{"has_children":{_FLAGS[files | folders]},'
            f'"has_children_files":{_FLAGS[files]},"has_children_folders":{_FLAGS[folders]}}}'
        )

    def _children_of(self, folder_ids: list[int]) -> dict[int, tuple[int, int]]:
        rows = self._store.all(
            _CHILDREN, json.dumps(folder_ids), self._project.sees_private, self._project.viewer.user_id
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    def _place(self, parent_id: int | None) -> tuple[str, str, str]:
        """What all entries of a folder share: the path before their names, private and tracked folders above."""
        prefix = "" if parent_id is None else quoted(self._tree.path(parent_id) + "/")[1:-1]
        private_parent = self._tree.nearest_private(parent_id)
        tracked_folder = self._tree.nearest_tracked(parent_id)
        above = self._folder("private_parent", private_parent) + self._folder("tracked_folder", tracked_folder)
        ancestor = f',"has_private_ancestor":{_FLAGS[private_parent is not None]}' if self._view == CHILD else ""
        self._places[parent_id] = (prefix, above, ancestor)
        return self._places[parent_id]

    def _folder(self, key: str, folder_id: int | None) -> str:
        if folder_id is None:
            return self._none(key)
        reference: Json = {"id": str(folder_id) if self._v2 else folder_id, "name": self._tree.names[folder_id]}
        if not self._v2:
            reference["name_with_path"] = self._tree.path(folder_id)
        return f',"{key}":{json.dumps(reference, ensure_ascii=False)}'

    def _none(self, key: str) -> str:
        """What stands for a reference that points nowhere."""
        return f',"{key}":null' if self._nulls else ""

    def _person(self, row: sqlite3.Row, **more_in_v1: str | None) -> str:
        person: Json = {"id": str(row["id"]) if self._v2 else row["id"], "login": row["login"], "name": row["name"]}
        if not self._v2:
            person |= more_in_v1
        return json.dumps(person, ensure_ascii=False)
