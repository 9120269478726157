"""Analysis continues where it stopped, whatever stopped it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Self

import pytest

from migration.analysis import RESTARTS_MAX, analyze, analyze_destination
from migration.capabilities import Capabilities
from migration.contract import ConnectionReport, WalkPage
from migration.entries import Entry, PathParts
from migration.errors import BudgetExhausted, FatalError, RetryableError
from migration.progress import Progress, unwatched
from tests.unit.planning_support import StillClock, entries


class PagedSystem:
    """A system of numbered pages whose walk ends early with an error, as scripted."""

    system = "procore"
    display_name = "Paged"
    capabilities = Capabilities()

    def __init__(self, pages: Sequence[list[str]], stops: Sequence[tuple[int, Exception]] = ()) -> None:
        self.pages = list(pages)
        self.stops = list(stops)
        self.listed: list[int] = []
        self.open_walks = 0
        self.restarts_left = 0
        self.there = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def walk(self, root: PathParts, resume_from: str | None = None) -> AsyncIterator[WalkPage]:
        self.open_walks += 1
        try:
            number = int(resume_from or 0)
            while number < len(self.pages):
                if self.stops and self.stops[0][0] == number:
                    raise self.stops.pop(0)[1]
                self.listed.append(number)
                number += 1
                cursor = None if number == len(self.pages) else str(number)
                restarted = self.restarts_left > 0
                self.restarts_left -= restarted
                yield WalkPage(tuple(entries("procore", self.pages[number - 1])), (), cursor, 1, 6, restarted)
        finally:
            self.open_walks -= 1

    async def stat(self, path: PathParts) -> Entry | None:
        return entries("procore", ["/".join(path) + "/"])[-1] if self.there else None

    def open(
        self, entry: Entry, offset: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        raise NotImplementedError

    async def test(self) -> ConnectionReport:
        raise NotImplementedError


async def analyzed(system: PagedSystem, folder: Path, told: list[Progress] | None = None) -> list[str]:
    listener = unwatched if told is None else told.append
    inventory = await analyze(system, ("Bridge",), folder, run_id="run", clock=StillClock(), progress=listener)
    return [entry.name for entry in inventory.entries()]


async def test_everything_is_listed_once_and_told(tmp_path: Path) -> None:
    system, told = PagedSystem([["a = 5"], ["b", "c/"]]), list[Progress]()
    assert await analyzed(system, tmp_path, told) == ["a", "b", "c"]
    assert [(one.entries, one.files_done, one.bytes_done, one.calls) for one in told] == [(1, 1, 5, 1), (3, 2, 6, 2)]
    assert told[-1].message == "3 of 6 entries listed"
    assert await analyzed(system, tmp_path) == ["a", "b", "c"]
    assert system.listed == [0, 1]


@pytest.mark.parametrize("error", [BudgetExhausted("no calls left"), RetryableError("gone", "It went."), KeyError("x")])
async def test_what_was_listed_before_a_stop_is_not_listed_again(tmp_path: Path, error: Exception) -> None:
    system = PagedSystem([["a"], ["b"], ["c"]], [(2, error)])
    with pytest.raises(type(error)):
        await analyzed(system, tmp_path)
    assert system.open_walks == 0
    told: list[Progress] = []
    assert await analyzed(system, tmp_path, told) == ["a", "b", "c"]
    assert system.listed == [0, 1, 2]
    assert (told[-1].entries, told[-1].calls) == (3, 3)


async def test_a_listing_that_changes_once_begins_again(tmp_path: Path) -> None:
    system = PagedSystem([["a"], ["b"]])
    system.restarts_left = 2
    assert await analyzed(system, tmp_path) == ["b"]


async def test_a_listing_that_keeps_changing_is_given_up(tmp_path: Path) -> None:
    system = PagedSystem([["a"]] * 30)
    system.restarts_left = 30
    with pytest.raises(FatalError) as caught:
        await analyzed(system, tmp_path)
    assert caught.value.code == "listing-keeps-changing"
    assert len(system.listed) == RESTARTS_MAX + 1
    assert system.open_walks == 0


async def test_a_destination_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    system = PagedSystem([["a"]])
    system.there = False
    inventory = await analyze_destination(
        system, ("new",), tmp_path, run_id="run", clock=StillClock(), progress=unwatched
    )
    assert inventory.header.root_missing
    assert inventory.header.complete
    assert (list(inventory.entries()), system.listed) == ([], [])
    system.there = True
    again = await analyze_destination(system, ("new",), tmp_path, run_id="run", clock=StillClock(), progress=unwatched)
    assert again.header.root_missing


async def test_a_destination_that_is_there_is_listed(tmp_path: Path) -> None:
    system = PagedSystem([["a"]])
    inventory = await analyze_destination(
        system, ("old",), tmp_path, run_id="run", clock=StillClock(), progress=unwatched
    )
    assert [entry.name for entry in inventory.entries()] == ["a"]


async def test_the_sidecar_is_no_content(tmp_path: Path) -> None:
    system = PagedSystem([["a/", ".sitehaul/", ".sitehaul/job/manifest.csv"], ["a/.sitehaul/x", ".sitehauls", "a/b"]])
    inventory = await analyze(system, (), tmp_path / "inventory", run_id="run", clock=StillClock(), progress=unwatched)
    assert sorted("/".join(entry.path) for entry in inventory.entries()) == [".sitehauls", "a", "a", "a/b"]
    assert inventory.header.entries == 4
