"""Finding the library or OneDrive, listing it, going slowly, and what the refusals of Microsoft Graph mean."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from connectors.shared.calls import Refusal
from connectors.shared.services import Services
from connectors.sharepoint.connector import SharePointConnector
from connectors.sharepoint.errors import meaning_of
from connectors.sharepoint.pace import Pace
from connectors.sharepoint.settings import SharePointSettings
from connectors.sharepoint.shapes import entry_of, place_of, problem_of
from migration.errors import ConfigurationError, FatalError, ItemError, PreconditionFailed, RetryableError
from simulator.clouds import graph
from simulator.clouds.base import Cloud
from tests.contract.place import MODIFIED
from tests.contract.places.sharepoint import Hurried, settings_of
from tests.contract.steps import entries, put, read, walked


@pytest.fixture(scope="module")
def shared_cloud() -> Iterator[Cloud]:
    with graph.running(page_entries_max=3) as running:
        yield running


@pytest.fixture
def cloud(shared_cloud: Cloud) -> Iterator[Cloud]:
    for path in {path[:1] for path in shared_cloud.everything()}:
        shared_cloud.remove(path)
    shared_cloud.clear_log()
    yield shared_cloud
    shared_cloud.faults([])
    shared_cloud.settings(malware="", calls_per_minute=None)


@pytest.fixture
async def sharepoint(cloud: Cloud) -> AsyncIterator[SharePointConnector]:
    async with SharePointConnector(settings_of(cloud), Services()) as connector:
        yield connector


async def test_one_library_is_found_in_every_way(cloud: Cloud) -> None:
    given = cloud.credentials
    cloud.plant(("Projects", "Größe & Co", "plan.pdf"), b"content", MODIFIED)
    site = f"https://{given['site_hostname']}{given['site_path']}"
    for where in (
        {"where": site},
        {"where": f"{site}/", "library": "documents"},
        {"where": site, "library": "Shared Documents"},
        {"where": given["drive_id"]},
    ):
        settings = settings_of(cloud, **{"folder": "/Projects/Größe & Co/", **where})
        async with SharePointConnector(settings, Services()) as connector:
            found = await entries(connector)
            assert list(found) == [("plan.pdf",)]
            assert await read(connector, found[("plan.pdf",)]) == b"content"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"where": "https://contoso.sharepoint.example/sites/nowhere"}, "site's address"),
        ({"where": "https://contoso.sharepoint.example/sites/nowhere", "library": "x"}, "site's address"),
        ({"library": "Nothing"}, "Documents, Drawings"),
        ({"where": "bob@contoso.example"}, "user name"),
        ({"where": "b!unknown"}, "ID of the drive"),
        ({"folder": "Projects/nowhere"}, "folder"),
        ({"folder": "a-file"}, "folder"),
    ],
)
async def test_what_is_not_there_is_named(cloud: Cloud, changes: dict[str, str], said: str) -> None:
    cloud.plant(("a-file",), b"", MODIFIED)
    async with SharePointConnector(settings_of(cloud, **changes), Services()) as connector:
        with pytest.raises((FatalError, ConfigurationError)) as caught:
            await walked(connector)
        report = await connector.test()
    assert caught.value.code == "root-missing"
    assert said in (caught.value.fix or "")
    assert not report.usable


async def test_a_site_that_the_app_may_not_see_ends_the_run_with_what_to_do(cloud: Cloud) -> None:
    settings = settings_of(cloud)
    async with SharePointConnector(settings, Services()) as connector:
        cloud.faults([{"fault": "403", "route": "/drive$"}])
        with pytest.raises(FatalError) as caught:
            await walked(connector)
    assert caught.value.code == "permission-denied"
    assert "Sites.Selected needs the role write" in (caught.value.fix or "")


async def test_what_is_no_file_is_reported_and_left_out(sharepoint: SharePointConnector, cloud: Cloud) -> None:
    graph.plant_notebook(cloud, ("Meetings",))
    cloud.plant(("a", "bad.exe"), b"x", MODIFIED)
    cloud.plant(("a", "good.txt"), b"x", MODIFIED)
    cloud.settings(malware=r"\.exe$")
    pages = await walked(sharepoint)
    assert [entry.path for page in pages for entry in page.entries] == [("a",), ("a", "good.txt")]
    problems = {problem.path: problem for page in pages for problem in page.problems}
    assert {path: problem.code for path, problem in problems.items()} == {
        ("Meetings",): "package",
        ("a", "bad.exe"): "malware",
    }
    assert not any(problem.hides_entries for problem in problems.values())
    with pytest.raises(ItemError) as caught:
        await sharepoint.make_folder(("Meetings",))
    assert caught.value.code == "not-a-folder"
    cloud.remove(("Meetings",))


def test_a_shortcut_into_another_library_is_no_entry() -> None:
    shown = {"id": "1", "name": "Other", "remoteItem": {"folder": {}}}
    problem = problem_of(shown, ("Other",))
    assert problem is not None and problem.code == "shortcut"
    strange = problem_of({"id": "1", "name": "Other"}, ("Other",))
    assert strange is not None and strange.code == "unknown-kind"


async def test_a_folder_of_several_pages_is_listed_whole_with_few_calls(
    sharepoint: SharePointConnector, cloud: Cloud
) -> None:
    for number in range(8):
        cloud.plant(("many", f"{number}"), b"x", MODIFIED)
    await walked(sharepoint)
    cloud.clear_log()
    pages = await walked(sharepoint)
    assert len([entry for page in pages for entry in page.entries]) == 9
    assert (len(cloud.log()), sum(page.calls for page in pages)) == (5, 4)


async def test_a_listing_does_not_follow_a_link_to_another_server(cloud: Cloud) -> None:
    for number in range(4):
        cloud.plant(("many", f"{number}"), b"x", MODIFIED)
    settings = settings_of(cloud, api_url=cloud.url.replace("127.0.0.1", "localhost"))
    async with SharePointConnector(settings, Services()) as connector:
        with pytest.raises(FatalError) as caught:
            await walked(connector, ("many",))
    assert caught.value.code == "foreign-link"


def test_places_are_read_from_escaped_paths() -> None:
    shown = {"id": "1", "name": "a#b.txt", "parentReference": {"path": "/drives/b!x/root:/Projects/Gr%C3%B6%C3%9Fe"}}
    assert place_of(shown, ("projects",)) == ("Größe", "a#b.txt")
    assert place_of(shown, ("Elsewhere",)) is None
    assert place_of({"id": "1", "name": "a", "parentReference": {}}, ()) is None
    assert entry_of({"id": "1", "folder": {}, "size": 3}, ("a",)).size_bytes is None


def test_paths_are_measured_with_what_stands_before_them() -> None:
    values = {"tenant_id": "t", "client_id": "c", "client_secret": "s"}
    site = SharePointSettings.model_validate(
        values | {"where": "https://contoso.sharepoint.com/sites/a", "folder": "b"}
    )
    person = SharePointSettings.model_validate(values | {"where": "ada.b@contoso.com"})
    assert site.path_before == "sites/a/Shared Documents/b/"
    assert person.path_before == "personal/ada_b_contoso_com/Documents/"
    limits = [SharePointConnector(one, Services()).capabilities.names.path_length_max for one in (site, person)]
    assert limits == [400 - len(site.path_before), 400 - len(person.path_before)]


async def test_calls_become_fewer_before_they_are_refused(cloud: Cloud) -> None:
    """The stand-in says how much is left once four fifths are used up; its time is moved on by what was waited for."""

    class Passing(Hurried):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            if seconds > 0:
                cloud.advance(seconds)

    clock = Passing()
    async with SharePointConnector(settings_of(cloud), Services(clock=clock)) as connector:
        await put(connector, ("first",), b"x")
        cloud.settings(calls_per_minute=40)
        for number in range(40):
            await put(connector, (f"{number}",), b"x", staging_key=f"key-{number}")
    assert {line["status"] for line in cloud.log() if line["host"] == "api"} <= {200, 201}
    assert 60 <= clock.passed <= 400


async def test_the_pace_is_free_while_enough_is_left_and_after_the_window() -> None:
    clock = Hurried()
    pace = Pace(clock)
    told = {"ratelimit-limit": "1200", "ratelimit-remaining": "300", "ratelimit-reset": "30"}
    for headers in (told, {}, told | {"ratelimit-remaining": "some"}):
        pace.observe(headers)
        await pace.wait()
    assert clock.passed == 0
    pace.observe(told | {"ratelimit-remaining": "60"})
    for _ in range(4):
        await pace.wait()
    assert clock.passed == pytest.approx(3.0)
    pace.observe(told | {"ratelimit-remaining": "0"})
    await pace.wait()
    await pace.wait()
    waited = clock.passed
    await pace.wait()
    assert waited <= 34 and clock.passed - waited <= 30


async def test_every_call_says_who_is_calling(cloud: Cloud) -> None:
    """In the form that Microsoft asks apps for: ISV|CompanyName|AppName/Version."""
    heads: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with SharePointConnector(settings_of(cloud, api_url=address), Services()) as connector:
            assert not (await connector.test()).usable
    assert len(heads) == 1
    assert "user-agent: isv|sitehaul|sitehaul/1.0\r\n" in heads[0].lower()


@pytest.mark.parametrize(
    ("status", "code", "text", "error", "own"),
    [
        (401, "InvalidAuthenticationToken", "Access token is empty.", FatalError, "sign-in-refused"),
        (403, "accessDenied", "Access denied", ItemError, "permission-denied"),
        (404, "itemNotFound", "", ItemError, "not-found"),
        (410, "itemNotFound", "", ItemError, "not-found"),
        (409, "nameAlreadyExists", "", PreconditionFailed, "destination-changed"),
        (412, "resourceModified", "", PreconditionFailed, "destination-changed"),
        (413, "", "", ItemError, "file-too-large"),
        (423, "resourceLocked", "", RetryableError, "locked"),
        (507, "quotaLimitReached", "", FatalError, "disk-full"),
        (403, "quotaLimitReached", "", FatalError, "disk-full"),
        (400, "invalidRequest", "The provided name cannot contain ?", ItemError, "name-refused"),
        (400, "invalidRequest", "Bad argument", ItemError, "refused"),
        (418, "", "", ItemError, "refused"),
    ],
)
def test_every_refusal_says_what_to_do(status: int, code: str, text: str, error: type, own: str) -> None:
    content = f'{{"error":{{"code":"{code}","message":"{text}"}}}}'.encode() if code else b"<html>"
    found = meaning_of(Refusal("write a.txt", status, httpx.Headers(), content))
    assert (type(found), found.code) == (error, own)
    assert "refused to write a.txt" in found.message and f"HTTP {status}" in found.message
    assert text in found.message or text.rstrip(".") in found.message
    assert found.fix and found.fix.endswith(".")
