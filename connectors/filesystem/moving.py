"""Moving files and folders inside the connection's folder, and the trash folder that what is deleted is moved into."""

from connectors.filesystem import kernel
from connectors.filesystem.folders import make_folder
from connectors.filesystem.listing import full_path_of
from connectors.filesystem.reading import is_version, stat_entry
from connectors.filesystem.root import Root, look
from connectors.shared.giving import source_changed
from connectors.shared.trash import deleted, new_place, not_restorable, token_of
from connectors.shared.tree import destination_changed
from migration.entries import Entry, PathParts, Ref


def move(root: Root, entry: Entry, to: PathParts) -> Ref:
    """As `Movable.move`."""
    root.check(to)
    path = full_path_of(entry)
    if not path or not to:
        raise root.translate.refusal(path, "not-a-file", "the folder of the connection cannot be moved or replaced")
    with root.translate.errors("move", path):
        try:
            there_fd = root.open_folder(to[:-1])
        except FileNotFoundError as error:
            raise root.translate.refusal(to, "parent-missing", "its folder does not exist") from error
        with root.kept(there_fd):
            _rename(root, path, entry, to, there_fd)
    moved = stat_entry(root, to)
    if moved is None:
        raise root.translate.refusal(to, "not-found", "it was moved there and is gone again")
    return moved.ref


def delete_to_trash(root: Root, entry: Entry, key: str | None) -> str:
    """As `Trash.delete_to_trash`."""
    path = full_path_of(entry)
    place = new_place(path, key)
    make_folder(root, place[:-1], durable=False)
    move(root, entry, place)
    return token_of(path, place)


def find_deleted(root: Root, path: PathParts, key: str) -> str | None:
    """As `Trash.find_deleted`."""
    place = new_place(path, key)
    return None if stat_entry(root, place) is None else token_of(path, place)


def restore(root: Root, token: str) -> PathParts:
    """As `Trash.restore`."""
    path, place = deleted(token)
    found = stat_entry(root, place)
    if found is None:
        raise not_restorable(root.translate.text(path))
    make_folder(root, path[:-1], durable=False)
    move(root, found, path)
    return path


def _rename(root: Root, path: PathParts, entry: Entry, to: PathParts, there_fd: int) -> None:
    try:
        with root.folder(path[:-1]) as fd:
            status = look(path[-1], fd)
            if status is None or (entry.is_file and not is_version(entry, status)):
                raise source_changed(root.translate.text(path))
            kernel.rename_if_free(path[-1], to[-1], fd, there_fd)
    except FileNotFoundError as error:
        raise source_changed(root.translate.text(path)) from error
    except FileExistsError as error:
        raise destination_changed(root.translate.text(to), "something is there now") from error
