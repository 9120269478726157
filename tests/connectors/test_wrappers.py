from pathlib import Path

import pytest

from connectors.filesystem.settings import FilesystemSettings
from connectors.registry import make_connector, require_destination
from connectors.shared.services import Services
from connectors.wrappers.throttled import BURST_SECONDS, LOOK_SECONDS, Bandwidth, limited
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


async def test_a_limit_that_changes_holds_for_who_waits_already() -> None:
    clock = SkippingClock()
    rates: list[float | None] = [10.0]
    bandwidth = Bandwidth(lambda: 1000.0 if clock.now_seconds >= 5 else rates[0], clock)
    await bandwidth.take(550)
    assert 5 <= clock.now_seconds <= 6 + LOOK_SECONDS
    rates[0] = None
    clock.now_seconds = 0.0
    await Bandwidth(lambda: rates[0], clock).take(10**9)
    assert clock.now_seconds == 0.0


async def test_reading_and_writing_have_limits_of_their_own(tmp_path: Path) -> None:
    clock = SkippingClock()
    settings = FilesystemSettings(folder=tmp_path)
    async with make_connector(settings, Services(clock=clock)) as plain:
        writing = limited(plain, None, Bandwidth(lambda: MIB, clock))
        assert isinstance(writing, Destination) and not isinstance(writing, RangeWritable)
        await put(writing, ("file",), content_of(3 * MIB))
        assert 3 - BURST_SECONDS <= clock.now_seconds < 3.5
        await read(writing, (await entries(writing))[("file",)])
        assert clock.now_seconds < 3.5

        reading = limited(plain, Bandwidth(lambda: MIB, clock), None)
        assert isinstance(reading, RangeWritable)
        await put(reading, ("file2",), content_of(3 * MIB))
        assert clock.now_seconds < 3.5
        await read(reading, (await entries(reading))[("file",)])
        assert clock.now_seconds >= 6 - 2 * BURST_SECONDS
        assert limited(plain, None, None) is plain
