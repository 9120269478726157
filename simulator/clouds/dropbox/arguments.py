"""The arguments of the calls, with their kinds: https://www.dropbox.com/developers/documentation/http/documentation.

A kind is a class, a pattern of a text, or a range of whole numbers; `!` after a name: it must be there.
"""

import re
from typing import Any

from simulator.clouds.dropbox.errors import BadInput

_NAMESPACE = r"ns:[0-9]+(/(.|[\r\n])*)?"
WRITE = re.compile(rf"/(.|[\r\n])*|{_NAMESPACE}")
WRITE_OR_ID = re.compile(rf"/(.|[\r\n])*|{_NAMESPACE}|id:.*")
READ = re.compile(rf"/(.|[\r\n])*|id:.*|rev:[0-9a-f]{{9,}}|{_NAMESPACE}")
FOLDER = re.compile(rf"(/(.|[\r\n])*)?|id:.*|{_NAMESPACE}")
OF_REVISIONS = re.compile(rf"/(.|[\r\n])*|id:.*|{_NAMESPACE}")
REV = re.compile("[0-9a-f]{9,}")
HASH = re.compile(".{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
TEXT = re.compile(r"(.|[\r\n])+")
Kind = type | re.Pattern[str] | range | dict[str, Any]
_ANY = object
_COMMIT: dict[str, Kind] = {
    "path!": WRITE_OR_ID, "mode": _ANY, "autorename": bool, "client_modified": TIME, "mute": bool,
    "property_groups": list, "strict_conflict": bool,
}  # fmt: skip
_CURSOR: dict[str, Kind] = {"session_id!": TEXT, "offset!": range(2**64)}
_RELOCATION: dict[str, Kind] = {
    "from_path!": WRITE_OR_ID, "to_path!": WRITE_OR_ID, "allow_shared_folder": bool, "autorename": bool,
    "allow_ownership_transfer": bool,
}  # fmt: skip
FINISH: dict[str, Kind] = {"cursor!": _CURSOR, "commit!": _COMMIT, "content_hash": HASH}
LISTING: dict[str, Kind] = {
    "path!": FOLDER, "recursive": bool, "include_media_info": bool, "include_deleted": bool,
    "include_has_explicit_shared_members": bool, "include_mounted_folders": bool, "limit": range(1, 2001),
    "shared_link": dict, "include_property_groups": _ANY, "include_non_downloadable_files": bool,
    "include_restorable_info": bool,
}  # fmt: skip
ARGUMENTS: dict[str, dict[str, Kind]] = {
    "auth/token/revoke": {},
    "check/app": {"query": str},
    "check/user": {"query": str},
    "users/get_current_account": {},
    "users/get_space_usage": {},
    "files/list_folder": LISTING,
    "files/list_folder/continue": {"cursor!": TEXT},
    "files/list_folder/get_latest_cursor": LISTING,
    "files/list_folder/longpoll": {"cursor!": TEXT, "timeout": range(30, 481)},
    "files/get_metadata": {
        "path!": READ, "include_media_info": bool, "include_deleted": bool,
        "include_has_explicit_shared_members": bool, "include_property_groups": _ANY,
    },
    "files/create_folder_v2": {"path!": WRITE, "autorename": bool},
    "files/create_folder_batch": {"paths!": list, "autorename": bool, "force_async": bool},
    "files/create_folder_batch/check": {"async_job_id!": TEXT},
    "files/upload": {**_COMMIT, "content_hash": HASH},
    "files/upload_session/start": {"close": bool, "session_type": _ANY, "content_hash": HASH},
    "files/upload_session/append_v2": {"cursor!": _CURSOR, "close": bool, "content_hash": HASH},
    "files/upload_session/finish": FINISH,
    "files/upload_session/finish_batch_v2": {"entries!": list},
    "files/download": {"path!": READ, "rev": REV},
    "files/export": {"path!": READ, "export_format": str},
    "files/move_v2": _RELOCATION,
    "files/copy_v2": _RELOCATION,
    "files/delete_v2": {"path!": WRITE_OR_ID, "parent_rev": REV},
    "files/permanently_delete": {"path!": WRITE_OR_ID, "parent_rev": REV},
    "files/restore": {"path!": WRITE, "rev!": REV},
    "files/list_revisions": {
        "path!": OF_REVISIONS, "mode": _ANY, "limit": range(1, 101), "before_rev": REV, "include_restorable_info": bool,
    },
}  # fmt: skip
"""What each call takes."""


def checked(values: Any, known: dict[str, Kind], where: str) -> dict[str, Any]:
    """The arguments, if they are what the description says; null counts as not there. Raises BadInput."""
    if values is None and not known:
        return {}
    if not isinstance(values, dict):
        raise BadInput(f"{where}: expected object, got {type(values).__name__}")
    kinds = {name.rstrip("!"): kind for name, kind in known.items()}
    for name in values:
        if name not in kinds:
            raise BadInput(f"{where}: unknown field '{name}'")
    for name in known:
        if name.endswith("!") and name[:-1] not in values:
            raise BadInput(f"{where}: missing required field '{name[:-1]}'")
    return {
        name: _checked(value, kinds[name], f"{where}: {name}") for name, value in values.items() if value is not None
    }


def _checked(value: Any, kind: Kind, where: str) -> Any:
    if isinstance(kind, dict):
        return checked(value, kind, where)
    if isinstance(kind, range):
        sound = isinstance(value, int) and not isinstance(value, bool) and value in kind
    elif isinstance(kind, re.Pattern):
        if isinstance(value, str) and value == "/" and kind is FOLDER:
            raise BadInput(f'{where}: Specify the root folder as an empty string rather than as "/".')
        sound = isinstance(value, str) and kind.fullmatch(value) is not None
    else:
        sound = isinstance(value, kind)
    if not sound:
        shown = value if isinstance(value, str) else type(value).__name__
        raise BadInput(f"{where}: '{shown}' did not match what is described")
    return value


def each(values: list[Any], kind: Kind, most: int, where: str) -> list[Any]:
    """The entries of a list argument. Raises BadInput."""
    if len(values) > most:
        raise BadInput(f"{where}: list has more than {most} entries")
    return [_checked(value, kind, f"{where}: index {at}") for at, value in enumerate(values)]


def tag_of(value: Any, known: frozenset[str] | set[str], where: str) -> str:
    """The tag of a union value, written as its name alone or as an object. Raises BadInput."""
    tag = value.get(".tag") if isinstance(value, dict) else value
    if tag not in known:
        raise BadInput(f"{where}: unknown tag")
    return str(tag)
