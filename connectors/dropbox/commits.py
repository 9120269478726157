"""Publishing many files at once
(https://www.dropbox.com/developers/documentation/http/documentation#files-upload_session-finish_batch).

Dropbox changes one space one step at a time and refuses those who come meanwhile; for many files it recommends to
finish their upload sessions together (https://www.dropbox.com/developers/reference/data-ingress-guide).
A file costs one round trip more then, so this begins only when Dropbox has refused for that reason, and stays for the
connection's life.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from connectors.dropbox.api import Api
from connectors.dropbox.errors import meaning_of_tags, tags_of
from migration.errors import RetryableError, SiteHaulError

TOGETHER_MAX = 1_000


@dataclass(frozen=True, slots=True)
class _Waiting:
    what: str
    entry: dict[str, Any]
    record: "asyncio.Future[dict[str, Any]]"


class Commits:
    """One batch is on its way at a time; what comes meanwhile is the next one. Nothing waits without need."""

    def __init__(self) -> None:
        self.together = False
        """Whether files are to be published together."""
        self._waiting: list[_Waiting] = []
        self._alone = asyncio.Lock()

    async def finish(
        self, api: Api, what: str, session: str, size_bytes: int, commit: dict[str, Any]
    ) -> dict[str, Any]:
        """Publish what a closed session holds; the record of the file. Raises as `Api.ask` without `again`."""
        entry = {"cursor": {"session_id": session, "offset": size_bytes}, "commit": commit}
        mine = _Waiting(what, entry, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        async with self._alone:
            if not mine.record.done():
                await self._finish_some(api)
        return await mine.record

    async def _finish_some(self, api: Api) -> None:
        batch, self._waiting = self._waiting[:TOGETHER_MAX], self._waiting[TOGETHER_MAX:]
        arguments = {"entries": [waiting.entry for waiting in batch]}
        what = f"publish {len(batch)} files"
        try:
            answer = await api.ask(what, "files/upload_session/finish_batch_v2", arguments, again=False)
            results = answer["entries"]
        except (SiteHaulError, KeyError) as error:
            reason = error if isinstance(error, SiteHaulError) else _not_understood()
            for waiting in batch:
                waiting.record.set_exception(reason)
            return
        for waiting, result in zip(batch, results, strict=True):
            if result.get(".tag") == "success":
                waiting.record.set_result(result)
            else:
                tags = tags_of({"error": result.get("failure")})
                waiting.record.set_exception(meaning_of_tags(waiting.what, tags))


def _not_understood() -> RetryableError:
    return RetryableError("answer-lost", "Dropbox answered with something that does not say what was published.")
