"""Names on their way to a system: staged names, and names that are refused before anything is sent."""

import re
from datetime import datetime

from migration.capabilities import LengthUnit, NameRules
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ContractViolation, ItemError

STAGED_PREFIX = ".sitehaul-"
STAGED_SUFFIX = ".part"
_KEY = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NO_NAMES = frozenset({"", ".", ".."})


def staged_name(staging_key: str) -> str:
    """The name of a file while it is written. Raises ContractViolation for a key that is no safe file name."""
    check_key(staging_key)
    return f"{STAGED_PREFIX}{staging_key}{STAGED_SUFFIX}"


def check_key(staging_key: str) -> None:
    """Raises ContractViolation for a key that is no safe file name."""
    if not _KEY.fullmatch(staging_key):
        raise ContractViolation("staging-key", f"'{staging_key}' cannot be a part of a file name")


def is_staged(name: str) -> bool:
    """Whether the name is one that only files being written have."""
    return name.startswith(STAGED_PREFIX) and name.endswith(STAGED_SUFFIX)


def check_path(path: PathParts, rules: NameRules, *, slash_is_legal: bool = False) -> None:
    """Refuse names that mean another place or that the system cannot keep, before it is asked.

    ItemError `name-escapes` ("", ".", "..", a NUL or a slash), `name-reserved` (SiteHaul's own staged names),
    `name-too-long`, `name-refused`. `slash_is_legal` for systems where a name may hold one and means nothing by it.
    """
    for name in path:
        if name in _NO_NAMES or "\0" in name or ("/" in name and not slash_is_legal):
            raise _refusal("name-escapes", name, "is no name of one file or folder")
        if is_staged(name):
            raise _refusal("name-reserved", name, "is kept for files being written")
        if rules.segment_length_max is not None and length(name, rules.length_unit) > rules.segment_length_max:
            raise _refusal(
                "name-too-long", name, f"is longer than the {rules.segment_length_max} {_unit(rules)} allowed"
            )
        if not is_legal(name, rules):
            raise _refusal("name-refused", name, "is not allowed by the system")
    whole = "/".join(path)
    if rules.path_length_max is not None and length(whole, rules.length_unit) > rules.path_length_max:
        raise _refusal("name-too-long", whole, f"is longer than the {rules.path_length_max} {_unit(rules)} allowed")


def is_legal(name: str, rules: NameRules) -> bool:
    """Whether the rules allow the characters and the form of a name, its length aside."""
    lower = name.lower()
    return not (
        (rules.forbidden_characters and any(character in rules.forbidden_characters for character in name))
        or lower in rules.forbidden_names
        or lower.split(".")[0] in rules.forbidden_stems
        or lower.startswith(rules.forbidden_prefixes)
        or lower.endswith(rules.forbidden_suffixes)
        or any(part in lower for part in rules.forbidden_parts)
        or (rules.basic_plane_only and any(ord(character) > 0xFFFF for character in name))
        or (not rules.keeps_undecodable_bytes and any(0xD800 <= ord(character) < 0xE000 for character in name))
    )


def length(text: str, unit: LengthUnit) -> int:
    """The length of a name or path in the unit of the rules."""
    if unit is LengthUnit.BYTES:
        return len(text.encode("utf-8", "surrogateescape"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2 if unit is LengthUnit.UTF16_UNITS else len(text)


def path_ref(system: str, path: PathParts, version_id: str | None = None) -> Ref:
    """The ref of an entry whose identity is its path from the connection's root; names hold no slash."""
    return Ref(system, "/".join(path), version_id)


def path_entry(
    system: str,
    path: PathParts,
    kind: EntryKind,
    *,
    size_bytes: int | None = None,
    modified_at: datetime | None = None,
    version_id: str | None = None,
) -> Entry:
    """An entry whose identity is its path from the connection's root."""
    return Entry(
        ref=path_ref(system, path, version_id),
        parent=path_ref(system, path[:-1]) if path else None,
        name=path[-1] if path else "",
        path=path,
        kind=kind,
        size_bytes=size_bytes,
        modified_at=modified_at,
    )


def path_of_ref(ref: Ref) -> PathParts:
    """The inverse of `path_ref`."""
    return tuple(ref.id.split("/")) if ref.id else ()


def readable(path: PathParts) -> str:
    """A path for people, whatever its names hold."""
    return "/".join(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _refusal(code: str, name: str, what: str) -> ItemError:
    return ItemError(code, f"The name {name!a} {what}, so it was not touched.")


def _unit(rules: NameRules) -> str:
    return str(rules.length_unit).replace("_", " ")
