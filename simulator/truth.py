"""What a project really holds, outside the Procore API: what tests and proofs compare with."""

import asyncio
from collections.abc import Iterator
from typing import Any

from simulator.bodies import Bodies
from simulator.state import State

_WITHOUT_HASH = (
    "SELECT v.id, v.body_key, v.size_bytes FROM versions v JOIN documents d ON d.id = v.file_id "
    "WHERE d.project_id = ? AND v.sha256 IS NULL"
)
_ROWS = (
    "SELECT d.id, d.kind, d.parent_id, d.name, d.private, d.deleted, d.version_id AS current_id, d.updated_at, "
    "d.created_by AS document_author, v.id AS version_id, v.number, v.size_bytes, v.sha256, v.created_at, v.created_by "
    "FROM documents d LEFT JOIN versions v ON v.file_id = d.id "
    "WHERE d.project_id = ? AND d.parent_id IS NOT NULL AND d.recycle_bin = 0 ORDER BY d.id, v.number"
)


async def rows(state: State, project_id: int, *, hashes: bool = True) -> Iterator[dict[str, Any]]:
    """Every folder and every version of every file, deleted and private ones included; hashes are computed once.

    A row: id, version_id, version (its number), current, kind, path (names below the project's root folder),
    size_bytes, sha256, modified_at, created_by (user id), deleted, private (itself or a folder above it). The root
    folder and the recycle bin are not listed; what is deleted has a path in the bin.
    """
    if hashes:
        pending = [tuple(row) for row in state.store.stream(_WITHOUT_HASH, project_id)]
        hashed = await asyncio.to_thread(_hashed, state.bodies, pending)
        state.store.execute_many("UPDATE versions SET sha256 = ? WHERE id = ?", hashed)
    return _listed(state, project_id)


def _hashed(bodies: Bodies, pending: list[tuple[Any, ...]]) -> list[tuple[str, int]]:
    known: dict[tuple[str, int], str] = {}
    hashed = []
    for version_id, body_key, size_bytes in pending:
        content = (body_key, size_bytes)
        if content not in known:
            known[content] = bodies.sha256(body_key, size_bytes)
        hashed.append((known[content], version_id))
    return hashed


def _listed(state: State, project_id: int) -> Iterator[dict[str, Any]]:
    folders = {
        row["id"]: row
        for row in state.store.stream(
            "SELECT id, parent_id, name, private FROM documents WHERE project_id = ? AND kind = 'folder'", project_id
        )
    }
    known: dict[int | None, tuple[list[str], bool]] = {None: ([], False)}

    def place(folder_id: int) -> tuple[list[str], bool]:
        if folder_id not in known:
            row = folders[folder_id]
            if row["parent_id"] is None:
                known[folder_id] = ([], bool(row["private"]))
            else:
                path, private = place(row["parent_id"])
                known[folder_id] = ([*path, row["name"]], private or bool(row["private"]))
        return known[folder_id]

    for row in state.store.all(_ROWS, project_id):
        path, private = place(row["parent_id"])
        is_file = row["kind"] == "file"
        yield {
            "id": row["id"], "version_id": row["version_id"], "version": row["number"],
            "current": not is_file or row["version_id"] == row["current_id"], "kind": row["kind"],
            "path": [*path, row["name"]], "size_bytes": row["size_bytes"], "sha256": row["sha256"],
            "modified_at": row["created_at"] if is_file else row["updated_at"],
            "created_by": row["created_by"] if is_file else row["document_author"],
            "deleted": bool(row["deleted"]), "private": private or bool(row["private"]),
        }  # fmt: skip
