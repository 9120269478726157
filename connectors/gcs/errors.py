"""What Google Cloud Storage's refusals mean.

https://cloud.google.com/storage/docs/json_api/v1/status-codes
The table is by the error's reason; for an unknown one, or an answer without a body, by its status.
"""

import re
from collections.abc import Mapping

from connectors.shared.calls import Refusal
from connectors.shared.objects import ConditionFailed
from migration.errors import FatalError, ItemError, RetryableError, SiteHaulError

_Meaning = tuple[type[SiteHaulError], str, str, str]
_TEXT_LENGTH_MAX = 300

_SIGN_IN: _Meaning = (
    FatalError, "sign-in-refused", "the access token is wrong, has expired or was withdrawn",
    "Give a key file, or a new access token; in the Google Cloud console see IAM & Admin, Service Accounts.",
)  # fmt: skip
_DENIED: _Meaning = (
    ItemError, "permission-denied", "the service account has not the right to do that",
    "Give it the role Storage Object Viewer to read or Storage Object User to write, on the bucket (Permissions, Grant "
    "access).",
)  # fmt: skip
_SCOPE: _Meaning = (
    ItemError, "permission-denied", "the access token was made for less than that",
    "Make the token with the scope devstorage.read_write, or connect without --read-only.",
)  # fmt: skip
_BILLING: _Meaning = (
    FatalError, "billing-disabled", "the project of the bucket is not paid for",
    "Link an active billing account to the project (Billing in the Google Cloud console), then run again: what is done "
    "stays done.",
)  # fmt: skip
_PAYER: _Meaning = (
    FatalError, "billing-project-wrong", "in this bucket the requester pays, and the project that is to pay does not",
    "Give --billing-project, a project in which the service account has the role Service Usage Consumer.",
)  # fmt: skip
_HELD: _Meaning = (
    ItemError, "retained", "a retention policy or a hold of the bucket keeps what is there",
    "Wait until the retention period is over or release the hold; or leave the file out by a rule of the job.",
)  # fmt: skip
_POLICY: _Meaning = (
    FatalError, "policy-denied", "a policy of the organization forbids it (VPC Service Controls or a constraint)",
    "Ask the administrator to let this machine's address or the service account in.",
)  # fmt: skip
_BUCKET: _Meaning = (
    FatalError, "root-missing", "there is no such bucket", "Check the bucket's name in the connection.",
)  # fmt: skip
_GONE: _Meaning = (
    ItemError, "not-found", "it is not there", "Run again; the next analysis sees what is there now.",
)  # fmt: skip
_QUOTA: _Meaning = (
    RetryableError, "rate-limited", "a quota of requests or bandwidth is used up for now",
    "Run again later; quotas are shown and raised under IAM & Admin, Quotas.",
)  # fmt: skip
_BROKEN: _Meaning = (
    RetryableError, "broken-on-the-way", "what arrived is not what was sent", "Run again; if it stays, check proxies.",
)  # fmt: skip
_SESSION: _Meaning = (
    RetryableError, "upload-gone", "the upload that was under way is not known any more", "Run again.",
)  # fmt: skip
_BUSY: _Meaning = (RetryableError, "locked", "something else is changing it right now", "Run again.")
_LARGE: _Meaning = (
    ItemError, "file-too-large", "it is larger than the 5 TiB of an object", "Leave the file out by a rule of the job.",
)  # fmt: skip

_BY_REASON: Mapping[str, _Meaning] = {
    "authError": _SIGN_IN,
    "forbidden": _DENIED, "insufficientPermissions": _SCOPE,
    "accountDisabled": _BILLING, "billingDisabled": _BILLING, "usageLimits.accessNotConfigured": _BILLING,
    "UserProjectMissing": _PAYER, "userProjectMissing": _PAYER, "UserProjectInvalid": _PAYER,
    "UserProjectAccessDenied": _PAYER, "UserProjectAccountProblem": _PAYER,
    "retentionPolicyNotMet": _HELD, "objectUnderActiveHold": _HELD,
    "vpcServiceControls": _POLICY, "orgPolicyConstraintFailed": _POLICY, "policyViolated": _POLICY,
    "rateLimitExceeded": _QUOTA, "userRateLimitExceeded": _QUOTA, "usageLimits.rateLimitExceeded": _QUOTA,
    "quotaExceeded": _QUOTA, "dailyLimitExceeded": _QUOTA,
    "conflict": _BUSY, "uploadTooLarge": _LARGE, "uploadBrokenConnection": _BROKEN,
}  # fmt: skip
_BY_STATUS: Mapping[int, _Meaning] = {
    401: _SIGN_IN, 403: _DENIED, 404: _GONE, 408: _BROKEN, 409: _BUSY, 410: _SESSION, 413: _LARGE,
}  # fmt: skip


def meaning_of(refusal: Refusal) -> SiteHaulError:
    """The error of an answer that is no success and is not handled by `connectors.shared.calls` itself."""
    reason, message = reason_and_message(refusal)
    if refusal.status == 412 or reason == "conditionNotMet":
        return ConditionFailed(refusal.what)
    known = _known(refusal.status, reason, message)
    if known is None:
        told = message.rstrip(".") or f"HTTP {refusal.status}"
        return ItemError(
            "refused",
            f"Could not {refusal.what}: the service answered {told}.",
            fix="Look the message up in Google's documentation of the JSON API's status codes.",
        )
    kind, code, what, fix = known
    more = f"HTTP {refusal.status}" + (f": {message.rstrip('.')}" if message else "")
    return kind(code, f"Could not {refusal.what}: {what} ({more}).", fix=fix)


def reason_and_message(refusal: Refusal) -> tuple[str, str]:
    """The reason, for programs, and the message, for people; empty where there is none."""
    values = refusal.json()
    error = values.get("error") if isinstance(values, dict) else None
    if not isinstance(error, dict):
        return "", ""
    errors = error.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    message = re.sub(r"[^\x20-\x7e]", " ", str(error.get("message") or ""))
    return str(first.get("reason") or ""), message[:_TEXT_LENGTH_MAX].strip()


def _known(status: int, reason: str, message: str) -> _Meaning | None:
    if status == 404:
        names_an_object = message.startswith("No such object")
        return _BUCKET if "bucket" in message.lower() and not names_an_object else _GONE
    if status == 400 and "doesn't match calculated" in message:
        return _BROKEN
    if status == 400 and "user project" in message:
        return _PAYER
    return _BY_REASON.get(reason) or _BY_STATUS.get(status)
