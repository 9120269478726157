"""Writing one file: its bytes into the storage, then one call that makes them a file or a version of one.

The upload is the staged state: nobody sees it, and Procore deletes what is not used. A new file costs two calls. That a
file which appears meanwhile is not overwritten is the server's doing: with `unique_name` false it refuses a name that
is taken, and the folder is listed only then, to say why. A new version costs a third call, which reads the file right
before; whatever slips in between stays in the file's history (docs/decisions/0010-a-taken-name-guards-a-new-file.md).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.procore.api import UNSETTLED, ApiClient
from connectors.procore.content import Content, received, sha256_of
from connectors.procore.download import Downloads
from connectors.procore.errors import ProcoreRefusal
from connectors.procore.folders import Folder, Folders
from connectors.procore.names import check_path, key_of, shown
from connectors.procore.records import EntryMaker
from connectors.procore.refusals import Refusals, destination_changed, name_taken, not_a_folder, parent_missing
from connectors.procore.uploads import Uploads
from migration.capabilities import NameRules
from migration.clock import Clock
from migration.contract import Precondition, Stored
from migration.entries import Entry, PathParts
from migration.errors import ItemError, RetryableError

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A file that is uploaded and not published yet."""

    path: PathParts
    folder: Folder
    content: Content
    upload: str

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def query(self) -> dict[str, str | int]:
        return {"project_id": self.folder.project.id}


@dataclass(frozen=True, slots=True)
class _Found:
    """Our file, found published although the answer that said so was lost."""

    entry: Entry
    sha256: str


