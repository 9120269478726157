"""Fixtures of more than one folder of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.summary import report_skipped
from tests.servers import ProcoreSimulators, procore_simulators
from tests.servers.fixtures import (
    apache_webdav_server,
    azurite_server,
    box_cloud,
    drive_cloud,
    dropbox_cloud,
    egnyte_cloud,
    gcs_server,
    graph_cloud,
    in_process_ssh,
    rclone_webdav_server,
    report_missing,
    s3_server,
    samba_server,
    ssh_server,
    webdav_server,
)

__all__ = [
    "apache_webdav_server",
    "azurite_server",
    "box_cloud",
    "drive_cloud",
    "dropbox_cloud",
    "egnyte_cloud",
    "gcs_server",
    "graph_cloud",
    "in_process_ssh",
    "rclone_webdav_server",
    "s3_server",
    "samba_server",
    "ssh_server",
    "webdav_server",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that the processes of pytest-xdist end at about the same time."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def procore_simulator(tmp_path: Path) -> Iterator[ProcoreSimulators]:
    """Starts simulated Procores for one test: `start(files=200, **options) -> Running`."""
    with procore_simulators(tmp_path / "procore") as start:
        yield start


@pytest.fixture(scope="module")
def shared_procore_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcoreSimulators]:
    """Starts simulated Procores that live as long as a module's tests, for tests that only read."""
    with procore_simulators(tmp_path_factory.mktemp("procore")) as start:
        yield start


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    report_skipped(terminalreporter)
    report_missing(terminalreporter)
