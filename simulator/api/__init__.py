"""The API host of the simulated Procore: the gates every call passes, then the route (API.md sections 11.3 to 11.9)."""

import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from simulator import oauth
from simulator.api import company, files, folders, index, tags, uploads
from simulator.api.errors import INVALID_TOKEN_TEXT, MISSING_COMPANY_TEXT, NOT_CONNECTED_TEXT, ApiError, not_found
from simulator.api.request import ApiRequest, ApiState, Caller, number_like
from simulator.limits import OVER_LIMIT_TEXT
from simulator.web import Answer, Call, Header

Handler = Callable[[ApiRequest], Awaitable[Answer]]
WITHOUT_COMPANY = frozenset({"/rest/v1.0/me", "/rest/v1.0/companies"})


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    handler: Handler


def _routes(*rows: tuple[str, str, Handler]) -> list[_Route]:
    routes = []
    for method, path, handler in rows:
        pattern = re.escape(path).replace(r"\{", "{").replace(r"\}", "}").replace(r"\.", ".")
        pattern = re.sub(r"\{version\}", r"(?P<version>1\\.[01])", pattern)
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        routes.append(_Route(method, re.compile(pattern), handler))
    return routes


_V2_PROJECT = "/rest/v2.0/companies/{company_id}/projects/{project_id}"
ROUTES = _routes(
    ("GET", "/rest/v1.0/projects/{project_id}/documents", index.index_v1),
    ("GET", "/rest/v1.0/me", company.me),
    ("GET", "/rest/v1.0/companies", company.companies),
    ("GET", "/rest/v1.0/companies/{company_id}/projects", company.projects_v10),
    ("GET", "/rest/v1.0/projects", company.projects_v10),
    ("GET", "/rest/v1.1/projects", company.projects_v11),
    ("GET", "/rest/v1.0/projects/{id}", company.project),
    ("GET", "/rest/v1.0/settings/permissions", company.permissions),
    ("GET", "/rest/v1.0/folders", folders.show_root),
    ("POST", "/rest/v1.0/folders", folders.create),
    ("GET", "/rest/v1.0/folders/{id}", folders.show),
    ("PATCH", "/rest/v1.0/folders/{id}", folders.update),
    ("DELETE", "/rest/v1.0/folders/{id}", folders.delete),
    ("POST", "/rest/v1.0/files", files.create),
    ("GET", "/rest/v1.0/files/{id}", files.show),
    ("PATCH", "/rest/v1.0/files/{id}", files.update),
    ("DELETE", "/rest/v1.0/files/{id}", files.delete),
    ("POST", "/rest/v1.0/file_versions", files.create_version),
    ("GET", "/rest/v1.0/file_versions/{id}", files.show_version),
    ("GET", "/rest/v2.0/projects/{project_id}/documents", index.index_v2),
    ("GET", _V2_PROJECT + "/documents", index.index_v2),
    ("GET", _V2_PROJECT + "/folders", index.children_of_root),
    ("GET", _V2_PROJECT + "/folders/{id}", index.children),
    ("GET", _V2_PROJECT + "/documents/{document_id}/revisions", index.revisions),
    ("GET", "/rest/v2.0/projects/{project_id}/documents/{document_id}/revisions", index.revisions),
    ("POST", "/rest/v{version}/projects/{project_id}/uploads", uploads.create),
    ("GET", "/rest/v{version}/projects/{project_id}/uploads/{uuid}", uploads.show),
    ("PATCH", "/rest/v{version}/projects/{project_id}/uploads/{uuid}", uploads.complete),
    ("POST", "/rest/v{version}/companies/{company_id}/uploads", uploads.create),
    ("GET", "/rest/v{version}/companies/{company_id}/uploads/{uuid}", uploads.show),
    ("PATCH", "/rest/v{version}/companies/{company_id}/uploads/{uuid}", uploads.complete),
    ("GET", "/rest/v1.0/projects/{project_id}/document_custom_tags", tags.show),
    ("POST", "/rest/v1.0/projects/{project_id}/document_custom_tags", tags.create),
    ("DELETE", "/rest/v1.0/projects/{project_id}/document_custom_tags/{id}", tags.delete),
)


