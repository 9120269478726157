"""One file on its way to a system of objects: in memory until one request publishes it, or an upload in parts."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from connectors.shared.completion import surely
from connectors.shared.objects import (
    ABSENT,
    ALWAYS,
    STAGED_AS,
    Condition,
    ConditionFailed,
    Facts,
    Found,
    Published,
    Session,
)
from connectors.shared.receiving import Part
from connectors.shared.tree import Incoming, check_expected, destination_changed
from migration.contract import Stored
from migration.entries import Entry
from migration.errors import ItemError, RetryableError

if TYPE_CHECKING:
    from connectors.shared.objects_tree import ObjectTree

OFF_THE_LOOP_BYTES = 1024 * 1024
"""Content longer than this is hashed in a thread."""


class ObjectUpload:
    """See `connectors.shared.tree.Upload`."""

    def __init__(self, tree: "ObjectTree", file: Incoming) -> None:
        self._tree = tree
        self._file = file
        self._key = tree.keys.key(file.path)
        self._content = b""
        self._size_bytes = 0
        self._session: Session | None = None
        self._published = False
        self._modified_at: datetime = file.modified_at or tree.clock.now()

    @property
    def part_bytes(self) -> int:
        return self._tree.service.part_bytes(self._file.size_bytes)

    async def write(self, part: Part) -> None:
        if part.offset == 0:
            await self._tree.folders.parent_of(self._file.path)
        self._size_bytes += len(part.data)
        if self._session is None and part.is_last:
            self._content = part.data
            return
        if self._session is None:
            self._tree.in_use.add(self._file.staging_key)
            self._session = await self._begun()
        await self._session.write(part)

    async def finish(self) -> None:
        if self._session is not None:
            await self._session.finish()

    async def publish(self) -> Stored:
        sha256 = None if self._session is not None else await sha256_of(self._content)
        trashed = await self._tree.kept(self._file) if self._file.keep_replaced else None
        try:
            stored = await self._published_as(sha256)
        except BaseException as error:
            if trashed is not None and getattr(error, "code", None) != "publish-unknown":
                await surely(self._tree.forget_kept(trashed))
            raise
        return replace(stored, trashed=trashed)

    async def _published_as(self, sha256: str | None) -> Stored:
        try:
            published = await self._publish(self._facts(sha256), await self._condition())
        except ConditionFailed as error:
            raise self._changed() from error
        except RetryableError as error:
            if error.code != "answer-lost":
                raise
            published = await self._found_after_all(error)
        self._published = True
        if self._session is not None:
            await self._session.settle()
            self._tree.in_use.discard(self._file.staging_key)
        return await self._stored(published)

    async def discard(self) -> None:
        session, self._session = self._session, None
        try:
            if session is not None and not self._published:
                await session.abort()
        except (RetryableError, ItemError):
            pass  # the next try begins another upload; this one is swept, or expires by the service's own rules
        finally:
            self._tree.in_use.discard(self._file.staging_key)

    async def _begun(self) -> Session:
        """An upload in parts that has begun; where the service wants its condition now, that is given."""
        return await self._tree.service.begin(self._key, self._facts(None), self._file.size_bytes)

    async def _publish(self, facts: Facts, condition: Condition) -> Published:
        if self._session is not None:
            return await self._session.complete(condition)
        return await self._tree.service.put(self._key, self._content, facts, condition)

    def _facts(self, sha256: str | None) -> Facts:
        return Facts(modified_at=self._modified_at, staging_key=self._file.staging_key, sha256=sha256)

    async def _condition(self) -> Condition:
        path, expected = self._file.path, self._file.expected
        shown = self._tree.shown(path)
        if self._tree.folders.knows(path):
            raise destination_changed(shown, "a folder is there now")
        if expected is not None and not expected.is_file:
            raise destination_changed(shown, "what is there cannot be replaced by a file")
        if not self._tree.service.conditional:
            check_expected(shown, await self._now(), expected)
            return ALWAYS
        if expected is None:
            return ABSENT
        if expected.ref.version_id is not None:
            return Condition(expected.ref.version_id)
        now = await self._now()
        check_expected(shown, now, expected)
        return ABSENT if now is None else Condition(now.ref.version_id)

    async def _now(self) -> Entry | None:
        return await self._tree.look_for_file(self._file.path)

    def _changed(self) -> Exception:
        what = "something is there now" if self._file.expected is None else "the file to replace was changed or removed"
        return destination_changed(self._tree.shown(self._file.path), what)

    async def _found_after_all(self, lost: RetryableError) -> Published:
        """What the lost answer to the publishing request would have said."""
        try:
            found = await self._tree.service.head(self._key)
        except RetryableError as error:
            raise RetryableError("publish-unknown", lost.message, fix=lost.fix) from error
        if found is not None and self._is_ours(found):
            return Published(version_id=found.version_id, changed_at=found.changed_at)
        if found is not None and self._file.expected is None:
            raise self._changed()
        raise lost

    def _is_ours(self, found: Found) -> bool:
        staged_as = (found.metadata or {}).get(STAGED_AS)
        return staged_as == self._file.staging_key and found.size_bytes == self._size_bytes

    async def _stored(self, published: Published) -> Stored:
        modified_at: datetime | None = self._modified_at
        if not self._tree.capabilities.keeps_times:
            modified_at = published.changed_at
            if modified_at is None:
                found = await self._tree.service.head(self._key)
                modified_at = None if found is None else found.changed_at
        return Stored(
            self._tree.keys.ref(self._file.path, published.version_id),
            self._file.path[-1],
            self._size_bytes,
            modified_at,
            published.sha256,
            published.confirmed_by,
        )


async def sha256_of(content: bytes) -> str:
    """The SHA-256 in hexadecimal, of much content off the loop."""
    if len(content) > OFF_THE_LOOP_BYTES:
        return await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
    return hashlib.sha256(content).hexdigest()
