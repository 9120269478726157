"""A stand-in of Dropbox on loopback, see `simulator.clouds.dropbox.service`."""

import contextlib
from collections.abc import Iterator
from typing import Any

from simulator.clouds.base import Cloud, Content, served
from simulator.clouds.dropbox.service import Dropbox
from simulator.clouds.dropbox.switches import DropboxSwitches
from simulator.clouds.dropbox.world import Entry, new_id

__all__ = ["DropboxCloud", "running"]


class DropboxCloud(Cloud):
    """A Dropbox that is being served; its paths begin at the person's home folder."""

    service: Dropbox

    @classmethod
    def of(cls, cloud: Cloud) -> "DropboxCloud":
        """The same cloud, with what only this one has."""
        return cls(cloud.service, cloud._loop)

    def reset_cursors(self) -> None:
        """Every cursor handed out so far is reset: the client must list again."""

        def reset() -> None:
            self.service.cursors.reset_before = self.service.clock.now()

        self.do(reset)

    def plant_exportable(self, path: tuple[str, ...], export_as: str, content: bytes = b"") -> None:
        """Make a file that cannot be downloaded but exported, as Dropbox's own documents."""

        def plant() -> None:
            world = self.service.world
            folder = world.folders(self.service.home, list(path[:-1]))
            entry = Entry(new_id(), path[-1], folder, False, export_as=export_as)
            world.write(entry, Content.of(content), None)
            world.add(folder, entry)

        self.do(plant)


@contextlib.contextmanager
def running(**switches: Any) -> Iterator[DropboxCloud]:
    """Serve a Dropbox until the block ends. Raises ValueError naming an unknown switch."""
    chosen = DropboxSwitches().changed(switches)
    with served(lambda url: Dropbox(url, chosen)) as cloud:
        yield DropboxCloud.of(cloud)
