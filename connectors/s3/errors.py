"""What S3's refusals mean.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
The table is by the error's code; where an answer has no body (HEAD) or an unknown code, by its status.
"""

from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors.shared.calls import Refusal
from connectors.shared.objects import ConditionFailed
from migration.errors import FatalError, ItemError, RetryableError, SiteHaulError

_Meaning = tuple[type[SiteHaulError], str, str, str]

_KEY: _Meaning = (
    FatalError, "sign-in-refused", "the access key or its secret is wrong",
    "Check access key id and secret of the connection; in AWS under IAM, Users, Security credentials.",
)  # fmt: skip
_EXPIRED: _Meaning = (
    FatalError, "sign-in-expired", "the temporary credentials have expired",
    "Get new ones and connect again, or let SiteHaul use the role of this machine.",
)  # fmt: skip
_DENIED: _Meaning = (
    ItemError, "permission-denied", "the key has not the right to do that",
    "Give its user or role s3:ListBucket on the bucket and s3:GetObject, s3:PutObject, s3:DeleteObject and "
    "s3:AbortMultipartUpload on what is in it.",
)  # fmt: skip
_BUCKET: _Meaning = (
    FatalError, "root-missing", "there is no such bucket", "Check the bucket's name, the region and the address.",
)  # fmt: skip
_REGION: _Meaning = (
    FatalError, "wrong-region", "the bucket is in another region", "Set the region of the connection.",
)  # fmt: skip
_FULL: _Meaning = (
    FatalError, "disk-full", "there is no more space or the quota is used up",
    "Make space, raise the quota of the bucket or user, then run again: what is done stays done.",
)  # fmt: skip
_BROKEN: _Meaning = (
    RetryableError, "broken-on-the-way", "what arrived is not what was sent", "Run again; if it stays, check proxies.",
)  # fmt: skip
_BUSY: _Meaning = (RetryableError, "locked", "something else is changing it right now", "Run again.")
_GONE: _Meaning = (
    ItemError, "not-found", "it is not there", "Run again; the next analysis sees what is there now.",
)  # fmt: skip

_MEANINGS: dict[str, _Meaning] = {
    "InvalidAccessKeyId": _KEY, "SignatureDoesNotMatch": _KEY, "InvalidToken": _KEY, "InvalidSecurity": _KEY,
    "ExpiredToken": _EXPIRED, "TokenRefreshRequired": _EXPIRED,
    "AccessDenied": _DENIED, "AllAccessDisabled": _DENIED, "Forbidden": _DENIED, "MethodNotAllowed": _DENIED,
    "NoSuchBucket": _BUCKET, "InvalidBucketName": _BUCKET,
    "PermanentRedirect": _REGION, "TemporaryRedirect": _REGION, "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "QuotaExceeded": _FULL, "InsufficientCapacity": _FULL, "XMinioStorageFull": _FULL,
    "XMinioAdminBucketQuotaExceeded": _FULL,
    "BadDigest": _BROKEN, "InvalidDigest": _BROKEN, "XAmzContentSHA256Mismatch": _BROKEN, "IncompleteBody": _BROKEN,
    "XAmzContentChecksumMismatch": _BROKEN, "RequestTimeout": _BROKEN, "InvalidPart": _BROKEN,
    "NoSuchKey": _GONE, "NoSuchVersion": _GONE,
    "NoSuchUpload": (RetryableError, "upload-gone", "the upload in parts was aborted by somebody else",
                     "Run again; if it stays, look at the bucket's lifecycle rules."),
    "ConditionalRequestConflict": _BUSY, "OperationAborted": _BUSY,
    "RequestTimeTooSkewed": (FatalError, "clock-skewed", "the clock of this machine is wrong by more than 15 minutes",
                             "Set the clock of this machine, best by NTP, and run again."),
    "EntityTooLarge": (ItemError, "file-too-large", "the service does not take a file of this size",
                       "Leave the file out by a rule of the job."),
    "KeyTooLongError": (ItemError, "name-too-long", "its key, or a name in it, is longer than the service takes",
                        "Shorten the path by a rule of the job."),
    "InvalidObjectState": (ItemError, "archived", "it lies in an archive (Glacier) and cannot be read at once",
                           "Restore it in the S3 console first, then run again."),
    "NotImplemented": (FatalError, "not-supported", "the service does not know something that was asked of it",
                       "Connect again with --no-conditional-writes, or with --no-checksums, for such a service."),
}  # fmt: skip

_BY_STATUS: dict[int, _Meaning] = {
    301: _REGION, 307: _REGION, 400: _REGION, 401: _KEY, 403: _DENIED, 404: _GONE, 405: _DENIED, 409: _BUSY,
    501: _MEANINGS["NotImplemented"], 507: _FULL,
}  # fmt: skip


def meaning_of(refusal: Refusal) -> SiteHaulError:
    """The error of an answer that is no success and is not handled by `connectors.shared.calls` itself."""
    code, message = code_and_message(refusal.content)
    if refusal.status == 412 or code == "PreconditionFailed":
        return ConditionFailed(refusal.what)
    known = _MEANINGS.get(code or "")
    if known is None and (code is None or refusal.status != 400):
        known = _BY_STATUS.get(refusal.status)
    if known is None:
        told = f"{code}: {message.rstrip('.')}" if code else f"HTTP {refusal.status}"
        return ItemError(
            "refused", f"Could not {refusal.what}: the service answered {told}.", fix="Look at the service's log."
        )
    kind, name, what, fix = known
    return kind(name, f"Could not {refusal.what}: {what}{_more(refusal, name)}.", fix=fix)


def code_and_message(content: bytes) -> tuple[str | None, str]:
    """The code and the message of an error's body; None for a body that is none."""
    try:
        root = fromstring(content)
    except (ParseError, DefusedXmlException, ValueError):
        return None, ""
    if root.tag.rpartition("}")[2] != "Error":
        return None, ""
    values = {child.tag.rpartition("}")[2]: child.text or "" for child in root}
    return values.get("Code"), values.get("Message", "")


def _more(refusal: Refusal, code: str) -> str:
    region = refusal.headers.get("x-amz-bucket-region") if code == "wrong-region" else None
    return f" ({region})" if region else f" (HTTP {refusal.status})"
