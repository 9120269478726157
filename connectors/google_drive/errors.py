"""What Google Drive's refusals mean (https://developers.google.com/workspace/drive/api/guides/handle-errors).

An answer says why in `error.errors[0].reason`.

answer                                      error
401, also with a fresh token                FatalError sign-in-refused
403 …RateLimitExceeded                      RetryableError rate-limited; Google does not say for how long
403 and others with a known reason          the table below
403                                         ItemError permission-denied
404                                         ItemError not-found: also what the person may not see
410                                         ItemError not-found
anything else                               ItemError request-refused
"""

import re
from typing import Any

from connectors.shared.calls import Refusal, throttled
from migration.errors import FatalError, ItemError, SiteHaulError

TEXT_LENGTH_MAX = 300
LISTING_OUTDATED = "listing-outdated"
"""The code of an answer that says a listing has to begin anew; never leaves the connector."""
_BUSY = frozenset({"userRateLimitExceeded", "rateLimitExceeded", "sharingRateLimitExceeded"})
_RIGHTS = "Make the person or service account an Editor of the folder (shared drive: a Contributor or Content manager)."
_FULL = "Free some space or buy more, and run again."

_MEANINGS: dict[str, tuple[type[SiteHaulError], str, str, str]] = {
    "storageQuotaExceeded": (FatalError, "disk-full", "the storage is used up",
                             f"{_FULL} A service account has no storage of its own: use a shared drive or --subject."),
    "teamDriveFileLimitExceeded": (FatalError, "disk-full", "the shared drive holds as many files as it may",
                                   "Move something out of it, or use another shared drive."),
    "numChildrenInNonRootLimitExceeded": (ItemError, "folder-full", "the folder holds as many entries as it may",
                                          "Divide the folder at the source."),
    "activeItemCreationLimitExceeded": (FatalError, "disk-full", "the account has made as many files as it may",
                                        "Act as another person, or remove files for good."),
    "dailyLimitExceeded": (FatalError, "rate-limited", "the day's calls are used up",
                           "Go on tomorrow, or ask Google for a higher quota."),
    "uploadLimitExceeded": (FatalError, "rate-limited", "the day's uploads (750 GB) are used up", "Go on tomorrow."),
    "accessNotConfigured": (FatalError, "api-not-enabled", "the Google Drive API is not enabled in the app's project",
                            "Enable it in the Google Cloud console (APIs & Services)."),
    "appNotAuthorizedToFile": (ItemError, "permission-denied", "the app may not use this file", _RIGHTS),
    "cannotDownloadAbusiveFile": (ItemError, "permission-denied", "Google takes the file for malware",
                                  "Let its owner look at it in Google Drive."),
    "cannotDownloadFile": (ItemError, "permission-denied", "the owner does not let others download it",
                           "Let the owner allow viewers and commenters to download."),
    "fileNotDownloadable": (ItemError, "native-document", "it has no content of its own and can only be exported",
                            "Export it in Google Drive."),
    "domainPolicy": (FatalError, "permission-denied", "the domain's administrators do not allow this app",
                     "Let an administrator allow it in the Admin console (Security, API controls)."),
    "insufficientPermissions": (FatalError, "permission-denied", "the sign-in lacks the right to use Drive",
                                "Connect it again and agree to what is asked for."),
}  # fmt: skip


def meaning_of(refusal: Refusal) -> SiteHaulError:
    """The error a refusal means."""
    reason, text = reason_of(refusal.json())
    if reason in _BUSY:
        return throttled("Google Drive", 429, None)
    if reason in _MEANINGS:
        kind, code, why, fix = _MEANINGS[reason]
        return kind(code, f"Could not {refusal.what}: {why} ({reason}).", fix=fix)
    if refusal.status == 400 and "page token" in text.lower():
        return ItemError(LISTING_OUTDATED, f"Could not {refusal.what}: the listing has to begin anew.")
    return _by_status(refusal, text or f"HTTP {refusal.status}")


def reason_of(answer: Any) -> tuple[str, str]:
    """Why, as Google's word and as its sentence; both may be empty."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return "", ""
    details = error.get("errors")
    first = details[0] if isinstance(details, list) and details and isinstance(details[0], dict) else {}
    text = re.sub(r"[^\x20-\x7e]+", " ", str(error.get("message", "")))[:TEXT_LENGTH_MAX]
    # The parameter at fault is not always in the sentence.
    return str(first.get("reason", "")), f"{text.strip().rstrip('.')} {_parameter(first)}".strip()


def _parameter(first: dict[str, Any]) -> str:
    return "(page token)" if first.get("location") == "pageToken" else ""


def _by_status(refusal: Refusal, text: str) -> SiteHaulError:
    if refusal.status == 401:
        return FatalError(
            "sign-in-refused",
            f"Could not {refusal.what}: Google does not accept the sign-in ({text}).",
            fix="Connect it again with `sitehaul connect`; the person may have withdrawn the app's access.",
        )
    if refusal.status == 403:
        return ItemError("permission-denied", f"Could not {refusal.what}: {text}.", fix=_RIGHTS)
    if refusal.status in (404, 410):
        return ItemError(
            "not-found",
            f"Could not {refusal.what}: it is not there, or may not be seen.",
            fix="Run again; the next analysis sees what is there now.",
        )
    return ItemError(
        "request-refused",
        f"Could not {refusal.what}: Google says: {text} (HTTP {refusal.status}).",
        fix="Look at it in Google Drive; if nothing is unusual there, report this message.",
    )
