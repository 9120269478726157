"""A stand-in of Google Drive on loopback, see `simulator.clouds.drive.service`."""

import contextlib
from collections.abc import Iterator
from typing import Any

from simulator.clouds.base import Cloud, Content, served
from simulator.clouds.drive.service import Drive
from simulator.clouds.drive.store import NATIVE, PERSON, SHORTCUT, Entry, Revision, new_id
from simulator.clouds.drive.switches import DriveSwitches
from simulator.clouds.drive.tokens import SERVICE

__all__ = ["PERSON", "SERVICE", "DriveCloud", "running"]


class DriveCloud(Cloud):
    """A Google Drive that is being served."""

    service: Drive

    @classmethod
    def of(cls, cloud: Cloud) -> "DriveCloud":
        """The same cloud, with what only this one has."""
        return cls(cloud.service, cloud._loop)

    def file_id(self, path: tuple[str, ...]) -> str | None:
        """The id of what is at a path of the person's My Drive; None if nothing is."""
        entry = self.do(lambda: self.service.at(path))
        return None if entry is None else entry.id

    def plant_native(self, path: tuple[str, ...], kind: str, text: bytes = b"") -> str:
        """Make a document of Google's own kind (`document`, `spreadsheet` ...) and give its id."""

        def plant() -> str:
            entry = self._new(path, f"{NATIVE}{kind}")
            now = self.service.store.now_ms()
            self.service.store.set_content(entry, Revision("1", Content.of(text), entry.mime_type, now, entry.name))
            return entry.id

        return self.do(plant)

    def plant_shortcut(self, path: tuple[str, ...], file_id: str) -> str:
        """Make a shortcut to what has an id, and give its own."""

        def plant() -> str:
            entry = self._new(path, SHORTCUT)
            entry.shortcut_to = file_id
            return entry.id

        return self.do(plant)

    def mark_abusive(self, path: tuple[str, ...]) -> None:
        """Let a file count as malware. Raises KeyError if nothing is there."""

        def mark() -> None:
            entry = self.service.at(path)
            if entry is None:
                raise KeyError(path)
            entry.abusive = True

        self.do(mark)

    def _new(self, path: tuple[str, ...], kind: str) -> Entry:
        self.service.plant_folder(path[:-1])
        parent = self.service.at(path[:-1])
        assert parent is not None
        now, store = self.service.store.now_ms(), self.service.store
        return store.add(Entry(new_id(), path[-1], kind, parent.id, parent.drive_id, parent.owner, now, now, store))


@contextlib.contextmanager
def running(**switches: Any) -> Iterator[DriveCloud]:
    """Serve a Google Drive until the block ends. Raises ValueError naming an unknown switch."""
    chosen = DriveSwitches().changed(switches)
    with served(lambda url: Drive(url, chosen)) as cloud:
        yield DriveCloud.of(cloud)
