"""Making folders."""

import os

from connectors.filesystem.durability import sync_folder
from connectors.filesystem.listing import folder_ref
from connectors.filesystem.root import Root, open_inside
from migration.entries import PathParts, Ref


def make_folder(root: Root, path: PathParts, *, durable: bool) -> tuple[Ref, bool]:
    """Make the folder and its parents; its identity and whether any had to be made.

    ItemError `not-a-folder` or `symlink-in-the-way` when something else has the name.
    """
    root.check(path)
    made = False
    with root.translate.errors("make the folder", path):
        fd = root.open_folder(())
        try:
            for name in path:
                inner, was_made = _folder_inside(name, fd)
                if was_made and durable:
                    with root.translate.durability(path):
                        sync_folder(fd)
                made = made or was_made
                os.close(fd)
                fd = inner
        finally:
            os.close(fd)
    return folder_ref(path), made


def _folder_inside(name: str, folder_fd: int) -> tuple[int, bool]:
    """Descriptor of the folder, made if need be, and whether it was made."""
    try:
        return open_inside(name, folder_fd), False
    except FileNotFoundError:
        made = True
        try:
            os.mkdir(name, dir_fd=folder_fd)
        except FileExistsError:
            made = False
        return open_inside(name, folder_fd), made
