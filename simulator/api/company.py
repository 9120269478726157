"""Who is asking, their companies and projects, and what they may do there (API.md section 2.1)."""

import sqlite3

from simulator.api import filters, pages
from simulator.api.documents import Json
from simulator.api.errors import ApiError, invalid, not_found
from simulator.api.request import ADMIN, DESTROY_RIGHT, LEVEL_NAMES, NONE, STANDARD, ApiRequest, Project
from simulator.web import Answer

_STATUSES = {"All": (0, 1), "Active": (1,), "Inactive": (0,)}
_V11_VIEWS = ("ids", "compact", "normal", "extended")
_COMPACT = (
    "id",
    "name",
    "display_name",
    "project_number",
    "address",
    "city",
    "state_code",
    "country_code",
    "zip",
    "active",
)
_OTHER_TOOLS = (("home", "Home", 1), ("project_directory", "Directory", 11), ("drawings", "Drawings", 45))


async def me(request: ApiRequest) -> Answer:
    """GET /rest/v1.0/me."""
    row = request.store.one("SELECT id, login, name FROM users WHERE id = ?", request.caller.user_id)
    if row is None:
        raise not_found()
    return Answer.json({"id": row["id"], "login": row["login"], "name": row["name"]})


async def companies(request: ApiRequest) -> Answer:
    """GET /rest/v1.0/companies: works even when the app is not connected to the company."""
    name = request.store.meta("company_name", "Simulated Construction Co.")
    company = {
        "id": request.state.company_id, "name": name, "is_active": True, "logo_url": None,
        "pcn_business_experience": None, "my_company": True,
    }  # fmt: skip
    page = pages.asked(request)
    return Answer.json(page.of([company]), headers=pages.headers(request, page, 1))


async def projects_v10(request: ApiRequest) -> Answer:
    """GET /rest/v1.0/projects and /rest/v1.0/companies/{company_id}/projects."""
    view = request.call.first("serializer_view")
    if view not in (None, "", "compact"):
        raise invalid("serializer_view")
    return _projects(request, pages.asked(request), view or "normal")


async def projects_v11(request: ApiRequest) -> Answer:
    """GET /rest/v1.1/projects."""
    view = request.call.first("view") or "normal"
    if view not in _V11_VIEWS:
        raise invalid("view", f"must be one of {', '.join(_V11_VIEWS)}")
    return _projects(request, pages.asked(request, size_max=pages.V11_PROJECTS_MAX), view)


async def project(request: ApiRequest) -> Answer:
    """GET /rest/v1.0/projects/{id}."""
    _company_named(request)
    row = request.project_in_path("id").row
    view = "ids" if request.call.first("view") == "minimal" else "normal"
    return Answer.json(_project(request, row, view))


async def permissions(request: ApiRequest) -> Answer:
    """GET /rest/v1.0/settings/permissions: the caller's rights, per tool."""
    if request.call.first("project_id") is None:
        return Answer.json({"tools": [_tool(1, "company_directory", "Directory", 4, NONE, 0, False)]})
    entered = request.project_in_query()
    tools = [
        _tool(number, name, label, domain, entered.viewer.level, entered.id, True)
        for number, (name, label, domain) in enumerate(_OTHER_TOOLS, 2)
    ]
    return Answer.json({"tools": [_documents_tool(entered), *tools]})


def _documents_tool(entered: Project) -> Json:
    level = entered.viewer.level if entered.row["documents_on"] else NONE
    tool = _tool(1, "documents", "Documents", 14, level, entered.id, bool(entered.row["documents_on"]))
    actions = []
    if level >= ADMIN or (level > NONE and entered.destroy_right):
        actions.append((12, DESTROY_RIGHT, "Delete folders and files"))
    if level > NONE and entered.sees_private:
        actions.append((13, "access_private_files_and_folders", "Access private folders and files"))
    if level >= ADMIN:
        actions.append((14, "set_permissions", "Set permissions"))
    tool["permitted_actions"] = [
        {"id": number, "action_name": name, "label": label, "tool_name": "documents"} for number, name, label in actions
    ]
    return tool


