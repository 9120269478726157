"""What Egnyte's refusals mean (https://developers.egnyte.com/docs/read/File_System_Management_API_Documentation and
https://developers.egnyte.com/docs/read/Best_Practices).

status  what else                              error
400                                            ItemError refused
401                                            FatalError sign-in-expired, after one renewal
403     X-Mashery-Error-Code: …OVER_QPS        RetryableError rate-limited, for a second
403     X-Mashery-Error-Code: …OVER_RATE       RetryableError rate-limited, until tomorrow
403     the text speaks of a quota             FatalError disk-full
403     anything else                          ItemError permission-denied; also what is there already
404                                            ItemError not-found
409                                            ItemError conflict, for whoever looks what is there
413                                            ItemError file-too-large
423                                            RetryableError locked
"""

import re
from typing import Any

from connectors.shared.calls import LONGEST_ASKED_SECONDS, Refusal
from migration.errors import FatalError, ItemError, RetryableError, SiteHaulError

IN_THE_WAY = frozenset({"conflict", "permission-denied"})
"""Codes of refusals that may mean that something is there already: older and newer answers differ."""
_TEXT_LENGTH_MAX = 200

_BY_STATUS: dict[int, tuple[type[SiteHaulError], str, str, str]] = {
    400: (ItemError, "refused", "Egnyte does not accept it", "Check the name, and rename it at the source."),
    401: (FatalError, "sign-in-expired", "the sign-in is no longer valid",
          "A changed password or a withdrawn permission ends it: connect it again."),
    403: (ItemError, "permission-denied", "the user may not do that there",
          "Give the user the permission Full on the folder; Editor may not move files."),
    404: (ItemError, "not-found", "it is not there", "Run again; the next analysis sees what is there now."),
    409: (ItemError, "conflict", "something else is there", "Run again; the next plan decides anew."),
    413: (ItemError, "file-too-large", "the file is larger than Egnyte takes", "Leave the file out."),
    423: (RetryableError, "locked", "somebody has locked it", "Unlock it in Egnyte."),
}  # fmt: skip


def meaning_of(refusal: Refusal) -> SiteHaulError:
    """The error a refusal means."""
    gateway = refusal.headers.get("x-mashery-error-code", "")
    if "OVER_QPS" in gateway or "OVER_RATE" in gateway:
        return _throttled(refusal, of_the_day="OVER_RATE" in gateway)
    said = _said(refusal.json())
    if refusal.status == 403 and "quota" in said.lower():
        return FatalError(
            "disk-full",
            f"Could not {refusal.what}: the storage of the domain is used up ({said}).",
            fix="Free some space (the trash counts as well) or have it enlarged, and run again.",
        )
    reason = f" ({said})" if said else ""
    known = _BY_STATUS.get(refusal.status)
    if known is None:
        return FatalError(
            "not-egnyte",
            f"Could not {refusal.what}: the server answered with HTTP {refusal.status}{reason}.",
            fix="Check the address of the connection, and whether a proxy stands in between.",
        )
    kind, code, what, fix = known
    return kind(code, f"Could not {refusal.what}: {what} (HTTP {refusal.status}){reason}.", fix=fix)


def _throttled(refusal: Refusal, *, of_the_day: bool) -> RetryableError:
    text = refusal.headers.get("retry-after", "").strip()
    seconds = float(text) if text.isdigit() else (2 * LONGEST_ASKED_SECONDS if of_the_day else 1.0)
    what = "calls for today; its calls are used up" if of_the_day else "calls for now"
    return RetryableError(
        "rate-limited",
        f"Egnyte takes no more {what} (HTTP {refusal.status}).",
        fix="Ask Egnyte to raise the limits of the API key, or run again later.",
        retry_after_seconds=seconds,
    )


def _said(values: Any) -> str:
    text = str(values.get("errorMessage") or values.get("message") or "") if isinstance(values, dict) else ""
    return re.sub(r"[^\x20-\x7e]", " ", text)[:_TEXT_LENGTH_MAX].strip().rstrip(".")
