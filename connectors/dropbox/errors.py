"""What Dropbox's refusals mean (https://www.dropbox.com/developers/documentation/http/documentation#error-handling).

The tags of a 409 are read from the outside inwards: `path/conflict/file` is the tag `path` holding `conflict`, holding
`file`. Its `error_summary` says the same, but is not meant for programs. The innermost tag that is known decides.

answer                                         error
401, also with a fresh token                   FatalError sign-in-refused; without a right it needs permission-denied
400                                            ItemError request-refused: Dropbox does not understand one name or value
403                                            FatalError permission-denied
409 …/too_many_write_operations                RetryableError overloaded: others write into the same space
409 …                                          the table below
422                                            FatalError root-missing: the team's space is another one now
"""

import re
from typing import Any

from connectors.shared.calls import Refusal
from migration.errors import FatalError, ItemError, RetryableError, SiteHaulError

CONFLICT = "conflict"
"""The code of an answer that says something is in the way; never leaves the connector."""
CURSOR_RESET = "cursor-reset"
"""The code of an answer that says a listing has to begin anew; never leaves the connector."""
SESSION_CLOSED = "session-closed"
"""The code of an answer that says an upload session has its last piece; never leaves the connector."""
TEXT_LENGTH_MAX = 300
_BUSY = frozenset({"too_many_write_operations", "internal_error", "in_progress"})
_FULL = "Free some space or buy more, and run again."
_RIGHTS = "Let the owner of the shared folder, or a team admin, give the person the right to edit there."

_MEANINGS: dict[str, tuple[type[SiteHaulError], str, str, str]] = {
    "conflict": (ItemError, CONFLICT, "something is in the way", "Run again; the next plan decides anew."),
    "not_found": (ItemError, "not-found", "it is not there", "Run again; the next analysis sees what is there now."),
    "not_file": (ItemError, "not-a-file", "it is not a file", "Run again; the next analysis sees what is there now."),
    "not_folder": (ItemError, "not-a-folder", "a file is in the way", "Rename one of the two at the source."),
    "malformed_path": (ItemError, "name-refused", "Dropbox does not accept the path", "Rename it at the source."),
    "disallowed_name": (ItemError, "name-refused", "Dropbox does not store that name", "Rename it at the source."),
    "restricted_content": (ItemError, "permission-denied", "Dropbox restricts the file, for legal reasons for example",
                           "Ask Dropbox about the file, or leave it out."),
    "unsupported_file": (ItemError, "native-document", "it can only be exported", "Export it in Dropbox."),
    "unsupported_content_type": (ItemError, "native-document", "it can only be exported", "Export it in Dropbox."),
    "locked": (RetryableError, "locked", "somebody has locked it", "Let them unlock it in Dropbox."),
    "no_write_permission": (ItemError, "permission-denied", "the person may only read there", _RIGHTS),
    "access_restricted": (ItemError, "permission-denied", "a team admin restricts it", _RIGHTS),
    "team_folder": (ItemError, "permission-denied", "it is a team folder", "Choose a folder inside the team folder."),
    "operation_suppressed": (ItemError, "permission-denied", "Dropbox does not allow that there",
                             "Choose another folder."),
    "insufficient_space": (FatalError, "disk-full", "the Dropbox is full", _FULL),
    "insufficient_quota": (FatalError, "disk-full", "the Dropbox is full", _FULL),
    "team_folder_insufficient_space": (FatalError, "disk-full", "the team folder has reached its limit", _FULL),
    "team_folder_insufficient_quota": (FatalError, "disk-full", "the team folder has reached its limit", _FULL),
    "member_folder_insufficient_space": (FatalError, "disk-full", "the member's folder has reached its limit", _FULL),
    "member_folder_insufficient_quota": (FatalError, "disk-full", "the member's folder has reached its limit", _FULL),
    "upload_traffic_limit_reached": (FatalError, "disk-full", "this month's uploads are used up",
                                     "Wait for the next month or change the plan."),
    "too_large": (ItemError, "file-too-large", "Dropbox takes no file that large", "Leave the file out."),
    "too_many_files": (ItemError, "too-many-files", "more than 10,000 files would be concerned at once",
                       "Do it for the folders inside it one by one."),
    "content_hash_mismatch": (RetryableError, "body-corrupted", "other bytes arrived than were sent",
                              "Check the network and any proxy between here and Dropbox."),
    "reset": (ItemError, CURSOR_RESET, "the listing has to begin anew", "Run again."),
    "closed": (ItemError, SESSION_CLOSED, "the upload is complete already", "Run again."),
    "concurrent_session_missing_data": (RetryableError, "upload-lost", "a piece of the upload is missing",
                                        "Run again."),
    "concurrent_session_not_closed": (RetryableError, "upload-lost", "the upload is not complete", "Run again."),
    "invalid_revision": (ItemError, "not-restorable", "Dropbox does not keep that version any more",
                         "Dropbox keeps deleted files for 30 to 365 days, depending on the plan."),
}  # fmt: skip


