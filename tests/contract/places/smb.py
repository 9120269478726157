import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from connectors.shared.services import Services
from connectors.smb.connector import SmbConnector
from connectors.smb.settings import SmbSettings
from migration.entries import PathParts
from tests.contract.place import MODIFIED, Place, Row
from tests.servers.programs import free_ports
from tests.servers.samba import Samba


class SmbPlace(Place):
    """A folder of its own on a share of a real Samba."""

    repetitions = 0.1

    def __init__(self, server: Samba, share: str, wire: "Wire | None") -> None:
        self.server = server
        self.share = share
        self.wire = wire
        self.folder = uuid4().hex
        self.files = server.files.below(self.folder)

    def connector(self, *, page_entries: int | None = None, **changes: Any) -> SmbConnector:
        settings: dict[str, Any] = {
            "server": self.server.host,
            "port": self.wire.port if self.wire else self.server.port,
            "share": self.share,
            "folder": self.folder,
            "names": "linux",
            "username": self.server.username,
            "password": self.server.password,
        }
        return SmbConnector(SmbSettings(**(settings | changes)), Services(), page_entries=page_entries)

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        self.files.plant(path, content, modified_at)

    async def plant_folder(self, path: PathParts) -> None:
        self.files.plant_folder(path)

    async def remove(self, path: PathParts) -> None:
        self.files.remove(path)

    async def content(self, path: PathParts) -> bytes | None:
        return self.files.content(path)

    async def everything(self) -> set[PathParts]:
        return {path for path in self.files.everything() if path[0] != ".sitehaul-trash"}

    def wrong_password(self) -> SmbConnector:
        return self.connector(password="wrong")

    def missing_root(self) -> SmbConnector:
        return self.connector(share="nothing")

    def unreachable(self) -> SmbConnector:
        return self.connector(port=free_ports(1)[0])

    def read_only(self) -> SmbConnector:
        return self.connector(share=self.server.readonly_share)

    def full(self) -> SmbConnector | None:
        if self.server.small is None:
            return None
        self.server.small.below(self.folder)
        return self.connector(share=self.server.small_share)

    async def lose(self, nth: int, *, answered: bool) -> bool:
        if self.wire is None:
            return False
        self.wire.lose(nth, answered=answered)
        return True

    async def hits(self) -> int:
        return self.wire.hits if self.wire else 0


class Wire:
    """What lies between a connector and the server: it may be cut at a request, take some connections only, and
    change answers."""

    def __init__(self, server: Samba) -> None:
        self._server = server
        self.connections = 0
        """How many were made."""
        self.connections_max: int | None = None
        self.change: Callable[[bytes], bytes] | None = None
        self._requests_left = 0
        self._answered = False
        self._pumps: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.hits = 0

    def lose(self, nth: int, *, answered: bool) -> None:
        self._requests_left, self._answered, self.hits = nth, answered, 0

    def cut(self) -> None:
        """End every connection, as servers do with those that were idle for long."""
        for end in self._ends:
            end.transport.abort()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Wire"]:
        listening = await asyncio.start_server(self._carry, "127.0.0.1", 0, limit=2**24)
        self.port = listening.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listening.close()
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.connections_max is not None and self.connections > self.connections_max:
            writer.transport.abort()
            return
        server_reader, server_writer = await asyncio.open_connection(self._server.host, self._server.port, limit=2**24)
        ends = (writer, server_writer)
        self._ends.update(ends)
        cut = asyncio.Event()
        pumps = [
            asyncio.create_task(self._requests(reader, server_writer, cut)),
            asyncio.create_task(self._answers(server_reader, writer, cut)),
        ]
        self._pumps.update(pumps)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.transport.abort()
        for pump in pumps:
            pump.cancel()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: asyncio.Event) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await _frame(reader)
                self._requests_left -= 1
                if self._requests_left == 0:
                    self.hits += 1
                    if not self._answered:
                        return
                    cut.set()
                writer.write(frame)
                await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: asyncio.Event) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await _frame(reader)
                if cut.is_set():
                    return
                writer.write(self.change(frame) if self.change else frame)
                await writer.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head, "big"))


@asynccontextmanager
async def opened(server: Samba, folder: Path) -> AsyncIterator[SmbPlace]:
    async with Wire(server).open() as wire:
        yield SmbPlace(server, server.share, wire)


@asynccontextmanager
async def opened_encrypted(server: Samba, folder: Path) -> AsyncIterator[SmbPlace]:
    yield SmbPlace(server, server.encrypted_share, None)


ROWS = (Row("smb", opened, "samba_server"), Row("smb-encrypted", opened_encrypted, "samba_server"))
