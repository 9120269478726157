"""Fixtures that start each server once per pytest process, and what is said about those that cannot run here.

Tests share a server: each works in a folder (a prefix, a bucket) of its own. A server that is missing skips the tests
that need it; with SITEHAUL_TEST_ALL set, as `make test-all` and CI do, it fails them.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from simulator.clouds import box, drive, dropbox, egnyte, graph
from simulator.clouds.base import Cloud
from tests.servers import azurite, gcs, s3, samba, ssh, ssh_in_process, webdav
from tests.servers.programs import ServerMissing

TEST_ALL = "SITEHAUL_TEST_ALL"
_NO_SERVER = "no server: "
T = TypeVar("T")


def running_or_skipped(running: Callable[..., AbstractContextManager[T]], folder: Path, **how: Any) -> Iterator[T]:
    """Start a server for a fixture; where it cannot run, skip or, when all are wanted, fail."""
    try:
        entered = running(folder, **how)
        server = entered.__enter__()
    except ServerMissing as missing:
        if os.environ.get(TEST_ALL):
            pytest.fail(f"{missing} ({TEST_ALL} is set)")
        pytest.skip(f"{_NO_SERVER}{running.__module__.rpartition('.')[2]}: {missing}")
    try:
        yield server
    finally:
        entered.__exit__(None, None, None)


@pytest.fixture(scope="session")
def samba_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[samba.Samba]:
    """Samba, see `tests.servers.samba`."""
    yield from running_or_skipped(samba.running, tmp_path_factory.mktemp("samba"))


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh.OpenSsh]:
    """OpenSSH, see `tests.servers.ssh`."""
    yield from running_or_skipped(ssh.running, tmp_path_factory.mktemp("ssh"))


@pytest.fixture
def in_process_ssh(tmp_path: Path) -> Iterator[ssh_in_process.InProcessSsh]:
    """An SFTP server of the test's own, whose operations can be made to fail; see `tests.servers.ssh_in_process`."""
    yield from running_or_skipped(ssh_in_process.running, tmp_path / "ssh")


@pytest.fixture(scope="session")
def webdav_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdav.WebDav]:
    """WsgiDAV, see `tests.servers.webdav`."""
    yield from running_or_skipped(webdav.running, tmp_path_factory.mktemp("wsgidav"), kind="wsgidav")


@pytest.fixture(scope="session")
def rclone_webdav_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdav.WebDav]:
    """rclone's WebDAV server, see `tests.servers.webdav`."""
    yield from running_or_skipped(webdav.running, tmp_path_factory.mktemp("rclone-webdav"), kind="rclone")


@pytest.fixture(scope="session")
def apache_webdav_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdav.WebDav]:
    """Apache's mod_dav, see `tests.servers.webdav`."""
    yield from running_or_skipped(webdav.running, tmp_path_factory.mktemp("apache"), kind="apache")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    """SeaweedFS, see `tests.servers.s3`."""
    yield from running_or_skipped(s3.running, tmp_path_factory.mktemp("s3"))


@pytest.fixture(scope="session")
def azurite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[azurite.Azurite]:
    """Azurite, see `tests.servers.azurite`."""
    yield from running_or_skipped(azurite.running, tmp_path_factory.mktemp("azurite"))


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gcs.Gcs]:
    """Google Cloud Storage, see `tests.servers.gcs`."""
    yield from running_or_skipped(gcs.running, tmp_path_factory.mktemp("gcs"))


@pytest.fixture(scope="session")
def graph_cloud() -> Iterator[Cloud]:
    """Microsoft Graph, see `simulator.clouds.graph`."""
    with graph.running(page_entries_max=7) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def box_cloud() -> Iterator[Cloud]:
    """A stand-in for Box, whose parts of uploads are short."""
    with box.running(session_bytes_min=1024, part_size_bytes=1024 * 1024, commit_retry_after_seconds=0) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def egnyte_cloud() -> Iterator[Cloud]:
    """A stand-in for Egnyte."""
    with egnyte.running() as cloud:
        yield cloud


@pytest.fixture(scope="session")
def dropbox_cloud() -> Iterator[dropbox.DropboxCloud]:
    """A stand-in for Dropbox, whose pages are short."""
    with dropbox.running(page_entries_max=7) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def drive_cloud() -> Iterator[drive.DriveCloud]:
    """A stand-in for Google Drive, whose pages are short."""
    with drive.running(page_entries_max=7) as cloud:
        yield cloud


def report_missing(reporter: pytest.TerminalReporter) -> None:
    """Say at the end which servers were missing and how many tests were skipped for it."""
    reasons = [report.longrepr[2] for report in reporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple)]
    missing = Counter(
        reason.partition(_NO_SERVER)[2] for reason in reasons if isinstance(reason, str) and _NO_SERVER in reason
    )
    if missing:
        reporter.section("servers that cannot run here (make test-all installs them)")
        for reason, tests in sorted(missing.items()):
            reporter.line(f"{reason}: {tests} tests skipped")
