"""What a system's own troubles look like to the engine and to the operator: one clear error, and nothing lost."""

from collections.abc import Callable

import pytest

from migration.contract import Destination, Source
from migration.errors import (
    ConfigurationError,
    FatalError,
    ItemError,
    PreconditionFailed,
    RetryableError,
    SiteHaulError,
)
from tests.contract.place import Place
from tests.contract.steps import content_of, entries, put, read, walked

MIB = 1024 * 1024
FILE = ("folder", "file")
REQUESTS_MAX = 40
"""More than any connector needs to put one file."""


def or_skip(trouble: Source | None, what: str) -> Source:
    if trouble is None:
        pytest.skip(f"the system has no {what}")
    return trouble


async def says(trouble: Source, codes: set[str]) -> SiteHaulError:
    """The error of a walk, which the connection test has to tell as well, with what to do."""
    with pytest.raises((ConfigurationError, FatalError, RetryableError)) as caught:
        async with trouble:
            await walked(trouble)
    async with trouble:
        report = await trouble.test()
    assert not report.usable
    problems = [finding for finding in report.findings if finding.level == "problem"]
    for code, message, fix in [
        (caught.value.code, caught.value.message, caught.value.fix),
        *((problem.code, problem.message, problem.fix) for problem in problems),
    ]:
        assert code in codes
        assert len(message) > 20
        assert message.endswith(".")
        assert fix
        assert fix.endswith(".") or ":" in fix
    assert problems
    return caught.value


async def test_wrong_credentials_say_what_to_check(place: Place) -> None:
    error = await says(or_skip(place.wrong_password(), "sign-in"), {"sign-in-refused", "client-refused"})
    assert not isinstance(error, RetryableError)


async def test_a_root_that_is_not_there_is_named(place: Place) -> None:
    error = await says(or_skip(place.missing_root(), "roots"), {"root-missing", "folder-missing"})
    assert not isinstance(error, RetryableError)


async def test_a_server_that_does_not_answer_is_named(place: Place) -> None:
    await says(or_skip(place.unreachable(), "server"), {"unreachable"})


async def test_a_server_that_cannot_prove_who_it_is_is_not_trusted(place: Place) -> None:
    error = await says(or_skip(place.untrusted(), "certificate or host key"), {"untrusted-host"})
    assert not isinstance(error, RetryableError)


async def test_what_is_read_only_can_be_read_and_refuses_to_be_written(place: Place) -> None:
    connector = or_skip(place.read_only(), "read-only access")
    await place.plant(FILE, b"content")
    async with connector:
        assert await read(connector, (await entries(connector))[FILE]) == b"content"
        report = await connector.test()
        assert report.usable
        assert isinstance(connector, Destination)
        for attempt in (
            put(connector, ("folder", "new"), content_of(20_000)),
            put(connector, ("folder", "large"), content_of(9 * MIB)),
            connector.make_folder(("new-folder",)),
        ):
            with pytest.raises((FatalError, ItemError)) as caught:
                await attempt
            assert caught.value.code in {"read-only", "permission-denied"}
            assert caught.value.fix
    assert await place.everything() == {FILE}


async def test_a_full_system_stops_the_run_and_keeps_what_is_whole(place: Place) -> None:
    connector = or_skip(place.full(), "end of space")
    async with connector:
        assert isinstance(connector, Destination)
        await put(connector, ("small",), content_of(20_000))
        for size_bytes in (40 * MIB, None):
            with pytest.raises(FatalError) as caught:
                await put(connector, ("large",), content_of(40 * MIB), size_bytes=size_bytes)
            assert caught.value.code == "disk-full"
            assert caught.value.fix
        assert set(await entries(connector)) == {("small",)}


