"""Prefect's global concurrency limits and variables, as the budget uses them: one request each, retried in one layer.

A server that is gone for a moment is waited for, and SiteHaul's own one is started again; FatalError `server-gone` when
it stays away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_delay, wait_random_exponential

from migration.clock import Clock
from migration.errors import FatalError
from tasks.allowances import Moment

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.context import SettingsContext

_Answer = TypeVar("_Answer")
_REQUEST_SECONDS_MAX = 15.0
_GONE_SECONDS_MAX = 180.0
_FILE_STORAGE = "prefect.server.concurrency.lease_storage.filesystem"
_MEMORY_STORAGE = "prefect.server.concurrency.lease_storage.memory"

_log = logging.getLogger("sitehaul.budget")


class Answer(StrEnum):
    """What became of a request for slots."""

    GRANTED = "granted"
    DENIED = "denied"
    TOO_MANY = "too_many"
    """More than the limit was asked for."""
    MISSING = "missing"
    """There is no limit of that name (of one of them), and Prefect therefore granted it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer, and when the request that got it was sent."""

    answer: Answer
    asked_at: Moment


@dataclass(frozen=True, slots=True)
class LimitState:
    """One limit as the server has it."""

    id: str
    limit: int
    taken: int
    active: bool
    per_second: float

    @property
    def free(self) -> int:
        """Slots that could be taken now."""
        return max(0, self.limit - self.taken)


@dataclass(frozen=True, slots=True)
class LeaseStorage:
    """Whether the server gives leased slots back, whatever happens to it; where the leases lie, if on this machine."""

    durable: bool
    said: str
    prefect_home: Path | None


class Limits:
    """Access to the limits of the server this process uses. Made by `opened`."""

    def __init__(self, client: PrefectClient, unretried: SettingsContext, clock: Clock) -> None:
        self._client = client
        self._unretried = unretried
        self._clock = clock
        self._server_ahead = timedelta()

    @classmethod
    @asynccontextmanager
    async def opened(cls, clock: Clock) -> AsyncIterator[Limits]:
        """For the running event loop; `ensure_server` comes first."""
        from prefect.client.orchestration import get_client
        from prefect.context import SettingsContext, get_settings_context
        from prefect.settings import PREFECT_CLIENT_MAX_RETRIES

        current = get_settings_context()
        unretried = SettingsContext(
            profile=current.profile,
            settings=current.settings.copy_with_update(updates={PREFECT_CLIENT_MAX_RETRIES: 0}),
        )
        async with get_client(httpx_settings={"timeout": _REQUEST_SECONDS_MAX}) as client:
            yield cls(client, unretried, clock)

    def moment(self) -> Moment:
        """Now."""
        return Moment(self._clock.monotonic(), self._clock.now())

    def server_now(self) -> datetime:
        """The server's clock, to within a second: the one time that several machines agree on."""
        return self._clock.now() + self._server_ahead

    async def take_leased(self, names: Sequence[str], slots: int, seconds: float) -> Grant:
        """Take slots of all these limits, or of none, that return by themselves after `seconds`."""
        holder = _holder()
        return await self._take(
            lambda: self._client.increment_concurrency_slots_with_lease(
                names=list(names), slots=slots, mode="concurrency", lease_duration=max(60.0, seconds), holder=holder
            ),
            is_granted=lambda content: len(content["limits"]) == len(names),
        )

    async def take_flowing(self, names: Sequence[str], slots: int) -> Grant:
        """Take slots of all these limits, or of none, that flow back at their rates."""
        return await self._take(
            lambda: self._client.increment_concurrency_slots(names=list(names), slots=slots, mode="rate_limit"),
            is_granted=lambda content: len(content) == len(names),
        )

    async def read(self, name: str) -> LimitState | None:
        """The limit now; None if there is none of that name."""
        from prefect.exceptions import ObjectNotFound

        try:
            found = await self._request(lambda: self._client.read_global_concurrency_limit_by_name(name))
        except ObjectNotFound:
            return None
        return LimitState(str(found.id), found.limit, found.active_slots, found.active, found.slot_decay_per_second)

    async def ensure(self, name: str, limit: int, per_second: float = 0.0) -> None:
        """Make the limit exist, active, with these values; slots taken stay taken."""
        from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
        from prefect.exceptions import ObjectAlreadyExists

        wanted: dict[str, Any] = {"limit": limit, "slot_decay_per_second": per_second, "active": True}
        found = await self.read(name)
        if found is None:
            try:
                new = GlobalConcurrencyLimitCreate(name=name, **wanted)
                await self._request(lambda: self._client.create_global_concurrency_limit(new))
            except (ObjectAlreadyExists, httpx.HTTPStatusError):
                found = await self.read(name)  # another process was faster
                if found is None:
                    raise
        if found is not None and (found.limit, found.per_second, found.active) != (limit, per_second, True):
            change = GlobalConcurrencyLimitUpdate(**wanted)
            await self._request(lambda: self._client.update_global_concurrency_limit(name, change))

    async def read_note(self, name: str) -> dict[str, Any]:
        """What was last noted under this name (a Prefect variable), by whatever process; empty if nothing was."""
        found = await self._request(lambda: self._client.read_variable_by_name(name))
        return found.value if found is not None and isinstance(found.value, dict) else {}

    async def write_note(self, name: str, value: dict[str, Any]) -> None:
        """Note it for every process; the last one wins."""
        from prefect.client.schemas.actions import VariableCreate, VariableUpdate
        from prefect.exceptions import ObjectAlreadyExists

        if await self._request(lambda: self._client.read_variable_by_name(name)) is None:
            try:
                await self._request(
                    lambda: self._client.create_variable(VariableCreate(name=name, value=value, tags=["sitehaul"]))
                )
            except ObjectAlreadyExists:
                pass
            else:
                return
        await self._request(lambda: self._client.update_variable(VariableUpdate(name=name, value=value)))

    async def flow_run_name(self, flow_run_id: str) -> str | None:
        """What the run is called; None if it is not known any more."""
        from prefect.exceptions import ObjectNotFound

        try:
            return (await self._request(lambda: self._client.read_flow_run(UUID(flow_run_id)))).name
        except ObjectNotFound:
            return None

    async def lease_storage(self) -> LeaseStorage:
        """How the server keeps its leases."""
        try:
            settings = await self._request(self._server_settings)
        except httpx.HTTPStatusError as error:
            return LeaseStorage(False, f"the server does not tell ({error.response.status_code})", None)
        services, kind = settings["server"]["services"], settings["server"]["concurrency"]["lease_storage"]
        if not services["repossessor"]["enabled"]:
            return LeaseStorage(False, "the server's service that ends leases is switched off", None)
        if kind == _MEMORY_STORAGE:
            return LeaseStorage(False, "the server keeps leases in memory and forgets them when it ends", None)
        folder = Path(settings["home"]) if kind == _FILE_STORAGE else None
        return LeaseStorage(True, kind, folder if folder is not None and folder.is_dir() else None)

    async def _server_settings(self) -> dict[str, Any]:
        answer = await self._client.request("GET", "/admin/settings")
        self._note_server_time(answer)
        content: dict[str, Any] = answer.json()
        return content

    async def _take(self, send: Callable[[], Awaitable[httpx.Response]], is_granted: Callable[[Any], bool]) -> Grant:
        asked_at = self.moment()

        async def attempt() -> httpx.Response:
            nonlocal asked_at
            asked_at = self.moment()
            return await send()

        try:
            answer = await self._request(attempt)
        except httpx.HTTPStatusError as error:
            refusals = {423: Answer.DENIED, 422: Answer.TOO_MANY}
            if error.response.status_code not in refusals:
                raise
            self._note_server_time(error.response)
            return Grant(refusals[error.response.status_code], asked_at)
        self._note_server_time(answer)
        return Grant(Answer.GRANTED if is_granted(answer.json()) else Answer.MISSING, asked_at)

    def _note_server_time(self, answer: httpx.Response) -> None:
        stated = answer.headers.get("date")
        if stated:
            self._server_ahead = parsedate_to_datetime(stated) - self._clock.now()

    async def _request(self, send: Callable[[], Awaitable[_Answer]]) -> _Answer:
        retrying = AsyncRetrying(
            sleep=asyncio.sleep,
            retry=retry_if_exception(_passes),
            wait=wait_random_exponential(multiplier=0.1, max=3.0),
            stop=stop_after_delay(_GONE_SECONDS_MAX),
            before_sleep=_start_again,
            retry_error_callback=_gone,
        )

        async def attempt() -> _Answer:
            with self._unretried.model_copy():
                return await send()

        answer: _Answer = await retrying(attempt)
        return answer


def _passes(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in (408, 429, 500, 502, 503, 504)
    return isinstance(error, httpx.TransportError)


async def _start_again(state: RetryCallState) -> None:
    from tasks.server import restart_own_server

    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, httpx.ConnectError):
        _log.warning("the Prefect server does not answer (%s)", error)
        await asyncio.to_thread(restart_own_server)


def _gone(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    raise FatalError(
        "server-gone",
        f"The Prefect server, which keeps the call budget, has not answered for {_GONE_SECONDS_MAX:.0f} seconds"
        f" ({error}).",
        fix="Start it (SiteHaul's own: sitehaul up) and run the same command again; what is done is recorded.",
    ) from error


def _holder() -> Any:
    """The flow run this happens in, so that the server can say who holds slots; None outside of one."""
    from prefect.context import FlowRunContext, TaskRunContext
    from prefect.types._concurrency import ConcurrencyLeaseHolder

    task, flow = TaskRunContext.get(), FlowRunContext.get()
    if flow is not None and flow.flow_run is not None:
        return ConcurrencyLeaseHolder(type="flow_run", id=flow.flow_run.id)
    if task is not None:
        return ConcurrencyLeaseHolder(type="task_run", id=task.task_run.id)
    return None
