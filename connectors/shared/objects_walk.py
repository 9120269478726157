"""A walk over one flat listing: folders are made out of the keys as they come.

Keys with a common beginning up to a slash come together in every service's order, so a folder is given once: right
before the first thing in it. Only a folder that the service marks by an object without a slash comes earlier, which is
remembered as long as keys begin with its name.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from connectors.shared.objects import Found, FoundPage, Keys, ObjectService, is_hidden
from migration.contract import WalkPage
from migration.entries import Entry, ListingProblem, PathParts
from migration.errors import ContractViolation

Completed = Callable[[Sequence[Found]], Awaitable[Sequence[Found]]]
"""Adds what the listing does not tell of objects; those that are gone meanwhile are left out."""
_Step = Entry | ListingProblem


@dataclass(slots=True)
class _Place:
    """How far a walk has come."""

    position: str | None = None
    """Of the page of the listing."""
    after: str | None = None
    """The last key of that page of which everything was given."""
    inside: PathParts = ()
    """The deepest folder given on the way to the next key."""
    early: tuple[str, ...] = ()
    """Keys, without slash, of folders that were given before what is in them."""

    def cursor(self, service: ObjectService) -> str:
        position, after = self.position, self.after
        if service.CONTINUES_AFTER_KEYS and after is not None:
            position, after = after, None
        return json.dumps({"at": position, "after": after, "in": self.inside, "early": self.early})


@dataclass(slots=True)
class _Page:
    """A page of the walk being gathered."""

    entries: list[Entry] = field(default_factory=list)
    problems: list[ListingProblem] = field(default_factory=list)
    calls: int = 0
    cursor: str | None = None
    """Continues after it; None = it is not full."""


@dataclass(frozen=True, slots=True)
class _Fetched:
    page: FoundPage
    calls: int


class ObjectWalk:
    """One walk below a folder; `pages` is called once."""

    def __init__(
        self, service: ObjectService, keys: Keys, root: PathParts, page_entries: int, completed: Completed | None
    ) -> None:
        self._service = service
        self._keys = keys
        self._root = root
        self._page_entries = page_entries
        self._completed = completed

    async def pages(self, resume_from: str | None) -> AsyncGenerator[WalkPage, None]:
        """Every page after the cursor."""
        place = _Place(inside=self._root) if resume_from is None else _place_of(resume_from)
        asked = asyncio.ensure_future(self._fetch(place.position))
        page = _Page()
        try:
            while True:
                fetched = await asked
                page.calls += fetched.calls
                following = fetched.page.following
                if following is not None:
                    asked = asyncio.ensure_future(self._fetch(following))
                for found in _rest(fetched.page.objects, place.after):
                    for step, is_last in self._steps(found, place):
                        if page.cursor is not None:
                            yield _walk_page(page)
                            page = _Page()
                        self._give(step, page, place)
                        if is_last:
                            _given(found, place)
                        if len(page.entries) + len(page.problems) >= self._page_entries:
                            page.cursor = place.cursor(self._service)
                    _given(found, place)
                if following is None:
                    page.cursor = None
                    yield _walk_page(page)
                    return
                place.position, place.after = following, None
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    async def _fetch(self, position: str | None) -> _Fetched:
        page = await self._service.page(self._keys.folder_key(self._root), position)
        if self._completed is None:
            return _Fetched(page, 1)
        listed = [found for found in page.objects if not found.key.endswith("/")]
        completed = {found.key: found for found in await self._completed(listed)}
        objects = [
            found if found.key.endswith("/") else completed[found.key]
            for found in page.objects
            if found.key.endswith("/") or found.key in completed
        ]
        return _Fetched(FoundPage(objects, (), page.following), 1 + len(listed))

    def _steps(self, found: Found, place: _Place) -> list[tuple[_Step, bool]]:
        """What the object adds to the listing, and whether it is the last thing."""
        path = self._keys.path(found.key)
        if path is None:
            return [(self._problem(found.key), True)]
        if is_hidden(path) and path[: len(self._root)] == self._root and len(path) > len(self._root):
            return []
        is_folder = found.is_folder or found.key.endswith("/")
        place.early = tuple(key for key in place.early if found.key.startswith(key))
        folders = path if is_folder else path[:-1]
        steps: list[_Step] = [
            self._keys.folder(folders[:depth])
            for depth in range(_common(folders, place.inside) + 1, len(folders) + 1)
            if depth > len(self._root) and self._keys.key(folders[:depth]) not in place.early
        ]
        if not is_folder:
            steps.append(self._keys.file(path, found))
        return [(step, position == len(steps)) for position, step in enumerate(steps, start=1)]

    def _give(self, step: _Step, page: _Page, place: _Place) -> None:
        if isinstance(step, ListingProblem):
            page.problems.append(step)
            return
        place.inside = step.path[:-1] if step.is_file else step.path
        page.entries.append(replace(step, path=step.path[len(self._root) :]) if self._root else step)

    def _problem(self, key: str) -> ListingProblem:
        shown = key[len(self._keys.folder_key(self._root)) :].encode("utf-8", "backslashreplace").decode()
        return ListingProblem(
            (shown,), "key-no-path", f"The key {key!a} cannot be read as folders and a file, so it is left out."
        )


def _given(found: Found, place: _Place) -> None:
    place.after = found.key
    if found.is_folder and not found.key.endswith("/") and found.key not in place.early:
        place.early = (*place.early, found.key)


def _rest(objects: Sequence[Found], after: str | None) -> Sequence[Found]:
    if after is None:
        return objects
    for position, found in enumerate(objects):
        if found.key == after:
            return objects[position + 1 :]
    return [found for found in objects if found.key > after]


def _common(first: PathParts, second: PathParts) -> int:
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return length


def _walk_page(page: _Page) -> WalkPage:
    return WalkPage(tuple(page.entries), tuple(page.problems), page.cursor, page.calls)


def _place_of(cursor: str) -> _Place:
    try:
        values = json.loads(cursor)
        inside = tuple(str(name) for name in values["in"])
        return _Place(values["at"], values["after"], inside, tuple(str(key) for key in values["early"]))
    except (ValueError, TypeError, KeyError) as error:
        raise ContractViolation("not-a-cursor", f"{cursor!r} is no cursor of this connector") from error
