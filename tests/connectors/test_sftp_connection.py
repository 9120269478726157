"""Who is trusted, how to sign in, and what happens when connections come and go."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from pydantic import ValidationError

from connectors.registry import settings_of
from connectors.sftp.connector import SftpConnector
from connectors.sftp.settings import SftpSettings
from connectors.shared.services import Services
from migration.errors import RetryableError, SiteHaulError
from tests.connectors.sftp_support import connector
from tests.contract.steps import content_of, entries, put, read
from tests.servers.programs import ServerMissing, program
from tests.servers.ssh import OpenSsh
from tests.servers.ssh_in_process import InProcessSsh

OTHER = "SHA256:" + "A" * 43


async def refusal(made: SftpConnector) -> SiteHaulError:
    async with made:
        with pytest.raises(SiteHaulError) as caught:
            await made.stat(())
    return caught.value


async def test_an_unknown_server_is_not_trusted_and_its_fingerprint_is_shown(in_process_ssh: InProcessSsh) -> None:
    error = await refusal(connector(in_process_ssh, host_key=None))
    fingerprint = in_process_ssh.keys.host_fingerprint
    assert error.code == "untrusted-host"
    assert fingerprint in error.message
    assert "not known yet" in error.message
    assert error.fix and error.fix.endswith(f"--host-key {fingerprint}")
    assert in_process_ssh.connected == 0


async def test_a_server_with_another_key_than_the_known_one_is_not_trusted(in_process_ssh: InProcessSsh) -> None:
    others = [
        asyncssh.generate_private_key(kind).export_public_key().decode().strip()
        for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
    ]
    for known in (OTHER, *others):
        error = await refusal(connector(in_process_ssh, host_key=known))
        assert error.code == "untrusted-host"
        assert "another host key than the one that is known" in error.message
        assert in_process_ssh.keys.host_fingerprint in error.message
    assert in_process_ssh.connected == 0


async def test_a_server_is_known_by_fingerprint_key_or_file(in_process_ssh: InProcessSsh, tmp_path: Path) -> None:
    keys = in_process_ssh.keys
    empty = tmp_path / "empty"
    empty.touch()
    for changes in (
        {"host_key": f"{OTHER}, {keys.host_fingerprint}"},
        {"host_key": keys.host_public},
        {"host_key": f"{keys.host_public} a comment"},
        {"host_key": None, "known_hosts_file": in_process_ssh.known_hosts},
        {"known_hosts_file": empty},
    ):
        async with connector(in_process_ssh, **changes) as connected:
            assert await connected.stat(()) is not None
    error = await refusal(connector(in_process_ssh, host_key=None, known_hosts_file=empty))
    assert "not known yet" in error.message
    error = await refusal(connector(in_process_ssh, known_hosts_file=tmp_path / "nowhere"))
    assert error.code == "known-hosts-unreadable"


async def test_nothing_is_read_from_the_users_own_ssh_files(
    in_process_ssh: InProcessSsh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / ".ssh"
    own.mkdir()
    (own / "known_hosts").write_bytes(in_process_ssh.known_hosts.read_bytes())
    (own / "id_ed25519").write_bytes(in_process_ssh.keys.plain.read_bytes())
    (own / "config").write_text("Host *\n  Port 1\n  HostName nowhere.invalid\n  IdentityFile ~/.ssh/id_ed25519\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (await refusal(connector(in_process_ssh, host_key=None))).code == "untrusted-host"
    assert (await refusal(connector(in_process_ssh, password="wrong"))).code == "sign-in-refused"


async def test_a_private_key_signs_in(in_process_ssh: InProcessSsh) -> None:
    keys = in_process_ssh.keys
    in_process_ssh.switch(password_allowed=False)
    for changes in (
        {"private_key_file": keys.plain},
        {"private_key_file": keys.encrypted, "passphrase": keys.passphrase},
    ):
        async with connector(in_process_ssh, password=None, **changes) as connected:
            assert await connected.stat(()) is not None
    refused = await refusal(connector(in_process_ssh, password=None, private_key_file=keys.unknown))
    assert refused.code == "sign-in-refused"


async def test_a_private_key_that_cannot_be_used_is_named(in_process_ssh: InProcessSsh, tmp_path: Path) -> None:
    keys = in_process_ssh.keys
    for changes in (
        {"private_key_file": tmp_path / "nowhere"},
        {"private_key_file": keys.encrypted},
        {"private_key_file": keys.encrypted, "passphrase": "wrong words"},
        {"private_key_file": in_process_ssh.known_hosts},
    ):
        error = await refusal(connector(in_process_ssh, **changes))
        assert error.code == "key-file-unreadable"
        assert str(changes["private_key_file"]) in error.message
        assert "wrong words" not in error.message
        assert error.fix


@pytest.fixture
def agent(in_process_ssh: InProcessSsh, tmp_path: Path) -> Iterator[Path]:
    """The socket of a running agent that holds the key."""
    try:
        command, add = program("ssh-agent", "openssh-client brings it"), program("ssh-add", "openssh-client brings it")
    except ServerMissing as missing:
        pytest.skip(str(missing))
    socket = tmp_path / "agent"
    running = subprocess.Popen([command, "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while not socket.exists() and time.monotonic() < until:
            time.sleep(0.01)
        environment = os.environ | {"SSH_AUTH_SOCK": str(socket)}
        subprocess.run([add, "-q", str(in_process_ssh.keys.plain)], check=True, env=environment)
        yield socket
    finally:
        running.terminate()
        running.wait()


async def test_the_agent_signs_in_only_when_it_may_be_asked(
    in_process_ssh: InProcessSsh, agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    async with connector(in_process_ssh, password=None, use_agent=True) as connected:
        assert await connected.stat(()) is not None
    assert (await refusal(connector(in_process_ssh, password="wrong"))).code == "sign-in-refused"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.parent / "nowhere"))
    error = await refusal(connector(in_process_ssh, password=None, use_agent=True))
    assert error.code == "agent-unreachable"


async def test_a_wrong_password_is_tried_once_however_many_ask(ssh_server: OpenSsh) -> None:
    before = ssh_server.log.read_text().count("Failed password")
    async with connector(ssh_server, password="wrong") as refused:
        outcomes = await asyncio.gather(*(refused.stat((f"{n}",)) for n in range(20)), return_exceptions=True)
        outcomes += await asyncio.gather(refused.stat(()), return_exceptions=True)
    assert {outcome.code for outcome in outcomes if isinstance(outcome, SiteHaulError)} == {"sign-in-refused"}
    assert len({id(outcome) for outcome in outcomes}) == 21
    assert ssh_server.log.read_text().count("Failed password") == before + 1


async def test_work_is_shared_by_several_connections(in_process_ssh: InProcessSsh) -> None:
    async with connector(in_process_ssh, connections=3) as destination:
        await asyncio.gather(
            *(put(destination, (f"{n}",), content_of(20_000, n), staging_key=f"key-{n}") for n in range(60))
        )
        await put(destination, ("large",), content_of(12_000_000))
        assert len(await entries(destination)) == 61
    assert in_process_ssh.connected == 3
    assert in_process_ssh.files.content(("large",)) == content_of(12_000_000)


async def test_a_server_that_allows_fewer_connections_does_with_fewer(in_process_ssh: InProcessSsh) -> None:
    asked = 0

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def only_the_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_connection(in_process_ssh.host, in_process_ssh.port)
        await asyncio.gather(carry(reader, server_writer), carry(server_reader, writer), return_exceptions=True)

    async with await asyncio.start_server(only_the_first, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with connector(in_process_ssh, port=port, connections=3) as destination:
            for first in range(0, 60, 20):
                names = [f"{number}" for number in range(first, first + 20)]
                await asyncio.gather(*(put(destination, (name,), b"content", staging_key=name) for name in names))
    assert len(in_process_ssh.files.everything()) == 60
    assert asked == 2


async def test_a_lost_connection_is_opened_again(in_process_ssh: InProcessSsh) -> None:
    async with connector(in_process_ssh, connections=1) as destination:
        await put(destination, ("first",), b"content")
        in_process_ssh.faults([{"fault": "cut", "method": "scandir", "count": 1}])
        with pytest.raises(RetryableError) as caught:
            await entries(destination)
        assert caught.value.code == "unreachable"
        assert caught.value.fix
        assert set(await entries(destination)) == {("first",)}
        assert in_process_ssh.connected == 2


async def test_a_connection_that_is_cut_while_nobody_uses_it_costs_nothing(in_process_ssh: InProcessSsh) -> None:
    async with connector(in_process_ssh, connections=1) as destination:
        await put(destination, ("first",), b"content")
        channel = await destination.server.channels.any()
        in_process_ssh.cut_all()
        await channel.connection.wait_closed()
        await put(destination, ("second",), b"content")
    assert in_process_ssh.connected == 2


async def test_a_server_that_no_longer_answers_is_given_up(in_process_ssh: InProcessSsh) -> None:
    in_process_ssh.faults([{"fault": "stall", "method": "lstat", "count": 1}])
    async with connector(in_process_ssh, timeout_seconds=0.3, connections=1) as source:
        with pytest.raises(RetryableError) as caught:
            await source.stat(("file",))
        assert "did not answer" in caught.value.message
        assert await source.stat(("file",)) is None


async def test_a_server_that_answers_nothing_at_all_is_unreachable() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        settings = SftpSettings(host="127.0.0.1", port=port, username="u", password="p", connect_timeout_seconds=0.3)
        error = await refusal(SftpConnector(settings, Services()))
    assert error.code == "unreachable"
    assert "did not answer in time" in error.message


async def test_a_start_up_file_that_prints_is_explained(in_process_ssh: InProcessSsh) -> None:
    class Talkative(asyncssh.SSHServerSession[bytes]):
        def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
            self._channel = chan

        def subsystem_requested(self, _subsystem: str) -> bool:
            return True

        def session_started(self) -> None:
            self._channel.write(b"Welcome to the file server!\n")

    class Anybody(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return True

        def session_requested(self) -> Talkative:
            return Talkative()

    keys = in_process_ssh.keys
    async with asyncssh.listen(
        "127.0.0.1", 0, server_factory=Anybody, server_host_keys=[str(keys.host)], encoding=None
    ) as listening:
        error = await refusal(connector(in_process_ssh, port=listening.get_port()))
    assert error.code == "not-sftp"
    assert error.fix and ".bashrc" in error.fix


async def test_the_connection_test_says_how_it_is_protected(ssh_server: OpenSsh) -> None:
    async with connector(ssh_server) as connected:
        report = await connected.test()
    found = {finding.code: finding.message for finding in report.findings}
    assert report.who == ssh_server.username
    assert found.keys() == {"protection", "space", "replaced-unconditionally"}
    assert "OpenSSH" in found["protection"]
    assert ssh_server.keys.host_fingerprint in found["protection"]


async def test_a_folder_may_be_named_from_where_sessions_begin(ssh_server: OpenSsh) -> None:
    place = ssh_server.files.below("relative", "inside")
    place.plant(("file",), b"content")
    for folder in (
        "relative/inside",
        f"{ssh_server.folder}/relative/inside/",
        f"{ssh_server.folder}//relative/./inside",
    ):
        async with connector(ssh_server, folder=folder) as source:
            found = await entries(source)
            assert await read(source, found[("file",)]) == b"content"
    async with connector(ssh_server, folder="") as source:
        assert ("relative", "inside", "file") in await entries(source)
    ssh_server.files.remove(("relative",))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": None}, "give a password, a private key file or the agent"),
        ({"passphrase": "p"}, "a passphrase belongs to a private key file"),
        ({"host": "sftp://files.example.com"}, "a name or an address only"),
        ({"folder": "../elsewhere"}, "without .."),
        ({"folder": "~/projects"}, "without .. and ~"),
        ({"host_key": "MD5:00:11"}, "a fingerprint SHA256:"),
        ({"host_key": "ssh-ed25519 AAAA"}, "a fingerprint SHA256:"),
        ({"port": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object], said: str) -> None:
    values = {"host": "files.example.com", "username": "me", "password": "kept-to-ourselves"}
    with pytest.raises(ValidationError) as caught:
        SftpSettings.model_validate(values | changes)
    assert said in str(caught.value.errors()[0]["msg"])


def test_settings_survive_being_saved_and_say_which_server_it_is() -> None:
    settings = SftpSettings(host="files.example.com", port=2222, username="me", password="secret", folder="/srv//x/")
    assert settings.summary == "sftp://me@files.example.com:2222/srv/x"
    assert SftpSettings(host="h", username="u", password="p", folder="in/side").summary == "sftp://u@h/~/in/side"
    saved = settings_of('{"kind":"sftp","host":"h","username":"u","password":"p","host_key":"' + OTHER + '"}')
    assert isinstance(saved, SftpSettings)
    assert saved.fingerprints == (OTHER,)
    assert "secret" not in repr(settings)
