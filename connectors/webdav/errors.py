"""What a WebDAV server's refusals mean (RFC 4918, sections 9 and 11).

status    error
401       FatalError sign-in-refused
403 405   ItemError permission-denied; where the root itself may not be written FatalError read-only
404 410   ItemError not-found
409       ItemError parent-missing
412       PreconditionFailed, by whoever asked for the condition
413       ItemError file-too-large
414       ItemError name-too-long
423       RetryableError locked
507       FatalError disk-full
"""

from connectors.shared.calls import Refusal
from migration.errors import FatalError, ItemError, RetryableError, SiteHaulError

CONDITION_FAILED = "condition-failed"
"""The code of an answer 412; never leaves the connector."""

_MEANINGS: dict[int, tuple[type[SiteHaulError], str, str, str]] = {
    401: (FatalError, "sign-in-refused", "the user, the password or the token is wrong",
          "Check user and password of the connection; Nextcloud wants an app password (Settings, Security)."),
    403: (ItemError, "permission-denied", "the user may not do that there",
          "Give the user that right, or choose a folder where it has it."),
    404: (ItemError, "not-found", "it is not there", "Check the address of the connection."),
    405: (ItemError, "permission-denied", "the server does not allow that there",
          "Check that the address leads to a WebDAV folder and that the user may write there."),
    409: (ItemError, "parent-missing", "its folder does not exist", "Run again; the next plan makes it."),
    410: (ItemError, "not-found", "it is not there any more", "Run again; the next analysis sees what is there now."),
    412: (ItemError, CONDITION_FAILED, "the condition is not met", "Run again; the next plan decides anew."),
    413: (ItemError, "file-too-large", "the server, or a proxy before it, takes no request that large",
          "Raise the limit (nginx client_max_body_size, Apache LimitRequestBody, PHP post_max_size)."),
    414: (ItemError, "name-too-long", "the path is longer than the server allows", "Shorten the names at the source."),
    423: (RetryableError, "locked", "somebody has locked it", "Close the file where it is open."),
    507: (FatalError, "disk-full", "the server's disk is full or the quota is used up",
          "Free some space or raise the quota, and run again."),
}  # fmt: skip


def meaning_of(refusal: Refusal) -> SiteHaulError:
    """The error a refusal means."""
    known = _MEANINGS.get(refusal.status)
    if known is None:
        return FatalError(
            "not-webdav",
            f"Could not {refusal.what}: the server answered with HTTP {refusal.status}.",
            fix="Check that the address of the connection leads to a WebDAV folder.",
        )
    kind, code, what, fix = known
    return kind(code, f"Could not {refusal.what}: {what} (HTTP {refusal.status}).", fix=fix)
