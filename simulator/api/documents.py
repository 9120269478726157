"""Folders and files as rows: finding what the caller may see, and the version 1 JSON of folder, file and version."""

import json
import random
import sqlite3
from collections.abc import Iterable
from typing import Any

from simulator.api.errors import not_found
from simulator.api.names import extension
from simulator.api.request import ApiRequest, Project
from simulator.api.tree import FolderTree, folder_tree
from simulator.links import sign_link
from simulator.store import Store

Json = dict[str, Any]
PROSTORE_OFFSET = 10**9
"""A version's stored file has an id of its own."""


def tree_of(request: ApiRequest, project: Project) -> FolderTree:
    """The project's folders."""
    return folder_tree(request.store, project.id)


def visible(request: ApiRequest, project: Project, row: sqlite3.Row) -> bool:
    """Whether the caller can see the entry: not if it or a folder above is private and not theirs."""
    if project.sees_private:
        return True
    if row["private"] and row["created_by"] != project.viewer.user_id:
        return False
    tree, user_id = tree_of(request, project), project.viewer.user_id
    return all(tree.owners_of_private.get(folder, user_id) == user_id for folder in tree.ancestors(row["parent_id"]))


def found(request: ApiRequest, project: Project, document_id: int, kind: str) -> sqlite3.Row:
    """The document. Raises ApiError 404 when it is absent, of another kind or not visible."""
    row = request.store.one(
        "SELECT * FROM documents WHERE id = ? AND project_id = ? AND kind = ?", document_id, project.id, kind
    )
    if row is None or not visible(request, project, row):
        raise not_found()
    return row


def people(store: Store) -> dict[int, sqlite3.Row]:
    """Every user by id."""
    return {row["id"]: row for row in store.all("SELECT id, login, name, company_name FROM users")}


def person(users: dict[int, sqlite3.Row], user_id: int | None) -> Json | None:
    """`{id, login, name}`."""
    row = users.get(user_id) if user_id is not None else None
    return None if row is None else {"id": row["id"], "login": row["login"], "name": row["name"]}


def lock_holder(row: sqlite3.Row, now_text: str) -> int | None:
    """Who has the file checked out at this moment."""
    until = row["checked_out_until"]
    return row["checked_out_by"] if until and until > now_text else None


def folder_ref(tree: FolderTree, folder_id: int | None) -> Json | None:
    """`{id, name, name_with_path}`."""
    if folder_id is None:
        return None
    return {"id": folder_id, "name": tree.names[folder_id], "name_with_path": tree.path(folder_id)}


def custom_fields_of(store: Store, document_ids: Iterable[int]) -> dict[int, Json]:
    """The custom fields of documents, by document id; nothing for those without."""
    result: dict[int, Json] = {}
    if store.one("SELECT 1 FROM custom_fields LIMIT 1") is None:
        return result
    rows = store.all(
        "SELECT * FROM custom_fields WHERE document_id IN (SELECT value FROM json_each(?))",
        json.dumps(list(document_ids)),
    )
    for row in rows:
        value = {"data_type": "string", "value": json.loads(row["value"])}
        result.setdefault(row["document_id"], {})[f"custom_field_{row['field_id']}"] = value
    return result


