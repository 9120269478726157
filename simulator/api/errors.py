"""How the API says no: every shape of error body that Procore's clients have met (API.md section 6)."""

import html
from typing import Any

from simulator.web import Answer

_V2_CODES = {
    400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 409: "CONFLICT", 410: "GONE",
    422: "UNPROCESSABLE_ENTITY",
}  # fmt: skip

MISSING_COMPANY_TEXT = (
    "Missing Procore-Company-Id header! All requests that are made on behalf of a company must name it in this header."
)
NOT_CONNECTED_TEXT = "App is not connected to this company."
INVALID_TOKEN_TEXT = "The access token is invalid"  # noqa: S105


class ApiError(Exception):
    """Ends the handling of a request with an error answer.

    `field` names the attribute at fault; `shape` is the body this error is documented with, used unless the switch
    `error_shape` forces another one: string, list, object, message, text or html.
    """

    def __init__(self, status: int, text: str, *, field: str | None = None, shape: str = "list") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.field = field
        self.shape = "object" if field else shape

    def answer(self, *, forced_shape: str, v2: bool) -> Answer:
        """The answer, as version 1 or version 2 of the API gives it."""
        if self.shape == "text":
            return Answer.text(self.text, self.status)
        if v2:
            return Answer.json(self._envelope(), self.status)
        shape = self.shape if forced_shape == "documented" else forced_shape
        if shape == "text":
            return Answer.text(self.sentence, self.status)
        if shape == "html":
            title, text = self.status, html.escape(self.sentence)
            page = f"<html><head><title>{title}</title></head><body><h1>{text}</h1></body></html>"
            return Answer.text(page, self.status, "text/html")
        return Answer.json(self._body(shape), self.status)

    @property
    def sentence(self) -> str:
        """The text with the field in front, as it reads outside an object."""
        return f"{self.field.replace('_', ' ').capitalize()} {self.text}" if self.field else self.text

    def _body(self, shape: str) -> dict[str, Any]:
        bodies: dict[str, dict[str, Any]] = {
            "string": {"errors": self.sentence},
            "list": {"errors": [self.sentence]},
            "object": {"errors": {self.field or "base": [self.text]}},
            "message": {"message": self.sentence, "code": self.status, "reason": self.sentence, "fields": {}},
        }
        return bodies[shape]

    def _envelope(self) -> dict[str, Any]:
        code = _V2_CODES.get(self.status, "ERROR")
        detail = {"reason_code": "INVALID_PROPERTY" if self.field else code, "message": self.sentence}
        return {"error": {"code": code, "message": self.sentence, "details": [detail]}}


def invalid(field: str, text: str = "is invalid") -> ApiError:
    """A 400 that blames one attribute."""
    return ApiError(400, text, field=field)


def not_found() -> ApiError:
    """A 404: absent or not readable, which Procore does not tell apart."""
    return ApiError(404, "Not Found", shape="string")


def forbidden(text: str) -> ApiError:
    """A 403 with a reason."""
    return ApiError(403, text)
