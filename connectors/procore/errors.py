"""Procore's ways to say no, read once and turned into SiteHaul's errors (API.md sections 5, 6 and 11.12).

status                    error
401 after a fresh token   FatalError token-refused
403 app not connected     FatalError app-not-installed
408                       RetryableError too-big (a listing then asks for smaller pages)
429 · 503                 RetryableError rate-limited · overloaded, with the wait
other 5xx                 RetryableError server-fault
200 that is no JSON       RetryableError not-json
3xx                       FatalError not-procore
anything else             ProcoreRefusal, which the caller knows how to read
"""

import re
from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from migration.errors import ConfigurationError, FatalError, RetryableError

_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_NOT_INSTALLED = re.compile(r"not connected to this company", re.IGNORECASE)
_TEXT_MAX = 300
_KEYS = ("errors", "error", "message", "error_description", "reason", "details")


class ProcoreRefusal(FatalError):
    """An answer that says no for a reason only the caller can judge; `status` and Procore's own `text`.

    Readable by itself, should nobody judge it.
    """

    def __init__(self, what: str, status: int, text: str, request_id: str | None) -> None:
        mark = f" (Procore's request id: {request_id})" if request_id else ""
        super().__init__(
            "procore-refused",
            f"Procore refused {what}: {text or 'no reason given'} (HTTP {status}){mark}.",
            fix="Run `sitehaul test` for the connection; it says what this account may see.",
        )
        self.status = status
        self.text = text


def text_of(content: bytes, content_type: str = "") -> str:
    """What an error body says, in one line: v1's string, list or object, v2's envelope, plain text or HTML."""
    stripped = content.lstrip()
    if stripped[:1] in (b"{", b"[", b'"'):
        try:
            return _one_line(_said(orjson.loads(content)))
        except orjson.JSONDecodeError:
            pass
    text = content.decode("utf-8", "replace")
    if "html" in content_type or stripped[:1] == b"<":
        text = _TAGS.sub(" ", text)
    return _one_line(text)


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        named = [key for key in _KEYS if value.get(key)]
        if named:
            return _said(value[named[0]])
        return "; ".join(f"{key} {_said(part)}" if key != "base" else _said(part) for key, part in value.items())
    if isinstance(value, list):
        return "; ".join(filter(None, map(_said, value)))
    return "" if value is None else str(value)


def _one_line(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _TEXT_MAX else line[: _TEXT_MAX - 1] + "…"


def raise_for(what: str, host: str, response: httpx.Response, content: bytes) -> None:
    """Raise the error of an answer of the API host that is no success; 401, 429 and 503 are the caller's.

    `what` is the call in words a person understands.
    """
    status = response.status_code
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise not_procore(host, f"redirects elsewhere (HTTP {status})")
    text = text_of(content, response.headers.get("content-type", ""))
    if status == 408:
        raise RetryableError("too-big", f"Procore gave up on {what} because the list is too big.")
    if status >= 500:
        raise RetryableError("server-fault", f"Procore failed at {what} (HTTP {status}).")
    if status == 403 and _NOT_INSTALLED.search(text):
        raise FatalError(
            "app-not-installed",
            "The app of this client id is not connected to the company, so Procore refuses all its calls.",
            fix="Let a company administrator install the app (App Management), and check the company id.",
        )
    raise ProcoreRefusal(what, status, text, response.headers.get("x-request-id"))


def not_procore(host: str, what: str) -> FatalError:
    """The host answers like something else than Procore."""
    return FatalError(
        "not-procore",
        f"{host} {what}, which Procore does not do.",
        fix="Check the environment or the addresses of the connection, and whether a proxy stands in between.",
    )


def unreachable(host: str, error: httpx.TransportError) -> RetryableError:
    """The network failed before an answer was there."""
    reason = f": {error}" if str(error) else ""
    return RetryableError(
        "unreachable",
        f"{host} cannot be reached ({type(error).__name__}{reason}).",
        fix="Check the network, the firewall and the environment of the connection.",
    )


def answer_useless(host: str, what: str, status: int) -> RetryableError:
    """An answer to a change that does not tell whether it was made."""
    return RetryableError("server-fault", f"{host} did not say whether it carried out {what} (HTTP {status}).")


def token_refused(host: str) -> FatalError:
    """A token just given by the login host means nothing to the API host."""
    return FatalError(
        "token-refused",
        f"{host} refuses the access token that the login host has just given.",
        fix="Check that login host and API host are of the same environment; tokens of one are worthless in another.",
    )


def client_refused(host: str) -> FatalError:
    """The client id or its secret is wrong."""
    return FatalError(
        "client-refused",
        f"{host} refuses the client id or the client secret.",
        fix="Check the pair in the Developer Portal, and that it belongs to this environment.",
    )


def sign_in_again(host: str, why: str) -> FatalError:
    """Only a person can renew the sign-in."""
    return FatalError(
        "sign-in-again",
        f"The stored sign-in at {host} is no longer valid: {why}.",
        fix="Sign in again: sitehaul connect procore NAME … --sign-in.",
    )


def sign_in_needed() -> FatalError:
    """Nobody has signed in yet."""
    return FatalError(
        "sign-in-needed",
        "This connection acts for a person, and nobody has signed in yet.",
        fix="Sign in: sitehaul connect procore NAME … --sign-in.",
    )


def before_start(error: FatalError) -> ConfigurationError:
    """The same, for when nothing has been started yet."""
    return ConfigurationError(error.code, error.message, fix=error.fix)
