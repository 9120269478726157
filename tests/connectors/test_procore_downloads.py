"""Contents read from the simulator: whole, in parts, through every fault, and with the token kept where it belongs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from connectors.procore.connector import ProcoreConnector
from connectors.tokens import MemoryTokenStore
from migration.budget import UnlimitedBudget
from migration.entries import Entry
from migration.errors import ItemError, RetryableError, SiteHaulError
from simulator.server import Running
from tests.connectors.procore_support import SimulatorClock, calls, connected, kept, read, sha256, walked
from tests.servers import ProcoreSimulators

SIZE = 3_000_000
PATH = ["Reports", "Soil report.pdf"]


@pytest.fixture
def served(procore_simulator: ProcoreSimulators) -> Running:
    served = procore_simulator(files=10, settings={"spike_calls": 10_000})
    served.edit({"op": "add_file", "project_id": served.project["id"], "path": PATH, "size_bytes": SIZE})
    return served


@pytest.fixture
async def connector(served: Running) -> AsyncIterator[ProcoreConnector]:
    async with connected(served, read_timeout_seconds=0.5) as connector:
        yield connector


async def entry_at(connector: ProcoreConnector, served: Running, path: list[str]) -> Entry:
    pages = await walked(connector, (served.project["name"],))
    return next(entry for entry in kept(pages) if entry.path == tuple(path))


def true_hash(served: Running, path: list[str]) -> str:
    return next(str(row["sha256"]) for row in served.truth() if row["path"] == path and row["current"])


async def test_every_visible_file_reads_as_it_is(procore_simulator: ProcoreSimulators) -> None:
    served = procore_simulator(files=120)
    hashes = {(str(row["id"]), str(row["version_id"])): row["sha256"] for row in served.truth()}
    async with connected(served) as connector:
        files = [entry for entry in kept(await walked(connector, (served.project["name"],))) if entry.is_file]
        assert any(entry.size_bytes == 0 for entry in files)
        for entry in files:
            assert sha256(await read(connector, entry)) == hashes[entry.ref.id, entry.ref.version_id]
    assert len(calls(served)) == 4  # a content costs none


@pytest.mark.parametrize("switches", [{}, {"extra_hop": True}, {"direct_bytes": True}], ids=str)
async def test_the_token_goes_to_the_api_and_storage_hosts_only(
    served: Running, connector: ProcoreConnector, switches: dict[str, Any]
) -> None:
    served.settings(**switches)
    entry = await entry_at(connector, served, PATH)
    assert sha256(await read(connector, entry)) == true_hash(served, PATH)
    for request in served.log():
        assert request["authorization"] == (request["host"] in ("api", "storage")), request


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 1000), (1, None), (1_500_000, 700_000), (SIZE - 1, None), (SIZE, None)]
)
@pytest.mark.parametrize("ranges", [True, False])
async def test_a_part_is_exactly_that_part(
    served: Running, connector: ProcoreConnector, offset: int, length: int | None, ranges: bool
) -> None:
    entry = await entry_at(connector, served, PATH)
    whole = await read(connector, entry)
    served.settings(ranges=ranges)
    part = await read(connector, entry, offset, length)
    assert part == whole[offset : None if length is None else offset + length]


async def test_chunks_are_of_a_useful_size(served: Running, connector: ProcoreConnector) -> None:
    entry = await entry_at(connector, served, PATH)
    async with connector.open(entry) as chunks:
        sizes = [len(chunk) async for chunk in chunks]
    assert sum(sizes) == SIZE
    assert all(1024 * 1024 <= size <= 4 * 1024 * 1024 for size in sizes[:-1])


BODY_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "cut short": ({"fault": "truncated"}, "connection-lost"),
    "connection reset": ({"fault": "reset-mid-body"}, "connection-lost"),
    "announced and sent too short": ({"fault": "short-length"}, "short-body"),
    "too long": ({"fault": "too-long"}, "long-body"),
    "stalled": ({"fault": "stall", "seconds": 3}, "connection-lost"),
    "a page from the store": ({"fault": "html-200"}, "html-answer"),
    "a page from the storage host": ({"fault": "html-200", "host": "storage"}, "html-answer"),
    "no answer": ({"fault": "reset", "count": 2}, "unreachable"),
    "storage fails": ({"fault": "500", "host": "storage"}, "storage-unavailable"),
    "store fails": ({"fault": "502"}, "storage-unavailable"),
    "overloaded": ({"fault": "503", "retry_after": 7}, "storage-unavailable"),
    "redirected for ever": ({"fault": "redirect-loop", "host": "storage"}, "too-many-redirects"),
}


@pytest.mark.parametrize(("rule", "code"), BODY_FAULTS.values(), ids=BODY_FAULTS)
async def test_a_faulty_answer_is_a_passing_fault(
    served: Running, connector: ProcoreConnector, rule: dict[str, Any], code: str
) -> None:
    entry = await entry_at(connector, served, PATH)
    served.faults([{"host": "blob", "count": 20 if rule["fault"] == "redirect-loop" else 1, **rule}])
    with pytest.raises(RetryableError) as caught:
        await read(connector, entry)
    assert caught.value.code == code
    assert caught.value.retry_after_seconds == (7 if code == "storage-unavailable" and "retry_after" in rule else None)
    assert "sig=" not in str(caught.value).lower()
    served.faults([])
    assert sha256(await read(connector, entry)) == true_hash(served, PATH)


async def test_reading_goes_on_where_it_was_cut(served: Running, connector: ProcoreConnector) -> None:
    entry = await entry_at(connector, served, PATH)
    served.faults([{"host": "blob", "fault": "reset-mid-body", "after_bytes": 1_800_000, "count": 1}])
    content = b""
    with pytest.raises(RetryableError):
        async with connector.open(entry) as chunks:
            async for chunk in chunks:
                content += chunk
    assert 0 < len(content) <= 1_800_000
    content += await read(connector, entry, len(content))
    assert sha256(content) == true_hash(served, PATH)


async def test_going_on_in_another_content_is_refused(served: Running, connector: ProcoreConnector) -> None:
    entry = await entry_at(connector, served, PATH)
    await read(connector, entry, 0, 1000)
    served.faults([{"host": "blob", "fault": "etag-changed", "count": 1}])
    with pytest.raises(ItemError) as caught:
        await read(connector, entry, 1000)
    assert caught.value.code == "source-changed"


@pytest.mark.parametrize("host", ["storage", "blob"])
@pytest.mark.parametrize("fault", ["401", "404", "expired"])
async def test_a_dead_link_is_asked_for_once_more(
    served: Running, connector: ProcoreConnector, host: str, fault: str
) -> None:
    entry = await entry_at(connector, served, PATH)
    served.clear_log()
    served.faults([{"host": host, "fault": fault, "count": 1}])
    assert sha256(await read(connector, entry)) == true_hash(served, PATH)
    assert [call["path"].rpartition("/")[2] for call in calls(served)] == [entry.ref.id]


async def test_links_that_expired_since_the_listing_are_renewed_and_remembered(
    served: Running, connector: ProcoreConnector
) -> None:
    served.settings(link_seconds=60.0)
    entry = await entry_at(connector, served, PATH)
    served.advance(120)
    served.clear_log()
    part = await read(connector, entry, 0, 1000)
    part += await read(connector, entry, 1000)
    assert sha256(part) == true_hash(served, PATH)
    assert len(calls(served)) == 1


async def test_a_link_that_stays_dead_is_tried_again_later(served: Running, connector: ProcoreConnector) -> None:
    entry = await entry_at(connector, served, PATH)
    served.clear_log()
    served.faults([{"host": "blob", "fault": "404"}])
    with pytest.raises(RetryableError) as caught:
        await read(connector, entry)
    assert caught.value.code == "link-refused"
    assert caught.value.fix
    assert len(calls(served)) == 1


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        ({"op": "add_version", "size_bytes": 5}, "source-changed"),
        ({"op": "remove"}, "source-gone"),
    ],
)
async def test_a_dead_link_of_a_file_that_changed_ends_it(
    served: Running, connector: ProcoreConnector, edit: dict[str, Any], code: str
) -> None:
    entry = await entry_at(connector, served, PATH)
    served.edit({**edit, "project_id": served.project["id"], "path": PATH})
    served.faults([{"host": "storage", "fault": "expired"}])
    with pytest.raises(ItemError) as caught:
        await read(connector, entry)
    assert caught.value.code == code
    assert caught.value.fix


async def test_an_older_version_is_read_as_itself(served: Running, connector: ProcoreConnector) -> None:
    project_id = served.project["id"]
    served.edit({"op": "add_version", "project_id": project_id, "path": PATH, "size_bytes": 2000})
    hashes = {row["version"]: row["sha256"] for row in served.truth() if row["path"] == PATH}
    pages = [page async for page in connector.walk_versions((served.project["name"], "Reports"))]
    versions = [entry for entry in kept(pages) if entry.is_file]
    assert [entry.version_number for entry in versions] == [1, 2]
    served.faults([{"host": "storage", "fault": "expired", "nth": [1, 3]}])
    for entry in versions:
        assert sha256(await read(connector, entry)) == hashes[entry.version_number]


async def test_a_link_to_a_foreign_host_never_gets_the_token(served: Running) -> None:
    async with connected(served, token_hosts=()) as connector:
        entry = await entry_at(connector, served, PATH)
        served.clear_log()
        for _ in range(2):
            with pytest.raises(ItemError) as caught:
                await read(connector, entry)
    assert caught.value.code == "link-host-not-trusted"
    assert "--token-host" in (caught.value.fix or "")
    assert not any(request["authorization"] for request in calls(served, "storage"))
    assert len(calls(served)) == 1  # the second time nothing is asked again


async def test_a_redirect_to_a_foreign_host_never_gets_the_token(served: Running, connector: ProcoreConnector) -> None:
    entry = await entry_at(connector, served, PATH)
    served.faults([{"host": "storage", "fault": "foreign-redirect"}])
    with pytest.raises(SiteHaulError):
        await read(connector, entry)
    foreign = calls(served, "peer")
    assert foreign
    assert not any(request["authorization"] for request in foreign)


@pytest.mark.parametrize(
    "location", ["http://example.com/x", "ftp://127.0.0.1/x", "https://user@127.0.0.1/x", "file:///etc/passwd"]
)
async def test_an_unsafe_redirect_is_not_followed(served: Running, connector: ProcoreConnector, location: str) -> None:
    entry = await entry_at(connector, served, PATH)
    served.faults([{"host": "storage", "fault": "foreign-redirect", "location": location}])
    with pytest.raises(ItemError) as caught:
        await read(connector, entry)
    assert caught.value.code == "link-unsafe"


async def test_no_log_shows_a_link_a_token_or_a_secret(served: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    store = MemoryTokenStore()
    async with connected(served, tokens=store) as connector:
        entry = await entry_at(connector, served, PATH)
        served.faults([{"host": "storage", "fault": "expired", "count": 1}, {"fault": "503", "count": 1}])
        await read(connector, entry)
    tokens = await store.load()
    assert tokens is not None
    assert "Trying again" in caplog.text
    for secret in (tokens.access_token, str(served.facts["client_secret"]), "sig=", "X-Amz"):
        assert secret not in caplog.text


async def test_a_token_that_expired_while_downloading_is_renewed(served: Running, connector: ProcoreConnector) -> None:
    entry = await entry_at(connector, served, PATH)
    served.edit({"op": "expire_tokens"})
    assert sha256(await read(connector, entry)) == true_hash(served, PATH)


async def test_downloads_are_calls_when_storage_counts_them(served: Running) -> None:
    served.settings(count_storage=True)
    budget = UnlimitedBudget()
    async with connected(served, budget=budget) as connector:
        entry = await entry_at(connector, served, PATH)
        before = budget.calls_taken
        for _ in range(3):
            await read(connector, entry, 0, 10)
    assert budget.calls_taken - before == 3
    assert len(calls(served, "storage")) == 3


async def test_a_used_up_limit_of_the_storage_host_is_waited_for_as_it_says(served: Running) -> None:
    clock = SimulatorClock(served)
    async with connected(served, clock=clock) as connector:
        entry = await entry_at(connector, served, PATH)
        served.advance(20)
        served.settings(count_storage=True, spike_calls=1)
        await read(connector, entry, 0, 10)
        with pytest.raises(RetryableError) as caught:
            await read(connector, entry, 0, 10)
    assert caught.value.code == "storage-unavailable"
    assert 1 <= (caught.value.retry_after_seconds or 0) <= 12


async def test_an_entry_without_a_link_costs_one_call(served: Running, connector: ProcoreConnector) -> None:
    entry = await entry_at(connector, served, PATH)
    bare = replace(entry, extra={key: value for key, value in entry.extra.items() if key != "url"})
    assert sha256(await read(connector, bare)) == true_hash(served, PATH)


async def test_many_files_are_read_at_once(procore_simulator: ProcoreSimulators) -> None:
    served = procore_simulator(files=200)
    hashes = {(str(row["id"]), str(row["version_id"])): row["sha256"] for row in served.truth()}
    async with connected(served) as connector:
        files = [entry for entry in kept(await walked(connector, (served.project["name"],))) if entry.is_file]
        contents = await asyncio.gather(*(read(connector, entry) for entry in files))
    for entry, content in zip(files, contents, strict=True):
        assert sha256(content) == hashes[entry.ref.id, entry.ref.version_id]
