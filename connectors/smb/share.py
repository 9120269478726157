"""Looking at, listing and changing what is on the share, each in as few round trips as it can be. Everything blocks."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from connectors.shared.paths import path_ref, readable
from connectors.shared.walking import Listing
from connectors.smb import messages as smb
from connectors.smb.channel import Answer
from connectors.smb.errors import (
    ACCESS_DENIED,
    CONNECTION_LOST,
    GONE,
    NAME_COLLISION,
    NO_MORE_FILES,
    NO_SUCH_FILE,
    SHARING_VIOLATION,
    error_of,
)
from connectors.smb.messages import Found, Message
from connectors.smb.pool import Channels
from migration.entries import Entry, EntryKind, ListingProblem, PathParts
from migration.errors import FatalError, ItemError, RetryableError, SiteHaulError

SYSTEM = "smb"
T = TypeVar("T")
_LIST_BYTES = 256 * 1024
"""Of a listing so many bytes come at once, some 1,600 names."""

_SECOND = 10**7
"""Where a disk keeps no time of creation Samba makes one up, with another fraction of the same second each time."""


class Share:
    """The connection's folder on the share. Paths start there."""

    def __init__(self, channels: Channels, *, address: str, folder: str) -> None:
        """`address` is the share's, as people write it; `folder` the connection's folder in it, or empty."""
        self.channels = channels
        self._address = address
        self._folder = folder

    def name(self, path: PathParts) -> str:
        """The path as the server wants it."""
        return "\\".join((self._folder, *path) if self._folder else path)

    def shown(self, path: PathParts) -> str:
        """The path as people write it."""
        return readable(("\\".join((self._address, *((self._folder,) if self._folder else ()), *path)),))

    def exchange(self, *chain: Message) -> list[Answer]:
        """Send a chain over any connection."""
        with self.channels.any() as channel:
            return channel.exchange(*chain)

    def look(self, path: PathParts) -> Entry | None:
        """What is there; None if nothing is. FatalError `root-missing` when the connection's folder is not."""
        found = self.find(path)
        if found is None and not path:
            raise FatalError(
                "root-missing",
                f"There is no folder {self.shown(())}.",
                fix="Correct the folder of the connection or make it.",
            )
        if found is not None and found.is_link:
            raise ItemError(
                "link-in-the-way",
                f"{self.shown(path)} is a link or a junction; links are never followed.",
                fix="Connect the folder it points to, or use another path.",
            )
        return None if found is None else entry_of(path, found)

    def find(self, path: PathParts, *, to_replace: bool = False) -> Found | None:
        """What the server says about it, links unfollowed; None if nothing is there. `to_replace` asks as somebody who
        will replace it: RetryableError `locked` when it is open and must not vanish."""
        access = smb.READ_ATTRIBUTES | (smb.DELETE if to_replace else 0)
        opening = smb.create(self.name(path), access, smb.OPEN, smb.OPEN_LINK_ITSELF)
        opened, _ = once_more(lambda: self.exchange(opening, smb.close(smb.PREVIOUS)))
        if opened.status in GONE:
            return None
        self.check(opened, path)
        _, found = smb.created(opened.data)
        if not found.is_reparse_point:
            return found
        answers = self.exchange(opening, smb.query_tag(smb.PREVIOUS), smb.close(smb.PREVIOUS))
        self.check_all(answers, path)
        return Found(found.size_bytes, found.created, found.written, found.attributes, smb.tag(answers[1].data))

    def list_folder(self, path: PathParts) -> Listing:
        """What is directly in the folder. ItemError `not-found`, `not-a-folder`, `permission-denied`."""
        found, calls = once_more(lambda: self._listed(path))
        return _listing(path, found, calls)

    def _listed(self, path: PathParts) -> tuple[list[tuple[str, Found]], int]:
        opening = smb.create(self.name(path), smb.READ_DATA | smb.READ_ATTRIBUTES, smb.OPEN, smb.IS_FOLDER)
        found: list[tuple[str, Found]] = []
        with self.channels.any() as channel:
            asking = min(_LIST_BYTES, channel.chunk_bytes)
            opened, *answers = channel.exchange(
                opening, smb.list_entries(smb.PREVIOUS, asking), smb.list_entries(smb.PREVIOUS, asking)
            )
            self.check(opened, path)
            handle, calls = smb.created(opened.data)[0], 2
            try:
                while self._take(answers, found, path):
                    answers = channel.exchange(smb.list_entries(handle, asking))
                    calls += 1
            finally:
                if channel.is_alive:
                    channel.exchange(smb.close(handle))
        return found, calls

    def make_folder(self, path: PathParts) -> Entry | None:
        """Make one folder; None if the name is taken. ItemError `not-found` when the one around it is not there."""
        made, _ = self.exchange(
            smb.create(self.name(path), smb.READ_ATTRIBUTES, smb.CREATE, smb.IS_FOLDER), smb.close(smb.PREVIOUS)
        )
        if made.status == NAME_COLLISION:
            return None
        if made.status == ACCESS_DENIED:
            raise self.not_writable(path)
        self.check(made, path)
        return entry_of(path, smb.created(made.data)[1])

    def remove_file(self, path: PathParts) -> bool:
        """Remove a file; False when it is gone already."""
        opening = smb.create(
            self.name(path), smb.DELETE, smb.OPEN, smb.IS_FILE | smb.DELETE_ON_CLOSE | smb.OPEN_LINK_ITSELF
        )
        answers = self.exchange(opening, smb.close(smb.PREVIOUS))
        if answers[0].status in GONE:
            return False
        self.check_all(answers, path)
        return True

    def rename(self, path: PathParts, to: PathParts) -> bool:
        """Give it another path if nothing is there; False if something is. ItemError `not-found` when it is gone, or
        the folder around `to`."""
        opening = smb.create(self.name(path), smb.DELETE | smb.READ_ATTRIBUTES, smb.OPEN, smb.OPEN_LINK_ITSELF)
        answers = self.exchange(
            opening, smb.rename(smb.PREVIOUS, self.name(to), replace=False), smb.close(smb.PREVIOUS)
        )
        if answers[0].status == ACCESS_DENIED:
            raise self.not_writable(path)
        self.check(answers[0], path)
        if answers[1].status == NAME_COLLISION:
            return False
        self.check(answers[1], to)
        return True

    def may_write(self) -> bool:
        """Whether files can be made in the connection's folder."""
        opening = smb.create(self.name(()), smb.ADD_FILE | smb.ADD_FOLDER, smb.OPEN, smb.IS_FOLDER)
        opened, _ = once_more(lambda: self.exchange(opening, smb.close(smb.PREVIOUS)))
        if opened.status == 0:
            return True
        error = self.error(opened.status, ())
        if error.code in ("permission-denied", "read-only"):
            return False
        raise error

    def free_bytes(self) -> int | None:
        """How many bytes the user may still write; None where the server does not tell."""
        opening = smb.create(self.name(()), smb.READ_ATTRIBUTES, smb.OPEN, smb.IS_FOLDER)
        answers = self.exchange(opening, smb.query_space(smb.PREVIOUS), smb.close(smb.PREVIOUS))
        return smb.free_bytes(answers[1].data) if answers[1].status == 0 else None

    def is_open_elsewhere(self, path: PathParts) -> bool:
        """Whether somebody has the file open so that it cannot be replaced now."""
        opening = smb.create(self.name(path), smb.DELETE, smb.OPEN, smb.IS_FILE, shared=False)
        return self.exchange(opening, smb.close(smb.PREVIOUS))[0].status == SHARING_VIOLATION

    def not_writable(self, path: PathParts) -> SiteHaulError:
        """What it means that writing there was refused: only there, or nowhere in the connection's folder."""
        if self.may_write():
            return self.error(ACCESS_DENIED, path)
        return FatalError(
            "read-only",
            f"{self.shown(())} can only be read through this connection.",
            fix="Give the user of the connection the right to change files, in the share's permissions and in the "
            "folder's, or choose another share.",
        )

    def check(self, answer: Answer, path: PathParts) -> None:
        """Raise what the answer means unless it is a success."""
        if answer.status:
            raise self.error(answer.status, path)

    def check_all(self, answers: Sequence[Answer], path: PathParts) -> None:
        """Raise what the first answer means that is no success."""
        for answer in answers:
            self.check(answer, path)

    def error(self, status: int, path: PathParts) -> SiteHaulError:
        """What the status means there."""
        return error_of(status, self.shown(path))

    def _take(self, answers: Sequence[Answer], found: list[tuple[str, Found]], path: PathParts) -> bool:
        """Add what was listed; whether there may be more."""
        for answer in answers:
            if answer.status in (NO_MORE_FILES, NO_SUCH_FILE):
                return False
            self.check(answer, path)
            found.extend(smb.listed(answer.data))
        return True


