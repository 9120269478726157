"""Every server tests can talk to starts, does what its module says, and is gone afterwards."""

import os
from pathlib import Path

import pytest

from tests.servers.plain import MODIFIED
from tests.servers.programs import NotStarted, ServerMissing, program, started
from tests.servers.samba import Samba

CONTENT = bytes(range(256)) * 400


def test_a_server_that_does_not_start_shows_its_log_and_is_gone(tmp_path: Path) -> None:
    with (
        pytest.raises(NotStarted, match="port 1 is mine"),
        started("broken", lambda _: ["/bin/sh", "-c", "echo port 1 is mine; exit 3"], folder=tmp_path,
                ready=lambda _: False),
    ):  # fmt: skip
        pass
    with pytest.raises(ServerMissing, match=r"no-such-program is not installed here; nothing brings it"):
        program("no-such-program", "nothing brings it")


def test_a_server_ends_with_its_block(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "trap '' TERM; sleep 100 & touch there; wait; wait"]
    there = tmp_path / "there"
    with started("stubborn", lambda _: command, folder=tmp_path, ready=lambda _: there.exists(), end_seconds=0.1) as it:
        os.kill(it.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(it.pid, 0)


def test_samba_serves_files_and_refuses_what_it_should(samba_server: Samba, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.write_bytes(CONTENT)
    samba_server.files.plant(("smoke", "given"), CONTENT, MODIFIED)
    samba_server.smbclient(f"cd smoke; put {local} put; get given {tmp_path}/got", samba_server.encrypted_share)
    assert samba_server.files.content(("smoke", "put")) == (tmp_path / "got").read_bytes() == CONTENT
    assert "Apr  5" in samba_server.smbclient("cd smoke; allinfo given")
    for share in (samba_server.readonly_share, samba_server.private_share):
        with pytest.raises(RuntimeError, match="ACCESS_DENIED"):
            samba_server.smbclient(f"cd smoke; put {local} refused", share)
    if samba_server.small is not None:
        local.write_bytes(bytes(30 * 2**20))
        with pytest.raises(RuntimeError, match="DISK_FULL"):
            samba_server.smbclient(f"put {local} big", samba_server.small_share)
        samba_server.small.remove(("big",))
