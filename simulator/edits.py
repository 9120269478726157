"""Changes of the world that tests need, made past the Procore API and its rules.

An edit is a JSON object with `op` and, for a document, `project_id` and `path` (names below the project's root folder)
or `id`. See `OPERATIONS` for the ops and the functions' docstrings for their further keys.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

from simulator.clock import time_text
from simulator.state import State
from simulator.store import Store

Values = dict[str, Any]


def edit(state: State, values: Values) -> Values:
    """Make one edit; what it made or changed. Raises ValueError or KeyError saying what is wrong with it."""
    operation = OPERATIONS.get(values.get("op", ""))
    if operation is None:
        raise ValueError(f"there is no op {values.get('op')!r}; there are: {', '.join(sorted(OPERATIONS))}")
    return operation(state, values)


def add_folder(state: State, values: Values) -> Values:
    """Make the folder at `path` and those above it; `private`."""
    folder_id = _folder(state, values["project_id"], values["path"])
    if values.get("private"):
        state.store.execute("UPDATE documents SET private = 1 WHERE id = ?", folder_id)
    return {"id": folder_id}


def add_file(state: State, values: Values) -> Values:
    """Make a file at `path`, folders included; `size_bytes` (1000), `body` (key of its content), `private`,
    `created_at`, `created_by` (user id).
    """
    *above, name = values["path"]
    now = values.get("created_at") or state.clock.text()
    author = values.get("created_by") or state.store.meta("authors")[0]
    parent_id = _folder(state, values["project_id"], above)
    file_id = _insert(
        state.store, values["project_id"], "file", parent_id, name, now, author, bool(values.get("private"))
    )
    return _version(state, file_id, {**values, "created_at": now, "created_by": author})


def add_version(state: State, values: Values) -> Values:
    """Give a file a new version; `size_bytes`, `body`, `created_at`, `created_by` as in add_file."""
    row = _row(state, values)
    author = values.get("created_by") or state.store.meta("authors")[0]
    return _version(state, row["id"], {"created_at": state.clock.text(), **values, "created_by": author})


def rename(state: State, values: Values) -> Values:
    """Call it `name`."""
    return _change(state, values, name=values["name"], folded=values["name"].casefold())


def move(state: State, values: Values) -> Values:
    """Put it into the folder `to` (a path), which is made if needed."""
    return _change(state, values, parent_id=_folder(state, _row(state, values)["project_id"], values["to"]))


def delete(state: State, values: Values) -> Values:
    """Move it to the recycle bin with everything below it."""
    row = _row(state, values)
    project = state.store.one("SELECT bin_id FROM projects WHERE id = ?", row["project_id"])
    below = [(document_id,) for document_id in state.store.descendants(row["id"])]
    state.store.execute_many("UPDATE documents SET deleted = 1 WHERE id = ?", below)
    return _change(state, values, parent_id=project["bin_id"] if project else None, row=row)


def remove(state: State, values: Values) -> Values:
    """Let it vanish with everything below it, as what becomes invisible does; its versions stay."""
    row = _row(state, values)
    below = [(document_id,) for document_id in state.store.descendants(row["id"])]
    state.store.execute_many("DELETE FROM documents WHERE id = ?", below)
    return {"id": row["id"]}


def lock(state: State, values: Values) -> Values:
    """Check a file out for `seconds` (3600) by `user_id`, an author by default; 0 seconds checks it in."""
    seconds = float(values.get("seconds", 3600))
    until = time_text(state.clock.now() + seconds) if seconds else None
    holder = (values.get("user_id") or state.store.meta("authors")[0]) if seconds else None
    return _change(state, values, checked_out_by=holder, checked_out_until=until)


def private(state: State, values: Values) -> Values:
    """Make it `private` (true) or not."""
    return _change(state, values, private=int(values.get("private", True)))


def revoke_tokens(state: State, values: Values) -> Values:
    """Forget every token, or those of one `client_id`."""
    client_id = values.get("client_id")
    state.store.execute("DELETE FROM tokens WHERE ? IS NULL OR client_id = ?", client_id, client_id)
    return {}


def expire_tokens(state: State, _values: Values) -> Values:
    """Let every access token be expired; refresh tokens stay good."""
    state.store.execute("UPDATE tokens SET expires_at = 0 WHERE kind = 'access'")
    return {}


def permission(state: State, values: Values) -> Values:
    """Give a user `level` (1 to 4; null = not in the project at all) and `private_access` in a project.

    `user_id`: the service account by default.
    """
    user_id, project_id = values.get("user_id") or state.store.meta("service_user_id"), values["project_id"]
    state.store.execute("DELETE FROM permissions WHERE user_id = ? AND project_id = ?", user_id, project_id)
    if values.get("level") is not None:
        state.store.insert(
            "permissions", user_id=user_id, project_id=project_id, level=int(values["level"]),
            private_access=int(bool(values.get("private_access"))),
        )  # fmt: skip
    return {"user_id": user_id}


def project(state: State, values: Values) -> Values:
    """Change a project: `name`, `project_number`, `documents_on`, `active`, `updated_at`."""
    for column in ("name", "project_number", "documents_on", "active", "updated_at"):
        if column in values:
            state.store.execute(
                f"UPDATE projects SET {column} = ? WHERE id = ?",  # noqa: S608
                values[column], values["project_id"],
            )  # fmt: skip
    return {"id": values["project_id"]}


OPERATIONS: dict[str, Callable[[State, Values], Values]] = {
    operation.__name__: operation
    for operation in (
        add_folder, add_file, add_version, rename, move, delete, remove, lock, private, revoke_tokens, expire_tokens,
        permission, project,
    )
}  # fmt: skip


def _version(state: State, file_id: int, values: Values) -> Values:
    store = state.store
    version_id = store.next_id("versions")
    last = store.one("SELECT max(number) AS number FROM versions WHERE file_id = ?", file_id)
    row = store.one("SELECT name FROM documents WHERE id = ?", file_id)
    store.insert(
        "versions", id=version_id, file_id=file_id, number=((last["number"] if last else 0) or 0) + 1,
        size_bytes=int(values.get("size_bytes", 1000)), created_at=values["created_at"],
        created_by=values["created_by"], body_key=values.get("body") or f"edit-{version_id}",
        filename=row["name"] if row else "file",
    )  # fmt: skip
    store.execute("UPDATE documents SET version_id = ? WHERE id = ?", version_id, file_id)
    return {"id": file_id, "version_id": version_id}


def _change(state: State, values: Values, row: sqlite3.Row | None = None, **columns: Any) -> Values:
    row = row or _row(state, values)
    assignments = ", ".join(f"{column} = ?" for column in (*columns, "updated_at"))
    state.store.execute(
        f"UPDATE documents SET {assignments} WHERE id = ?",  # noqa: S608
        *columns.values(), state.clock.text(), row["id"],
    )  # fmt: skip
    return {"id": row["id"]}


def _row(state: State, values: Values) -> sqlite3.Row:
    if "id" in values:
        row = state.store.one("SELECT * FROM documents WHERE id = ?", values["id"])
    else:
        row = _at(state.store, values["project_id"], values["path"])
    if row is None:
        raise ValueError(f"there is no document {values.get('id', values.get('path'))!r}")
    return row


def _at(store: Store, project_id: int, path: list[str]) -> sqlite3.Row | None:
    row = store.one("SELECT * FROM documents WHERE project_id = ? AND parent_id IS NULL", project_id)
    for name in path:
        if row is None:
            return None
        row = store.one("SELECT * FROM documents WHERE parent_id = ? AND name = ? AND deleted = 0", row["id"], name)
    return row


def _folder(state: State, project_id: int, path: list[str]) -> int:
    row = _at(state.store, project_id, [])
    if row is None:
        raise ValueError(f"there is no project {project_id}")
    folder_id = int(row["id"])
    for name in path:
        child = state.store.one(
            "SELECT id FROM documents WHERE parent_id = ? AND name = ? AND kind = 'folder' AND deleted = 0",
            folder_id, name,
        )  # fmt: skip
        author = state.store.meta("authors")[0]
        folder_id = (
            _insert(state.store, project_id, "folder", folder_id, name, state.clock.text(), author, False)
            if child is None
            else child["id"]
        )
    return folder_id


def _insert(
    store: Store, project_id: int, kind: str, parent_id: int, name: str, now: str, author: int, is_private: bool
) -> int:
    document_id = store.next_id("documents")
    store.insert(
        "documents", id=document_id, project_id=project_id, kind=kind, parent_id=parent_id, name=name,
        folded=name.casefold(), private=int(is_private), created_at=now, created_by=author, updated_at=now,
    )  # fmt: skip
    return document_id
