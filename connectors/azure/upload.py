"""An upload in parts to Azure: blocks that one conditional list turns into the blob.

Blocks that no list names are invisible. There is no call that removes them without making something visible first:
Azure itself does a week after the last one, or with the next blob written there.
https://learn.microsoft.com/rest/api/storageservices/put-block-list
"""

import asyncio
import base64
import hashlib
from typing import TYPE_CHECKING

from connectors.azure.requests import condition_headers, md5_of, published_of
from connectors.shared.objects import Condition, ConditionFailed, Facts, Published
from connectors.shared.receiving import Part
from migration.errors import RetryableError

if TYPE_CHECKING:
    from connectors.azure.service import AzureService

IN_FLIGHT = 3
IN_FLIGHT_BYTES = 32 * 1024 * 1024
GROW_EVERY = 5000
"""After so many blocks of a file of unknown size the blocks are twice as long, up to GROWN_MAX times."""
GROWN_MAX = 8
_ID_LENGTH = 48
"""Every id of one blob has to be equally long."""


class BlockSession:
    """See `connectors.shared.objects.Session`."""

    def __init__(self, service: "AzureService", key: str, facts: Facts) -> None:
        self._service = service
        self._key = key
        self._facts = facts
        self._mark = hashlib.sha256(facts.staging_key.encode()).hexdigest()[:24]
        self._blocks: list[str] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._waiting: list[bytes] = []

    async def write(self, part: Part) -> None:
        self._waiting.append(part.data)
        if part.is_last or len(self._waiting) >= min(2 ** (len(self._blocks) // GROW_EVERY), GROWN_MAX):
            data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
            self._waiting = []
            at_once = max(1, min(IN_FLIGHT, IN_FLIGHT_BYTES // max(len(data), 1)))
            while len(self._sending) >= at_once:
                await self._collect()
            name = f"sitehaul-{self._mark}-{len(self._blocks):06d}".ljust(_ID_LENGTH, "-")
            self._blocks.append(base64.b64encode(name.encode()).decode())
            self._sending.add(asyncio.create_task(self._send(self._blocks[-1], data)))

    async def _collect(self) -> None:
        done, self._sending = await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def finish(self) -> None:
        while self._sending:
            await self._collect()

    async def _send(self, block: str, data: bytes) -> None:
        await self._service.call(
            f"write {self._service.shown(self._key)}",
            "PUT",
            self._key,
            query={"comp": "block", "blockid": block},
            headers={"content-md5": await md5_of(data)},
            content=data,
        )

    async def complete(self, condition: Condition) -> Published:
        listed = "".join(f"<Uncommitted>{block}</Uncommitted>" for block in self._blocks)
        content = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode()
        try:
            reply = await self._service.publishing(
                f"write {self._service.shown(self._key)}",
                self._key,
                query={"comp": "blocklist"},
                headers={**self._service.kept(self._facts), **condition_headers(condition)},
                content=content,
            )
        except RetryableError as error:
            if error.code == "upload-gone" and condition.version_id is None and await self._is_taken():
                raise ConditionFailed(self._key) from error
            raise
        return published_of(reply, "md5-of-blocks")

    async def _is_taken(self) -> bool:
        """Whether something was written there, which throws away everybody's blocks."""
        return await self._service.head(self._key) is not None

    async def settle(self) -> None:
        """Nothing is left to remove."""

    async def abort(self) -> None:
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        self._sending = set()
