"""An upload in parts to Azure: blocks that one conditional list turns into the blob.

Blocks that no list names are invisible. There is no call that removes them without making something visible first:
Azure itself does a week after the last one, or with the next blob written there.
https://learn.microsoft.com/rest/api/storageservices/put-block-list
"""

import base64
import hashlib
from typing import TYPE_CHECKING

from connectors.azure.requests import condition_headers, md5_of, published_of
from connectors.shared.objects import Condition, ConditionFailed, Facts, Published
from connectors.shared.receiving import Part
from connectors.shared.sending import Growing, InFlight
from migration.errors import RetryableError

if TYPE_CHECKING:
    from connectors.azure.service import AzureService

GROW_EVERY = 5000
"""After so many blocks of a file of unknown size the blocks are twice as long."""
_ID_LENGTH = 48
"""Every id of one blob has to be equally long."""


class BlockSession:
    """See `connectors.shared.objects.Session`."""

    def __init__(self, service: "AzureService", key: str, facts: Facts, size_bytes: int | None) -> None:
        self._service = service
        self._key = key
        self._facts = facts
        self._mark = hashlib.sha256(facts.staging_key.encode()).hexdigest()[:24]
        self._blocks: list[str] = []
        self._growing = Growing(GROW_EVERY if size_bytes is None else None)
        self._sending = InFlight()

    async def write(self, part: Part) -> None:
        data = self._growing.take(part)
        if data is not None:
            name = f"sitehaul-{self._mark}-{len(self._blocks):06d}".ljust(_ID_LENGTH, "-")
            self._blocks.append(base64.b64encode(name.encode()).decode())
            await self._sending.start(len(data), self._send, self._blocks[-1], data)

    async def finish(self) -> None:
        await self._sending.finish()

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
        await self._sending.stop()