class Writer:
    """Writes files. May be used for many at once."""

    def __init__(
        self,
        api: ApiClient,
        uploads: Uploads,
        folders: Folders,
        downloads: Downloads,
        refusals: Refusals,
        rules: NameRules,
        clock: Clock,
    ) -> None:
        self._api = api
        self._uploads = uploads
        self._folders = folders
        self._downloads = downloads
        self._refusals = refusals
        self._rules = rules
        self._clock = clock

    async def put(
        self,
        path: PathParts,
        chunks: AsyncIterator[bytes],
        size_bytes: int | None,
        precondition: Precondition,
        before_publish: Callable[[], Awaitable[None]],
    ) -> Stored:
        """As `Destination.put`. RetryableError `publish-unknown`: the answer to the last call was lost and so was every
        try to find out; the file may be there, whole, or may still appear."""
        check_path(path, self._rules)
        if len(path) < 2:
            raise ItemError("not-a-file", f"{shown(path)} is a project and cannot be replaced by a file.")
        folder = await self._folders.parent_of(path)
        content = await received(chunks, size_bytes)
        try:
            upload = await self._uploaded(path, folder, content)
            await before_publish()
            waiting = _Waiting(path, folder, content, upload)
            if precondition.expected is None:
                return await self._new_file(waiting)
            return await self._new_version(waiting, precondition.expected)
        finally:
            content.close()

    async def _uploaded(self, path: PathParts, folder: Folder, content: Content) -> str:
        try:
            return await self._uploads.stored(folder.project.id, path[-1], content)
        except ProcoreRefusal as refusal:
            raise await self._refusals.meaning(refusal, folder.project, path) from refusal

    async def _new_file(self, waiting: _Waiting) -> Stored:
        await self._refuse_folder(waiting)
        attempt = _Attempt()
        values = {
            "name": waiting.name,
            "parent_id": int(waiting.folder.id),
            "upload_uuid": waiting.upload,
            "unique_name": False,
        }

        async def settle(_: RetryableError) -> _Found | None:
            attempt.lost = True
            return await self._published(waiting)

        try:
            answer = await self._api.change(
                "POST", f"the file {shown(waiting.path)}", "/rest/v1.0/files", waiting.query, {"file": values},
                settle=settle,
            )  # fmt: skip
        except ProcoreRefusal as refusal:
            return await self._refused_file(waiting, refusal, lost=attempt.lost)
        if isinstance(answer.value, _Found):
            return _stored(answer.value.entry, answer.value.sha256)
        entry = self._maker(waiting).current(answer.value, waiting.folder.id, waiting.folder.path)
        self._folders.add(waiting.folder, entry)
        return _stored(entry)

    async def _refuse_folder(self, waiting: _Waiting) -> None:
        """Procore lets a file and a folder have one name; for a path they are the same."""
        if waiting.folder.folders.find(waiting.name) is None:
            return
        await self._folders.listing(waiting.folder, now=True)
        if waiting.folder.folders.find(waiting.name) is not None:
            raise destination_changed(waiting.path, "a folder is there now")

    async def _refused_file(self, waiting: _Waiting, refusal: ProcoreRefusal, *, lost: bool) -> Stored:
        """Why the file was refused, as the folder shows it now."""
        if refusal.status == 403:
            raise await self._refusals.meaning(refusal, waiting.folder.project, waiting.path) from refusal
        if lost and (found := await self._published(waiting)) is not None:
            return _stored(found.entry, found.sha256)
        listing = await self._folders.listing(waiting.folder, now=True)
        if listing is None:
            raise await self._without_folder(waiting.path) from refusal
        if listing.files.find(waiting.name) is not None:
            raise destination_changed(waiting.path, "something is there now") from refusal
        if "taken" in refusal.text:
            raise name_taken(waiting.path) from refusal
        raise await self._refused_upload(waiting, refusal) from refusal

    async def _refused_upload(self, waiting: _Waiting, refusal: ProcoreRefusal) -> Exception:
        if "upload" in refusal.text.lower():
            return RetryableError("upload-lost", f"Procore does not take the upload of {shown(waiting.path)} any more.")
        return await self._refusals.meaning(refusal, waiting.folder.project, waiting.path)

    async def _without_folder(self, path: PathParts) -> ItemError:
        """The folder is gone; a file may have come in its place."""
        try:
            await self._folders.find(path[:-1])
        except ItemError as error:
            return not_a_folder(path[:-1]) if error.code == "not-a-folder" else error
        return parent_missing(path)

    async def _published(self, waiting: _Waiting) -> _Found | None:
        """Our file, if it is there although no answer said so; one call, and reading it.

        PreconditionFailed when somebody else's is there, RetryableError `publish-unknown` when Procore cannot be asked.
        """
        try:
            listing = await self._folders.listing(waiting.folder, now=True)
            entry = None if listing is None else listing.files.find(waiting.name)
            if entry is None:
                return None
            found = await self._same(waiting, entry)
        except RetryableError as error:
            self._folders.forget_listing(waiting.folder)
            raise _unknown(waiting.path, error) from error
        if found is None:
            raise destination_changed(waiting.path, "something is there now")
        return found

    async def _same(self, waiting: _Waiting, entry: Entry) -> _Found | None:
        """Whether an entry has our content, by reading it."""
        if entry.size_bytes != waiting.content.size_bytes:
            return None
        async with self._downloads.open(entry, 0, None) as chunks:
            sha256 = await sha256_of(chunks)
        sent = await sha256_of(waiting.content.pieces(0, waiting.content.size_bytes))
        return _Found(entry, sha256) if sha256 == sent else None

    async def _new_version(self, waiting: _Waiting, expected: Entry) -> Stored:
        record, before = await self._current(waiting, expected)

        async def settle(_: RetryableError) -> _Found | None:
            return await self._version_published(waiting, before)

        async def publish() -> Any:
            body = {"file_version": {"name": before.name, "upload_uuid": waiting.upload}}
            query = {**waiting.query, "file_id": int(before.ref.id)}
            what = f"a version of {shown(waiting.path)}"
            answer = await self._api.change("POST", what, "/rest/v1.0/file_versions", query, body, settle=settle)
            return answer.value

        try:
            value = await self._refusals.when_unlocked(publish, waiting.path, record)
        except ProcoreRefusal as refusal:
            if refusal.status == 404:
                raise destination_changed(waiting.path, "the file to replace is gone") from refusal
            raise await self._refused_upload(waiting, refusal) from refusal
        if isinstance(value, _Found):
            return _stored(value.entry, value.sha256)
        versioned = {**record, "file_versions": [value]}
        entry = self._maker(waiting).current(versioned, waiting.folder.id, waiting.folder.path)
        self._folders.add(waiting.folder, entry)
        return _stored(entry)

    async def _current(self, waiting: _Waiting, expected: Entry) -> tuple[Record, Entry]:
        """The file to replace as it is now; PreconditionFailed if it is not the expected one. One call."""
        if not expected.is_file:
            raise destination_changed(waiting.path, "what is there cannot be replaced by a file")
        record, found = await self._read(waiting, expected.ref.id)
        if found is None:
            raise destination_changed(waiting.path, "the file to replace is gone")
        names = {key_of(waiting.name), key_of(expected.name)}
        if str(record.get("parent_id")) != waiting.folder.id or key_of(found.name) not in names:
            raise destination_changed(waiting.path, "the file to replace was moved")
        if (found.ref, found.size_bytes) != (expected.ref, expected.size_bytes):
            raise destination_changed(waiting.path, "the file to replace was changed")
        return record, found

    async def _read(self, waiting: _Waiting, file_id: str) -> tuple[Record, Entry | None]:
        query = {**waiting.query, "show_latest_version_only": "true"}
        try:
            answer = await self._api.get(f"the file {shown(waiting.path)}", f"/rest/v1.0/files/{file_id}", query)
        except ProcoreRefusal as refusal:
            if refusal.status != 404:
                raise await self._refusals.meaning(refusal, waiting.folder.project, waiting.path) from refusal
            return {}, None
        if answer.value.get("is_deleted"):
            return answer.value, None
        return answer.value, self._maker(waiting).current(answer.value, waiting.folder.id, waiting.folder.path)

    async def _version_published(self, waiting: _Waiting, before: Entry) -> _Found | None:
        try:
            _, entry = await self._read(waiting, before.ref.id)
            if entry is None:
                raise destination_changed(waiting.path, "the file to replace is gone")
            if entry.ref == before.ref:
                return None
            found = await self._same(waiting, entry)
        except RetryableError as error:
            self._folders.forget_listing(waiting.folder)
            raise _unknown(waiting.path, error) from error
        if found is None:
            raise destination_changed(waiting.path, "the file to replace was changed")
        return found

    def _maker(self, waiting: _Waiting) -> EntryMaker:
        return EntryMaker(waiting.folder.project.id, self._clock.now())


@dataclass(slots=True)
class _Attempt:
    """What happened while a file was published; `lost`: an answer was."""

    lost: bool = False


def _stored(entry: Entry, sha256: str | None = None) -> Stored:
    return Stored(entry.ref, entry.name, entry.size_bytes or 0, entry.modified_at, sha256)


def _unknown(path: PathParts, error: RetryableError) -> RetryableError:
    return RetryableError(
        UNSETTLED,
        f"Procore's answer to publishing {shown(path)} was lost, and whether it is there cannot be found out now: "
        f"{error.message}",
        fix="Run again: it is looked for first.",
        retry_after_seconds=error.retry_after_seconds,
    )
