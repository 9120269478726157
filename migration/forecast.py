"""What a plan will cost: calls, bytes, and the hours the hourly allowance alone makes it take. Pure arithmetic."""

import math
from dataclasses import dataclass

from migration.capabilities import Capabilities


@dataclass(frozen=True, slots=True)
class Forecast:
    """The cost of carrying out a plan, verification included. `hours` is None when no hourly allowance applies."""

    calls: int
    bytes: int
    hours: float | None


def forecast(
    *,
    files: int,
    folders: int,
    size_bytes: int,
    destination_entries: int,
    version_listings: int = 0,
    source: Capabilities,
    destination: Capabilities,
    hourly_calls: int | None,
) -> Forecast:
    """The cost of copying `files` files of `size_bytes` bytes in all and making `folders` folders.

    `destination_entries` is how many entries the destination will hold, which verification lists; of
    `version_listings` files the earlier versions are asked for, one call each where calls count. Calls that retries
    and other users of the client add are not in it. The allowance counts as unspent at the start.
    """
    calls = files * (source.calls_per_download + destination.calls_per_upload)
    calls += folders * destination.calls_per_folder
    calls += version_listings if source.calls_per_page else 0
    calls += _listing_calls(destination_entries, destination)
    return Forecast(calls=calls, bytes=size_bytes, hours=_hours(calls, hourly_calls))


def _listing_calls(entries: int, capabilities: Capabilities) -> int:
    per_page = capabilities.entries_per_page
    pages = math.ceil(entries / per_page) if per_page else 1
    return max(1, pages) * capabilities.calls_per_page


def _hours(calls: int, hourly_calls: int | None) -> float | None:
    """Full allowances come back an hour after they were spent, so the n-th allowance is spent at hour n - 1."""
    if not hourly_calls:
        return None
    return float(max(0, math.ceil(calls / hourly_calls) - 1))
