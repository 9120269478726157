"""The peer host: the same bodies as a plain HTTP file server, for measuring other tools on them (rclone's `http`).

One folder per project id; in it what the service account can see, under its names. A name that cannot stand in an
address (`..`, or one with a slash) is not served.
"""

import html
import sqlite3
from urllib.parse import quote, unquote

from simulator.content import content
from simulator.state import State
from simulator.web import Answer, Call

_CHILDREN = "SELECT id, name, kind, version_id FROM documents WHERE parent_id = ? AND deleted = 0 AND private = 0 "


async def handle(state: State, call: Call) -> Answer:
    """Answer one request to the peer host."""
    if call.method not in ("GET", "HEAD"):
        return Answer.text("Method Not Allowed", 405)
    raw = call.scope["raw_path"].decode("latin-1")
    names = [unquote(part) for part in raw.split("/") if part]
    if not names:
        projects = state.store.all("SELECT id FROM projects ORDER BY id")
        return _page([f"{row['id']}/" for row in projects])
    row = _found(state, names)
    if row is None:
        return Answer.text("Not Found", 404)
    if row["kind"] == "file":
        return _file(state, call, row["version_id"])
    if not raw.endswith("/"):
        return Answer(301, b"", [(b"location", f"{state.urls['peer']}{raw}/".encode())])
    children = state.store.all(_CHILDREN + "AND recycle_bin = 0 ORDER BY folded, id", row["id"])
    shown = [child for child in children if "/" not in child["name"] and child["name"].strip(".")]
    return _page([child["name"] + ("/" if child["kind"] == "folder" else "") for child in shown])


def _file(state: State, call: Call, version_id: int) -> Answer:
    """The body without Content-Disposition, which no plain file server sends and rclone takes for another name."""
    version = state.version(version_id)
    if version is None:
        return Answer.text("Not Found", 404)
    answer = content(state, call, version)
    answer.headers = [header for header in answer.headers if header[0] != b"content-disposition"]
    return answer


def _found(state: State, names: list[str]) -> sqlite3.Row | None:
    text = names[0] if names[0].isascii() and names[0].isdigit() else "0"
    row = state.store.one(
        "SELECT d.id, d.name, d.kind, d.version_id FROM documents d JOIN projects p ON d.id = p.root_id WHERE p.id = ?",
        int(text),
    )
    for name in names[1:]:
        if row is None or row["kind"] != "folder":
            return None
        candidates = state.store.all(_CHILDREN + "AND folded = ?", row["id"], name.casefold())
        row = next((candidate for candidate in candidates if candidate["name"] == name), None)
    return row


def _page(names: list[str]) -> Answer:
    links = "\n".join(f'<a href="{quote(name, safe="/")}">{html.escape(name)}</a>' for name in names)
    return Answer.text(f"<html><body><pre>\n{links}\n</pre></body></html>", kind="text/html")
