"""What Google Drive's own rules ask for, beyond the contract: names that repeat, documents, shared drives."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from connectors.google_drive.connector import GoogleDriveConnector
from connectors.google_drive.errors import meaning_of
from connectors.google_drive.records import FOLDER, entry_of, ref_of
from connectors.google_drive.settings import GoogleDriveSettings
from connectors.google_drive.signing import sign_in
from connectors.shared.calls import Refusal
from connectors.shared.services import Services
from migration.contract import Finding
from migration.errors import ConfigurationError, FatalError, ItemError, PreconditionFailed, RetryableError
from simulator.clouds import drive
from simulator.clouds.drive import DriveCloud
from tests.contract.place import MODIFIED
from tests.contract.places.google_drive import settings_of
from tests.contract.steps import content_of, put, read, walked

MIB = 1024 * 1024


@pytest.fixture
def cloud() -> Iterator[DriveCloud]:
    with drive.running() as running:
        yield running


@pytest.fixture
async def connector(cloud: DriveCloud) -> AsyncIterator[GoogleDriveConnector]:
    async with GoogleDriveConnector(settings_of(cloud, ""), Services()) as connector:
        await connector.root_id()
        yield connector


def calls(cloud: DriveCloud) -> list[str]:
    return [f"{request['method']} {request['host']}" for request in cloud.log() if request["host"] != "token"]


async def twin(connector: GoogleDriveConnector, name: str, **changes: Any) -> str:
    """Make another entry of this name, as Google Drive lets anybody do."""
    metadata = {"id": await connector.api.new_id(), "name": name, "parents": [await connector.root_id()], **changes}
    return str((await connector.api.create("make a twin", metadata))["id"])


async def codes(connector: GoogleDriveConnector) -> list[str]:
    async with connector:
        return [finding.code for finding in (await connector.test()).findings]


async def test_a_small_file_is_one_call_and_a_look(cloud: DriveCloud, connector: GoogleDriveConnector) -> None:
    await put(connector, ("first",), b"first")
    cloud.clear_log()
    stored = await put(connector, ("file",), content_of(4 * MIB))
    assert calls(cloud) == ["POST upload", "GET api"]
    assert stored.stored_sha256 == hashlib.sha256(content_of(4 * MIB)).hexdigest()
    cloud.clear_log()
    await put(connector, ("file",), b"other", expected=await connector.stat(("file",)))
    assert calls(cloud) == ["GET api", "GET api", "PATCH upload"]


async def test_a_large_file_goes_in_pieces_of_which_the_last_is_held_back(
    cloud: DriveCloud, connector: GoogleDriveConnector
) -> None:
    visible: list[set[tuple[str, ...]]] = []

    async def look() -> None:
        visible.append(cloud.everything())

    stored = await put(connector, ("file",), content_of(17 * MIB), before_publish=look)
    assert visible == [set()]
    assert [one["status"] for one in cloud.log() if one["method"] == "PUT"] == [308, 308, 308, 200]
    assert stored.stored_sha256 == hashlib.sha256(content_of(17 * MIB)).hexdigest()
    assert cloud.unfinished() == 0


async def test_a_piece_of_which_a_part_arrived_goes_on_from_there(
    cloud: DriveCloud, connector: GoogleDriveConnector
) -> None:
    """What Google has is what its answers say, whatever was sent."""
    call = connector.api.calls.call
    cut: list[int] = []

    async def cutting(what: str, method: str, url: str, **how: Any) -> Any:
        if method == "PUT" and not cut:
            cut.append(1024 * 1024)
            headers = {"Content-Range": f"bytes 0-{cut[0] - 1}/*", "Content-Length": str(cut[0])}
            how = {**how, "headers": headers, "content": how["content"][: cut[0]]}
        return await call(what, method, url, **how)

    connector.api.calls.call = cutting  # type: ignore[method-assign]
    stored = await put(connector, ("file",), content_of(9 * MIB))
    assert cut
    assert stored.stored_sha256 == hashlib.sha256(content_of(9 * MIB)).hexdigest()
    assert cloud.content(("file",)) == content_of(9 * MIB)


async def test_what_has_one_name_is_listed_each_with_its_own_content(
    cloud: DriveCloud, connector: GoogleDriveConnector
) -> None:
    cloud.plant(("plan",), b"first", MODIFIED)
    second = await twin(connector, "plan")
    pages = await walked(connector)
    found = [entry for page in pages for entry in page.entries]
    assert [entry.path for entry in found] == [("plan",), ("plan",)]
    assert {entry.ref.id for entry in found} == {cloud.file_id(("plan",)), second}
    assert [(problem.path, problem.code, problem.hides_entries) for problem in pages[0].problems] == [
        (("plan",), "same-name", False)
    ]
    oldest = await connector.stat(("plan",))
    assert oldest is not None
    assert await read(connector, oldest) == b"first"


async def test_a_twin_that_appears_while_a_large_file_is_sent_makes_ours_step_back(
    cloud: DriveCloud, connector: GoogleDriveConnector
) -> None:
    complete = connector.api.find
    seen: list[str] = []

    async def appearing(what: str, query: str) -> Any:
        found = await complete(what, query)
        if "name = " in query and not seen:
            seen.append(await twin(connector, "large"))
        return found

    connector.api.find = appearing  # type: ignore[method-assign]
    with pytest.raises(PreconditionFailed):
        await put(connector, ("large",), content_of(9 * MIB))
    (entry,) = [entry for page in await walked(connector) for entry in page.entries]
    assert entry.ref.id == seen[0]


async def test_several_connections_make_one_folder(cloud: DriveCloud) -> None:
    connectors = [GoogleDriveConnector(settings_of(cloud, ""), Services()) for _ in range(4)]
    await asyncio.gather(*(connector.__aenter__() for connector in connectors))
    try:
        refs = await asyncio.gather(*(connector.make_folder(("a", "b")) for connector in connectors))
        assert len(set(refs)) == 1
        pages = await walked(connectors[0])
        assert [entry.path for page in pages for entry in page.entries] == [("a",), ("a", "b")]
    finally:
        await asyncio.gather(*(connector.__aexit__() for connector in connectors))


async def test_of_folders_of_one_name_the_oldest_is_written_to(
    cloud: DriveCloud, connector: GoogleDriveConnector
) -> None:
    cloud.plant_folder(("folder",))
    await twin(connector, "folder", mimeType=FOLDER)
    await put(connector, ("folder", "file"), b"content")
    entry = await connector.stat(("folder", "file"))
    assert entry is not None and entry.parent is not None
    assert entry.parent.id == cloud.file_id(("folder",))


@pytest.mark.parametrize("name", ["a/b", "it's", "back\\slash'", "/", '"quoted"'])
async def test_names_hold_anything(connector: GoogleDriveConnector, name: str) -> None:
    await connector.make_folder((name,))
    stored = await put(connector, (name, name), b"content")
    assert stored.name == name
    (page,) = await walked(connector)
    assert [entry.path for entry in page.entries] == [(name,), (name, name)]
    entry = await connector.stat((name, name))
    assert entry is not None and entry.ref == stored.ref


async def test_what_is_googles_own_is_a_problem_that_hides_nothing(
    cloud: DriveCloud, connector: GoogleDriveConnector
) -> None:
    cloud.plant(("file",), b"content", MODIFIED)
    cloud.plant_native(("minutes",), "document", b"text")
    cloud.plant_shortcut(("link",), cloud.file_id(("file",)) or "")
    (page,) = await walked(connector)
    assert [entry.path for entry in page.entries] == [("file",)]
    assert {problem.path: problem.code for problem in page.problems} == {
        ("minutes",): "native-document",
        ("link",): "shortcut",
    }
    assert not any(problem.hides_entries for problem in page.problems)
    assert (await put(connector, ("minutes",), b"a file beside it")).name == "minutes"


async def test_a_moved_file_keeps_its_time(cloud: DriveCloud, connector: GoogleDriveConnector) -> None:
    cloud.plant(("old",), b"content", MODIFIED)
    entry = await connector.stat(("old",))
    assert entry is not None
    await connector.make_folder(("folder",))
    await connector.move(entry, ("folder", "new"))
    moved = await connector.stat(("folder", "new"))
    assert moved is not None and moved.modified_at is not None
    assert abs(moved.modified_at - MODIFIED) < timedelta(milliseconds=1)


async def test_a_folder_that_was_deleted_meanwhile_takes_no_files(
    cloud: DriveCloud, connector: GoogleDriveConnector
) -> None:
    await connector.make_folder(("folder",))
    cloud.remove(("folder",))
    with pytest.raises(ItemError) as caught:
        await put(connector, ("folder", "file"), b"content")
    assert caught.value.code == "parent-missing"


async def test_a_shared_drive_is_found_by_name_and_by_id(cloud: DriveCloud) -> None:
    drive_id = cloud.credentials["drive_id"]
    async with GoogleDriveConnector(settings_of(cloud, "", shared_drive=drive_id), Services()) as connector:
        await connector.make_folder(("Tower",))
        stored = await put(connector, ("Tower", "plan"), b"content")
        about = await connector.api.ask("look at the drive", f"drives/{drive_id}", {"fields": "name"})
    by_name = settings_of(cloud, "Tower", shared_drive=about["name"])
    async with GoogleDriveConnector(by_name, Services()) as connector:
        (page,) = await walked(connector)
        assert [(entry.path, entry.ref) for entry in page.entries] == [(("plan",), stored.ref)]
        token = await connector.delete_to_trash(page.entries[0])
        assert await connector.restore(token) == ("plan",)
        assert (await connector.test()).usable
    by_id = settings_of(cloud, "", folder_id=drive_id)
    async with GoogleDriveConnector(by_id, Services()) as connector:
        assert await connector.stat(("Tower", "plan")) is not None
    assert await codes(GoogleDriveConnector(settings_of(cloud, "", shared_drive="No such"), Services())) == [
        "root-missing"
    ]


async def test_a_service_account_acts_for_a_person_or_has_no_storage(cloud: DriveCloud, tmp_path: Path) -> None:
    key_file = tmp_path / "key.json"
    key_file.write_text(cloud.credentials["service_account_json"])
    person = {"client_id": None, "client_secret": None, "refresh_token": None, "key_file": key_file}
    subject = cloud.credentials["subject"]
    async with GoogleDriveConnector(settings_of(cloud, "", **person, subject=subject), Services()) as connector:
        await put(connector, ("file",), b"content")
        assert (await connector.test()).who == subject
    assert cloud.content(("file",)) == b"content"
    async with GoogleDriveConnector(settings_of(cloud, "", **person), Services()) as connector:
        with pytest.raises(FatalError) as caught:
            await put(connector, ("file",), b"content")
    assert caught.value.code == "disk-full"
    assert "shared drive" in (caught.value.fix or "")


@pytest.mark.parametrize("content", ["no json", "{}", json.dumps({"client_email": "a@b", "private_key": "s3cret"})])
async def test_a_key_file_that_is_none_is_named(cloud: DriveCloud, tmp_path: Path, content: str) -> None:
    key_file = tmp_path / "key.json"
    key_file.write_text(content)
    settings = settings_of(cloud, "", client_id=None, client_secret=None, refresh_token=None, key_file=key_file)
    with pytest.raises(ConfigurationError) as caught:
        async with GoogleDriveConnector(settings, Services()):
            pass
    assert caught.value.code == "key-file-unreadable"
    assert "s3cret" not in caught.value.message


async def test_a_person_has_to_sign_in_and_a_wrong_code_is_refused(cloud: DriveCloud) -> None:
    settings = settings_of(cloud, "", refresh_token=None)
    assert settings.acts_for_a_person
    assert await codes(GoogleDriveConnector(settings, Services())) == ["sign-in-needed"]
    told: list[str] = []
    with pytest.raises(FatalError) as caught:
        await sign_in(settings, Services(), tell=told.append, ask=lambda _: "http://localhost/?code=4/wrong&scope=x")
    assert caught.value.code == "sign-in-refused"
    query = httpx.URL(told[1]).params
    assert (query["access_type"], query["code_challenge_method"]) == ("offline", "S256")


async def test_a_withdrawn_sign_in_says_to_sign_in_again(cloud: DriveCloud) -> None:
    withdrawn = settings_of(cloud, "", refresh_token="withdrawn")
    assert await codes(GoogleDriveConnector(withdrawn, Services())) == ["sign-in-expired"]


async def test_a_folder_that_may_only_be_read_is_a_warning(cloud: DriveCloud) -> None:
    cloud.settings(read_only=True)
    async with GoogleDriveConnector(settings_of(cloud, ""), Services()) as connector:
        report = await connector.test()
    assert report.usable
    assert isinstance(report.findings[0], Finding)


def test_what_google_does_not_say_is_unknown() -> None:
    record = {"id": "1", "name": "n", "mimeType": "text/plain", "createdTime": "2023-04-05T06:07:08.901Z"}
    entry = entry_of({**record, "modifiedTime": record["createdTime"]}, ("n",), None)
    assert (entry.size_bytes, entry.ref.version_id, entry.checksums) == (None, None, {})
    assert ref_of({**record, "md5Checksum": "abc"}).version_id == "abc"
    with pytest.raises(RetryableError):
        entry_of(record, ("n",), None)


@pytest.mark.parametrize(
    ("status", "reason", "kind", "code"),
    [
        (403, "userRateLimitExceeded", RetryableError, "rate-limited"),
        (403, "storageQuotaExceeded", FatalError, "disk-full"),
        (403, "insufficientFilePermissions", ItemError, "permission-denied"),
        (403, "cannotDownloadAbusiveFile", ItemError, "permission-denied"),
        (403, "accessNotConfigured", FatalError, "api-not-enabled"),
        (404, "notFound", ItemError, "not-found"),
        (401, "authError", FatalError, "sign-in-refused"),
        (400, "invalid", ItemError, "request-refused"),
    ],
)
def test_reasons_decide(status: int, reason: str, kind: type[Exception], code: str) -> None:
    answer = json.dumps({"error": {"errors": [{"reason": reason}], "message": "Because."}}).encode()
    meaning = meaning_of(Refusal("write it", status, httpx.Headers(), answer))
    assert (type(meaning), meaning.code) == (kind, code)
    assert code == "rate-limited" or meaning.fix


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_secret": None},
        {"subject": "a@b"},
        {"folder": "a//b"},
        {"folder_id": "x", "shared_drive": "y"},
        {"api_url": "http://elsewhere.example"},
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    values = {"client_id": "id", "client_secret": "secret", **changes}
    with pytest.raises(ValidationError):
        GoogleDriveSettings(**values)
