"""What was asked of every host, for tests that judge a client by its traffic. In memory: a restart begins a new log."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from simulator.store import Store

_REQUESTS_MAX = 2_000_000


class RequestLog:
    """The requests since the start or the last clearing, oldest first; two million at most."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._clients: dict[str, str | None] = {}
        self._requests: deque[tuple[Any, ...]] = deque(maxlen=_REQUESTS_MAX)

    def add(
        self, at: float, host: str, scope: dict[str, Any], status: int, authorization: str, range_: str, fault: str
    ) -> None:
        """Remember one answered request; status 0 = the connection was cut without an answer."""
        self._requests.append((
            at, host, scope["method"], scope["path"], scope["query_string"], status, authorization, range_, fault,
        ))  # fmt: skip

    def clear(self) -> None:
        """Forget every request."""
        self._requests.clear()

    def lines(self) -> Iterator[dict[str, Any]]:
        """The requests as JSON objects; the token itself is never shown."""
        for at, host, method, path, query, status, authorization, range_, fault in list(self._requests):
            yield {
                "time": at, "host": host, "method": method, "path": path, "query": query.decode("latin-1"),
                "status": status, "client": self._client(authorization), "authorization": bool(authorization),
                "range": range_ or None, "fault": fault or None,
            }  # fmt: skip

    def _client(self, authorization: str) -> str | None:
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer":
            return None
        token = token.strip()
        if token not in self._clients:
            row = self._store.one("SELECT client_id FROM tokens WHERE token = ?", token)
            self._clients[token] = None if row is None else row["client_id"]
        return self._clients[token]
