"""Procore's flat index, page by page, and noticing that it changed under the reader (API.md sections 2.5 and 4).

Pages are cut by number, so an entry that is deleted or moved while they are read shifts all later ones: some are then
given twice or never. The sort by creation time makes what is added come last; everything else shows in the totals, the
ids or the times of neighbouring pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from connectors.procore.api import Answer, ApiClient
from connectors.procore.errors import ProcoreRefusal
from migration.errors import FatalError, RetryableError

Record = dict[str, Any]
V2_PAGE_SIZE = 100
"""The documented maximum of version 2."""
PAGE_SIZE_MIN = 100
"""Smaller pages are not tried when Procore finds a list too big."""
_SORT = "document_type_then_created_at"
_TOO_BIG = frozenset({"too-big"})


class IndexForm(StrEnum):
    """The forms of the index, best first."""

    V1 = "v1"
    V2_COMPANY = "v2-company"
    V2 = "v2"


@dataclass(frozen=True, slots=True)
class Position:
    """How far one listing was read: entries before `offset` are done."""

    offset: int = 0
    size: int = 5000
    total: int | None = None
    newest: str = ""
    """The latest creation time so far, as Procore wrote it."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What one call gave. `drift` says why the listing cannot be trusted, None = nothing is wrong with it."""

    records: Sequence[Record]
    position: Position
    finished: bool
    drift: str | None


class Index:
    """Reads one project's index, in the first form that exists."""

    def __init__(self, api: ApiClient, *, company_id: int, project_id: str, form: IndexForm, page_size: int) -> None:
        self._api = api
        self._company_id = company_id
        self._project_id = project_id
        self._page_size = page_size
        self._previous: frozenset[Any] = frozenset()
        self.form = form

    def start(self) -> Position:
        """The position before the first entry."""
        self._previous = frozenset()
        return Position(size=self._size_of(self.form))

    async def read(self, document_type: str, folder_id: str | None, position: Position) -> Slice:
        """The entries from `position` on, as many as come in one call; `folder_id` limits them to one subtree.

        Raises what `ApiClient.get` raises, ProcoreRefusal included.
        """
        answer, position = await self._answer(document_type, folder_id, position)
        records = _records(answer.value)
        clamped = _size_given(answer, len(records), position)
        position = replace(position, size=clamped) if clamped < position.size else position
        drift = self._drift(records, answer.total, position)
        skipped = position.offset % position.size
        fresh = [record for record in records[skipped:] if record["id"] not in self._previous]
        self._previous = frozenset(record["id"] for record in records)
        return self._slice(records, fresh, answer.total, position, drift)

    def _slice(
        self, records: list[Record], fresh: list[Record], total: int | None, position: Position, drift: str | None
    ) -> Slice:
        start = position.offset - position.offset % position.size
        # A page that is too short counts as whole: the drift is noticed, and asking for it for ever would not mend it.
        whole = position.size if total is None else min(position.size, total - start)
        offset = start + max(len(records), whole)
        finished = total is not None and offset >= total  # without a total only an empty page is the end
        newest = max((record.get("created_at") or "" for record in records), default="")
        after = replace(position, offset=offset, total=total, newest=max(newest, position.newest))
        return Slice(fresh, after, finished or not records, drift)

    def _drift(self, records: list[Record], total: int | None, position: Position) -> str | None:
        ids = {record["id"] for record in records}
        skipped = position.offset % position.size
        if len(ids) < len(records):
            return "an entry is twice on a page"
        if position.total is not None and total is not None and total < position.total:
            return "there are fewer entries than before"
        if total is not None and len(records) != max(0, min(position.size, total - position.offset + skipped)):
            return "a page does not hold as many entries as it should"
        if skipped == 0 and not ids.isdisjoint(self._previous):
            return "an entry is on two pages"
        if skipped == 0 and _sorted(records) and records and (records[0].get("created_at") or "") < position.newest:
            return "older entries come after newer ones"
        return None

    async def _answer(self, document_type: str, folder_id: str | None, position: Position) -> tuple[Answer, Position]:
        while True:
            try:
                return await self._call(document_type, folder_id, position), position
            except RetryableError as error:
                if error.code not in _TOO_BIG or position.size <= PAGE_SIZE_MIN:
                    raise
                position = replace(position, size=max(PAGE_SIZE_MIN, position.size // 2))
            except ProcoreRefusal as refusal:
                forms = list(IndexForm)
                if refusal.status != 404 or position.offset or self.form is forms[-1]:
                    raise
                self.form = forms[forms.index(self.form) + 1]
                position = replace(position, size=self._size_of(self.form))

    async def _call(self, document_type: str, folder_id: str | None, position: Position) -> Answer:
        query: dict[str, str | int] = {
            "view": "extended",
            "sort": _SORT,
            "filters[document_type]": document_type,
            "filters[is_in_recycle_bin]": "false",
            "page": position.offset // position.size + 1,
            "per_page": position.size,
        }
        if folder_id is not None:
            query["filters[folder_id]"] = folder_id
        may_shrink = position.size > PAGE_SIZE_MIN
        return await self._api.get(
            "the list of documents", self._path(), query, not_again=_TOO_BIG if may_shrink else frozenset()
        )

    def _path(self) -> str:
        if self.form is IndexForm.V1:
            return f"/rest/v1.0/projects/{self._project_id}/documents"
        if self.form is IndexForm.V2_COMPANY:
            return f"/rest/v2.0/companies/{self._company_id}/projects/{self._project_id}/documents"
        return f"/rest/v2.0/projects/{self._project_id}/documents"

    def _size_of(self, form: IndexForm) -> int:
        return self._page_size if form is IndexForm.V1 else min(self._page_size, V2_PAGE_SIZE)


def _records(value: Any) -> list[Record]:
    records = value.get("data") if isinstance(value, dict) else value
    if not isinstance(records, list) or not all(isinstance(record, dict) and "id" in record for record in records):
        raise FatalError(
            "unknown-listing",
            "Procore's list of documents has a form that SiteHaul does not know.",
            fix="Look for a newer SiteHaul; Procore has changed its API.",
        )
    return records


def _size_given(answer: Answer, count: int, position: Position) -> int:
    """The page size the server really used: it may give less than was asked for."""
    stated = answer.headers.get("per-page", "")
    if stated.isascii() and stated.isdigit() and int(stated) > 0:
        return int(stated)
    if position.offset == 0 and answer.total is not None and 0 < count < min(position.size, answer.total):
        return count
    return position.size


def _sorted(records: list[Record]) -> bool:
    times = [record.get("created_at") or "" for record in records]
    return times == sorted(times)
