"""How Egnyte refuses: JSON whose form depends on which part of it answers.

The file system says `errorMessage` (https://developers.egnyte.com/docs/read/File_System_Management_API_Documentation),
wrong parameters are `inputErrors`, the gateway in front answers HTML with an `X-Mashery-Error-Code`
(https://developers.egnyte.com/docs/read/Best_Practices).
"""

from typing import Any

from simulator.web import Answer, Header


class Refused(Exception):
    """A request that Egnyte does not fulfil; what it answers instead."""

    def __init__(self, status: int, body: dict[str, Any], headers: list[Header] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status, self.body, self.headers = status, body, headers or []

    def answer(self) -> Answer:
        """The answer that says so."""
        return Answer.json(self.body, self.status, self.headers)


def refused(status: int, message: str) -> Refused:
    """A refusal of the file system."""
    return Refused(status, {"errorMessage": message})


def wrong_input(name: str, message: str) -> Refused:
    """400 naming a parameter or field."""
    return Refused(400, {"inputErrors": {name: [{"code": "INVALID", "msg": message}]}})


def not_found() -> Refused:
    """404."""
    return refused(404, "Item does not exist")


def forbidden(message: str = "You do not have permission to perform this operation") -> Refused:
    """403."""
    return refused(403, message)


def gateway(status: int, code: str, text: str, headers: list[Header] | None = None) -> Answer:
    """An answer of the gateway: HTML, the reason in a header."""
    answer = Answer.text(f"<h1>{text}</h1>", status, "text/html")
    answer.headers += [
        (b"x-mashery-error-code", code.encode()), (b"x-mashery-responder", b"prod-j-worker-us-west-1b-57"),
        *(headers or []),
    ]  # fmt: skip
    return answer
