"""Files and file versions of version 1.0 (API.md sections 2.3, 2.4 and 11.7)."""

import sqlite3
from datetime import datetime
from typing import Any

from simulator.api import names, writing
from simulator.api.content import Content, add_version, content_of, still_usable
from simulator.api.documents import Json, V1Views, found, lock_holder
from simulator.api.errors import ApiError, forbidden, invalid, not_found
from simulator.api.request import ADMIN, STANDARD, ApiRequest, Project, number_like
from simulator.clock import time_text
from simulator.web import Answer, truthy


async def create(request: ApiRequest) -> Answer:
    """POST /rest/v1.0/files. Without `unique_name` a taken name is refused (not documented; the harsher reading)."""
    project = request.project_in_query().documents(STANDARD)
    values = await request.section("file")
    content = await content_of(request, "file", values)
    if content is None:
        raise invalid("upload_uuid", "can't be blank")
    name = names.cleaned(values.get("name") or content.filename, request.settings)
    parent_id = writing.target_folder(request, project, values)
    if truthy(values.get("unique_name")):
        name = names.unique(request, parent_id, name)
    elif names.taken(request.store, request.settings, parent_id, "file", name):
        raise invalid("name", "has already been taken")
    still_usable(request, content)
    with writing.transaction(request):
        file_id = writing.insert_document(request, project, kind="file", parent_id=parent_id, name=name, values=values)
        add_version(request, file_id, content, filename=content.filename or name, notes=None, is_new=True)
    return Answer.json(_written(request, project, file_id), 201)


async def show(request: ApiRequest) -> Answer:
    """GET /rest/v1.0/files/{id}."""
    project = request.project_in_query().documents()
    latest_only = truthy(request.call.first("show_latest_version_only"))
    return Answer.json(_shown(request, project, request.path_number("id"), latest_only=latest_only))


async def update(request: ApiRequest) -> Answer:
    """PATCH /rest/v1.0/files/{id}: name, place, privacy, description, check-out and, with content, a new version."""
    project = request.project_in_query().documents(STANDARD)
    file_id = request.path_number("id")
    _refuse_locked(request, project, found(request, project, file_id, "file"))
    values = await request.section("file")
    content = await content_of(request, "file", values)
    row = found(request, project, file_id, "file")
    _refuse_locked(request, project, row)
    changes = writing.common_changes(request, project, row, values)
    if "description" in values:
        changes["description"] = None if values["description"] is None else str(values["description"])
    changes |= _check_out(request, values)
    if content is not None:
        still_usable(request, content)
    with writing.transaction(request):
        if set(values) - {"upload_uuid", "data"}:
            writing.change_document(request, project, row, values, changes)
        if content is not None:
            filename = content.filename or changes.get("name", row["name"])
            add_version(request, file_id, content, filename=filename, notes=None, is_new=False)
    return Answer.json(_written(request, project, file_id))


async def delete(request: ApiRequest) -> Answer:
    """DELETE /rest/v1.0/files/{id}."""
    project = request.project_in_query().documents()
    row = found(request, project, request.path_number("id"), "file")
    if _locked(request, project, row):
        raise ApiError(400, "The file is checked out by another user.")
    if row["read_only"]:
        raise forbidden("This file is read-only.")
    with writing.transaction(request):
        writing.move_to_bin(request, project, row)
    return Answer(200)


async def create_version(request: ApiRequest) -> Answer:
    """POST /rest/v1.0/file_versions."""
    project = request.project_in_query().documents(STANDARD)
    text = request.call.first("file_id")
    if text is None or not number_like(text):
        raise invalid("file_id", "can't be blank" if text is None else "is invalid")
    _refuse_locked(request, project, found(request, project, int(text), "file"))
    values = await request.section("file_version")
    content = await content_of(request, "file_version", values)
    if content is None:
        raise invalid("upload_uuid", "can't be blank")
    row = found(request, project, int(text), "file")
    _refuse_locked(request, project, row)
    if row["deleted"]:
        raise ApiError(400, "The item is in the recycle bin.")
    still_usable(request, content)
    filename = names.cleaned(_version_name(values, content, row), request.settings)
    notes = None if values.get("notes") is None else str(values["notes"])
    with writing.transaction(request):
        version_id = add_version(request, row["id"], content, filename=filename, notes=notes, is_new=False)
    return Answer.json(_version(request, project, version_id), 201)


async def show_version(request: ApiRequest) -> Answer:
    """GET /rest/v1.0/file_versions/{id}."""
    project = request.project_in_query().documents()
    return Answer.json(_version(request, project, request.path_number("id")))


def _shown(request: ApiRequest, project: Project, file_id: int, *, latest_only: bool) -> Json:
    row = found(request, project, file_id, "file")
    return V1Views(request, project).file(row, latest_only=latest_only)


def _written(request: ApiRequest, project: Project, file_id: int) -> Json:
    return V1Views(request, project).file(writing.written(request, file_id), latest_only=False)


def _version(request: ApiRequest, project: Project, version_id: int) -> Json:
    row = request.store.one("SELECT * FROM versions WHERE id = ?", version_id)
    if row is None:
        raise not_found()
    found(request, project, row["file_id"], "file")
    return V1Views(request, project).version(row)


def _version_name(values: dict[str, Any], content: Content, row: sqlite3.Row) -> str:
    return str(values.get("name") or content.filename or row["name"])


def _locked(request: ApiRequest, project: Project, row: sqlite3.Row) -> bool:
    holder = lock_holder(row, request.state.clock.text())
    return holder is not None and holder != request.caller.user_id and project.viewer.level < ADMIN


def _refuse_locked(request: ApiRequest, project: Project, row: sqlite3.Row) -> None:
    if row["read_only"]:
        raise forbidden("This file is read-only.")
    if _locked(request, project, row):
        raise ApiError(409, "The file is checked out by another user.")


def _check_out(request: ApiRequest, values: dict[str, Any]) -> dict[str, Any]:
    if "checked_out_until" not in values:
        return {}
    text = values["checked_out_until"]
    if text in (None, "", "null"):
        return {"checked_out_by": None, "checked_out_until": None}
    try:
        until = datetime.fromisoformat(str(text))
    except ValueError:
        raise invalid("checked_out_until", "is not a valid time") from None
    if until.tzinfo is None or until.timestamp() <= request.state.clock.now():
        raise invalid("checked_out_until", "must be a time with a zone, in the future")
    return {"checked_out_by": request.caller.user_id, "checked_out_until": time_text(until.timestamp())}
