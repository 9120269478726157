"""Errors as Dropbox says them: https://www.dropbox.com/developers/documentation/http/documentation#error-handling.

A union value is a dict with `.tag`; a struct in one brings its fields along, anything else sits under the tag's name.
"""

from typing import Any

from simulator.clouds.base import Answer, json_answer

Tagged = dict[str, Any]


class ApiError(Exception):
    """A call that failed in the way its description provides for: 409 with a union value."""

    def __init__(self, error: Tagged) -> None:
        super().__init__(summary(error))
        self.error = error


class PathProblem(Exception):
    """Something about a path; each call has its own place for it. `error` is a LookupError or WriteError."""

    def __init__(self, error: Tagged) -> None:
        super().__init__(summary(error))
        self.error = error


class BadInput(Exception):
    """A call that its description does not allow: 400 in plain text."""


def tagged(*tags: str, **fields: Any) -> Tagged:
    """A union value: `tagged("conflict", "file")` is a conflict whose value is a file."""
    first, *rest = tags
    return {".tag": first, first: tagged(*rest, **fields)} if rest else {".tag": first, **fields}


def within(tag: str, error: Tagged) -> Tagged:
    """A union value around another."""
    return {".tag": tag, tag: error}


def summary(error: Tagged) -> str:
    """The tags in one line, as `error_summary` has them."""
    tags: list[str] = []
    value: Any = error
    while isinstance(value, dict) and ".tag" in value:
        tags.append(value[".tag"])
        value = value.get(value[".tag"], value.get("reason"))
    return "/".join(tags) + "/..."


def conflict(error: Tagged, status: int = 409) -> Answer:
    """An error of the call's own kind."""
    return answer({"error_summary": summary(error), "error": error}, status)


def answer(value: Any, status: int = 200) -> Answer:
    """A JSON answer; Dropbox names no character set."""
    made = json_answer(value, status)
    made.headers = [(b"content-type", b"application/json")]
    return made


def bad(route: str, text: str) -> Answer:
    """400 in plain text."""
    return Answer.text(f'Error in call to API function "{route}": {text}', 400)


def throttled(reason: str, seconds: int) -> Answer:
    """429; how long to wait is in the header and in the body."""
    error = {"reason": tagged(reason), "retry_after": seconds}
    made = answer({"error_summary": f"{reason}/...", "error": error}, 429)
    made.headers.append((b"retry-after", str(seconds).encode()))
    return made


def denied(tag: str, **fields: Any) -> Answer:
    """401: the token is not good, or not for this."""
    return conflict(tagged(tag, **fields), 401)
