"""Filters and sorts of the flat index and of folder children, as SQL (API.md sections 2.5 and 11.8)."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from simulator.api.documents import tree_of
from simulator.api.errors import ApiError, invalid
from simulator.api.request import ApiRequest, Project, number_like

SORTS = {
    "updated_at": ("d.updated_at",),
    "name": ("d.folded",),
    "document_type": ("d.kind",),
    "document_type_then_name": ("d.kind", "d.folded"),
    "document_type_then_created_at": ("d.kind", "d.created_at"),
    "document_type_then_updated_at": ("d.kind", "d.updated_at"),
}
_FILTER = re.compile(r"filters\[(\w+)\](\[\])?")
_SCALARS = frozenset({
    "created_at", "updated_at", "document_type", "is_in_recycle_bin", "search", "folder_id", "private", "custom_fields",
})  # fmt: skip
_LISTS = frozenset({"created_by_id", "file_type", "custom_tag_ids"})


@dataclass(slots=True)
class Conditions:
    """Parts of a WHERE clause over `documents d`, and the values they bind."""

    parts: list[str] = field(default_factory=list)
    values: list[int | str] = field(default_factory=list)

    def add(self, part: str, *values: int | str) -> None:
        """One more condition that has to hold."""
        self.parts.append(part)
        self.values.extend(values)

    def sql(self, order: str) -> str:
        """The query for the ids."""
        return f"SELECT d.id FROM documents d WHERE {' AND '.join(self.parts)} ORDER BY {order}"  # noqa: S608


def order_of(request: ApiRequest, default: str) -> str:
    """The ORDER BY of the query's `sort`, made total by the id. Raises ApiError 400 for an unknown one."""
    text = request.call.first("sort") or default
    direction = "DESC" if text.startswith("-") else "ASC"
    columns = SORTS.get(text.removeprefix("-"))
    if columns is None:
        raise invalid("sort", f"must be one of {', '.join(SORTS)}, or one of them with a - in front")
    return ", ".join([*(f"{column} {direction}" for column in columns), "d.id"])


def asked_filters(request: ApiRequest) -> dict[str, list[str]]:
    """The query's filters by name. Raises ApiError 400 for an unknown one, which a real server might ignore."""
    filters: dict[str, list[str]] = {}
    for key, values in request.call.query.items():
        match = _FILTER.fullmatch(key)
        if match is None:
            if key.startswith("filters"):
                raise ApiError(400, f"There is no parameter {key}.")
            continue
        name = match[1]
        if name not in _SCALARS | _LISTS:
            raise ApiError(400, f"There is no filter {name}.")
        parts = [part for value in values for part in value.split(",")] if name in _LISTS else values[:1]
        filters.setdefault(name, []).extend(part for part in parts if part != "")
    return {name: values for name, values in filters.items() if values}


def visible_only(request: ApiRequest, project: Project) -> Conditions:
    """The project's entries that the caller can see."""
    conditions = Conditions()
    conditions.add("d.project_id = ?", project.id)
    if project.sees_private:
        return conditions
    conditions.add("(d.private = 0 OR d.created_by = ?)", project.viewer.user_id)
    hidden = tree_of(request, project).hidden_from(project)
    if hidden:
        conditions.add(
            "(d.parent_id IS NULL OR d.parent_id NOT IN (SELECT value FROM json_each(?)))", json.dumps(sorted(hidden))
        )
        conditions.add("d.id NOT IN (SELECT value FROM json_each(?))", json.dumps(sorted(hidden)))
    return conditions


def apply(request: ApiRequest, project: Project, conditions: Conditions, filters: dict[str, list[str]]) -> None:
    """Add the filters to the conditions. Raises ApiError 400 for values that make no sense."""
    for name, values in filters.items():
        if name in ("created_at", "updated_at"):
            first, last = time_range(name, values[0])
            conditions.add(f"d.{name} BETWEEN ? AND ?", first, last)
        elif name == "document_type":
            if values[0] not in ("file", "folder"):
                raise invalid(name, "must be file or folder")
            conditions.add("d.kind = ?", values[0])
        elif name == "is_in_recycle_bin":
            conditions.add("d.deleted = ?", int(_flag(name, values[0])))
        elif name == "private":
            conditions.add("d.private = ?", int(_flag(name, values[0])))
        elif name == "folder_id":
            _subtree(request, project, conditions, values[0])
        else:
            _by_content(conditions, name, values)


def time_range(name: str, text: str) -> tuple[str, str]:
    """The two ends of `A...B`, as times are stored, both inclusive. Raises ApiError 400 for anything else."""
    first, dots, last = text.partition("...")
    if not dots:
        raise invalid(name, "must be a range A...B of ISO 8601 times")
    return _moment(name, first, end=False), _moment(name, last, end=True)


def _by_content(conditions: Conditions, name: str, values: list[str]) -> None:
    if name == "search":
        conditions.add("d.folded LIKE ? ESCAPE '!'", f"%{_escaped(values[0].casefold())}%")
    elif name == "created_by_id":
        conditions.add("d.created_by IN (SELECT value FROM json_each(?))", json.dumps(_ids(name, values)))
    elif name == "custom_tag_ids":
        conditions.add(
            "d.id IN (SELECT document_id FROM document_tags WHERE tag_id IN (SELECT value FROM json_each(?)))",
            json.dumps(_ids(name, values)),
        )
    elif name == "file_type":
        patterns = [f"_%.{_escaped(value.lstrip('.').casefold())}" for value in values]
        conditions.add(
            f"({' OR '.join(['d.folded LIKE ? ESCAPE ' + chr(39) + '!' + chr(39)] * len(patterns))})", *patterns
        )
        conditions.add("d.kind = 'file'")
    else:
        conditions.add(
            "d.id IN (SELECT document_id FROM custom_fields WHERE value LIKE ? ESCAPE '!')", f"%{_escaped(values[0])}%"
        )


def _subtree(request: ApiRequest, project: Project, conditions: Conditions, text: str) -> None:
    folder_id = _ids("folder_id", [text])[0]
    tree = tree_of(request, project)
    if folder_id not in tree.parents:
        raise invalid("folder_id")
    below = tree.below(folder_id)
    conditions.add("(d.id = ? OR d.parent_id IN (SELECT value FROM json_each(?)))", folder_id, json.dumps(below))


def _flag(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise invalid(name, "must be true or false")
    return text.lower() in ("true", "1")


def _ids(name: str, values: list[str]) -> list[int]:
    if not all(number_like(value) for value in values):
        raise invalid(name, "must be ids")
    return [int(value) for value in values]


def _escaped(text: str) -> str:
    return re.sub(r"([!%_])", r"!\1", text)


def _moment(name: str, text: str, *, end: bool) -> str:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise invalid(name, "must be a range A...B of ISO 8601 times") from None
    if len(text.strip()) == len("2026-01-31") and end:
        moment += timedelta(days=1, seconds=-1)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
