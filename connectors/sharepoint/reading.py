"""A file's bytes on their way out.

Content comes from an address that needs no token and lives for minutes
(https://learn.microsoft.com/en-us/graph/api/driveitem-get-content). It gives whatever is there when it is called. So
the entry is looked at before, which gives the address as well, and the bytes are hashed on the way: if they have the
checksum that was shown, they are of that version, without another look.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from connectors.shared.giving import expected_bytes, source_changed
from connectors.shared.tree import same_version
from connectors.sharepoint.graph import escaped
from connectors.sharepoint.quickxor import QuickXor
from connectors.sharepoint.shapes import DOWNLOAD_URL, entry_of, quickxor_of
from migration.entries import Entry
from migration.errors import FatalError, ItemError, RetryableError

if TYPE_CHECKING:
    from connectors.sharepoint.connector import SharePointConnector

VERSION = "version"
"""Key of `Entry.extra`: the number of an earlier version."""
_NO_CONTENT = frozenset({401, 403, 404, 410, 416})


@asynccontextmanager
async def reading(
    connector: "SharePointConnector", entry: Entry, offset: int, length: int | None
) -> AsyncIterator[AsyncIterator[bytes]]:
    """As `TreeConnector.read`; ends only when what was given is of the entry's version."""
    url, checksum = await (_of_version if VERSION in entry.extra else _of_current)(connector, entry)
    is_whole = offset == 0 and length is None
    last = "" if length is None else str(offset + length - 1)
    headers = {} if is_whole else {"Range": f"bytes={offset}-{last}"}
    what = f"read {connector.named(entry)}"
    async with connector.graph.download(what, url, headers=headers, accept=_NO_CONTENT) as response:
        if response.status_code in _NO_CONTENT:
            await _check(connector, entry)
            raise RetryableError("link-expired", f"Microsoft does not {what} any more (HTTP {response.status_code}).")
        if not is_whole and response.status_code != 206:
            raise FatalError(
                "no-ranges",
                "Microsoft does not give parts of files, so a broken download cannot be continued.",
                fix="Check for a proxy between here and Microsoft that answers instead.",
            )
        chunks = connector.graph.chunks_of(response)
        expected = expected_bytes(entry, offset, length)
        yield _checked(connector, entry, chunks, expected, checksum if is_whole else None)


async def _checked(
    connector: "SharePointConnector",
    entry: Entry,
    chunks: AsyncIterator[bytes],
    expected: int | None,
    checksum: str | None,
) -> AsyncIterator[bytes]:
    hashing, given = QuickXor(), 0
    async for chunk in chunks:
        given += len(chunk)
        if expected is not None and given > expected:
            await _check(connector, entry)
        if checksum is not None:
            hashing.add(chunk)
        yield chunk
    if checksum is None or hashing.text() != checksum:
        await _check(connector, entry)
        if checksum is not None and given == expected:
            raise RetryableError(
                "checksum-differs", f"What arrived of {connector.named(entry)} has not the checksum that is shown."
            )


async def _check(connector: "SharePointConnector", entry: Entry) -> None:
    if not await connector.unchanged(entry):
        raise source_changed(connector.named(entry))


async def _of_current(connector: "SharePointConnector", entry: Entry) -> tuple[str, str | None]:
    shown = await connector.shown_by_id(entry.ref.id, more=DOWNLOAD_URL)
    if shown is None or not same_version(entry_of(shown, entry.path), entry):
        raise source_changed(connector.named(entry))
    url = shown.get(DOWNLOAD_URL)
    if "malware" in shown:
        raise ItemError(
            "malware",
            f"Microsoft found malware in {connector.named(entry)} and does not hand it out.",
            fix="Let the administrator decide about it in Microsoft Defender, or leave it out of the job.",
        )
    if not url:
        raise ItemError(
            "permission-denied",
            f"Microsoft gives no address to read {connector.named(entry)} from.",
            fix="Check whether the library forbids downloads (a policy of the site or a sensitivity label).",
        )
    return str(url), quickxor_of(shown)


async def _of_version(connector: "SharePointConnector", entry: Entry) -> tuple[str, str | None]:
    path = f"{await connector.address(entry.ref.id)}/versions/{escaped(entry.extra[VERSION])}/content"
    reply = await connector.graph.call(f"read {connector.named(entry)}", "GET", path, accept=frozenset({302, 404}))
    if reply.status != 302:
        raise source_changed(connector.named(entry))
    return reply.headers["location"], None
