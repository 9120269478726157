from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from migration.contract import Destination, Source
from simulator.server import Running
from tests.contract.place import Place
from tests.contract.places import rows
from tests.servers import procore_simulators

PLACES = [pytest.param(row, id=row.name, marks=pytest.mark.xdist_group(row.server or row.name)) for row in rows()]


@pytest.fixture(scope="session")
def procore_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A simulated Procore with one project."""
    with procore_simulators(tmp_path_factory.mktemp("procore")) as start:
        yield start(files=1, projects=1)


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
