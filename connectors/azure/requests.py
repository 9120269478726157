"""What requests to Azure Blob Storage are made of, and what the answers to those that publish tell."""

import asyncio
import base64
import hashlib

from connectors.azure.answers import bare, http_time
from connectors.shared.calls import Reply
from connectors.shared.objects import Condition, Published
from connectors.shared.objects_upload import OFF_THE_LOOP_BYTES


def condition_headers(condition: Condition) -> dict[str, str]:
    """What the service is to check before it publishes.

    https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
    """
    if condition.always:
        return {}
    return {"if-none-match": "*"} if condition.version_id is None else {"if-match": f'"{condition.version_id}"'}


def published_of(reply: Reply, confirmed_by: str | None) -> Published:
    """What the answer to publishing tells."""
    return Published(
        version_id=bare(reply.headers.get("etag", "")),
        changed_at=http_time(reply.headers.get("last-modified")),
        confirmed_by=confirmed_by,
    )


async def md5_of(content: bytes) -> str:
    """The MD5 in Base64, of much content off the loop."""

    def digest() -> str:
        return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()

    return await asyncio.to_thread(digest) if len(content) > OFF_THE_LOOP_BYTES else digest()
