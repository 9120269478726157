"""The storage host: download links that want the bearer token and redirect to the blob host (API.md section 11.10)."""

from typing import Any

from simulator.content import content
from simulator.limits import OVER_LIMIT_TEXT
from simulator.links import HOP_PATH, LINK_PATH, check_link, sign_blob, sign_hop, version_of
from simulator.oauth import valid_token, window_key
from simulator.state import State, Version
from simulator.web import Answer, Call, Header

_READ_ONLY = 2


async def handle(state: State, call: Call) -> Answer:
    """Answer one request to the storage host."""
    if call.method not in ("GET", "HEAD") or not call.path.startswith((LINK_PATH, HOP_PATH)):
        return Answer.text("Not Found", 404)
    row = valid_token(state, call.bearer)
    if row is None:
        return Answer.text("Unauthorized", 401)
    rate_headers: list[Header] = []
    if state.settings.count_storage:
        allowed, window = state.limits.count(window_key(row, call, state.settings), state.settings)
        rate_headers = window.headers()
        if not allowed:
            return Answer(429, OVER_LIMIT_TEXT.encode(), [(b"content-type", b"text/plain"), *rate_headers])
    answer = _linked(state, call, row)
    answer.headers += rate_headers
    return answer


def _linked(state: State, call: Call, row: Any) -> Answer:
    problem = check_link(state, call)
    if problem is not None:
        return Answer.text("This link has expired." if problem == "expired" else "Forbidden", 403)
    version = state.version(version_of(call.path) or 0)
    if version is None:
        return Answer.text("Not Found", 404)
    if not _permitted(state, row["user_id"], version):
        return Answer.text("Forbidden", 403)
    if state.settings.direct_bytes:
        return content(state, call, version)
    if state.settings.extra_hop and call.path.startswith(LINK_PATH):
        return redirect(sign_hop(state, version.id, version.project_id))
    return redirect(sign_blob(state, version.id, version.filename))


def redirect(address: str) -> Answer:
    """A 302."""
    return Answer(302, b"", [(b"location", address.encode()), (b"cache-control", b"no-store")])


def _permitted(state: State, user_id: int, version: Version) -> bool:
    """Whether the user may read in the version's project now; privacy is in who gets to see the link."""
    row = state.store.one(
        "SELECT 1 FROM permissions r JOIN projects p ON p.id = r.project_id "
        "WHERE r.user_id = ? AND r.project_id = ? AND r.level >= ? AND p.documents_on",
        user_id, version.project_id, _READ_ONLY,
    )  # fmt: skip
    return row is not None