async def test_a_sign_in_that_expires_is_renewed(destination: Destination, place: Place) -> None:
    await destination.make_folder(FILE[:1])
    for attempt in range(2):
        if not await place.expire():
            pytest.skip("sign-ins do not expire")
        await put(destination, (*FILE[:1], f"{attempt}"), content_of(20_000), staging_key=f"key-{attempt}")
        await place.expire()
        await put(destination, (*FILE[:1], f"large-{attempt}"), content_of(9 * MIB), staging_key=f"large-{attempt}")
        await place.expire()
        found = await entries(destination)
        await place.expire()
        assert await read(destination, found[(*FILE[:1], f"{attempt}")]) == content_of(20_000)


@pytest.mark.parametrize("size", [20_000, 9 * MIB])
async def test_a_throttled_call_waits_as_long_as_it_was_told(destination: Destination, place: Place, size: int) -> None:
    await destination.make_folder(FILE[:1])
    if not await place.throttle(2, 1):
        pytest.skip("the system does not throttle")
    await until_done(lambda: put(destination, FILE, content_of(size)), destination)
    assert await place.hits() == 2
    await place.throttle(1, 1)
    assert set(await entries(destination)) == {FILE[:1], FILE}
    assert await place.hits() == 1
    assert await place.content(FILE) == content_of(size)
    assert await place.everything() == {FILE}


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("size", [0, 20_000, 9 * MIB])
async def test_a_connection_lost_at_any_request_costs_nothing_but_the_try(
    place: Place, size: int, answered: bool
) -> None:
    """Whichever request is lost: the file is there whole or not at all, and the next try succeeds."""
    content = content_of(size)
    for nth in range(1, REQUESTS_MAX):
        async with place.connector() as connector:
            if not isinstance(connector, Destination):
                pytest.skip(f"{connector.display_name} can only be read")
            await connector.make_folder(FILE[:1])
            if not await place.lose(nth, answered=answered):
                pytest.skip("the system's connection cannot be cut at a request")
            outcome = await one_try(connector, content)
            struck = await place.hits()
            await place.lose(0, answered=answered)
            there = await place.content(FILE)
            assert there in (None, content)
            if outcome is None:
                assert there == content
            elif there is not None:
                assert outcome.code == "publish-unknown"
            if there is None:
                await put(connector, FILE, content)
                assert await place.content(FILE) == content
            await sweep(connector)
            assert await place.everything() == {FILE}
            await place.remove(FILE)
        if not struck:
            return
    pytest.fail(f"a put still made a request after {REQUESTS_MAX}")


@pytest.mark.parametrize("answered", [False, True])
async def test_a_listing_that_loses_its_connection_is_never_an_empty_one(place: Place, answered: bool) -> None:
    for name in ("a", "b", "c"):
        await place.plant((name, "file"), b"content")
    whole = {(name,) for name in "abc"} | {(name, "file") for name in "abc"}
    for nth in range(1, REQUESTS_MAX):
        async with place.connector(page_entries=2) as connector:
            if not await place.lose(nth, answered=answered):
                pytest.skip("the system's connection cannot be cut at a request")
            try:
                assert set(await entries(connector)) == whole
            except RetryableError as error:
                assert error.fix or error.code
            struck = await place.hits()
            await place.lose(0, answered=answered)
        if not struck:
            return
    pytest.fail(f"a walk still made a request after {REQUESTS_MAX}")


async def one_try(destination: Destination, content: bytes) -> RetryableError | None:
    try:
        await put(destination, FILE, content)
    except RetryableError as error:
        return error
    return None


async def until_done(attempt: Callable[[], object], destination: Destination) -> None:
    """The engine's way with RetryableErrors, without its waiting."""
    for _ in range(5):
        try:
            await attempt()  # type: ignore[misc]
        except PreconditionFailed:
            raise
        except RetryableError as error:
            assert error.retry_after_seconds is not None
            continue
        return
    pytest.fail(f"{destination.display_name} did not get through")


async def sweep(destination: Destination) -> None:
    from migration.contract import StagedSweep

    if isinstance(destination, StagedSweep):
        await destination.sweep_staged(())
