from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from migration.contract import Destination, Source
from tests.contract.place import Place
from tests.contract.places import rows

PLACES = [pytest.param(row, id=row.name, marks=pytest.mark.xdist_group(row.server or row.name)) for row in rows()]


@pytest.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    server = request.getfixturevalue(request.param.server) if request.param.server else None
    folder = tmp_path / "place"
    folder.mkdir()
    async with request.param.open(server, folder) as opened:
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
