"""Errors in the JSON form of Google Cloud Storage.

https://cloud.google.com/storage/docs/json_api/v1/status-codes
"""

from typing import Any

from simulator.clouds.base import Answer, Refused, json_answer


def refused(status: int, reason: str, message: str, location: str | None = None, kind: str = "parameter") -> Refused:
    """An error."""
    detail: dict[str, Any] = {"message": message, "domain": "global", "reason": reason}
    if location is not None:
        detail |= {"locationType": kind, "location": location}
    answer = json_answer({"error": {"code": status, "message": message, "errors": [detail]}}, status)
    if status == 401:
        answer.headers.append((b"www-authenticate", b'Bearer realm="https://accounts.google.com/"'))
    return Refused(answer)


def invalid(message: str, location: str | None = None) -> Refused:
    """A request that makes no sense."""
    return refused(400, "invalid", message, location)


def no_bucket(name: str) -> Refused:
    """A bucket that does not exist."""
    return refused(404, "notFound", "The specified bucket does not exist." if name else "Not Found")


def no_object(bucket: str, name: str) -> Refused:
    """An object that does not exist."""
    return refused(404, "notFound", f"No such object: {bucket}/{name}")


def condition_not_met(location: str = "If-Match") -> Refused:
    """A precondition that does not hold."""
    message = "At least one of the pre-conditions you specified did not hold."
    return refused(412, "conditionNotMet", message, location, "header")


def not_modified() -> Refused:
    """A read whose condition says that the client has it already."""
    return Refused(Answer(304))


def forbidden(user: str, permission: str, kind: str = "objects") -> Refused:
    """What this service account may not do."""
    what, thing = f"storage.{kind}.{permission}", kind.removesuffix("s")
    return refused(
        403, "forbidden",
        f"{user} does not have {what} access to the Google Cloud Storage {thing}. Permission '{what}' denied on "
        "resource (or it may not exist).",
    )  # fmt: skip


def narrow_token() -> Refused:
    """A token whose scopes are for less."""
    return refused(403, "insufficientPermissions", "Insufficient Permission")


def bad_token(given: bool) -> Refused:
    """No access token, or one that is unknown or expired."""
    if given:
        return refused(401, "authError", "Invalid Credentials", "Authorization", "header")
    message = "Anonymous caller does not have storage.objects access to the Google Cloud Storage object."
    return refused(401, "required", message, "Authorization", "header")


def over_rate(message: str = "Rate limit exceeded. Please reduce your request rate.") -> Refused:
    """Too many calls."""
    return refused(429, "rateLimitExceeded", message)


def over_quota() -> Refused:
    """No space: a bucket has no limit; this is what an unpaid one says."""
    return refused(
        403, "accountDisabled", "The billing account for the owning project is disabled in state absent."
    )  # fmt: skip


def failed(status: int) -> Refused:
    """A failure of the servers."""
    return refused(status, "backendError", "We encountered an internal error. Please try again.")
