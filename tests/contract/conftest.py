from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from migration.contract import Destination, Source
from tests.contract.places import PLACES, Place


@pytest.fixture(params=PLACES, ids=lambda row: row.name)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    folder = tmp_path / "place"
    folder.mkdir()
    async with request.param.open(folder) as opened:
        yield opened


@pytest.fixture
async def source(place: Place) -> AsyncIterator[Source]:
    async with place.connector() as connector:
        yield connector


@pytest.fixture
async def destination(source: Any) -> Destination:
    if not isinstance(source, Destination):
        pytest.skip(f"{source.display_name} can only be read")
    return source
