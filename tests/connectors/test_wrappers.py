from pathlib import Path

import pytest

from connectors.filesystem.settings import FilesystemSettings
from connectors.registry import make_connector, require_destination
from connectors.shared.services import Services
from connectors.wrappers.throttled import BURST_SECONDS
from migration.capabilities import Operation
from migration.clock import SystemClock
from migration.contract import ContentHash, Destination, Movable, RangeWritable
from migration.errors import ConfigurationError
from tests.contract.steps import content_of, entries, put, read

MIB = 1024 * 1024


class SkippingClock(SystemClock):
    """Time passes only by sleeping, and at once."""

    now_seconds = 0.0

    def monotonic(self) -> float:
        return self.now_seconds

    async def sleep(self, seconds: float) -> None:
        self.now_seconds += seconds


async def test_a_connection_set_to_read_only_is_no_destination(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    settings = FilesystemSettings(folder=tmp_path, read_only=True, bytes_per_second=10_000_000)
    async with make_connector(settings, Services()) as connector:
        assert await read(connector, (await entries(connector))[("file",)]) == b"content"
        assert not isinstance(connector, Destination | RangeWritable | Movable)
        assert isinstance(connector, ContentHash)
        assert connector.capabilities.operations == {Operation.RANGE_READS, Operation.CONTENT_HASH}
        with pytest.raises(ConfigurationError) as caught:
            require_destination(connector, "archive")
    assert caught.value.code == "not-a-destination"


async def test_content_passes_no_faster_than_allowed_in_both_directions_together(tmp_path: Path) -> None:
    clock = SkippingClock()
    settings = FilesystemSettings(folder=tmp_path, bytes_per_second=MIB)
    async with make_connector(settings, Services(clock=clock)) as connector:
        assert isinstance(connector, Destination)
        assert not isinstance(connector, RangeWritable)
        began = clock.monotonic()
        await put(connector, ("file",), content_of(6 * MIB))
        assert clock.monotonic() - began >= 6 - BURST_SECONDS
        await read(connector, (await entries(connector))[("file",)])
        assert 12 - BURST_SECONDS <= clock.monotonic() - began < 13
