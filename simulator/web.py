"""Small pieces of HTTP shared by the simulator's hosts."""

import json
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.requests import Request

Header = tuple[bytes, bytes]


@dataclass(slots=True)
class Answer:
    """A response. `body` is whole bytes, or an iterator, with `length` given or else of unknown length."""

    status: int = 200
    body: bytes | Iterator[bytes] = b""
    headers: list[Header] = field(default_factory=list)
    length: int | None = None
    bytes_per_second: float = 0.0
    """Cap of the body's rate; 0 = none."""

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: list[Header] | None = None) -> "Answer":
        """A JSON answer."""
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        return cls(status, body, [(b"content-type", b"application/json; charset=utf-8"), *(headers or [])])

    @classmethod
    def text(cls, text: str, status: int = 200, kind: str = "text/plain") -> "Answer":
        """A text answer."""
        return cls(status, text.encode(), [(b"content-type", f"{kind}; charset=utf-8".encode())])


@dataclass(slots=True)
class Call:
    """One request, its body not yet read."""

    scope: dict[str, Any]
    receive: Any
    query: dict[str, list[str]]
    headers: dict[str, str]
    fault: str | None = None
    """The scripted fault that the host itself has to commit (`etag-changed`)."""

    @classmethod
    def of(cls, scope: dict[str, Any], receive: Any) -> "Call":
        query: dict[str, list[str]] = {}
        for key, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
            query.setdefault(key, []).append(value)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return cls(scope, receive, query, headers)

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    def first(self, name: str, default: str | None = None) -> str | None:
        """The first value of a query parameter."""
        return self.query.get(name, [default])[0] if name in self.query else default

    def flag(self, name: str) -> bool | None:
        """A boolean query parameter; None if absent."""
        value = self.first(name)
        return None if value is None else value.lower() in ("true", "1")

    @property
    def bearer(self) -> str | None:
        """The bearer token or None."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" and token else None

    async def raw(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives."""
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                return
            if message.get("body"):
                yield message["body"]
            more = message.get("more_body", False)

    async def fields(self) -> dict[str, Any]:
        """The body of a JSON, form or multipart request as nested fields (`file[name]` becomes file → name)."""
        kind = self.headers.get("content-type", "")
        if "json" in kind:
            try:
                value = json.loads(await self.raw() or b"{}")
            except ValueError:
                return {}
            return value if isinstance(value, dict) else {}
        if "form" not in kind:
            return {}
        form = await Request(self.scope, self.receive).form()
        nested: dict[str, Any] = {}
        for key, value in form.multi_items():
            if isinstance(value, UploadFile):
                nested.setdefault("__filenames__", {})[key] = value.filename
                _nest(nested, key, await value.read())
            else:
                _nest(nested, key, value)
        await form.close()
        return nested


def _nest(nested: dict[str, Any], key: str, value: Any) -> None:
    name, _, rest = key.partition("[")
    place = nested
    parts = [name, *rest.rstrip("]").split("][")] if rest else [name]
    for part in parts[:-1]:
        if not isinstance(place.get(part), dict):
            place[part] = {}
        place = place[part]
    place[parts[-1]] = value


def truthy(value: Any) -> bool:
    """Procore takes true, True and 1."""
    return value is True or str(value).lower() in ("true", "1")
