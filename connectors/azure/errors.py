"""What Azure Blob Storage's refusals mean.

https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
The table is by the error's code, which a header tells as well as the body; for an unknown code by its status.
"""

import re

from connectors.shared.calls import Refusal
from connectors.shared.objects import ConditionFailed
from migration.errors import FatalError, ItemError, RetryableError, SiteHaulError

_Meaning = tuple[type[SiteHaulError], str, str, str]

_KEY: _Meaning = (
    FatalError, "sign-in-refused", "the key, the signature or the app's sign-in is not accepted",
    "Check the account's name and key (portal: Access keys), or make a new shared access signature.",
)  # fmt: skip
_EXPIRED: _Meaning = (
    FatalError, "sign-in-expired", "the shared access signature has expired or is not valid yet",
    "Make a new one and connect again.",
)  # fmt: skip
_DENIED: _Meaning = (
    ItemError, "permission-denied", "the connection has not the right to do that",
    "A signature needs read, add, create, write, delete and list; an app the role Storage Blob Data Contributor. "
    "The account's firewall can refuse as well.",
)  # fmt: skip
_CONTAINER: _Meaning = (
    FatalError, "root-missing", "there is no such container",
    "Check the names of account and container, or make the container.",
)  # fmt: skip
_GONE: _Meaning = (
    ItemError, "not-found", "it is not there", "Run again; the next analysis sees what is there now.",
)  # fmt: skip
_LOCKED: _Meaning = (
    RetryableError, "locked", "somebody holds a lease on it", "End the lease or wait for its end; the run tries again.",
)  # fmt: skip
_ARCHIVED: _Meaning = (
    ItemError, "archived", "it lies in the archive tier and cannot be read at once",
    "Change its tier to hot or cool in the portal, which takes hours, then run again.",
)  # fmt: skip
_BLOCKS: _Meaning = (
    RetryableError, "upload-gone", "parts of the upload are not there any more: something else was written there",
    "Run again.",
)  # fmt: skip
_FROZEN: _Meaning = (
    ItemError, "permission-denied", "a policy or a legal hold forbids to change it",
    "Leave the file out by a rule of the job, or change the container's immutability policy.",
)  # fmt: skip
_NAME: _Meaning = (
    ItemError, "name-refused", "the service does not take a blob of this name", "Rename it by a rule of the job.",
)  # fmt: skip
_SKEWED: _Meaning = (
    FatalError, "clock-skewed", "the clock of this machine is wrong by more than 15 minutes",
    "Set the clock of this machine, best by NTP, and run again.",
)  # fmt: skip
_DISABLED: _Meaning = (
    FatalError, "permission-denied", "the storage account is disabled", "Look at the account in the portal.",
)  # fmt: skip

_MEANINGS: dict[str, _Meaning] = {
    "AuthenticationFailed": _KEY, "InvalidAuthenticationInfo": _KEY, "NoAuthenticationInformation": _KEY,
    "AuthorizationPermissionMismatch": _DENIED, "InsufficientAccountPermissions": _DENIED,
    "AuthorizationFailure": _DENIED, "AuthorizationProtocolMismatch": _DENIED, "AuthorizationSourceIPMismatch": _DENIED,
    "AuthorizationServiceMismatch": _DENIED, "AuthorizationResourceTypeMismatch": _DENIED,
    "KeyBasedAuthenticationNotPermitted": _KEY,
    "AccountIsDisabled": _DISABLED, "ContainerDisabled": _DISABLED,
    "ContainerNotFound": _CONTAINER, "ContainerBeingDeleted": _CONTAINER, "InvalidUri": _NAME,
    "BlobNotFound": _GONE, "ResourceNotFound": _GONE, "CannotVerifyCopySource": _GONE,
    "LeaseIdMissing": _LOCKED, "LeaseIdMismatchWithBlobOperation": _LOCKED, "PendingCopyOperation": _LOCKED,
    "BlobArchived": _ARCHIVED, "BlobBeingRehydrated": _ARCHIVED,
    "InvalidBlockList": _BLOCKS, "InvalidBlobOrBlock": _BLOCKS,
    "BlobImmutableDueToPolicy": _FROZEN, "BlobImmutableDueToLegalHold": _FROZEN,
    "InvalidResourceName": _NAME, "OutOfRangeInput": _NAME, "InvalidBlobName": _NAME,
    "Md5Mismatch": (RetryableError, "broken-on-the-way", "what arrived is not what was sent",
                    "Run again; if it stays, check proxies."),
    "RequestBodyTooLarge": (ItemError, "file-too-large", "the service does not take a file of this size",
                            "Leave the file out by a rule of the job."),
    "SnapshotsPresent": (ItemError, "has-snapshots", "it has snapshots, which would be lost with it",
                         "Remove its snapshots first, or leave it where it is."),
    "InsufficientStorage": (FatalError, "disk-full", "there is no more space in the account",
                            "Raise the account's limit, then run again: what is done stays done."),
}  # fmt: skip

_BY_STATUS: dict[int, _Meaning] = {401: _KEY, 403: _DENIED, 404: _GONE, 507: _MEANINGS["InsufficientStorage"]}
_CONDITIONS = frozenset({"ConditionNotMet", "BlobAlreadyExists", "SourceConditionNotMet", "TargetConditionNotMet"})
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,80})</Code>")


def meaning_of(refusal: Refusal) -> SiteHaulError:
    """The error of an answer that is no success and is not handled by `connectors.shared.calls` itself."""
    code = code_of(refusal)
    if code in _CONDITIONS:
        return ConditionFailed(refusal.what)
    known = _MEANINGS.get(code) or _BY_STATUS.get(refusal.status)
    if refusal.status == 403:
        known = _why_refused(code, refusal.content) or known
    if known is None:
        return ItemError(
            "refused",
            f"Could not {refusal.what}: the service answered {code or f'HTTP {refusal.status}'}.",
            fix="Look up the code in Microsoft's list of Blob Storage error codes.",
        )
    kind, name, what, fix = known
    return kind(name, f"Could not {refusal.what}: {what} ({code or f'HTTP {refusal.status}'}).", fix=fix)


def code_of(refusal: Refusal) -> str:
    """The error's code; empty without one."""
    told = refusal.headers.get("x-ms-error-code")
    if told:
        return str(told)
    found = _CODE.search(refusal.content)
    return "" if found is None else found.group(1).decode()


def _why_refused(code: str, content: bytes) -> _Meaning | None:
    """One code stands for several reasons, which only the text tells apart."""
    if b"Request date header" in content:
        return _SKEWED
    if b"not valid in the specified time frame" in content:
        return _EXPIRED
    # Azurite says this of a wrong key; Azure says it of a firewall.
    if code == "AuthorizationFailure" and b"failed to authenticate" in content:
        return _KEY
    return None
