"""What Box's refusals mean (https://developer.box.com/guides/api-calls/permissions-and-errors/common-errors/).

status  code of Box                                  error
400     item_name_invalid                            ItemError name-refused
400     item_name_too_long                           ItemError name-too-long
400     bad_digest                                   RetryableError stored-content-differs
400     terms_of_service_required                    FatalError terms-of-service
401     (the body is empty)                          FatalError sign-in-expired, after one renewal
403     storage_limit_exceeded                       FatalError disk-full
403     file_size_limit_exceeded                     ItemError file-too-large
403     access_denied_item_locked                    RetryableError locked
403     anything else                                ItemError permission-denied
404     not_found, trashed                           ItemError not-found
409     name_temporarily_reserved,                   RetryableError overloaded: nothing was done, and it is asked again
        operation_blocked_temporary
409     item_name_in_use, conflict                   NameTaken, for whoever gave the name
410     session_expired, upload_failed               RetryableError upload-expired
412     precondition_failed                          ItemError condition-failed, for whoever asked for the condition
413     request_entity_too_large                     ItemError file-too-large
"""

from typing import Any

from connectors.shared.calls import Refusal
from migration.errors import FatalError, ItemError, RetryableError, SiteHaulError

CONDITION_FAILED = "condition-failed"
"""The file or folder is another one than the etag said; never leaves the connector."""


class NameTaken(ItemError):
    """Something of this name is in the folder; never leaves the connector. `conflict` is what Box says of it."""

    def __init__(self, message: str, conflict: dict[str, Any] | None) -> None:
        super().__init__("name-taken", message)
        self.conflict = conflict


_Meaning = tuple[type[SiteHaulError], str, str, str]
_BY_CODE: dict[str, _Meaning] = {
    "item_name_invalid": (ItemError, "name-refused", "Box does not take this name", "Rename it at the source."),
    "item_name_too_long": (ItemError, "name-too-long", "the name is longer than Box allows",
                           "Shorten the name at the source."),
    "bad_digest": (RetryableError, "stored-content-differs", "the bytes that arrived are not those that were sent",
                   "Check the network and proxies if this goes on."),
    "terms_of_service_required": (FatalError, "terms-of-service", "the user has not accepted the terms of service",
                                  "Let the user sign in to Box in a browser and accept them."),
    "storage_limit_exceeded": (FatalError, "disk-full", "the storage is used up",
                               "Free some space (the trash counts as well) or have it enlarged, and run again."),
    "file_size_limit_exceeded": (ItemError, "file-too-large", "the file is larger than the plan of this Box allows",
                                 "See the largest file of your plan in Box's help, or leave the file out."),
    "access_denied_item_locked": (RetryableError, "locked", "somebody has locked it", "Unlock it in Box."),
    "insufficient_scope": (ItemError, "permission-denied", "the app lacks a scope",
                           "Tick 'Read and write all files and folders' in the developer console, and let the "
                           "administrator authorize the app again."),
    "forbidden_by_policy": (ItemError, "permission-denied", "a policy of the enterprise (Box Shield) forbids it",
                            "Ask the administrator of Box."),
    "access_from_location_blocked": (FatalError, "permission-denied", "Box is not open to this machine's network",
                                     "Ask the administrator of Box to allow it."),
    "name_temporarily_reserved": (RetryableError, "overloaded", "Box is still busy with that name", "Run again later."),
    "operation_blocked_temporary": (RetryableError, "overloaded", "Box is still busy with that folder",
                                    "Run again later."),
}  # fmt: skip
_BY_STATUS: dict[int, _Meaning] = {
    401: (FatalError, "sign-in-expired", "the sign-in is no longer valid",
          "Check that the app is still authorized; a person connects it again."),
    403: (ItemError, "permission-denied", "the user may not do that there",
          "Invite the user (of an app: its service account) to the folder as Editor or Co-owner."),
    404: (ItemError, "not-found", "it is not there", "Run again; the next analysis sees what is there now."),
    405: (ItemError, "permission-denied", "Box does not allow that there", "Choose another folder."),
    410: (RetryableError, "upload-expired", "the upload session has ended", "Run again."),
    412: (ItemError, CONDITION_FAILED, "it was changed meanwhile", "Run again; the next plan decides anew."),
    413: (ItemError, "file-too-large", "the file is larger than Box takes", "Leave the file out."),
}  # fmt: skip


def meaning_of(refusal: Refusal) -> SiteHaulError:
    """The error a refusal means."""
    values = refusal.json()
    code = code_of_refusal(values)
    if refusal.status == 409 and code not in _BY_CODE:
        return NameTaken(f"Could not {refusal.what}: something of this name is there.", conflict_of(values))
    known = _BY_CODE.get(code) or _BY_STATUS.get(refusal.status)
    if known is None:
        return FatalError(
            "refused",
            f"Could not {refusal.what}: Box answered {code or 'without a reason'} (HTTP {refusal.status}).",
            fix="Check the addresses of the connection and whether a proxy stands in between; if not, this is a bug.",
        )
    kind, our_code, what, fix = known
    return kind(our_code, f"Could not {refusal.what}: {what} (HTTP {refusal.status}).", fix=fix)


def code_of_refusal(values: Any) -> str:
    """Box's own code in an error's body; "" if it has none."""
    return str(values.get("code") or "") if isinstance(values, dict) else ""


def conflict_of(values: Any) -> dict[str, Any] | None:
    """What already has the name, in the body of a 409: one object, or (for folders) a list of them."""
    info = values.get("context_info") if isinstance(values, dict) else None
    conflicts = info.get("conflicts") if isinstance(info, dict) else None
    if isinstance(conflicts, list):
        conflicts = conflicts[0] if conflicts else None
    return conflicts if isinstance(conflicts, dict) and conflicts.get("id") else None
