"""Content on its way into SharePoint and out again: checksums, parts, conditions, and Office files."""

import base64
import hashlib
import io
import subprocess
import sysconfig
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.shared.services import Services
from connectors.sharepoint.connector import SharePointConnector
from connectors.sharepoint.quickxor import QuickXor
from migration.contract import Stored
from migration.errors import FatalError, ItemError, PreconditionFailed, RetryableError
from simulator.clouds import graph
from simulator.clouds.base import Cloud
from tests.contract.place import MODIFIED
from tests.contract.places.sharepoint import Hurried, settings_of
from tests.contract.steps import content_of, entries, put, read

MIB = 1024 * 1024
NEW = {"office_rewrite": True, "settle_seconds": 0.2, "hashes_missing": "", "locked": "", "malware": ""}


@pytest.fixture(scope="module")
def shared_cloud() -> Iterator[Cloud]:
    with graph.running() as running:
        yield running


@pytest.fixture
def cloud(shared_cloud: Cloud) -> Iterator[Cloud]:
    for path in {path[:1] for path in shared_cloud.everything()}:
        shared_cloud.remove(path)
    shared_cloud.settings(**NEW)
    shared_cloud.clear_log()
    yield shared_cloud
    shared_cloud.faults([])


@pytest.fixture
async def sharepoint(cloud: Cloud) -> AsyncIterator[SharePointConnector]:
    async with SharePointConnector(settings_of(cloud), Services(clock=Hurried())) as connector:
        yield connector


def workbook() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return content.getvalue()


def calls(cloud: Cloud) -> list[tuple[str, str]]:
    """Method and kind of every call but those of signing in and finding the library."""
    told = [(line["method"], line["path"].rpartition("/")[2]) for line in cloud.log() if line["host"] != "login"]
    return [call for call in told if call[0] != "GET" or call[1] not in ("drive", "root")]


def test_the_checksum_is_rclones(tmp_path: Path) -> None:
    bodies = [b"", b"J", content_of(159), content_of(160), content_of(161), content_of(1_000_003)]
    for number, body in enumerate(bodies):
        (tmp_path / f"{number}").write_bytes(body)
    program = Path(sysconfig.get_path("scripts")) / "rclone"
    if not program.exists():
        pytest.skip("no server: rclone is not installed")
    told = subprocess.run(
        [program, "hashsum", "quickxor", "--base64", tmp_path], capture_output=True, text=True, check=True
    ).stdout
    hashes = {line.split()[1]: line.split()[0].replace("-", "+").replace("_", "/") for line in told.splitlines()}
    for number, body in enumerate(bodies):
        for size in (1_000_003, 997, 160, 1):
            hashing = QuickXor()
            for start in range(0, min(len(body), 20_000 if size == 1 else len(body)), size):
                hashing.add(body[start : start + size])
            if size > 1 or len(body) <= 20_000:
                assert hashing.text() == hashes[f"{number}"]


async def test_what_microsoft_says_it_stored_is_compared_with_what_was_sent(
    sharepoint: SharePointConnector, cloud: Cloud
) -> None:
    stored = await put(sharepoint, ("plan.pdf",), content_of(20_000))
    assert (stored.confirmed_by, stored.stored_sha256) == ("quickxor", None)
    hashing = QuickXor()
    hashing.add(content_of(20_000))
    listed = (await entries(sharepoint))[("plan.pdf",)].checksums
    assert listed == {"quickxor": base64.b64decode(hashing.text()).hex()}
    cloud.settings(hashes_missing=r"\.dwg$")
    stored = await put(sharepoint, ("plan.dwg",), content_of(20_000))
    assert stored.confirmed_by is None


