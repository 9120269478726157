"""What the contract's suite does not ask of Egnyte."""

import asyncio
import email.utils
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from connectors.egnyte.connector import EgnyteConnector
from connectors.egnyte.settings import EgnyteSettings
from connectors.egnyte.signing import Paced, bearer, sign_in
from connectors.shared.services import Services
from connectors.shared.transport import Http
from connectors.tokens import MemoryTokenStore
from migration.errors import FatalError, ItemError, PreconditionFailed, RetryableError
from simulator.clouds import egnyte
from simulator.clouds.base import Cloud
from tests.contract.places.egnyte import EgnytePlace, opened, settings_of
from tests.contract.steps import content_of, entries, put, read, walked

MIB = 1024 * 1024
GOOD = {"url": "https://example.egnyte.com", "folder": "/Shared/P", "client_id": "id", "username": "u", "password": "p"}


@pytest.fixture
async def place(egnyte_cloud: Cloud, tmp_path: Path) -> AsyncIterator[EgnytePlace]:
    async with opened(egnyte_cloud, tmp_path) as made:
        yield made
    egnyte_cloud.settings(existing_folder_status=403, existing_destination_status=409, page_entries_max=1000)


class StandingClock:
    """Time passes by waiting only."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(1_700_000_000 + self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


async def test_requests_are_as_far_apart_as_egnyte_asks(egnyte_cloud: Cloud) -> None:
    clock = StandingClock()
    settings = settings_of(egnyte_cloud)
    http = Http(settings.timeouts)
    try:
        paced = Paced(bearer(settings, http, Services(clock=clock)), 2.0, clock)
        await asyncio.gather(*(paced.headers() for _ in range(5)))
        assert clock.waits == [0.0, 0.5, 1.0, 1.5, 2.0]
        clock.seconds = 100.0
        await paced.headers()
        assert clock.waits[-1] == 0.0
    finally:
        await http.aclose()


@pytest.mark.parametrize("status", [403, 429])
async def test_a_key_that_may_call_less_often_is_waited_for(status: int) -> None:
    """https://developers.egnyte.com/docs/read/Best_Practices: 403 with X-Mashery-Error-Code, or 429."""
    with egnyte.running(calls_per_second=5, throttle_status=status) as cloud:
        async with EgnyteConnector(settings_of(cloud), Services()) as connector:
            for number in range(7):
                await connector.stat((f"{number}",))
        assert any(line["status"] == status for line in cloud.log())


async def test_when_the_calls_of_the_day_are_used_up_it_says_until_when() -> None:
    with egnyte.running(calls_per_day=3) as cloud:
        async with EgnyteConnector(settings_of(cloud), Services()) as connector:
            with pytest.raises(RetryableError) as caught:
                for number in range(5):
                    await connector.stat((f"{number}",))
    assert caught.value.code == "rate-limited"
    assert caught.value.retry_after_seconds is not None
    assert caught.value.retry_after_seconds > 1
    assert "today" in caught.value.message


async def test_the_connection_test_says_when_the_pace_is_too_fast() -> None:
    with egnyte.running(calls_per_second=50) as cloud:
        async with EgnyteConnector(settings_of(cloud), Services()) as connector:
            report = await connector.test()
    warning = next(finding for finding in report.findings if finding.code == "calls-per-second")
    assert "50" in warning.message
    assert report.usable
    assert report.who
    assert "sitehaul" in report.who


async def test_a_sign_in_is_kept_as_egnyte_gives_few() -> None:
    with egnyte.running(token_requests_per_hour=1) as cloud:
        store = MemoryTokenStore()
        for _ in range(3):
            async with EgnyteConnector(settings_of(cloud), Services(tokens=store)) as connector:
                await entries(connector)
        async with EgnyteConnector(settings_of(cloud), Services()) as connector:
            with pytest.raises(RetryableError) as caught:
                await entries(connector)
    assert caught.value.code == "rate-limited"
    assert "sign-ins" in caught.value.message


async def test_a_person_signs_in_with_the_address_the_browser_ends_at(egnyte_cloud: Cloud) -> None:
    settings = settings_of(egnyte_cloud, grant="person", username=None, password=None)
    said: list[str] = []
    services = Services(tokens=MemoryTokenStore())
    await sign_in(settings, services, tell=said.append, ask=lambda _: httpx.get(said[-1]).headers["location"])
    for _ in range(2):
        async with EgnyteConnector(settings, services) as connector:
            await connector.stat(("anything",))
        egnyte_cloud.expire_tokens()
    async with EgnyteConnector(settings, Services()) as connector:
        with pytest.raises(FatalError) as caught:
            await connector.stat(("anything",))
    assert caught.value.code == "sign-in-needed"


async def test_a_token_that_never_expires_is_used_for_years(egnyte_cloud: Cloud) -> None:
    """https://developers.egnyte.com/docs/read/Public_API_Authentication: tokens do not expire, `expires_in` is -1."""
    http = Http(settings_of(egnyte_cloud).timeouts)
    signing = bearer(settings_of(egnyte_cloud), http, Services())
    tokens = signing.understood({"access_token": "t", "token_type": "bearer", "expires_in": -1}, None)
    assert (tokens.expires_at - datetime.now(UTC)).days > 3_000
    await http.aclose()


