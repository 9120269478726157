"""How Box refuses: one JSON object for every error.

https://developer.box.com/guides/api-calls/permissions-and-errors/common-errors/
https://developer.box.com/reference/resources/client-error/
"""

import secrets
from typing import Any

from simulator.web import Answer, Header

HELP_URL = "https://developer.box.com/guides/api-calls/permissions-and-errors/common-errors/"
_DENIED = b'Bearer realm="Service", error="invalid_token", error_description="The access token provided is invalid."'


class Refused(Exception):
    """A request that Box does not fulfil; what it answers instead."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str = "",
        *,
        context: dict[str, Any] | None = None,
        headers: list[Header] | None = None,
    ) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status, self.code, self.message, self.context = status, code, message, context
        self.headers = headers or []

    def answer(self) -> Answer:
        """The answer that says so."""
        body = {
            "type": "error", "status": self.status, "code": self.code, "help_url": HELP_URL, "message": self.message,
            "request_id": secrets.token_hex(8),
        }  # fmt: skip
        if self.context is not None:
            body["context_info"] = self.context
        return Answer.json(body, self.status, self.headers)


def bad_request(name: str, message: str) -> Refused:
    """400 naming the field or parameter that is wrong."""
    errors = [{"reason": "invalid_parameter", "name": name, "message": message}]
    return Refused(400, "bad_request", "Bad Request", context={"errors": errors})


def not_found(name: str, value: str) -> Refused:
    """404 naming what is not there (or may not be seen)."""
    message = f"Invalid value '{value}'. '{name}' with value '{value}' not found"
    errors = [{"reason": "invalid_parameter", "name": name, "message": message}]
    return Refused(404, "not_found", "Not Found", context={"errors": errors})


def method_not_allowed() -> Refused:
    """405, also what a malformed identifier gets."""
    return Refused(405, "method_not_allowed", "Method Not Allowed")


def precondition_failed() -> Refused:
    """412: the etag in If-Match is not the item's."""
    return Refused(
        412, "precondition_failed", "The resource has been modified. Please retrieve the resource again and retry"
    )


def name_in_use(conflicts: Any) -> Refused:
    """409 carrying what has the name: an object for files, a list for folders."""
    return Refused(409, "item_name_in_use", "Item with the same name already exists", context={"conflicts": conflicts})


def blocked() -> Refused:
    """409: a folder operation of somebody else is under way."""
    return Refused(
        409, "operation_blocked_temporary", "The operation is blocked by another ongoing operation",
        headers=[(b"retry-after", b"1")],
    )  # fmt: skip


def read_only() -> Refused:
    """403: the user may not do that."""
    return Refused(403, "access_denied_insufficient_permissions", "Access denied - insufficient permission")


def over_quota() -> Refused:
    """403: the storage of the enterprise is used up."""
    return Refused(403, "storage_limit_exceeded", "Account storage limit reached")


def over_limit(seconds: int) -> Refused:
    """429 with the seconds to wait."""
    return Refused(
        429, "rate_limit_exceeded", "Request rate limit exceeded, please try again later",
        headers=[(b"retry-after", str(seconds).encode())],
    )  # fmt: skip


def unauthorized(*, with_body: bool) -> Answer:
    """401: said in a header, the body is empty unless wanted otherwise."""
    headers: list[Header] = [(b"www-authenticate", _DENIED)]
    return (
        Refused(401, "unauthorized", "Unauthorized", headers=headers).answer()
        if with_body
        else Answer(401, b"", headers)
    )


def oauth_refused(error: str, description: str, status: int = 400) -> Answer:
    """A refusal of the token endpoint, in the form of RFC 6749."""
    return Answer.json({"error": error, "error_description": description}, status)