async def test_content_that_was_spoiled_on_the_way_is_taken_back(
    sharepoint: SharePointConnector, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(sharepoint, ("old.pdf",), b"old")
    before = await sharepoint.stat(("old.pdf",))
    monkeypatch.setattr("simulator.clouds.graph.quickxor.QuickXor.digest", lambda _: bytes(20))
    with pytest.raises(RetryableError) as caught:
        await put(sharepoint, ("new.pdf",), b"content")
    assert caught.value.code == "stored-content-differs"
    with pytest.raises(ItemError) as replaced:
        await put(sharepoint, ("old.pdf",), b"content", expected=before)
    assert replaced.value.code == "stored-content-differs"
    assert "earlier version" in (replaced.value.fix or "")
    assert cloud.everything() == {("old.pdf",)}


async def test_a_download_that_was_spoiled_is_noticed(sharepoint: SharePointConnector, cloud: Cloud) -> None:
    cloud.plant(("file",), content_of(100_000), MODIFIED)
    entry = (await entries(sharepoint))[("file",)]
    cloud.faults([{"fault": "corrupt", "host": "download"}])
    with pytest.raises(RetryableError) as caught:
        await read(sharepoint, entry)
    assert caught.value.code == "checksum-differs"
    cloud.faults([])
    cloud.clear_log()
    assert await read(sharepoint, entry) == content_of(100_000)
    assert len(cloud.log()) == 2


async def test_how_many_calls_a_file_costs(sharepoint: SharePointConnector, cloud: Cloud) -> None:
    await put(sharepoint, ("first",), b"1")
    before = await sharepoint.stat(("first",))
    cloud.clear_log()
    await put(sharepoint, ("small",), content_of(20_000))
    small = [call for call, _ in calls(cloud)]
    cloud.clear_log()
    await put(sharepoint, ("large",), content_of(11 * MIB))
    large = [call for call, _ in calls(cloud)]
    cloud.clear_log()
    await put(sharepoint, ("empty",), b"")
    empty = [call for call, _ in calls(cloud)]
    cloud.clear_log()
    await put(sharepoint, ("first",), b"2", expected=before)
    replaced = [call for call, _ in calls(cloud)]
    assert (small, empty, replaced) == (["POST", "PUT"], ["PUT", "PATCH"], ["GET", "POST", "PUT"])
    assert large == ["POST", "PUT", "PUT", "PUT", "POST"]


@pytest.mark.parametrize(
    ("fault", "nth"), [("lost-response", 2), ("reset", 2), ("500", 3), ("503", 1), ("lost-response", 3)]
)
async def test_a_part_that_is_lost_is_sent_again_and_no_other(
    sharepoint: SharePointConnector, cloud: Cloud, fault: str, nth: int
) -> None:
    cloud.faults([{"fault": fault, "host": "upload", "method": "PUT", "nth": nth, "count": 1}])
    content = content_of(12 * MIB)
    stored = await put(sharepoint, ("large",), content)
    assert stored.confirmed_by == "quickxor"
    assert cloud.content(("large",)) == content
    sent = [line for line in cloud.log() if line["host"] == "upload" and line["method"] == "PUT"]
    assert len(sent) == (3 if fault == "lost-response" else 4)
    assert cloud.unfinished() == 0


async def test_an_upload_that_expired_begins_anew_and_leaves_nothing(
    sharepoint: SharePointConnector, cloud: Cloud
) -> None:
    async def expire() -> None:
        cloud.advance(2 * 86_400)

    with pytest.raises(RetryableError) as caught:
        await put(sharepoint, ("large",), content_of(9 * MIB), before_publish=expire)
    assert caught.value.code == "session-ended"
    assert cloud.everything() == set()
    await put(sharepoint, ("large",), content_of(9 * MIB))
    assert cloud.content(("large",)) == content_of(9 * MIB)


@pytest.mark.parametrize("settle_seconds", [0.0, 0.05])
async def test_what_sharepoint_makes_of_an_office_file_is_recorded(
    sharepoint: SharePointConnector, cloud: Cloud, settle_seconds: float
) -> None:
    cloud.settings(settle_seconds=settle_seconds)
    sent = workbook()
    stored = await put(sharepoint, ("Budget.XLSX",), sent)
    assert stored.modified_at == MODIFIED.replace(microsecond=0)
    if settle_seconds:
        assert (stored.confirmed_by, stored.size_bytes) == ("quickxor", len(sent))
        return
    settled = cloud.content(("Budget.XLSX",))
    assert settled is not None and settled != sent
    assert (stored.confirmed_by, stored.size_bytes) == (None, len(settled))
    assert stored.stored_sha256 == hashlib.sha256(settled).hexdigest()
    entry = await sharepoint.stat(("Budget.XLSX",))
    assert entry is not None and entry.ref == stored.ref
    assert await read(sharepoint, entry) == settled


async def test_an_office_file_whose_answer_is_lost_is_known_by_its_time(
    sharepoint: SharePointConnector, cloud: Cloud
) -> None:
    cloud.settings(settle_seconds=0.0)
    cloud.faults([{"fault": "lost-response", "host": "upload", "method": "PUT", "count": 1}])
    stored = await put(sharepoint, ("a.docx",), workbook())
    assert stored.stored_sha256 == hashlib.sha256(cloud.content(("a.docx",)) or b"").hexdigest()
    cloud.faults([{"fault": "lost-response", "host": "upload", "method": "PUT", "count": 1}])
    with pytest.raises(RetryableError) as caught:
        await put(sharepoint, ("b.docx",), workbook(), modified_at=None)
    assert caught.value.code == "publish-unknown"


async def test_an_onedrive_keeps_office_files_as_they_are(cloud: Cloud) -> None:
    settings = settings_of(cloud, where=cloud.credentials["username"])
    async with SharePointConnector(settings, Services()) as onedrive:
        stored = await put(onedrive, ("a.docx",), workbook())
        assert stored.confirmed_by == "quickxor"
        assert not onedrive.capabilities.rewrites("a.docx")
        assert [finding.code for finding in (await onedrive.test()).findings] == ["space"]
        entry = await onedrive.stat(("a.docx",))
        assert entry is not None and await read(onedrive, entry) == workbook()


async def test_a_file_that_somebody_has_open_is_tried_again(sharepoint: SharePointConnector, cloud: Cloud) -> None:
    await put(sharepoint, ("a.txt",), b"1")
    before = await sharepoint.stat(("a.txt",))
    assert before is not None
    cloud.settings(locked=r"\.txt$")

    async def replaced() -> Stored:
        return await put(sharepoint, ("a.txt",), b"2", expected=before)

    for attempt in (replaced, lambda: sharepoint.move(before, ("b.txt",)), lambda: sharepoint.delete_to_trash(before)):
        with pytest.raises(RetryableError) as caught:
            await attempt()
        assert caught.value.code == "locked"
        assert "Close it" in (caught.value.fix or "")
    cloud.settings(locked="")
    await replaced()
    assert cloud.content(("a.txt",)) == b"2"


async def test_a_name_or_time_that_changed_does_not_make_it_another_version(
    sharepoint: SharePointConnector, cloud: Cloud
) -> None:
    stored = await put(sharepoint, ("a.txt",), b"1")
    entry = await sharepoint.stat(("a.txt",))
    assert entry is not None
    ref = await sharepoint.move(entry, ("b.txt",))
    assert ref == stored.ref
    later = await put(
        sharepoint, ("b.txt",), b"2", expected=replace(entry, path=("b.txt",)), modified_at=MODIFIED + timedelta(1)
    )
    assert later.ref.id == ref.id and later.ref.version_id != ref.version_id
    with pytest.raises(PreconditionFailed):
        await put(sharepoint, ("b.txt",), b"", expected=replace(entry, path=("b.txt",)))
    emptied = await put(sharepoint, ("b.txt",), b"", expected=await sharepoint.stat(("b.txt",)))
    assert (emptied.size_bytes, cloud.content(("b.txt",))) == (0, b"")
    assert emptied.modified_at == MODIFIED.replace(microsecond=0)


async def test_no_token_goes_where_content_is(sharepoint: SharePointConnector, cloud: Cloud) -> None:
    """The stand-in answers 401 to a token at an upload's address; other hosts are refused before."""
    await put(sharepoint, ("a.txt",), b"1")
    with pytest.raises(FatalError) as caught:
        await sharepoint.graph.unsigned("send it", "PUT", "http://elsewhere.example.com/upload")
    assert caught.value.code == "unprotected-link"


async def test_malware_is_not_handed_out(sharepoint: SharePointConnector, cloud: Cloud) -> None:
    cloud.plant(("bad.exe",), b"x", MODIFIED)
    entry = (await entries(sharepoint))[("bad.exe",)]
    cloud.settings(malware=r"\.exe$")
    with pytest.raises(ItemError) as caught:
        await read(sharepoint, entry)
    assert caught.value.code == "malware"
