"""An SFTP server in a thread of this process, whose operations can be made to fail. It needs neither root nor Debian.

It is asyncssh's server on a plain folder, which its clients see as `/`. Faults (`server.faults([...])`, rules as in
`tests.servers.rules`; `method` is an operation of `asyncssh.SFTPServer`: open, read, write, close, rename,
posix_rename, mkdir, rmdir, remove, stat, lstat, setstat, fsetstat, scandir, statvfs, fsync …; `route` is searched in
the path): `failure`, `no-space` (how OpenSSH reports a full disk: code 4 and no more), `permission`, `missing`,
`cut` (the connection ends before anything is done), `lost-response` (all is done, the connection then ends),
`stall` (`seconds`), `short-read` (`bytes`: a read gives fewer bytes than asked for).
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from pathlib import Path
from typing import Any

import asyncssh
import uvloop

from tests.servers.plain import PlainFolder
from tests.servers.rules import Rules
from tests.servers.ssh import Keys, sftp_client

FAULTS = {
    **dict.fromkeys(("failure", "no-space", "permission", "missing", "cut", "lost-response"), frozenset[str]()),
    "stall": frozenset({"seconds"}), "short-read": frozenset({"bytes"}),
}  # fmt: skip
_ON_PATHS = (
    "open", "lstat", "setstat", "lsetstat", "remove", "mkdir", "rmdir", "realpath", "stat", "rename", "readlink",
    "symlink", "link", "posix_rename", "statvfs",
)  # fmt: skip
_ON_FILES = ("close", "read", "write", "fstat", "fsetstat", "fstatvfs", "fsync")
_CHANGES = frozenset({
    "write", "setstat", "lsetstat", "fsetstat", "remove", "mkdir", "rmdir", "rename", "symlink", "link", "posix_rename",
})  # fmt: skip
_SPACE_OPERATIONS = frozenset({"write", "mkdir"})


@dataclass(slots=True)
class _State:
    keys: Keys
    username: str
    password: str
    root: Path
    rules: Rules = field(default_factory=lambda: Rules(FAULTS))
    readonly: bool = False
    full: bool = False
    password_allowed: bool = True
    operations: list[tuple[str, str]] = field(default_factory=list)
    connections: set[asyncssh.SSHServerConnection] = field(default_factory=set)
    connected: int = 0


@dataclass(frozen=True, slots=True)
class InProcessSsh:
    """A running SFTP server. Its methods may be called from any thread."""

    host: str
    port: int
    username: str
    password: str
    keys: Keys
    known_hosts: Path
    folder: str
    """What `files` is called by clients: `/`."""
    files: PlainFolder
    _state: _State
    _loop: asyncio.AbstractEventLoop

    def faults(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the fault script; an empty one ends all faults. Raises ValueError for a rule that makes no sense."""
        self._state.rules.load(rules)

    def switch(
        self, *, readonly: bool | None = None, full: bool | None = None, password_allowed: bool | None = None
    ) -> None:
        """`readonly` refuses every change, `full` every write and says so by statvfs; None leaves a switch alone."""
        for name, value in (("readonly", readonly), ("full", full), ("password_allowed", password_allowed)):
            if value is not None:
                setattr(self._state, name, value)

    def operations(self) -> list[tuple[str, str]]:
        """Every operation since the start or `clear_operations`, with the path it was about."""
        return list(self._state.operations)

    def clear_operations(self) -> None:
        """Begin a new list."""
        self._state.operations.clear()

    @property
    def connected(self) -> int:
        """How many connections have been signed in so far."""
        return self._state.connected

    def cut_all(self) -> None:
        """End every connection at once."""
        for connection in list(self._state.connections):
            self._loop.call_soon_threadsafe(connection.abort)

    def sftp(self, commands: str) -> str:
        """What OpenSSH's own sftp prints after these lines. Raises RuntimeError if one fails."""
        return sftp_client(commands, self.host, self.port, self.username, self.keys, self.known_hosts)


class _Login(asyncssh.SSHServer):
    def __init__(self, state: _State) -> None:
        self._state = state
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._state.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.connections.discard(self._connection)

    def auth_completed(self) -> None:
        self._state.connected += 1

    def begin_auth(self, username: str) -> bool:
        if username == self._state.username and self._connection is not None:
            self._connection.set_authorized_keys(asyncssh.import_authorized_keys(self._state.keys.authorized))
        return True

    def password_auth_supported(self) -> bool:
        return self._state.password_allowed

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (self._state.username, self._state.password)


