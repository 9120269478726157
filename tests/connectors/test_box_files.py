"""What the contract's suite does not ask of Box."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from migration.entries import EntryKind
from migration.errors import FatalError, ItemError, PreconditionFailed, RetryableError
from simulator.clouds.base import Cloud
from tests.contract.place import MODIFIED
from tests.contract.places.box import BoxPlace, opened
from tests.contract.steps import content_of, entries, put, read, walked
from tests.servers.http_faults import HttpProxy, running

MIB = 1024 * 1024


@pytest.fixture
async def place(box_cloud: Cloud, tmp_path: Path) -> AsyncIterator[BoxPlace]:
    async with opened(box_cloud, tmp_path, in_parts=False) as made:
        yield made
    box_cloud.settings(download_waits=0, folder_operation_seconds=0.0)


@asynccontextmanager
async def proxied(place: BoxPlace) -> AsyncIterator[HttpProxy]:
    with running(place.cloud.url) as proxy:
        yield proxy


def through(place: BoxPlace, proxy: HttpProxy) -> dict[str, str]:
    return {f"{host}_url": proxy.through(place.cloud.urls[host]) for host in ("api", "upload")}


async def test_the_token_is_never_sent_to_where_the_content_is(place: BoxPlace) -> None:
    """https://developer.box.com/guides/downloads/file/: the address proves itself."""
    await place.plant(("file",), b"content")
    async with proxied(place) as api, proxied(place) as content, place.connector(**through(place, api)) as connector:
        entry = (await entries(connector))[("file",)]
        async with place.connector() as direct:
            link = await direct._link(entry, "read it")
        moved = {"fault": "answer", "status": 302, "headers": {"Location": content.through(link)}, "route": "/content"}
        api.faults([moved])
        assert await read(connector, entry) == b"content"
        assert "authorization" in api.log()[-2].headers
        assert len(content.log()) == 1
        assert "authorization" not in content.log()[0].headers


async def test_a_link_to_another_scheme_is_not_followed(place: BoxPlace) -> None:
    await place.plant(("file",), b"content")
    async with proxied(place) as api, place.connector(**through(place, api)) as connector:
        entry = (await entries(connector))[("file",)]
        for location in ("http://content.example.com/1", "ftp://127.0.0.1/1", ""):
            headers = {"Location": location}
            api.faults([{"fault": "answer", "status": 302, "headers": headers, "route": "/content"}])
            with pytest.raises(FatalError) as caught:
                await read(connector, entry)
            assert caught.value.code == "unsafe-link"


async def test_content_that_is_not_ready_is_waited_for(place: BoxPlace) -> None:
    """https://developer.box.com/reference/get-files-id-content/: 202 with Retry-After."""
    await place.plant(("file",), b"content")
    place.cloud.settings(download_waits=1)
    async with place.connector() as connector:
        assert await read(connector, (await entries(connector))[("file",)]) == b"content"


async def test_a_file_and_a_folder_may_have_the_same_id(place: BoxPlace) -> None:
    async with place.connector() as connector:
        folder = await connector.make_folder(("folder",))
        await put(connector, ("file",), b"content")
        found = await entries(connector)
    assert found[("folder",)].ref == folder
    assert folder.id.startswith("folder:")
    assert found[("file",)].ref.id.startswith("file:")


async def test_box_says_the_sha1_of_what_it_stored(place: BoxPlace) -> None:
    content = content_of(20_000)
    async with place.connector() as connector:
        stored = await put(connector, ("file",), content)
        entry = (await entries(connector))[("file",)]
    assert stored.confirmed_by == "sha1"
    assert entry.checksums == {"sha1": hashlib.sha1(content, usedforsecurity=False).hexdigest()}
    assert entry.modified_at == MODIFIED.replace(microsecond=0)
    assert entry.created_by


@pytest.mark.parametrize("in_parts", [False, True])
async def test_box_is_asked_to_check_that_the_file_is_still_the_same(
    box_cloud: Cloud, tmp_path: Path, in_parts: bool
) -> None:
    async with opened(box_cloud, tmp_path, in_parts=in_parts) as place, proxied(place) as proxy:
        await place.plant(("file",), b"old")
        async with place.connector(**through(place, proxy)) as connector:
            stored = await put(connector, ("file",), content_of(3 * MIB), expected=await connector.stat(("file",)))
        published = [
            line for line in proxy.log() if line.method == "POST" and line.status == 201 and "if-match" in line.headers
        ]
        assert len(published) == 1
        assert stored.confirmed_by == "sha1"
        assert await place.content(("file",)) == content_of(3 * MIB)


async def test_a_large_file_goes_up_in_parts_of_box_s_length(box_cloud: Cloud, tmp_path: Path) -> None:
    content = content_of(5 * MIB + 7)
    for size_bytes in (len(content), None):
        async with opened(box_cloud, tmp_path, in_parts=True) as place, place.connector() as connector:
            stored = await put(connector, ("file",), content, size_bytes=size_bytes)
            assert await place.content(("file",)) == content
        calls = [
            (line["method"], line["path"].rpartition("/")[2])
            for line in box_cloud.log()
            if "upload_sessions" in line["path"]
        ]
        parts = [line for line in box_cloud.log() if line["method"] == "PUT"]
        assert len(parts) == 6
        assert [call for call in calls if call[1] == "commit"] == [("POST", "commit")] * 2  # it is not ready at first
        assert stored.confirmed_by == "sha1"


