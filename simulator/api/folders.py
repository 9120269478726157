"""Folders of version 1.0: one level at a time, children as stubs (API.md sections 2.2 and 11.7)."""

import sqlite3
from typing import Any

from simulator.api import names, writing
from simulator.api.documents import Json, V1Views, found, visible
from simulator.api.errors import forbidden, invalid
from simulator.api.request import STANDARD, ApiRequest, Project
from simulator.web import Answer, truthy


async def show_root(request: ApiRequest) -> Answer:
    """GET /rest/v1.0/folders."""
    project = request.project_in_query().documents()
    return Answer.json(_one_level(request, project, found(request, project, project.root_id, "folder")))


async def show(request: ApiRequest) -> Answer:
    """GET /rest/v1.0/folders/{id}."""
    project = request.project_in_query().documents()
    row = found(request, project, request.path_number("id"), "folder")
    return Answer.json(_one_level(request, project, row))


async def create(request: ApiRequest) -> Answer:
    """POST /rest/v1.0/folders."""
    project = request.project_in_query().documents(STANDARD)
    values = await request.section("folder")
    name = names.cleaned(values.get("name"), request.settings)
    parent_id = writing.target_folder(request, project, values)
    if names.taken(request.store, request.settings, parent_id, "folder", name):
        raise invalid("name", "has already been taken")
    with writing.transaction(request):
        folder_id = writing.insert_document(
            request, project, kind="folder", parent_id=parent_id, name=name, values=values
        )
    return Answer.json(_alone(request, project, folder_id), 201)


async def update(request: ApiRequest) -> Answer:
    """PATCH /rest/v1.0/folders/{id}."""
    project = request.project_in_query().documents(STANDARD)
    row = found(request, project, request.path_number("id"), "folder")
    values = await request.section("folder")
    _refuse_system(row)
    changes = writing.common_changes(request, project, row, values)
    with writing.transaction(request):
        writing.change_document(request, project, row, values, changes)
    return Answer.json(_alone(request, project, row["id"]))


async def delete(request: ApiRequest) -> Answer:
    """DELETE /rest/v1.0/folders/{id}."""
    project = request.project_in_query().documents()
    row = found(request, project, request.path_number("id"), "folder")
    _refuse_system(row)
    with writing.transaction(request):
        writing.move_to_bin(request, project, row)
    return Answer(200)


def _refuse_system(row: sqlite3.Row) -> None:
    if row["parent_id"] is None or row["recycle_bin"] or row["read_only"]:
        raise forbidden("System folders cannot be changed.")


def _alone(request: ApiRequest, project: Project, folder_id: int) -> Json:
    return _one_level(request, project, writing.written(request, folder_id))


def _one_level(request: ApiRequest, project: Project, row: sqlite3.Row) -> dict[str, Any]:
    views = V1Views(request, project)
    children = request.store.all("SELECT * FROM documents WHERE parent_id = ? ORDER BY folded, id", row["id"])
    children = [child for child in children if visible(request, project, child)]
    folders: list[Json] = []
    files: list[Json] = []
    if not truthy(request.call.first("exclude_folders")):
        folders = [views.folder(child, folders=[], files=[]) for child in children if child["kind"] == "folder"]
    if not truthy(request.call.first("exclude_files")):
        latest_only = truthy(request.call.first("show_latest_file_version_only"))
        files = views.files([child for child in children if child["kind"] == "file"], latest_only=latest_only)
    return views.folder(row, folders=folders, files=files)