async def handle(state: ApiState, call: Call) -> Answer:
    """Answer one request to the API host; every answer carries the rate headers and a request id.

    A call without a valid token belongs to no client; it is counted among all such calls.
    """
    if state.settings.oauth_on_api_host and call.path.startswith("/oauth/"):
        return await oauth.handle(state, call)
    rate_headers: list[Header] = []
    v2 = call.path.startswith("/rest/v2")
    try:
        answer = await _answered(state, call, rate_headers, v2=v2)
    except ApiError as error:
        answer = error.answer(forced_shape=state.settings.error_shape, v2=v2)
        if error.status == 429 and state.settings.retry_after_on_429:
            answer.headers.append((b"retry-after", _seconds_to_reset(state, rate_headers)))
    answer.headers += [*rate_headers, (b"x-request-id", str(uuid.uuid4()).encode())]
    return answer


async def _answered(state: ApiState, call: Call, rate_headers: list[Header], *, v2: bool) -> Answer:
    caller = _caller(state, call)
    _count(state, call, caller, rate_headers)
    if caller is None:
        raise ApiError(401, INVALID_TOKEN_TEXT, shape="string")
    handler, ids = _route(call)
    _company_gate(state, call, caller, ids)
    if handler is None:
        raise not_found()
    return await handler(ApiRequest(state, call, caller, ids, v2))


def _caller(state: ApiState, call: Call) -> Caller | None:
    row = oauth.valid_token(state, call.bearer)
    if row is None:
        return None
    return Caller(row["user_id"], row["client_id"], str(row["pair"]).startswith(oauth.SERVICE_ACCOUNT_MARK))


def _count(state: ApiState, call: Call, caller: Caller | None, rate_headers: list[Header]) -> None:
    """Count the call, whatever will come of it. A bad token is told before an exhausted limit."""
    key = "" if caller is None else caller.client_id
    if caller is not None and state.settings.rate_limit_per_company and caller.service_account:
        key += "/" + call.headers.get("procore-company-id", "")
    allowed, window = state.limits.count(key, state.settings)
    rate_headers += window.headers()
    if not allowed and caller is not None:
        raise ApiError(429, OVER_LIMIT_TEXT, shape="text")


def _route(call: Call) -> tuple[Handler | None, dict[str, str]]:
    path = call.path
    for route in ROUTES:
        if route.method == call.method and (match := route.pattern.fullmatch(path)):
            return route.handler, match.groupdict()
    return None, {}


def _company_gate(state: ApiState, call: Call, caller: Caller, ids: dict[str, str]) -> None:
    """Every company named, in the header, the path or the query, has to be the one the app is connected to."""
    strict = state.settings.company_header_strict
    named = call.headers.get("procore-company-id") or (None if strict else _company_parameter(call, ids))
    if call.path in WITHOUT_COMPANY and not (strict and caller.service_account):
        return
    if named is None or not number_like(named.strip()):
        raise ApiError(400, MISSING_COMPANY_TEXT, shape="text")
    if call.path == "/rest/v1.0/companies":
        return
    if int(named) != state.company_id or not state.settings.installed:
        raise ApiError(403, NOT_CONNECTED_TEXT)
    also = _company_parameter(call, ids)
    if also is not None and also != str(state.company_id):
        raise ApiError(403, "Invalid Project or Company", shape="message")


def _company_parameter(call: Call, ids: dict[str, str]) -> str | None:
    return ids.get("company_id") or call.first("company_id")


def _seconds_to_reset(state: ApiState, rate_headers: list[Header]) -> bytes:
    reset_at = int(dict(rate_headers)[b"x-rate-limit-reset"])
    return str(max(1, round(reset_at - state.clock.now()))).encode()
