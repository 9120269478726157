"""What Dropbox's own rules ask of publishing, listing and signing in, beyond the contract."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from connectors.dropbox.api import in_header
from connectors.dropbox.connector import DropboxConnector
from connectors.dropbox.errors import meaning_of_tags, tags_of
from connectors.dropbox.records import BLOCK_BYTES, HASH, hash_of
from connectors.dropbox.signing import sign_in
from connectors.shared.services import Services
from migration.clock import SystemClock
from migration.errors import FatalError, ItemError, RetryableError
from simulator.clouds import dropbox
from simulator.clouds.dropbox import DropboxCloud
from tests.contract.place import MODIFIED
from tests.contract.places.dropbox import settings_of
from tests.contract.steps import content_of, entries, put, read, walked

MIB = 1024 * 1024


class QuickClock(SystemClock):
    """Waits for nothing."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture
def cloud() -> Iterator[DropboxCloud]:
    with dropbox.running() as running:
        yield running


@pytest.fixture
async def connector(cloud: DropboxCloud) -> AsyncIterator[DropboxConnector]:
    async with DropboxConnector(settings_of(cloud, ""), Services()) as connector:
        yield connector


def routes(cloud: DropboxCloud) -> list[str]:
    return [request["path"].partition("/2/")[2] for request in cloud.log() if "/2/" in request["path"]]


async def test_a_small_file_is_one_call(cloud: DropboxCloud, connector: DropboxConnector) -> None:
    stored = await put(connector, ("file",), content_of(4 * MIB))
    assert routes(cloud) == ["files/upload"]
    assert stored.confirmed_by == HASH


async def test_a_large_file_goes_in_pieces_side_by_side(cloud: DropboxCloud, connector: DropboxConnector) -> None:
    stored = await put(connector, ("file",), content_of(17 * MIB))
    append = ["files/upload_session/append_v2"] * 5
    assert routes(cloud) == ["files/upload_session/start", *append, "files/upload_session/finish"]
    assert stored.confirmed_by == HASH
    entry = await connector.stat(("file",))
    assert entry is not None
    blocks = [
        hashlib.sha256(content_of(17 * MIB)[n : n + BLOCK_BYTES]).digest() for n in range(0, 17 * MIB, BLOCK_BYTES)
    ]
    assert entry.checksums == {HASH: hash_of(blocks)}


async def test_the_same_content_gets_its_new_time(connector: DropboxConnector) -> None:
    first = await put(connector, ("file",), b"content")
    later = MODIFIED + timedelta(days=1)
    again = await put(connector, ("file",), b"content", expected=await connector.stat(("file",)), modified_at=later)
    assert first.modified_at != again.modified_at == later.replace(microsecond=0)


async def test_other_bytes_than_were_sent_are_taken_away_again(
    cloud: DropboxCloud, connector: DropboxConnector
) -> None:
    cloud.plant(("old",), b"old", MODIFIED)
    old = await connector.stat(("old",))
    send = connector.api.send

    async def altered(what: str, route: str, arguments: Any, content: bytes, **how: Any) -> dict[str, Any]:
        return {**await send(what, route, arguments, content, **how), "content_hash": "0" * 64}

    connector.api.send = altered  # type: ignore[method-assign]
    with pytest.raises(RetryableError) as new:
        await put(connector, ("new",), b"content")
    assert new.value.code == "stored-content-differs"
    assert cloud.everything() == {("old",)}
    with pytest.raises(ItemError) as replaced:
        await put(connector, ("old",), b"content", expected=old)
    assert replaced.value.code == "stored-content-differs"
    assert "Version history" in (replaced.value.fix or "")


