"""Errors in Google's JSON form.

Codes, reasons and messages: https://developers.google.com/workspace/drive/api/guides/handle-errors
"""

from typing import Any

from simulator.clouds.base import Answer, json_answer


class Refusal(Exception):
    """A call that is answered with an error."""

    def __init__(
        self, status: int, reason: str, message: str, *, location: str | None = None,
        kind: str = "parameter", domain: str = "global",
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self._location = location
        self._kind = kind
        self._domain = domain

    def answer(self) -> Answer:
        """The error as the client sees it."""
        detail: dict[str, Any] = {"message": self.message, "domain": self._domain, "reason": self.reason}
        if self._location is not None:
            detail |= {"location": self._location, "locationType": self._kind}
        answer = json_answer({"error": {"code": self.status, "message": self.message, "errors": [detail]}}, self.status)
        if self.status == 401:
            answer.headers.append((b"www-authenticate", b'Bearer realm="https://accounts.google.com/"'))
        return answer


def not_found(file_id: str, location: str = "fileId") -> Refusal:
    """What does not exist, may not be read, or is in a shared drive that the call did not ask for."""
    return Refusal(404, "notFound", f"File not found: {file_id}.", location=location)


def invalid(name: str, message: str = "Invalid Value") -> Refusal:
    """A parameter with a value that makes no sense."""
    return Refusal(400, "invalid", message, location=name)


def bad_request(message: str) -> Refusal:
    """A request that makes no sense."""
    return Refusal(400, "badRequest", message)


def not_writable(message: str = "The resource body includes fields which are not directly writable.") -> Refusal:
    """A body that sets what cannot be set."""
    return Refusal(403, "fieldNotWritable", message)


def no_permission(file_id: str) -> Refusal:
    """What this user may read but not change."""
    return Refusal(
        403, "insufficientFilePermissions", f"The user does not have sufficient permissions for file {file_id}."
    )


def over_rate(status: int = 403) -> Refusal:
    """Too many calls: 403 by the quota, 429 by the servers behind it. Neither says how long to wait."""
    if status == 429:
        return Refusal(429, "rateLimitExceeded", "Rate Limit Exceeded", domain="usageLimits")
    return Refusal(403, "userRateLimitExceeded", "User Rate Limit Exceeded", domain="usageLimits")


def over_quota(message: str = "The user's Drive storage quota has been exceeded.") -> Refusal:
    """No space left."""
    return Refusal(403, "storageQuotaExceeded", message)


def bad_token() -> Refusal:
    """No access token, or one that is unknown or expired."""
    return Refusal(401, "authError", "Invalid Credentials", location="Authorization", kind="header")


def backend(status: int = 500) -> Refusal:
    """A failure of the servers."""
    return Refusal(status, "backendError", "Backend Error")