def once_more(work: Callable[[], T]) -> T:
    """What the work returns, which may be done twice: servers end connections that were idle, and that shows only when
    one is used."""
    try:
        return work()
    except RetryableError as error:
        if error.code != CONNECTION_LOST:
            raise
    return work()


def entry_of(path: PathParts, found: Found) -> Entry:
    """A file's or folder's entry."""
    kind = EntryKind.FOLDER if found.is_folder else EntryKind.FILE
    return Entry(
        ref=path_ref(SYSTEM, path, None if found.is_folder else version_of(found)),
        parent=path_ref(SYSTEM, path[:-1]) if path else None,
        name=path[-1] if path else "",
        path=path,
        kind=kind,
        size_bytes=None if found.is_folder else found.size_bytes,
        created_at=smb.moment(found.created // _SECOND * _SECOND),
        modified_at=smb.moment(found.written),
    )


def version_of(found: Found) -> str:
    """Tells versions of a file apart: when it was written and how long it is."""
    return f"{found.written:x}.{found.size_bytes:x}"


def _listing(path: PathParts, found: Sequence[tuple[str, Found]], calls: int) -> Listing:
    entries: list[Entry] = []
    problems: list[ListingProblem] = []
    for name, one in found:
        if one.is_link:
            text = f"{readable((*path, name))} is a link, a junction or no file; links are neither followed nor copied."
            problems.append(ListingProblem((*path, name), "link", text, hides_entries=False))
        elif any(0xD800 <= ord(character) < 0xE000 for character in name):
            text = f"The name {name!a} is no valid text; rename it at the server so that it can be copied."
            problems.append(ListingProblem((*path, ascii(name)[1:-1]), "name-undecodable", text))
        else:
            entries.append(entry_of((*path, name), one))
    return Listing(entries, problems, calls)