@pytest.mark.parametrize("as_conflict", [False, True])
async def test_where_dropbox_changes_one_thing_at_a_time_files_are_published_together(
    cloud: DropboxCloud, connector: DropboxConnector, as_conflict: bool
) -> None:
    cloud.settings(writes_at_once_max=1, write_ms=5.0, write_refused_as_conflict=as_conflict)
    names = [f"{number}" for number in range(60)]
    connector.commits.together = True
    stored = await asyncio.gather(
        *(put(connector, (name,), name.encode(), staging_key=f"key-{name}") for name in names)
    )
    assert [one.name for one in stored] == names
    assert {name: cloud.content((name,)) for name in names} == {name: name.encode() for name in names}
    assert routes(cloud).count("files/upload_session/finish_batch_v2") < 20


async def test_files_are_published_together_once_dropbox_was_too_busy(cloud: DropboxCloud) -> None:
    cloud.faults([{"route": "/2/files/upload$", "fault": "429"}])
    async with DropboxConnector(settings_of(cloud, ""), Services(clock=QuickClock())) as connector:
        for name in ("first", "second"):
            assert (await put(connector, (name,), b"content")).confirmed_by == HASH
        assert connector.commits.together
    assert cloud.everything() == {("first",), ("second",)}


async def test_what_is_published_together_fails_one_by_one(cloud: DropboxCloud, connector: DropboxConnector) -> None:
    connector.commits.together = True
    cloud.plant(("taken",), b"theirs", MODIFIED)
    results = await asyncio.gather(
        *(put(connector, (name,), b"mine", staging_key=name) for name in ("free", "taken", "free-too")),
        return_exceptions=True,
    )
    assert [getattr(result, "code", None) for result in results] == [None, "destination-changed", None]
    assert cloud.content(("taken",)) == b"theirs"


async def test_files_published_together_are_looked_for_when_the_answer_is_lost(
    cloud: DropboxCloud, connector: DropboxConnector
) -> None:
    connector.commits.together = True
    cloud.faults([{"route": "/2/files/upload_session/finish_batch_v2", "fault": "lost-response", "count": 1}])
    stored = await asyncio.gather(*(put(connector, (name,), b"mine", staging_key=name) for name in ("a", "b", "c")))
    assert [one.name for one in stored] == ["a", "b", "c"]


async def test_what_can_only_be_exported_is_a_problem_that_hides_nothing(
    cloud: DropboxCloud, connector: DropboxConnector
) -> None:
    cloud.plant(("file",), b"content", MODIFIED)
    cloud.plant_exportable(("Minutes.paper",), "markdown")
    (page,) = await walked(connector)
    assert [entry.path for entry in page.entries] == [("file",)]
    assert [(problem.path, problem.code, problem.hides_entries) for problem in page.problems] == [
        (("Minutes.paper",), "native-document", False)
    ]


async def test_a_listing_whose_cursor_was_reset_begins_anew(cloud: DropboxCloud, connector: DropboxConnector) -> None:
    cloud.settings(page_entries_max=2)
    for number in range(5):
        cloud.plant((f"{number}",), b"content", MODIFIED)
    listed_anew: list[int] = []
    ask = connector.api.ask

    async def resetting(what: str, route: str, arguments: Any, **how: Any) -> dict[str, Any]:
        if route == "files/list_folder/continue" and not listed_anew:
            listed_anew.append(1)
            cloud.advance(1)
            cloud.reset_cursors()
        return await ask(what, route, arguments, **how)

    connector.api.ask = resetting  # type: ignore[method-assign]
    assert len(await entries(connector)) == 5
    assert listed_anew


async def test_a_tree_of_small_folders_is_listed_at_once_in_the_walks_order(
    cloud: DropboxCloud, connector: DropboxConnector
) -> None:
    planted = {(f"b{number % 5}", f"c{number % 7}", f"{number}") for number in range(60)} | {("a",), ("z", "empty")}
    for path in planted:
        cloud.plant(path, b"content", MODIFIED)
    cloud.plant_folder(("z", "nothing"))
    cloud.clear_log()
    (page,) = await walked(connector)
    assert routes(cloud) == ["files/list_folder"]
    paths = [entry.path for entry in page.entries]
    assert paths == sorted(paths)
    assert {entry.path for entry in page.entries if entry.is_file} == planted
    cloud.settings(page_entries_max=20)
    (again,) = await walked(connector)
    assert again.entries == page.entries
    below = await entries(connector, ("b1",))
    assert set(below) == {path[1:] for path in paths if path[0] == "b1"} - {()}


