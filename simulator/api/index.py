"""The flat index in its three forms, version 2 folder children and revisions (API.md sections 2.5, 2.6 and 11.8)."""

import sqlite3

from simulator.api import filters, pages
from simulator.api.documents import PROSTORE_OFFSET, Json, found, people, person
from simulator.api.entries import CHILD, COMPACT, EXTENDED, NORMAL, EntryWriter
from simulator.api.errors import ApiError, invalid, not_found
from simulator.api.names import extension
from simulator.api.request import ApiRequest, Project
from simulator.api.tree import listing
from simulator.links import sign_link
from simulator.web import Answer, truthy

REVISIONS_MAX = 20
_INDEX_VIEWS = {"normal": NORMAL, "extended": EXTENDED}
_CHILD_VIEWS = {"normal": CHILD, "web_normal": CHILD, "sync_compact": COMPACT}
_JSON_HEADER = (b"content-type", b"application/json; charset=utf-8")


async def index_v1(request: ApiRequest) -> Answer:
    """GET /rest/v1.0/projects/{project_id}/documents; gone by the switch `index_v1`."""
    if not request.settings.index_v1:
        raise not_found()
    return _index(request, pages.asked(request, size_max=request.settings.per_page_max))


async def index_v2(request: ApiRequest) -> Answer:
    """GET /rest/v2.0/…/documents."""
    return _index(request, pages.asked(request))


async def children_of_root(request: ApiRequest) -> Answer:
    """GET /rest/v2.0/…/folders."""
    project = request.project_in_path().documents()
    return _children(request, project, project.root_id)


async def children(request: ApiRequest) -> Answer:
    """GET /rest/v2.0/…/folders/{id}."""
    project = request.project_in_path().documents()
    row = found(request, project, request.path_number("id"), "folder")
    return _children(request, project, row["id"])


async def revisions(request: ApiRequest) -> Answer:
    """GET /rest/v2.0/…/documents/{document_id}/revisions: the newest 20."""
    project = request.project_in_path().documents()
    row = found(request, project, request.path_number("document_id"), "file")
    versions = request.store.all(
        "SELECT * FROM versions WHERE file_id = ? ORDER BY number DESC LIMIT ?", row["id"], REVISIONS_MAX
    )
    users = people(request.store)
    return Answer.json({"data": [_revision(request, project, version, users) for version in versions]})


def _index(request: ApiRequest, page: pages.Page) -> Answer:
    project = request.project_in_path().documents()
    view = _view(request, _INDEX_VIEWS)
    conditions = filters.visible_only(request, project)
    filters.apply(request, project, conditions, filters.asked_filters(request))
    order = filters.order_of(request, "-updated_at")
    return _listed(request, project, conditions, order, page, view)


def _children(request: ApiRequest, project: Project, folder_id: int) -> Answer:
    view = _view(request, _CHILD_VIEWS)
    page = pages.asked(request)
    conditions = filters.visible_only(request, project)
    asked = filters.asked_filters(request)
    if truthy(request.call.first("include_descendants")):
        if not asked:
            raise ApiError(400, "include_descendants needs at least one filter.")
        filters.apply(request, project, conditions, {"folder_id": [str(folder_id)]})
        conditions.add("d.id <> ?", folder_id)
    else:
        conditions.add("d.parent_id = ?", folder_id)
    for parameter, kind in (("exclude_folders", "folder"), ("exclude_files", "file")):
        if truthy(request.call.first(parameter)):
            conditions.add("d.kind <> ?", kind)
    if "is_in_recycle_bin" not in asked:
        conditions.add("d.recycle_bin = 0")
        if not _in_bin(request, folder_id):
            conditions.add("d.deleted = 0")
    filters.apply(request, project, conditions, asked)
    order = filters.order_of(request, "-document_type_then_name") if request.call.first("sort") else _FOLDERS_FIRST
    return _listed(request, project, conditions, order, page, view)


_FOLDERS_FIRST = "d.kind DESC, d.folded, d.id"


def _in_bin(request: ApiRequest, folder_id: int) -> bool:
    row = request.store.one("SELECT deleted, recycle_bin FROM documents WHERE id = ?", folder_id)
    return row is not None and bool(row["deleted"] or row["recycle_bin"])


def _listed(
    request: ApiRequest, project: Project, conditions: filters.Conditions, order: str, page: pages.Page, view: str
) -> Answer:
    ids = listing(request.store, conditions.sql(order), conditions.values)
    body = EntryWriter(request, project, view).array(page.of(ids))
    if request.v2:
        body = b'{"data":' + body + b"}"
    return Answer(200, body, [_JSON_HEADER, *pages.headers(request, page, len(ids))])


def _view(request: ApiRequest, views: dict[str, str]) -> str:
    name = request.call.first("view") or "normal"
    if name not in views:
        raise invalid("view", f"must be one of {', '.join(views)}")
    return views[name]


def _revision(request: ApiRequest, project: Project, version: sqlite3.Row, users: dict[int, sqlite3.Row]) -> Json:
    author = person(users, version["created_by"])
    return {
        "id": str(version["id"]), "prostore_id": str(version["id"] + PROSTORE_OFFSET),
        "url": sign_link(request.state, version, project.id), "file_id": str(version["file_id"]),
        "file_name": version["filename"], "file_size": version["size_bytes"], "file_version": version["number"],
        "file_type": extension(version["filename"]).lower(),
        "created_by": None if author is None else {**author, "id": str(author["id"])},
        "created_at": version["created_at"],
    }  # fmt: skip