def meaning_of(refusal: Refusal) -> SiteHaulError:
    """The error a refusal means."""
    values = refusal.json()
    if refusal.status == 409:
        return meaning_of_tags(refusal.what, tags_of(values))
    if refusal.status == 401:
        return _sign_in_refused(refusal.what, values)
    if refusal.status == 422:
        return FatalError(
            "root-missing",
            f"Could not {refusal.what}: the team's space is not there for this person (HTTP 422).",
            fix="Run again; if that does not help, check the setting root of the connection.",
        )
    if refusal.status == 403:
        return FatalError(
            "permission-denied",
            f"Could not {refusal.what}: Dropbox does not allow it for this person (HTTP 403).",
            fix="Check the person's plan and what the team's admins allow.",
        )
    return ItemError(
        "request-refused",
        f"Could not {refusal.what}: Dropbox says: {_text(refusal.content)} (HTTP {refusal.status}).",
        fix="Rename it at the source if its name is unusual; else report this message.",
    )


def tags_of(answer: Any) -> tuple[str, ...]:
    """The tags of an answer 409, outside first."""
    tags: list[str] = []
    value = answer.get("error") if isinstance(answer, dict) else None
    while isinstance(value, dict):
        tag = value.get(".tag")
        if isinstance(tag, str):
            tags.append(tag)
        value = value.get("reason", value.get(str(tag)))
    return tuple(tags)


def busy(what: str) -> RetryableError:
    """Dropbox changes one space one step at a time, and others are before us
    (https://www.dropbox.com/developers/reference/data-ingress-guide)."""
    return RetryableError("overloaded", f"Could not {what}: Dropbox is busy with other changes in the same space.")


def meaning_of_tags(what: str, tags: tuple[str, ...]) -> SiteHaulError:
    """The error that the tags of a refusal mean."""
    if _BUSY.intersection(tags):
        return busy(what)
    for tag in reversed(tags):
        if tag in _MEANINGS:
            kind, code, why, fix = _MEANINGS[tag]
            return kind(code, f"Could not {what}: {why} ({'/'.join(tags)}).", fix=fix)
    return ItemError(
        "request-refused",
        f"Could not {what}: Dropbox says: {'/'.join(tags) or 'nothing about why'}.",
        fix="Look at it in Dropbox; if nothing is unusual there, report this message.",
    )


def _sign_in_refused(what: str, values: Any) -> FatalError:
    if "missing_scope" in tags_of(values):
        scope = values["error"].get("required_scope", "")
        return FatalError(
            "permission-denied",
            f"Could not {what}: the app lacks the right {scope}.",
            fix="Tick that right in Dropbox's App Console (Permissions), then sign in again.",
        )
    return FatalError(
        "sign-in-refused",
        f"Could not {what}: Dropbox does not accept the sign-in ({'/'.join(tags_of(values)) or 'HTTP 401'}).",
        fix="Connect it again with `sitehaul connect`; the person may have disconnected the app.",
    )


def _text(content: bytes) -> str:
    return re.sub(r"[^\x20-\x7e]+", " ", content.decode("utf-8", "replace"))[:TEXT_LENGTH_MAX].strip().rstrip(".")