async def test_a_teams_space_is_reached_by_its_root(cloud: DropboxCloud) -> None:
    settings = settings_of(cloud, "Projects", root="team")
    async with DropboxConnector(settings, Services()) as connector:
        await connector.make_folder(("Tower",))
        await put(connector, ("Tower", "plan"), b"content")
        found = await entries(connector)
        assert await read(connector, found[("Tower", "plan")]) == b"content"
        report = await connector.test()
        assert report.usable
    assert settings.summary == "/Projects in the team's space"
    assert cloud.everything() == set()


async def test_a_connection_can_insist_on_whose_dropbox_it_is(cloud: DropboxCloud) -> None:
    for person, usable in ((cloud.credentials["email"].upper(), True), ("somebody@else.example", False)):
        async with DropboxConnector(settings_of(cloud, "", person=person), Services()) as connector:
            report = await connector.test()
        assert report.usable is usable
        assert report.who == cloud.credentials["email"]


async def test_a_person_signs_in_once(cloud: DropboxCloud) -> None:
    settings = settings_of(cloud, "", refresh_token=None, app_secret=None)
    services, told = Services(), []
    async with DropboxConnector(settings, services) as connector:
        report = await connector.test()
    assert [finding.code for finding in report.findings] == ["sign-in-needed"]

    def agree(question: str) -> str:
        answer = httpx.get(told[-1])
        where = answer.headers.get("location", "")
        return parse_qs(urlsplit(where).query)["code"][0] if where else answer.text.strip()

    await sign_in(settings, services, tell=told.append, ask=agree)
    assert settings.acts_for_a_person
    async with DropboxConnector(settings, services) as connector:
        cloud.expire_tokens()
        assert (await connector.test()).usable


async def test_a_sign_in_that_was_withdrawn_says_to_sign_in_again(cloud: DropboxCloud) -> None:
    async with DropboxConnector(settings_of(cloud, "", refresh_token="withdrawn"), Services()) as connector:
        report = await connector.test()
    assert [finding.code for finding in report.findings] == ["sign-in-expired"]


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ({".tag": "path", "path": {".tag": "conflict", "conflict": {".tag": "folder"}}}, ItemError, "conflict"),
        ({".tag": "path", "reason": {".tag": "insufficient_space"}}, FatalError, "disk-full"),
        ({".tag": "path", "reason": {".tag": "too_many_write_operations"}}, RetryableError, "overloaded"),
        ({".tag": "too_many_write_operations"}, RetryableError, "overloaded"),
        ({".tag": "lookup_failed", "lookup_failed": {".tag": "too_large"}}, ItemError, "file-too-large"),
        ({".tag": "path_lookup", "path_lookup": {".tag": "not_found"}}, ItemError, "not-found"),
        ({".tag": "path", "path": {".tag": "disallowed_name"}}, ItemError, "name-refused"),
        ({".tag": "something_new"}, ItemError, "request-refused"),
        ("no union", ItemError, "request-refused"),
    ],
)
def test_the_innermost_known_tag_decides(error: Any, kind: type[Exception], code: str) -> None:
    meaning = meaning_of_tags("write it", tags_of({"error": error}))
    assert (type(meaning), meaning.code) == (kind, code)
    assert meaning.message.startswith("Could not write it: ")


def test_arguments_in_a_header_are_visible_ascii() -> None:
    header = in_header({"path": "/Größe 🏗\x7f\n"})
    assert header.isascii()
    assert header.isprintable()
