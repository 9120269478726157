"""What Google Drive says about files and folders, as entries.

A file's identity is its id; its version is its `headRevisionId`, which changes with the content only, or its checksum
(https://developers.google.com/workspace/drive/api/reference/rest/v3/files).
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from migration.entries import Entry, EntryKind, ListingProblem, PathParts, Ref
from migration.errors import RetryableError

SYSTEM = "google-drive"
NATIVE = "application/vnd.google-apps."
FOLDER = f"{NATIVE}folder"
SHORTCUT = f"{NATIVE}shortcut"
FIELDS = (
    "id,name,mimeType,parents,trashed,size,sha256Checksum,md5Checksum,modifiedTime,createdTime,headRevisionId,driveId"
)
_CHECKSUMS = {"sha256Checksum": "sha256", "md5Checksum": "md5"}
Record = dict[str, Any]


def is_folder(record: Record) -> bool:
    """Whether it is a folder."""
    return record.get("mimeType") == FOLDER


def is_content(record: Record) -> bool:
    """Whether it is a file or a folder: no document of Google's own and no shortcut."""
    return is_folder(record) or not str(record.get("mimeType", "")).startswith(NATIVE)


def entry_of(record: Record, path: PathParts, parent: Ref | None) -> Entry:
    """The entry of a file or folder at this path. RetryableError `not-google-drive` for a record that is none."""
    try:
        folder = is_folder(record)
        return Entry(
            ref=ref_of(record),
            parent=parent,
            name=str(record["name"]),
            path=path,
            kind=EntryKind.FOLDER if folder else EntryKind.FILE,
            size_bytes=int(record["size"]) if not folder and "size" in record else None,
            created_at=moment(record["createdTime"]),
            modified_at=moment(record["modifiedTime"]),
            checksums={ours: str(record[theirs]) for theirs, ours in _CHECKSUMS.items() if theirs in record},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RetryableError(
            "not-google-drive", "Google Drive described a file in a way that is not its own."
        ) from error


def ref_of(record: Record) -> Ref:
    """The identity of what is described. Who may not see revisions tells contents apart by their checksum."""
    version = None if is_folder(record) else record.get("headRevisionId") or record.get("md5Checksum")
    return Ref(SYSTEM, str(record["id"]), None if version is None else str(version))


def oldest_first(records: Sequence[Record]) -> list[Record]:
    """In the order in which they were made: of several of one name the first is the one that is meant."""
    return sorted(records, key=lambda record: (str(record.get("createdTime")), str(record["id"])))


def problems_of(records: Sequence[Record], folder: PathParts) -> list[ListingProblem]:
    """What in a folder cannot be copied, or is not told apart by its name."""
    problems = [_problem(record, (*folder, str(record["name"]))) for record in records if not is_content(record)]
    names = Counter(str(record["name"]) for record in records if is_content(record))
    return problems + [
        ListingProblem(
            (*folder, name),
            "same-name",
            f"{count} entries here are called '{name}', which Google Drive allows; the oldest is written to.",
            hides_entries=False,
        )
        for name, count in names.items()
        if count > 1
    ]


def moment(text: str) -> datetime:
    """A time of Google's: milliseconds. ValueError for anything else."""
    return datetime.fromisoformat(text).astimezone(UTC)


def written_moment(at: datetime) -> str:
    """The inverse; what is below a millisecond is dropped."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _problem(record: Record, path: PathParts) -> ListingProblem:
    if record.get("mimeType") == SHORTCUT:
        message = f"'{path[-1]}' is a shortcut; what it leads to is copied from where that is."
        return ListingProblem(path, "shortcut", message, hides_entries=False)
    kind = str(record.get("mimeType", "")).removeprefix(NATIVE)
    message = f"'{path[-1]}' is a Google {kind} and no file; download it in Google Drive as a file and put that there."
    return ListingProblem(path, "native-document", message, hides_entries=False)
