"""Microsoft Graph's errors: https://learn.microsoft.com/en-us/graph/errors."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.clouds.base import Answer, Refused, json_answer

Header = tuple[bytes, bytes]


def error_answer(
    status: int, code: str, message: str, inner: str | None = None, headers: tuple[Header, ...] = (), **more: Any
) -> Answer:
    """An error; `inner` is the more detailed code, `more` stands beside `error`."""
    request_id = str(uuid.uuid4())
    details: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "request-id": request_id,
        "client-request-id": request_id,
    }  # fmt: skip
    if inner is not None:
        details = {"code": inner, **details}
    body = {"error": {"code": code, "message": message, "innerError": details}, **more}
    return json_answer(body, status, [(b"request-id", request_id.encode()), *headers])


def refused(status: int, code: str, message: str, inner: str | None = None, **more: Any) -> Refused:
    """The same, to be raised."""
    return Refused(error_answer(status, code, message, inner, **more))


def invalid(message: str, inner: str | None = None) -> Refused:
    """400 invalidRequest."""
    return refused(400, "invalidRequest", message, inner)


def not_found() -> Refused:
    """404 itemNotFound."""
    return refused(404, "itemNotFound", "The resource could not be found.")


def name_taken() -> Refused:
    """409 nameAlreadyExists."""
    return refused(409, "nameAlreadyExists", "The specified item name already exists.")


def denied(message: str = "Access denied") -> Refused:
    """403 accessDenied."""
    return refused(403, "accessDenied", message)


def modified() -> Refused:
    """412: the eTag or cTag is not the current one."""
    return refused(412, "resourceModified", "ETag does not match current item's value")


def locked() -> Refused:
    """423: somebody has the file open or checked out."""
    return refused(423, "resourceLocked", "The resource you are attempting to access is locked")


def no_room() -> Refused:
    """507: the quota is used up."""
    return refused(507, "quotaLimitReached", "Insufficient Space Available")


def unauthenticated() -> Refused:
    """401: no token, or one that is not (any more) valid."""
    challenge = b'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
    message = "Access token has expired or is not yet valid."
    return Refused(
        error_answer(401, "InvalidAuthenticationToken", message, headers=((b"www-authenticate", challenge),))
    )


def general(kind: str, values: Mapping[str, Any], calls_per_minute: int | None) -> Answer:
    """The refusal that a scripted fault asks for."""
    seconds = values.get("retry_after")
    wait: tuple[Header, ...] = () if seconds is None else ((b"retry-after", str(seconds).encode()),)
    if kind == "429":
        limit = str(calls_per_minute or 1200).encode()
        limits: tuple[Header, ...] = (
            (b"ratelimit-limit", limit), (b"ratelimit-remaining", b"0"),
            (b"ratelimit-reset", str(seconds or 60).encode()),
        )  # fmt: skip
        message = "The request has been throttled"
        return error_answer(429, "activityLimitReached", message, "throttledRequest", (*wait, *limits))
    if kind == "503":
        return error_answer(503, "serviceNotAvailable", "The service is not available. Try again later.", None, wait)
    if kind == "500":
        return error_answer(500, "generalException", "General exception while processing")
    if kind == "502":
        return Answer.text("<html><body><h1>502 Bad Gateway</h1></body></html>", 502, "text/html")
    made = {"401": unauthenticated, "403": denied, "404": not_found, "quota": no_room}[kind]()
    return made.answer
