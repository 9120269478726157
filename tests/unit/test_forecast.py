"""What a plan costs, as a table."""

import pytest

from migration.capabilities import Capabilities
from migration.forecast import Forecast, forecast

SHARE = Capabilities()
PROCORE = Capabilities(calls_per_page=1, entries_per_page=5000, calls_per_upload=3, calls_per_folder=1)
COUNTED = Capabilities(calls_per_download=1)


@pytest.mark.parametrize(
    ("files", "folders", "there", "source", "destination", "hourly", "expected"),
    [
        (0, 0, 0, SHARE, SHARE, None, Forecast(0, 9, None)),
        (1000, 10, 1010, SHARE, SHARE, 3600, Forecast(0, 9, 0.0)),
        (1000, 10, 1010, COUNTED, SHARE, 3600, Forecast(1000, 9, 0.0)),
        (3600, 0, 0, COUNTED, SHARE, 3600, Forecast(3600, 9, 0.0)),
        (3601, 0, 0, COUNTED, SHARE, 3600, Forecast(3601, 9, 1.0)),
        (7201, 0, 0, COUNTED, SHARE, 3600, Forecast(7201, 9, 2.0)),
        (100, 10, 5001, SHARE, PROCORE, 600, Forecast(312, 9, 0.0)),
        (100, 0, 0, SHARE, Capabilities(calls_per_page=2), None, Forecast(2, 9, None)),
    ],
)
def test_forecast(
    files: int, folders: int, there: int, source: Capabilities, destination: Capabilities, hourly: int | None,
    expected: Forecast,
) -> None:  # fmt: skip
    assert expected == forecast(
        files=files,
        folders=folders,
        size_bytes=9,
        destination_entries=there,
        source=source,
        destination=destination,
        hourly_calls=hourly,
    )
