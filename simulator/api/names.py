"""Names in the Documents tool: cleaned, compared and made unique by the server (API.md sections 7 and 11.7)."""

import re

from simulator.api.errors import invalid
from simulator.api.request import ApiRequest
from simulator.settings import Settings
from simulator.store import Store

_CLEANED = re.compile(r'[#%*:<>?/\\|~"]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LENGTH_MAX = 255


def cleaned(name: object, settings: Settings) -> str:
    """The name as the server keeps it. Raises ApiError 400 when it is blank, too long or holds control characters."""
    if not isinstance(name, str) or not name.strip():
        raise invalid("name", "can't be blank")
    if _CONTROL.search(name) or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise invalid("name", "contains invalid characters")
    kept = _CLEANED.sub("_", name).strip() if settings.clean_names else name
    if len(kept) > _LENGTH_MAX:
        raise invalid("name", f"is too long (maximum is {_LENGTH_MAX} characters)")
    return kept


def folded(name: str) -> str:
    """What names are compared by when case does not count. Unicode forms stay different, as in a database."""
    return name.casefold()


def extension(name: str) -> str:
    """The letters after the last dot, in upper case, as `file_type` shows them; empty if there are none."""
    stem, dot, ending = name.rpartition(".")
    return ending.upper() if dot and stem else ""


def taken(
    store: Store, settings: Settings, parent_id: int, kind: str, name: str, *, besides: int | None = None
) -> bool:
    """Whether another live entry of this kind in the folder has the name. Private ones block it, too."""
    rows = store.all(
        "SELECT id, name FROM documents WHERE parent_id = ? AND folded = ? AND kind = ? AND recycle_bin = 0",
        parent_id, folded(name), kind,
    )  # fmt: skip
    return any(row["id"] != besides and (settings.case_insensitive_names or row["name"] == name) for row in rows)


def unique(request: ApiRequest, parent_id: int, name: str) -> str:
    """The name, or `name (1).ext`, `name (2).ext`, … the first of them that is free."""
    stem, dot, ending = name.rpartition(".")
    stem, tail = (stem, dot + ending) if dot and stem else (name, "")
    candidate, count = name, 0
    while taken(request.store, request.settings, parent_id, "file", candidate):
        count += 1
        candidate = f"{stem} ({count}){tail}"
    return candidate
