"""Fixtures of more than one folder of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import ProcoreSimulators, procore_simulators
from tests.servers.fixtures import in_process_ssh, report_missing, samba_server, ssh_server

__all__ = ["in_process_ssh", "samba_server", "ssh_server"]


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
    report_missing(terminalreporter)