@pytest.mark.parametrize("folder_status", [403, 409])
@pytest.mark.parametrize("destination_status", [403, 409])
async def test_what_is_there_already_is_seen_however_egnyte_says_it(
    place: EgnytePlace, folder_status: int, destination_status: int
) -> None:
    place.cloud.settings(existing_folder_status=folder_status, existing_destination_status=destination_status)
    await place.plant(("folder", "file"), b"theirs")
    async with place.connector() as connector:
        assert await connector.make_folder(("folder",)) == (await entries(connector))[("folder",)].ref
        with pytest.raises(PreconditionFailed):
            await put(connector, ("folder", "file"), b"ours")
        with pytest.raises(ItemError) as caught:
            await connector.make_folder(("folder", "file"))
    assert caught.value.code == "not-a-folder"
    assert await place.everything() == {("folder", "file")}


@pytest.mark.parametrize("replaces", [False, True])
@pytest.mark.parametrize("size_known", [False, True])
async def test_a_large_file_goes_up_in_chunks(place: EgnytePlace, replaces: bool, size_known: bool) -> None:
    content = content_of(21 * MIB + 5)
    if replaces:
        await place.plant(("file",), b"old")
    async with place.connector() as connector:
        before = await connector.stat(("file",))
        size_bytes = len(content) if size_known else None

        async def look() -> None:
            assert await place.content(("file",)) == (b"old" if replaces else None)

        stored = await put(connector, ("file",), content, size_bytes=size_bytes, expected=before, before_publish=look)
        found = (await entries(connector))[("file",)]
        assert (found.ref, found.size_bytes, found.modified_at) == (stored.ref, len(content), stored.modified_at)
        assert await read(connector, found, 10 * MIB - 5, 10) == content[10 * MIB - 5 : 10 * MIB + 5]
    assert await place.content(("file",)) == content
    chunks = [line for line in place.cloud.log() if "fs-content-chunked" in line["path"]]
    assert len(chunks) == 3


@pytest.mark.parametrize("replaces", [False, True])
async def test_of_a_last_chunk_whose_answer_is_lost_nothing_is_left_half_done(
    place: EgnytePlace, replaces: bool
) -> None:
    content = content_of(11 * MIB)
    if replaces:
        await place.plant(("file",), b"old")
    async with place.connector() as connector:
        before = await connector.stat(("file",))
        place.cloud.faults([{"fault": "lost-response", "route": "chunked", "nth": 2}])
        try:
            await put(connector, ("file",), content, expected=before)
        except RetryableError:
            assert not replaces
            assert await place.content(("file",)) is None
            await put(connector, ("file",), content)
    assert await place.content(("file",)) == content
    assert await place.everything() == {("file",)}


async def test_a_changed_file_becomes_a_version_of_the_same_file(place: EgnytePlace) -> None:
    await place.plant(("file",), b"old")
    async with place.connector() as connector:
        stored = await put(connector, ("file",), b"newer", expected=await connector.stat(("file",)))
        assert stored.confirmed_by == "sha512"
        entry = (await entries(connector))[("file",)]
        assert [await read(connector, version) for version in await connector.versions(entry)] == [b"old", b"newer"]
        await connector.make_folder(("folder",))
        folder = await connector.stat(("folder",))
        assert folder is not None
        with pytest.raises(ItemError) as caught:
            await connector.versions(folder)
    assert caught.value.code == "not-found"


async def test_a_new_file_costs_two_calls_and_a_folder_one(place: EgnytePlace) -> None:
    async with place.connector() as connector:
        await connector.make_folder(("folder",))
        place.cloud.clear_log()
        await connector.make_folder(("folder", "below"))
        await put(connector, ("folder", "below", "file"), content_of(20_000))
    assert [line["method"] for line in place.cloud.log()] == ["POST"] * 3


async def test_a_listing_of_many_pages_is_whole(place: EgnytePlace) -> None:
    for number in range(20):
        await place.plant((f"folder {number}", "file"), b"")
        await place.plant((f"file {number}",), b"")
    place.cloud.settings(page_entries_max=7)
    async with place.connector() as connector:
        assert len(await entries(connector)) == 60


async def test_no_file_lies_directly_in_shared(egnyte_cloud: Cloud) -> None:
    async with EgnyteConnector(settings_of(egnyte_cloud, folder="/Shared"), Services()) as connector:
        with pytest.raises(ItemError) as caught:
            await put(connector, ("file",), b"content")
        assert caught.value.fix
        assert ("Projects",) in {entry.path for page in await walked(connector) for entry in page.entries}


async def test_times_travel_as_http_dates(place: EgnytePlace) -> None:
    at = datetime(2001, 2, 3, 4, 5, 6, 999_999, tzinfo=UTC)
    async with place.connector() as connector:
        stored = await put(connector, ("file",), b"content", modified_at=at)
    assert stored.modified_at == email.utils.parsedate_to_datetime("Sat, 03 Feb 2001 04:05:06 GMT")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"folder": "/"}, "begins with /Shared"),
        ({"folder": "/Other/P"}, "begins with /Shared"),
        ({"folder": "/Shared/../P"}, "begins with /Shared"),
        ({"password": None}, "username and password"),
        ({"url": "http://example.egnyte.com"}, "https"),
        ({"calls_per_second": 0}, "greater than 0"),
    ],
)
def test_settings_that_make_no_sense_say_why(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        EgnyteSettings(**{**GOOD, **values})


def test_the_sign_in_is_kept_for_each_user_and_key() -> None:
    keys = {EgnyteSettings(**{**GOOD, **other}).token_key for other in ({}, {"username": "v"}, {"client_id": "other"})}
    assert len(keys) == 3
    assert EgnyteSettings(**{**GOOD, "folder": "Shared/P/"}).folder == "/Shared/P"
