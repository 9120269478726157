"""Entries: the listed files and folders of any system, and how they are identified."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

PathParts = tuple[str, ...]
"""Names from a root downwards, exactly as the system gave them. A name may contain `/`, so paths are never joined
and split again; `()` is the root itself."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


class EntryKind(StrEnum):
    """What an entry is."""

    FILE = "file"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Ref:
    """The identity of an entry in one system. Opaque: never parsed, never derived from a path by the engine.

    `version_id` is None for folders and for systems that have nothing to tell versions apart by.
    """

    system: str
    id: str
    version_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One listed file or folder. None always means unknown, never 0, "" or -1. Times are aware and UTC."""

    ref: Ref
    parent: Ref | None
    name: str
    path: PathParts
    """From the walked root to this entry, its own name last."""
    kind: EntryKind
    size_bytes: int | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None
    """When the content was last changed, as far as the system knows."""
    created_by: str | None = None
    version_number: int | None = None
    version_count: int | None = None
    checksums: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Lower-case hexadecimal by lower-case algorithm name, e.g. {"sha256": "…"}."""
    locked: bool | None = None
    private: bool | None = None
    deleted: bool = False
    extra: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """What only the entry's own connector understands (e.g. a content link). Never shown to people."""

    @property
    def is_file(self) -> bool:
        """Whether this entry has content that can be copied."""
        return self.kind is EntryKind.FILE


@dataclass(frozen=True, slots=True)
class ListingProblem:
    """A part of the source that could not be listed or is known not to be visible; it makes an inventory incomplete
    only when `hides_entries` is True."""

    path: PathParts
    code: str
    message: str
    hides_entries: bool = True