class _Files(asyncssh.SFTPServer):
    """asyncssh's own server with a fault script before and after each operation."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], state: _State) -> None:
        super().__init__(channel, chroot=os.fsencode(state.root))
        self._state = state

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        await self._before("scandir", path)
        async for name in super().scandir(path):
            yield name

    async def operation(self, name: str, path: bytes, own: Callable[..., Any], *given: Any) -> Any:
        """Do what asyncssh's own server does, unless a switch or a fault prevents it."""
        if name == "open" and self._state.readonly and given[1] & ~asyncssh.FXF_READ:
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        rule = await self._before(name, path) or {}
        if rule.get("fault") == "short-read":
            given = (*given[:-1], min(given[-1], int(rule["bytes"])))
        answer = own(self, *given)
        if isawaitable(answer):
            answer = await answer
        if rule.get("fault") == "lost-response":
            self._cut()
        return _without_space(answer) if name == "statvfs" and self._state.full else answer

    async def _before(self, name: str, path: bytes) -> dict[str, Any] | None:
        text = os.fsdecode(path)
        self._state.operations.append((name, text))
        if self._state.readonly and name in _CHANGES:
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        if self._state.full and name in _SPACE_OPERATIONS:
            raise asyncssh.SFTPFailure("Failure")
        rule = self._state.rules.pick(name, text)
        if rule is not None:
            await self._strike(rule, text)
        return rule

    async def _strike(self, rule: dict[str, Any], path: str) -> None:
        fault = rule["fault"]
        if fault in ("failure", "no-space"):
            raise asyncssh.SFTPFailure("Failure")
        if fault == "permission":
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        if fault == "missing":
            raise asyncssh.SFTPNoSuchFile("No such file")
        if fault == "stall":
            await asyncio.sleep(float(rule.get("seconds", 3600)))
        if fault == "cut":
            self._cut()
            raise asyncssh.SFTPConnectionLost(path)

    def _cut(self) -> None:
        self.channel.get_connection().abort()


def _without_space(answer: Any) -> asyncssh.SFTPVFSAttrs:
    names = ("bsize", "frsize", "blocks", "bfree", "bavail", "files", "ffree", "favail", "flag", "namemax")
    facts = {name: getattr(answer, f"f_{name}") for name in names}
    return asyncssh.SFTPVFSAttrs(**{**facts, "fsid": 0, "bfree": 0, "bavail": 0})


def _guarded(name: str, on_file: bool) -> Callable[..., Coroutine[Any, Any, Any]]:
    own: Callable[..., Any] = getattr(asyncssh.SFTPServer, name)

    async def guarded(self: _Files, *given: Any) -> Any:
        path = self.reverse_map_path(os.fsencode(given[0].name)) if on_file else given[0]
        return await self.operation(name, path, own, *given)

    return guarded


for _name in _ON_PATHS:
    setattr(_Files, _name, _guarded(_name, on_file=False))
for _name in _ON_FILES:
    setattr(_Files, _name, _guarded(_name, on_file=True))


@contextlib.contextmanager
def running(folder: Path) -> Iterator[InProcessSsh]:
    """An SFTP server until the block ends; its folder is `folder/files`."""
    files = PlainFolder(folder / "files")
    files.root.mkdir(parents=True, exist_ok=True)
    state = _State(Keys.made(folder / "keys"), "hauler", "correct horse", files.root)
    started, loops, ports, over = threading.Event(), [], [], asyncio.Event()

    async def serve() -> None:
        acceptor = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=lambda: _Login(state), server_host_keys=[str(state.keys.host)],
            sftp_factory=lambda channel: _Files(channel, state), backlog=256, encoding=None,
        )  # fmt: skip
        ports.append(acceptor.get_port())
        loops.append(asyncio.get_running_loop())
        started.set()
        await over.wait()
        acceptor.close()
        for connection in list(state.connections):
            connection.abort()
        await acceptor.wait_closed()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, name="sftp", daemon=True)
    thread.start()
    if not started.wait(20):
        raise RuntimeError("the SFTP server did not start")
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{ports[0]} {state.keys.host_public}\n")
    try:
        yield InProcessSsh(
            "127.0.0.1", ports[0], state.username, state.password, state.keys, known_hosts, "/", files, state, loops[0]
        )
    finally:
        loops[0].call_soon_threadsafe(over.set)
        thread.join(10)
