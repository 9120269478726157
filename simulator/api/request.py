"""One request to the API host after its gates, and what the handlers need of the simulated Procore."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from simulator.api.errors import ApiError, forbidden, invalid, not_found
from simulator.clock import SimulatedClock
from simulator.limits import RateLimits
from simulator.settings import Settings
from simulator.store import Store, Viewer
from simulator.web import Call

NONE, READ_ONLY, STANDARD, ADMIN = 1, 2, 3, 4
LEVEL_NAMES = {NONE: "None", READ_ONLY: "Read Only", STANDARD: "Standard", ADMIN: "Admin"}
DESTROY_RIGHT = "destroy_files_and_folders"


class ApiState(Protocol):
    """What the API host needs of the simulator (a subset of `simulator.state.State`)."""

    store: Store
    clock: SimulatedClock
    settings: Settings
    limits: RateLimits
    urls: dict[str, str]
    company_id: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token it is. `service_account`: a client-credentials token, which belongs to no person."""

    user_id: int
    client_id: str
    service_account: bool


@dataclass(slots=True)
class ApiRequest:
    """A request that passed the gates of token, rate and company."""

    state: ApiState
    call: Call
    caller: Caller
    ids: dict[str, str] = field(default_factory=dict)
    """The variable parts of the path."""
    v2: bool = False
    _fields: dict[str, Any] | None = None

    @property
    def store(self) -> Store:
        return self.state.store

    @property
    def settings(self) -> Settings:
        return self.state.settings

    def path_number(self, name: str) -> int:
        """An id in the path. Raises ApiError 404 when it is no number."""
        return number(self.ids[name]) if number_like(self.ids[name]) else _missing()

    async def fields(self) -> dict[str, Any]:
        """The body's fields, read once."""
        if self._fields is None:
            self._fields = await self.call.fields()
        return self._fields

    async def section(self, name: str) -> dict[str, Any]:
        """The body's part under a key such as `file`. Raises ApiError 400 when it is not there."""
        part = (await self.fields()).get(name)
        if not isinstance(part, dict) or not part:
            raise ApiError(400, f"param is missing or the value is empty: {name}")
        return part

    def upload_filename(self, key: str) -> str | None:
        """The file name that came with a multipart part."""
        name = (self._fields or {}).get("__filenames__", {}).get(key)
        return str(name) if name else None

    def project_in_query(self) -> "Project":
        """The project named by `project_id` in the query, entered. Raises ApiError 400 or 403."""
        text = self.call.first("project_id")
        if text is None or not number_like(text):
            raise invalid("project_id", "can't be blank" if text is None else "is invalid")
        row = self._project_row(int(text))
        if row is None:
            raise ApiError(403, "Invalid Project or Company", shape="message")
        return self.entered(row)

    def project_in_path(self, name: str = "project_id") -> "Project":
        """The project named in the path, entered. Raises ApiError 403 or 404."""
        row = self._project_row(self.path_number(name))
        if row is None:
            raise not_found()
        return self.entered(row)

    def entered(self, row: sqlite3.Row) -> "Project":
        """The project as the caller may see it. Raises ApiError 403 when they may not see it at all."""
        viewer = self.viewer(row["id"])
        if viewer is None:
            raise forbidden("You are not permitted to access this project.")
        rights = self.store.meta("granular_rights", {}).get(f"{viewer.user_id}:{row['id']}", [])
        return Project(row, viewer, DESTROY_RIGHT in rights)

    def viewer(self, project_id: int) -> Viewer | None:
        """The caller's rights in a project; None if they are not permitted to it."""
        row = self.store.one(
            "SELECT level, private_access FROM permissions WHERE user_id = ? AND project_id = ?",
            self.caller.user_id, project_id,
        )  # fmt: skip
        return None if row is None else Viewer(self.caller.user_id, row["level"], bool(row["private_access"]))

    def _project_row(self, project_id: int) -> sqlite3.Row | None:
        return self.store.one(
            "SELECT * FROM projects WHERE id = ? AND company_id = ?", project_id, self.state.company_id
        )


@dataclass(frozen=True, slots=True)
class Project:
    """A project the caller is permitted to, and their rights in it."""

    row: sqlite3.Row
    viewer: Viewer
    destroy_right: bool

    @property
    def id(self) -> int:
        return int(self.row["id"])

    @property
    def root_id(self) -> int:
        return int(self.row["root_id"])

    @property
    def bin_id(self) -> int:
        return int(self.row["bin_id"])

    @property
    def sees_private(self) -> bool:
        """Whether private entries of others are visible."""
        return self.viewer.level >= ADMIN or self.viewer.private_access

    def documents(self, level: int = READ_ONLY) -> "Project":
        """Itself, if the Documents tool is on and the caller has the level. Raises ApiError 403 otherwise."""
        if not self.row["documents_on"]:
            raise forbidden("The Documents tool is not enabled for this project.")
        if self.viewer.level < max(level, READ_ONLY):
            needed = LEVEL_NAMES[max(level, READ_ONLY)]
            raise forbidden(f"You need the permission level {needed} in the Documents tool to do this.")
        return self

    def may_delete(self) -> None:
        """Raises ApiError 403 unless the caller is Admin or holds the granular right."""
        if self.viewer.level < ADMIN and not self.destroy_right:
            raise forbidden("You do not have permission to delete folders and files.")


def number_like(value: Any) -> bool:
    """Whether a value is a whole number or its decimal text."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (
        isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19
    )


def number(value: Any) -> int:
    """The number a value is or spells; use `number_like` before."""
    return int(value)


def optional_number(values: Mapping[str, Any], name: str) -> int | None:
    """A number among fields; None if absent or empty. Raises ApiError 400 when it is something else."""
    value = values.get(name)
    if value is None or value == "":
        return None
    if not number_like(value):
        raise invalid(name)
    return number(value)


def _missing() -> int:
    raise not_found()