class V1Views:
    """The version 1 JSON of one project's folders, files and versions for one caller."""

    def __init__(self, request: ApiRequest, project: Project) -> None:
        self._request = request
        self._project = project
        self._store = request.store
        self._tree = tree_of(request, project)
        self._users = people(request.store)
        self._now_text = request.state.clock.text()

    def version(self, row: sqlite3.Row) -> Json:
        """One version of a file."""
        url = sign_link(self._request.state, row, self._project.id)
        stored = {"id": row["id"] + PROSTORE_OFFSET, "name": row["filename"], "url": url, "filename": row["filename"]}
        return {
            "id": row["id"], "notes": row["notes"], "url": url, "size": row["size_bytes"],
            "created_at": row["created_at"], "number": row["number"],
            "created_by": person(self._users, row["created_by"]), "prostore_file": stored, "file_id": row["file_id"],
        }  # fmt: skip

    def file(self, row: sqlite3.Row, *, latest_only: bool) -> Json:
        """A file with its versions."""
        return self.files([row], latest_only=latest_only)[0]

    def files(self, rows: list[sqlite3.Row], *, latest_only: bool) -> list[Json]:
        """Files with their versions, in no promised order."""
        file_ids = [row["id"] for row in rows]
        versions: dict[int, list[sqlite3.Row]] = {}
        for version in self._versions(file_ids):
            versions.setdefault(version["file_id"], []).append(version)
        custom = custom_fields_of(self._store, file_ids)
        return [self._file(row, versions.get(row["id"], []), custom.get(row["id"], {}), latest_only) for row in rows]

    def folder(self, row: sqlite3.Row, *, folders: list[Json], files: list[Json]) -> Json:
        """A folder with what is given as its children."""
        has_files, has_folders = self.children(row["id"])
        tracked = self._tree.nearest_tracked(row["parent_id"])
        return {
            "id": row["id"], "name": row["name"], "parent_id": row["parent_id"], "private": bool(row["private"]),
            "updated_at": row["updated_at"], "is_tracked": bool(row["tracked"]),
            "tracked_folder": folder_ref(self._tree, tracked), "name_with_path": self._tree.path(row["id"]),
            "read_only": bool(row["read_only"]), "is_deleted": bool(row["deleted"]),
            "is_recycle_bin": bool(row["recycle_bin"]), "has_children": has_files or has_folders,
            "has_children_files": has_files, "has_children_folders": has_folders,
            "custom_fields": custom_fields_of(self._store, [row["id"]]).get(row["id"], {}),
            "folders": folders, "files": files,
        }  # fmt: skip

    def children(self, folder_id: int) -> tuple[bool, bool]:
        """Whether the folder has files, and whether it has folders, that the caller sees."""
        kinds = self._store.all(
            "SELECT DISTINCT kind FROM documents WHERE parent_id = ? AND (private = 0 OR ? OR created_by = ?)",
            folder_id, self._project.sees_private, self._project.viewer.user_id,
        )  # fmt: skip
        names = {row["kind"] for row in kinds}
        return "file" in names, "folder" in names

    def _file(self, row: sqlite3.Row, versions: list[sqlite3.Row], custom: Json, latest_only: bool) -> Json:
        current = next((version for version in versions if version["id"] == row["version_id"]), None)
        shown = [current] if latest_only and current is not None else list(versions)
        if self._request.settings.random_version_order:
            random.shuffle(shown)
        holder = lock_holder(row, self._now_text)
        parent_path = self._tree.path(row["parent_id"])
        with_null = holder is not None or self._request.settings.null_references
        checked_out_by = {"checked_out_by": person(self._users, holder)} if with_null else {}
        return {
            "id": row["id"], "name": row["name"], "parent_id": row["parent_id"],
            "size": 0 if current is None else current["size_bytes"], "description": row["description"],
            "created_at": row["created_at"], "updated_at": row["updated_at"],
            "checked_out_until": None if holder is None else row["checked_out_until"],
            **checked_out_by, "name_with_path": f"{parent_path}/{row['name']}",
            "private": bool(row["private"]), "is_tracked": bool(row["tracked"]),
            "tracked_folder": folder_ref(self._tree, self._tree.nearest_tracked(row["parent_id"])),
            "file_type": extension(row["name"]), "file_versions": [self.version(version) for version in shown],
            "legacy_id": None, "is_deleted": bool(row["deleted"]), "custom_fields": custom,
        }  # fmt: skip

    def _versions(self, file_ids: list[int]) -> list[sqlite3.Row]:
        return self._store.all(
            "SELECT * FROM versions WHERE file_id IN (SELECT value FROM json_each(?)) ORDER BY file_id, number",
            json.dumps(file_ids),
        )
