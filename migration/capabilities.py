"""What a system can do and where its limits are, as data the engine decides by."""

from dataclasses import dataclass, field
from enum import StrEnum


class CaseRule(StrEnum):
    """How a system treats names that differ only in case."""

    SENSITIVE = "sensitive"
    PRESERVING = "preserving"
    """Kept as given, but two names differing only in case are the same name."""


class UnicodeRule(StrEnum):
    """How a system treats names that differ only in Unicode normalisation."""

    EXACT = "exact"
    NORMALISING = "normalising"
    """NFC and NFD forms of a name are the same name."""


class LengthUnit(StrEnum):
    """What segment and path lengths are counted in."""

    CHARACTERS = "characters"
    UTF16_UNITS = "utf16_units"
    BYTES = "bytes"
    """UTF-8 bytes."""


class Operation(StrEnum):
    """The optional protocols of the contract; a connector declares exactly those it implements."""

    RANGE_READS = "range_reads"
    RANGE_WRITES = "range_writes"
    CONTENT_HASH = "content_hash"
    CHANGES = "changes"
    VERSIONS = "versions"
    ADD_VERSION = "add_version"
    MOVE = "move"
    DELETE_TO_TRASH = "delete_to_trash"
    SET_TIMES = "set_times"
    SERVER_SIDE_COPY = "server_side_copy"
    PERMISSIONS = "permissions"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRules:
    """Which names are legal in one system. Lengths of None mean no limit is known."""

    case: CaseRule = CaseRule.SENSITIVE
    unicode: UnicodeRule = UnicodeRule.EXACT
    forbidden_characters: frozenset[str] = frozenset()
    forbidden_names: frozenset[str] = frozenset()
    """Lower case; compared case-insensitively with the whole segment."""
    forbidden_stems: frozenset[str] = frozenset()
    """Lower case; forbidden whatever the extension, as Windows does with CON and NUL."""
    forbidden_prefixes: tuple[str, ...] = ()
    """Lower case; compared case-insensitively, as the two below."""
    forbidden_suffixes: tuple[str, ...] = ()
    forbidden_parts: tuple[str, ...] = ()
    """Forbidden anywhere in a name (SharePoint's `_vti_`)."""
    trim_around_extension: bool = False
    """Whitespace directly before or after the extension is illegal (Procore)."""
    segment_length_max: int | None = None
    path_length_max: int | None = None
    length_unit: LengthUnit = LengthUnit.CHARACTERS
    basic_plane_only: bool = False
    """Whether characters beyond U+FFFF (emoji) are illegal (Egnyte)."""
    keeps_undecodable_bytes: bool = False
    """Whether a name may hold bytes that are no UTF-8 (the surrogates U+DC80-U+DCFF in Python), as on POSIX."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """One system's abilities and limits. None means unknown."""

    names: NameRules = field(default_factory=NameRules)
    file_size_max_bytes: int | None = None
    checksum_types: frozenset[str] = frozenset()
    time_precision_seconds: float | None = None
    atomic_publish: bool = False
    stable_ids: bool = False
    keeps_versions: bool = False
    keeps_times: bool = False
    cleans_names: bool = False
    """Whether it may store another name than it was given, and says which."""
    rewritten_suffixes: frozenset[str] = frozenset()
    """Suffixes of names (lower case, with the dot) of files whose content the system may rewrite when it takes them in,
    at once or some time later, as SharePoint does with Office files."""
    operations: frozenset[Operation] = frozenset()
    calls_per_page: int = 0
    entries_per_page: int | None = None
    calls_per_download: int = 0
    calls_per_upload: int = 0
    calls_per_folder: int = 0

    def rewrites(self, name: str) -> bool:
        """Whether a file of this name may come to hold other bytes than were sent."""
        return bool(self.rewritten_suffixes) and name.lower().endswith(tuple(self.rewritten_suffixes))
