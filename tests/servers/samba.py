"""Samba: a real SMB 2 and 3 server (Debian package samba, root only)."""

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.servers.plain import PlainFolder, open_folder, small_disk
from tests.servers.programs import listens, need_root, program, run, started
from tests.servers.unix_user import UnixUser, unix_user

SMALL_BYTES = 20 * 2**20
_BROUGHT_BY = "Debian's package samba brings it: .ci/install-servers"
Signing = Literal["auto", "mandatory", "disabled"]


@dataclass(frozen=True, slots=True)
class Samba:
    """A running Samba."""

    host: str
    port: int
    username: str
    password: str
    locked_username: str
    """A user whose right password is `password` and who is disabled."""
    share: str
    """Shows `files`, to read and write as `username`: what its Unix permissions refuse is refused."""
    readonly_share: str
    """Shows the same `files`, to read only."""
    encrypted_share: str
    """Shows the same `files` to connections that encrypt; others are refused."""
    private_share: str
    """Shows the same `files` to another user only."""
    small_share: str
    """Shows `small`, a disk of 20 MiB."""
    files: PlainFolder
    small: PlainFolder | None
    """None where this machine lets root mount nothing: then `small_share` never gets full."""
    pid: int
    log: Path

    def smbclient(self, commands: str, share: str | None = None) -> str:
        """What Debian's smbclient prints after these commands, separated by `;`. Raises RuntimeError if it fails."""
        address, user = f"//{self.host}/{share or self.share}", f"{self.username}%{self.password}"
        words = [program("smbclient", "Debian's smbclient"), address, "-p", str(self.port), "-U", user, "-c", commands]
        return run([*words, "-s", self.log.with_name("smb.conf")])


@contextlib.contextmanager
def running(folder: Path, *, signing: Signing = "auto", encryption_required: bool = False) -> Iterator[Samba]:
    """A Samba until the block ends. `signing="mandatory"` refuses who does not sign, `encryption_required` who does
    not encrypt, on every share. Raises ServerMissing without samba or root, NotStarted."""
    need_root("run Samba")
    smbd, smbpasswd = program("smbd", _BROUGHT_BY), program("smbpasswd", _BROUGHT_BY)
    with ExitStack() as stack:
        work = stack.enter_context(open_folder())
        user, locked = stack.enter_context(unix_user()), stack.enter_context(unix_user())
        has_small = stack.enter_context(small_disk(work / "small", SMALL_BYTES))
        owner = (user.uid, user.gid)
        files, small = PlainFolder(work / "files", owner), PlainFolder(work / "small", owner)
        for plain in (files, small):
            plain.root.mkdir(exist_ok=True)
            plain.hand_over(plain.root)
        settings = folder / "smb.conf"
        folder.mkdir(parents=True, exist_ok=True)
        (work / "private").mkdir(mode=0o700)
        # As the user it acts for, each of Samba's processes looks there whether the others are alive, and takes away
        # the open files of those it does not find.
        (work / "state").mkdir(mode=0o755)

        def command(ports: Sequence[int]) -> list[str | Path]:
            settings.write_text(_settings(work, ports[0], user, locked, signing, encryption_required))
            _let_in(smbpasswd, settings, user, locked)
            return [smbd, "--foreground", "--no-process-group", "--debug-stdout", "-s", settings]

        server = stack.enter_context(started("samba", command, folder=folder, ready=_answers))
        yield Samba(
            "127.0.0.1", server.ports[0], user.name, user.password, locked.name, "files", "readonly", "encrypted",
            "private", "small", files, small if has_small else None, server.pid, server.log,
        )  # fmt: skip


def _let_in(smbpasswd: str, settings: Path, user: UnixUser, locked: UnixUser) -> None:
    """Tell Samba the users' passwords; both have the same one."""
    for name in (user.name, locked.name):
        run([smbpasswd, "-c", settings, "-s", "-a", name], given=f"{user.password}\n{user.password}\n")
    run([smbpasswd, "-c", settings, "-d", locked.name])


def _settings(
    work: Path, port: int, user: UnixUser, locked: UnixUser, signing: Signing, encryption_required: bool
) -> str:
    state, private = work / "state", work / "private"
    return f"""[global]
server role = standalone server
netbios name = SITEHAUL
interfaces = lo
bind interfaces only = yes
smb ports = {port}
disable netbios = yes
private dir = {private}
lock directory = {state}
state directory = {state}
cache directory = {state}
pid directory = {state}
ncalrpc dir = {state}/ncalrpc
passdb backend = tdbsam:{private}/passdb.tdb
map to guest = never
usershare max shares = 0
load printers = no
printcap name = /dev/null
disable spoolss = yes
rpc start on demand helpers = no
server signing = {signing}
smb encrypt = {"required" if encryption_required else "if_required"}
log level = 1
max log size = 0
vfs objects = streams_xattr
store dos attributes = yes
ea support = yes

[files]
path = {work}/files
valid users = {user.name}
read only = no

[readonly]
path = {work}/files
valid users = {user.name}
read only = yes

[encrypted]
path = {work}/files
valid users = {user.name}
read only = no
smb encrypt = required

[private]
path = {work}/files
valid users = {locked.name}
read only = no

[small]
path = {work}/small
valid users = {user.name}
read only = no
"""


def _answers(ports: Sequence[int]) -> bool:
    return listens(ports[0])
