"""Whole runs of the engine into a library, with Office files that SharePoint rewrites and calls that fail."""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from connectors.shared.services import Services
from connectors.sharepoint.connector import SharePointConnector
from migration.entries import Entry
from migration.judgement import Verdict
from simulator.clouds import graph
from simulator.clouds.base import Cloud
from tests.contract.places.sharepoint import Hurried, settings_of
from tests.contract.steps import entries, read
from tests.engine.support import Bench, ScriptedSource, pattern
from tests.engine.whole import accounted_run

OFFICE = 6
SIZES = (0, 1, 20_000, 6_000_000)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with graph.running() as running:
        yield running


@dataclass
class Edited(ScriptedSource):
    """One in which people go on working."""

    edited: set[str] = field(default_factory=set)

    def entry(self, name: str, **changes: Any) -> Entry:
        entry = super().entry(name, **changes)
        return replace(entry, ref=replace(entry.ref, version_id="2")) if name in self.edited else entry


def sharepoint(cloud: Cloud) -> SharePointConnector:
    return SharePointConnector(settings_of(cloud), Services(clock=Hurried()))


def contents(count: int) -> dict[str, bytes]:
    plain = {f"Folder {number % 5}/{number}.bin": pattern(SIZES[number % 4], number) for number in range(count)}
    return plain | {f"Office/{number}.docx": pattern(3_000 + number, number) for number in range(OFFICE)}


def digests(cloud: Cloud) -> dict[str, str]:
    found = {"/".join(path[1:]): cloud.content(path) for path in cloud.everything()}
    return {name: hashlib.sha256(content or b"").hexdigest() for name, content in found.items()}


@pytest.mark.parametrize("settle_seconds", [0.0, 0.2])
async def test_office_files_that_were_rewritten_are_not_copied_again(
    tmp_path: Path, cloud: Cloud, settle_seconds: float
) -> None:
    cloud.settings(settle_seconds=settle_seconds)
    source = Edited(contents(20))
    bench = Bench(tmp_path, source)
    account, found = await accounted_run(bench, sharepoint(cloud))
    assert account.adds_up, account.unexplained
    # What is rewritten while verification is under way is a file it could not check.
    assert found.clean or settle_seconds
    assert {difference.verdict for difference in found.differences} <= {Verdict.NOT_CHECKED}
    assert account.total.files["succeeded"] == 20 + OFFICE
    sent = {name: hashlib.sha256(content).hexdigest() for name, content in source.contents.items()}
    for _ in range(1_000):
        if sum(digests(cloud)[name] != sent[name] for name in sent) == OFFICE:
            break
        await asyncio.sleep(0.01)
    opened = len(source.opened)
    again, _ = await accounted_run(bench, sharepoint(cloud))
    assert again.adds_up
    assert (again.total.files["skipped"], len(source.opened) - opened) == (20 + OFFICE, 0)
    source.contents["Office/0.docx"] = pattern(5_000, 99)
    source.edited.add("Office/0.docx")
    third, _ = await accounted_run(bench, sharepoint(cloud))
    assert (third.adds_up, third.total.files["succeeded"], third.total.files["skipped"]) == (True, 1, 19 + OFFICE)


async def test_one_call_in_ten_fails_and_nothing_is_missing_or_half_there(tmp_path: Path, cloud: Cloud) -> None:
    cloud.settings(office_rewrite=False)
    cloud.faults(
        [
            {"host": host, "fault": fault, "probability": 0.025, "seed": number}
            for number, fault in enumerate(("lost-response", "reset", "500", "503"))
            for host in ("api", "upload", "download")
        ]
    )
    source = ScriptedSource(contents(60))
    account, found = await accounted_run(Bench(tmp_path, source), sharepoint(cloud))
    cloud.faults([])
    assert account.adds_up, account.unexplained
    assert found.clean, found.differences
    assert digests(cloud) == {name: hashlib.sha256(content).hexdigest() for name, content in source.contents.items()}
    async with sharepoint(cloud) as connector:
        there = await entries(connector, ("copied",))
        name = ("Folder 1", "1.bin")
        assert await read(connector, there[name]) == source.contents["/".join(name)]
