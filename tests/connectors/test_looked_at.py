"""A destination that is only looked at, as in a simulation, has nothing that could change it."""

from pathlib import Path

import pytest

from connectors.filesystem.settings import FilesystemSettings
from connectors.registry import make_connector, require_destination
from connectors.shared.services import Services
from connectors.wrappers.read_only import looked_at
from migration.budget import UnlimitedBudget
from migration.clock import SystemClock
from migration.contract import ContentHash, Destination, Flushable, Movable, RangeWritable, StagedSweep, Trash
from migration.errors import ConfigurationError


async def test_it_can_be_listed_and_read_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("there")
    services = Services(budget=UnlimitedBudget(), tokens=None, clock=SystemClock())
    inner = make_connector(FilesystemSettings(folder=tmp_path), services)
    assert isinstance(inner, Destination)
    looked = looked_at(inner)
    async with looked:
        found = await looked.stat(("a.txt",))
        assert found is not None and found.size_bytes == 5
        assert [entry.name async for page in looked.walk(()) for entry in page.entries] == ["a.txt"]
    for protocol in (Destination, Flushable, Movable, RangeWritable, StagedSweep, Trash):
        assert not isinstance(looked, protocol)
    assert isinstance(looked, ContentHash) == isinstance(inner, ContentHash)
    for name in ("put", "put_ranges", "make_folder", "move", "delete_to_trash", "restore", "sweep_staged", "flush"):
        assert not hasattr(looked, name)
    with pytest.raises(ConfigurationError):
        require_destination(looked, "archive")
