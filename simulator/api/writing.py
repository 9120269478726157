"""What folders and files have in common when they are made, changed, moved and deleted (API.md section 11.7)."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from simulator.api import names
from simulator.api.documents import found, tree_of
from simulator.api.errors import ApiError, forbidden, invalid, not_found
from simulator.api.request import ApiRequest, Project, optional_number
from simulator.web import truthy

_CUSTOM_FIELD = "custom_field_"


@contextlib.contextmanager
def transaction(request: ApiRequest) -> Iterator[None]:
    """All or nothing, also when the simulator is killed in between. No other request may run inside."""
    request.store.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        request.store.execute("ROLLBACK")
        raise
    request.store.execute("COMMIT")


def target_folder(request: ApiRequest, project: Project, values: dict[str, Any]) -> int:
    """The folder an entry shall be put into: `parent_id`, the root folder without one. Raises ApiError 400 or 403."""
    parent_id = optional_number(values, "parent_id")
    try:
        row = found(request, project, project.root_id if parent_id is None else parent_id, "folder")
    except ApiError:
        raise invalid("parent_id") from None
    if row["recycle_bin"] or row["read_only"]:
        raise forbidden("This folder is read-only.")
    if row["deleted"]:
        raise invalid("parent_id", "is in the recycle bin")
    return int(row["id"])


def insert_document(
    request: ApiRequest, project: Project, *, kind: str, parent_id: int, name: str, values: dict[str, Any]
) -> int:
    """A new folder, or a file without versions yet; its id."""
    now, document_id = request.state.clock.text(), request.store.next_id("documents")
    request.store.insert(
        "documents", id=document_id, project_id=project.id, kind=kind, parent_id=parent_id, name=name,
        folded=names.folded(name), private=int(truthy(values.get("explicit_permissions"))),
        tracked=int(truthy(values.get("is_tracked"))), created_at=now, created_by=request.caller.user_id,
        updated_at=now, description=_text(values, "description"),
    )  # fmt: skip
    _store_custom_fields(request, document_id, values)
    return document_id


def written(request: ApiRequest, document_id: int) -> sqlite3.Row:
    """What was just written, shown even if it is private now and no longer visible to its writer."""
    row = request.store.one("SELECT * FROM documents WHERE id = ?", document_id)
    assert row is not None
    return row


def common_changes(request: ApiRequest, project: Project, row: sqlite3.Row, values: dict[str, Any]) -> dict[str, Any]:
    """The column changes that folders and files share: name, place, privacy, tracking. Raises ApiError 400 or 403."""
    changes: dict[str, Any] = {}
    if "name" in values:
        changes["name"] = names.cleaned(values["name"], request.settings)
    if optional_number(values, "parent_id") not in (None, row["parent_id"]):
        changes["parent_id"] = _new_place(request, project, row, values)
    elif row["deleted"]:
        raise ApiError(400, "The item is in the recycle bin.")
    for key, column in (("explicit_permissions", "private"), ("is_tracked", "tracked")):
        if key in values:
            changes[column] = int(truthy(values[key]))
    _refuse_collision(request, row, changes)
    if "name" in changes:
        changes["folded"] = names.folded(changes["name"])
    return changes


def change_document(
    request: ApiRequest, project: Project, row: sqlite3.Row, values: dict[str, Any], changes: dict[str, Any]
) -> None:
    """Write the changes; an entry that leaves the recycle bin is restored with everything below it."""
    changes = {**changes, "updated_at": request.state.clock.text()}
    assignments = ", ".join(f"{column} = ?" for column in changes)
    request.store.execute(f"UPDATE documents SET {assignments} WHERE id = ?", *changes.values(), row["id"])  # noqa: S608
    _store_custom_fields(request, row["id"], values)
    if "parent_id" not in changes:
        return
    if row["deleted"]:
        _mark(request, row["id"], deleted=False)
    if request.settings.move_bumps_descendants:
        request.store.execute(
            "UPDATE documents SET updated_at = ? WHERE id IN (SELECT value FROM json_each(?)) AND project_id = ?",
            changes["updated_at"], json.dumps(request.store.descendants(row["id"])), project.id,
        )  # fmt: skip


def move_to_bin(request: ApiRequest, project: Project, row: sqlite3.Row) -> None:
    """Move an entry with everything below it to the recycle bin. Raises ApiError 403 or 404."""
    project.may_delete()
    if row["deleted"]:
        raise not_found()
    request.store.execute(
        "UPDATE documents SET parent_id = ?, updated_at = ? WHERE id = ?",
        project.bin_id, request.state.clock.text(), row["id"],
    )  # fmt: skip
    _mark(request, row["id"], deleted=True)


def _new_place(request: ApiRequest, project: Project, row: sqlite3.Row, values: dict[str, Any]) -> int:
    parent_id = target_folder(request, project, values)
    if row["kind"] == "folder" and row["id"] in tree_of(request, project).ancestors(parent_id):
        raise invalid("parent_id", "can't be the folder itself or one below it")
    return parent_id


def _refuse_collision(request: ApiRequest, row: sqlite3.Row, changes: dict[str, Any]) -> None:
    if "name" not in changes and "parent_id" not in changes:
        return
    parent_id, name = changes.get("parent_id", row["parent_id"]), changes.get("name", row["name"])
    if names.taken(request.store, request.settings, parent_id, row["kind"], name, besides=row["id"]):
        raise invalid("name", "has already been taken")


def _mark(request: ApiRequest, document_id: int, *, deleted: bool) -> None:
    request.store.execute(
        "UPDATE documents SET deleted = ? WHERE id IN (SELECT value FROM json_each(?))",
        int(deleted), json.dumps(request.store.descendants(document_id)),
    )  # fmt: skip


def _text(values: dict[str, Any], name: str) -> str | None:
    return None if values.get(name) is None else str(values[name])


def _store_custom_fields(request: ApiRequest, document_id: int, values: dict[str, Any]) -> None:
    for key, value in values.items():
        field_id = key.removeprefix(_CUSTOM_FIELD)
        if key.startswith(_CUSTOM_FIELD) and field_id.isdigit():
            request.store.insert(
                "custom_fields", document_id=document_id, field_id=int(field_id), value=json.dumps(value)
            )