def _tool(number: int, name: str, label: str, domain: int, level: int, project_id: int, is_on: bool) -> Json:
    return {
        "id": number, "name": name, "friendly_name": label, "domain_id": domain, "tab_group": "core",
        "available_for_user": is_on and level > NONE, "url": f"/{project_id}/project/{name}" if project_id else None,
        "user_access_level": {"id": level, "name": LEVEL_NAMES[level]}, "permitted_actions": [],
        "create_url": None, "can_create": is_on and level >= STANDARD, "trial": False,
    }  # fmt: skip


def _company_named(request: ApiRequest) -> None:
    """Raises ApiError 403 unless the query names the company; that it is the header's was seen to already."""
    if request.call.first("company_id") is None and "company_id" not in request.ids:
        raise ApiError(403, "Invalid Project or Company", shape="message")


def _projects(request: ApiRequest, page: pages.Page, view: str) -> Answer:
    _company_named(request)
    rows = _permitted(request)
    shown = [_project(request, row, view) for row in page.of(rows)]
    return Answer.json(shown, headers=pages.headers(request, page, len(rows)))


def _permitted(request: ApiRequest) -> list[sqlite3.Row]:
    query = request.call.query
    conditions, values = ["p.company_id = ?"], [request.state.company_id]
    status = request.call.first("filters[by_status]") or "All"
    if status not in _STATUSES:
        raise invalid("by_status", f"must be one of {', '.join(_STATUSES)}")
    conditions.append(f"p.active IN ({', '.join(map(str, _STATUSES[status]))})")
    for name in ("created_at", "updated_at"):
        text = request.call.first(f"filters[{name}]")
        if text:
            conditions.append(f"p.{name} BETWEEN ? AND ?")
            values += filters.time_range(name, text)  # type: ignore[arg-type]
    ids = [part for key in ("filters[id]", "filters[id][]") for text in query.get(key, []) for part in text.split(",")]
    if ids:
        conditions.append(f"p.id IN ({', '.join('?' * len(ids))})")
        values += [int(text) if text.isdigit() else -1 for text in ids]
    order = "p.name, p.id" if request.call.first("sort") in ("name", "display_name") else "p.id"
    rows = request.store.all(
        "SELECT p.* FROM projects p JOIN permissions r ON r.project_id = p.id AND r.user_id = ? "  # noqa: S608
        f"WHERE {' AND '.join(conditions)} ORDER BY {order}",
        request.caller.user_id, *values,
    )  # fmt: skip
    wanted = request.call.first("filters[name]")
    return [row for row in rows if not wanted or wanted.casefold() in row["name"].casefold()]


def _project(request: ApiRequest, row: sqlite3.Row, view: str) -> Json:
    number = str(row["project_number"]) if "project_number" in row.keys() and row["project_number"] else None  # noqa: SIM118
    name = request.store.meta("company_name", "Simulated Construction Co.")
    everything = {
        "id": row["id"], "name": row["name"], "display_name": f"{number} - {row['name']}" if number else row["name"],
        "project_number": number, "address": "12 Harbor Street", "city": "Carpinteria", "state_code": "CA",
        "country_code": "US", "zip": "93013", "county": "Santa Barbara", "time_zone": "US/Pacific", "latitude": 34.398,
        "longitude": -119.518, "stage": "Course of Construction", "phone": None, "created_at": row["created_at"],
        "updated_at": row["updated_at"], "active": bool(row["active"]), "is_demo": False, "origin_id": None,
        "origin_data": None, "company": {"id": request.state.company_id, "name": name},
    }  # fmt: skip
    if view == "ids":
        return {"id": row["id"], "name": row["name"]}
    return {key: everything[key] for key in _COMPACT} if view == "compact" else everything
