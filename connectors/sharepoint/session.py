"""An upload session: a file's parts in order, to an address of its own that needs no token
(https://learn.microsoft.com/en-us/graph/api/driveitem-createuploadsession).

After a lost answer the session is asked what it has. A session that is gone was completed, or has expired: that is for
whoever knows where the file would be.
"""

from typing import Any

from connectors.sharepoint.graph import Graph
from migration.errors import ItemError, RetryableError

UNIT_BYTES = 320 * 1024
"""Parts are multiples of this, but for the last one."""
ATTEMPTS = 5
_WAIT_SECONDS = 0.25
_GONE = frozenset({401, 404, 410})
_OUT_OF_STEP = 416


class SessionGone(Exception):
    """The session is there no longer; `lost` is the answer that might have said why, if one was lost."""

    def __init__(self, lost: RetryableError | None) -> None:
        super().__init__("the upload session is gone")
        self.lost = lost


class UploadSession:
    """One session that was created. `what` completes "refused to"."""

    def __init__(self, graph: Graph, what: str, url: str, total_bytes: int, *, deferred: bool) -> None:
        """`deferred`: nothing becomes visible before `commit`."""
        self._graph = graph
        self._what = what
        self._url = url
        self._total_bytes = total_bytes
        self._deferred = deferred

    async def send(self, offset: int, data: bytes) -> dict[str, Any] | None:
        """Send a part. The last one of a session that is not deferred gives the file as it is then; None otherwise.

        Raises SessionGone, and what publishing raises.
        """
        start, end = offset, offset + len(data)
        lost: RetryableError | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._graph.clock.sleep(_WAIT_SECONDS * 2**attempt)
                start = await self._received(lost)
                if start >= end:
                    is_whole = end == self._total_bytes and not self._deferred
                    return await self.commit() if is_whole else None
                if start < offset:
                    raise RetryableError("parts-lost", f"Microsoft has lost parts while it was to {self._what}.")
            try:
                reply = await self._put(start, data[start - offset :] if start > offset else data)
            except RetryableError as error:
                if error.code != "answer-lost":
                    raise
                lost = error
                continue
            if reply.status in _GONE:
                raise SessionGone(lost)
            if reply.status != _OUT_OF_STEP:
                return dict(reply.json()) if reply.status in (200, 201) else None
        raise lost or RetryableError("parts-refused", f"Microsoft refuses parts while it is to {self._what}.")

    async def commit(self) -> dict[str, Any]:
        """Make the file visible; the file as it is then. Raises SessionGone, and what publishing raises."""
        lost: RetryableError | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._graph.clock.sleep(_WAIT_SECONDS * 2**attempt)
                await self._received(lost)
            try:
                reply = await self._graph.unsigned(
                    self._what, "POST", self._url, headers={"Content-Length": "0"}, again=False, accept=_GONE
                )
            except RetryableError as error:
                if error.code != "answer-lost":
                    raise
                lost = error
                continue
            if reply.status in _GONE:
                raise SessionGone(lost)
            if reply.status in (200, 201):
                return dict(reply.json())
        raise SessionGone(lost)

    async def cancel(self) -> None:
        """Give the session up, with what it holds; one that is gone is no error."""
        await self._graph.unsigned(f"give up to {self._what}", "DELETE", self._url, accept=_GONE)

    async def _put(self, start: int, data: bytes) -> Any:
        span = f"bytes {start}-{start + len(data) - 1}/{self._total_bytes}"
        headers = {"Content-Range": span, "Content-Type": "application/octet-stream"}
        return await self._graph.unsigned(
            self._what, "PUT", self._url, content=data, headers=headers, again=False, accept=_GONE | {_OUT_OF_STEP}
        )

    async def _received(self, lost: RetryableError | None) -> int:
        """How much the session has, without gaps."""
        reply = await self._graph.unsigned(f"ask how far it got to {self._what}", "GET", self._url, accept=_GONE)
        if reply.status in _GONE:
            raise SessionGone(lost)
        ranges = reply.json().get("nextExpectedRanges") or []
        try:
            return min((int(str(one).partition("-")[0]) for one in ranges), default=self._total_bytes)
        except ValueError:
            raise ItemError("refused", f"Microsoft does not say how far it got to {self._what}.") from None