async def test_a_part_that_arrived_although_its_answer_was_lost_is_not_sent_twice(
    box_cloud: Cloud, tmp_path: Path
) -> None:
    """https://developer.box.com/guides/uploads/chunked/: parts cannot be sent again."""
    content = content_of(5 * MIB)
    async with opened(box_cloud, tmp_path, in_parts=True) as place, place.connector() as connector:
        await connector.stat(("file",))
        box_cloud.faults([{"fault": "lost-response", "method": "PUT", "nth": [2, 4]}])
        await put(connector, ("file",), content)
        box_cloud.faults([])
        assert await place.content(("file",)) == content
        assert await place.everything() == {("file",)}
    refused = [line for line in box_cloud.log() if line["method"] == "PUT" and line["status"] == 409]
    assert len(refused) == 2


async def test_after_an_answer_503_to_an_upload_box_may_have_stored_it(place: BoxPlace) -> None:
    """https://developer.box.com/guides/api-calls/permissions-and-errors/common-errors/ (503)."""
    async with proxied(place) as proxy, place.connector(**through(place, proxy)) as connector:
        await connector.stat(("file",))
        proxy.faults(
            [{"fault": "answer", "status": 503, "route": "upload.box.com.*content", "headers": {"Retry-After": "7"}}]
        )
        with pytest.raises(RetryableError) as caught:
            await put(connector, ("file",), b"content")
        assert (caught.value.code, caught.value.retry_after_seconds) == ("publish-unknown", 7.0)
        assert proxy.struck == 1
        await place.plant(("file",), b"content")
        assert (await put(connector, ("file",), b"content")).size_bytes == 7
        with pytest.raises(RetryableError):
            await put(connector, ("other",), b"content")


async def test_a_folder_that_is_being_moved_is_waited_for(place: BoxPlace) -> None:
    await place.plant(("a", "file"), b"content")
    async with place.connector() as connector, place.connector() as other:
        found = await entries(connector)
        place.cloud.settings(folder_operation_seconds=0.3)
        await connector.move(found[("a",)], ("b",))
        place.cloud.settings(folder_operation_seconds=0.0)
        await put(other, ("b", "new"), b"new")
        assert set(await entries(other)) == {("b",), ("b", "file"), ("b", "new")}


async def test_a_bookmark_is_told_and_hides_nothing(place: BoxPlace) -> None:
    await place.plant(("folder", "file"), b"content")
    async with proxied(place) as proxy, place.connector(**through(place, proxy)) as connector:
        page = {"entries": [{"type": "web_link", "id": "7", "name": "Our site"}], "limit": 1000}
        await connector.root()
        proxy.faults([{"fault": "answer", "status": 200, "body": json.dumps(page), "route": "/items"}])
        (only,) = await walked(connector)
    assert only.entries == ()
    assert [(problem.path, problem.code, problem.hides_entries) for problem in only.problems] == [
        (("Our site",), "link", False)
    ]


async def test_a_listing_of_many_pages_is_whole(place: BoxPlace) -> None:
    place.cloud.settings(page_entries_max=7)
    try:
        for number in range(30):
            await place.plant(("folder", f"{number}"), b"")
        async with place.connector() as connector:
            pages = await walked(connector)
    finally:
        place.cloud.settings(page_entries_max=1000)
    assert sum(len(page.entries) for page in pages) == 31
    assert sum(page.calls for page in pages) == 6


async def test_the_folder_may_be_given_by_its_number(place: BoxPlace) -> None:
    await place.plant(("a", "b", "file"), b"content")
    async with place.connector() as connector:
        number = (await entries(connector))[("a",)].ref.id.partition(":")[2]
    async with place.connector(folder_id=number, folder="") as connector:
        assert set(await entries(connector)) == {("b",), ("b", "file")}
    async with place.connector(folder_id=number, folder="b") as connector:
        assert set(await entries(connector)) == {("file",)}
    async with place.connector(folder_id="999999", folder="") as connector:
        with pytest.raises(FatalError) as caught:
            await entries(connector)
    assert caught.value.code == "root-missing"


async def test_who_may_not_upload_finds_what_is_there_by_listing(place: BoxPlace) -> None:
    await place.plant(("a", "b", "file"), b"content")
    place.cloud.settings(read_only=True)
    async with place.connector() as connector:
        found = await connector.stat(("a", "b", "FILE"))
        assert found is not None
        assert (found.name, found.kind) == ("file", EntryKind.FILE)
        assert await connector.stat(("a", "b", "nothing")) is None


async def test_the_connection_test_says_when_the_folder_can_only_be_read(place: BoxPlace) -> None:
    """https://developer.box.com/reference/resources/folder--full/: permissions."""
    described = {"type": "folder", "id": "1", "name": place.name, "permissions": {"can_upload": False}}
    async with proxied(place) as proxy, place.connector(**through(place, proxy)) as connector:
        answer = {"fault": "answer", "status": 200, "body": json.dumps(described), "route": "fields=.*permissions"}
        proxy.faults([answer])
        report = await connector.test()
    assert report.usable
    assert "read-only" in {finding.code for finding in report.findings}


async def test_what_was_deleted_for_good_cannot_come_back(place: BoxPlace) -> None:
    await place.plant(("file",), b"content")
    async with place.connector() as connector:
        token = await connector.delete_to_trash((await entries(connector))[("file",)])
        assert await connector.restore(token) == ("file",)
        with pytest.raises(ItemError) as caught:
            await connector.restore(token)
    assert caught.value.code in {"not-restorable", "destination-changed"}


async def test_a_name_is_taken_by_what_differs_in_case_only(place: BoxPlace) -> None:
    await place.plant(("Plan.pdf",), b"theirs")
    async with place.connector() as connector:
        with pytest.raises(PreconditionFailed):
            await put(connector, ("plan.pdf",), b"ours")
        assert await connector.make_folder(("Folder",)) == await connector.make_folder(("folder",))
    assert await place.content(("Plan.pdf",)) == b"theirs"
