"""An upload in parts to S3.

Listings of uploads tell nothing by which one could be recognized as SiteHaul's. So an empty object is written before
one is begun and removed after it: its key is the staging key, its metadata names the key to come. `sweep_staged` finds
what a process that died left behind by these.
"""

import asyncio
import base64
import hashlib
from typing import TYPE_CHECKING

from connectors.s3.answers import META, bare, text, xml_of
from connectors.s3.errors import meaning_of
from connectors.s3.requests import condition_headers
from connectors.shared.calls import Refusal
from connectors.shared.objects import Condition, Facts, Published
from connectors.shared.receiving import Part
from connectors.shared.sending import Growing, InFlight
from migration.errors import RetryableError, SiteHaulError

if TYPE_CHECKING:
    from connectors.s3.service import S3Service

GROW_EVERY = 1000
"""After so many parts of a file of unknown size the parts are twice as long."""
STAGED_KEY = "sitehaulupload"
"""The metadata that names, in base64, the key that an upload under way will have."""


class S3Session:
    """See `connectors.shared.objects.Session`."""

    def __init__(self, service: "S3Service", key: str, marker: str, size_bytes: int | None) -> None:
        self._service = service
        self._key = key
        self._marker = marker
        self._growing = Growing(GROW_EVERY if size_bytes is None else None)
        self._upload_id: str | None = None
        self._parts: dict[int, tuple[str, str]] = {}
        """ETag and SHA-256 (base64) by number."""
        self._sending = InFlight()
        self._number = 0
        self._was_cut = False

    @classmethod
    async def begun(
        cls, service: "S3Service", key: str, marker: str, facts: Facts, size_bytes: int | None
    ) -> "S3Session":
        """An upload that has begun. What may be left when that fails is removed, or swept later."""
        session = cls(service, key, marker, size_bytes)
        named = base64.urlsafe_b64encode(key.encode()).decode()
        await service.call(
            f"begin the upload of {service.shown(key)}", "PUT", marker, headers={f"{META}{STAGED_KEY}": named}
        )
        try:
            checked = {"x-amz-checksum-algorithm": "SHA256"} if service.checksums else {}
            session._upload_id = await service.create_upload(key, service.headers_of(facts) | checked)
        except BaseException:
            await session.settle_unless_unreachable()
            raise
        return session

    async def write(self, part: Part) -> None:
        data = self._growing.take(part)
        if data is not None:
            self._number += 1
            await self._sending.start(len(data), self._send, self._number, data)

    async def finish(self) -> None:
        await self._sending.finish()

    async def _send(self, number: int, data: bytes) -> None:
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).digest())
        checksum = base64.b64encode(digest).decode()
        reply = await self._service.call(
            f"write {self._service.shown(self._key)}",
            "PUT",
            self._key,
            query={"partNumber": str(number), "uploadId": self._upload_id or ""},
            headers={"x-amz-checksum-sha256": checksum} if self._service.checksums else {},
            content=data,
            content_sha256=digest.hex(),
        )
        self._parts[number] = bare(reply.headers.get("etag", "")), checksum

    async def complete(self, condition: Condition) -> Published:
        what = f"write {self._service.shown(self._key)}"
        reply = await self._service.publishing(
            what,
            "POST",
            self._key,
            query={"uploadId": self._upload_id or ""},
            headers=condition_headers(condition),
            content=self._listed(),
        )
        try:
            root = xml_of(reply.content, "CompleteMultipartUploadResult", "Error")
        except RetryableError as error:
            raise RetryableError("answer-lost", error.message, fix=error.fix) from error
        etag = text(root, "ETag")
        if etag is None:
            raise self._refused(Refusal(what, 200, reply.headers, reply.content))
        told = text(root, "ChecksumSHA256")
        is_confirmed = told is not None and told.partition("-")[0] == self._checksum_of_checksums()
        return Published(version_id=bare(etag), confirmed_by="sha256-of-parts" if is_confirmed else None)

    def _refused(self, refusal: Refusal) -> SiteHaulError:
        """An error that came after the answer had begun."""
        error = meaning_of(refusal)
        return RetryableError("answer-lost", error.message) if error.code == "refused" else error

    def _listed(self) -> bytes:
        parts = []
        for number, (etag, checksum) in sorted(self._parts.items()):
            checked = f"<ChecksumSHA256>{checksum}</ChecksumSHA256>" if self._service.checksums else ""
            parts.append(f'<Part><PartNumber>{number}</PartNumber><ETag>"{etag}"</ETag>{checked}</Part>')
        listed = "".join(parts)
        return (
            f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{listed}'
            "</CompleteMultipartUpload>"
        ).encode()

    def _checksum_of_checksums(self) -> str:
        """What the service tells of an object of several parts.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
        """
        digests = b"".join(base64.b64decode(checksum) for _, (_, checksum) in sorted(self._parts.items()))
        return base64.b64encode(hashlib.sha256(digests).digest()).decode()

    async def settle(self) -> None:
        try:
            await self._service.delete(self._marker, None)
        except SiteHaulError:
            return  # the file is published; an empty object that marks no upload is removed by `sweep_staged`

    async def abort(self) -> None:
        self._was_cut |= await self._sending.stop()
        await end_uploads(self._service, self._key, self._upload_id, twice=self._was_cut)
        await self._service.delete(self._marker, None)

    async def settle_unless_unreachable(self) -> None:
        """After a beginning that failed: it may have begun all the same."""
        try:
            await end_uploads(self._service, self._key, None, twice=False)
            await self._service.delete(self._marker, None)
        except SiteHaulError:
            return  # the marker stays, by which `sweep_staged` finds what is left


async def end_uploads(service: "S3Service", key: str, upload_id: str | None, *, twice: bool) -> int:
    """Abort an upload, or every one to the key; how many.

    A part that was cut may arrive after the abort, which is to be repeated then:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
    """
    ids = [upload_id] if upload_id is not None else await service.uploads_of(key)
    for one in ids:
        await service.abort_upload(key, one)
        if twice:
            await service.abort_upload(key, one)
    return len(ids)
