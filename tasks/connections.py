"""Saved connections: encrypted Prefect blocks, and how one is opened. `ensure_server` comes first."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import SecretStr

from connectors.procore.settings import ProcoreSettings
from connectors.registry import settings_of
from connectors.shared.services import Services
from connectors.shared.settings import ConnectionSettings
from migration.budget import CallBudget, UnlimitedBudget
from migration.clock import Clock, SystemClock
from migration.contract import Source
from migration.errors import ConfigurationError
from migration.jobs import OnBudgetExhausted
from tasks.allowances import Windows
from tasks.asking import answered, nobody_answered

if TYPE_CHECKING:
    from tasks.blocks import SiteHaulConnection

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?")
_SYSTEM_CLOCK = SystemClock()
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Opened:
    """An entered connector and the budget its calls are taken from (a `tasks.budget.PrefectCallBudget` if they count).

    `budget.calls_taken` is what was granted through this connector.
    """

    connector: Source
    budget: CallBudget
    name: str = ""
    """The connection's."""


def save_connection(name: str, settings: ConnectionSettings) -> None:
    """Save or replace. ConfigurationError `connection-name` for a name that is not lower-case letters, digits, '-'."""
    from prefect.exceptions import ObjectAlreadyExists

    from tasks.blocks import SiteHaulConnection

    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "connection-name",
            f"'{name}' cannot be the name of a connection.",
            fix="Use up to 100 lower-case letters, digits and '-', the first and last not a '-'.",
        )
    values = json.dumps(_revealed(settings.model_dump(mode="python")), default=str)
    block = SiteHaulConnection(system=settings.kind, description=settings.summary, settings=SecretStr(values))
    with _told_server_errors():
        try:
            answered(lambda: _save(block, name))
        except ObjectAlreadyExists:
            # Another process made the type of block known at the same moment; now it is.
            answered(lambda: _save(block, name))


def _save(block: "SiteHaulConnection", name: str) -> None:
    block.save(name, overwrite=True, _sync=True)  # type: ignore[call-arg] # by async_dispatch


def load_connection(name: str) -> ConnectionSettings:
    """The settings saved under `name`. ConfigurationError `connection-not-found` names the known ones, and
    `connection-unreadable` when what is saved is not understood by this version."""
    from tasks.blocks import SiteHaulConnection

    with _told_server_errors():
        documents = {one.name: one for one in answered(lambda: _documents(include_secrets=True))}
    if name not in documents:
        raise _not_found(name, sorted(str(known) for known in documents))
    saved = SiteHaulConnection.model_validate(documents[name].data)
    try:
        return settings_of(saved.settings.get_secret_value())
    except ValueError as error:
        raise ConfigurationError(
            "connection-unreadable",
            f"The saved connection '{name}' does not fit this version of SiteHaul: {error}.",
            fix=f"Save it again: sitehaul connect {saved.system} {name} …",
        ) from None


def list_connections() -> list[tuple[str, str]]:
    """(name, system) of every saved connection, by name."""
    with _told_server_errors():
        documents = answered(lambda: _documents(include_secrets=False))
    return sorted((str(one.name), str(one.data["system"])) for one in documents)


def delete_connection(name: str) -> None:
    """Forget a connection. ConfigurationError `connection-not-found`."""
    from prefect.client.orchestration import get_client

    with _told_server_errors():
        documents = {str(one.name): one for one in answered(lambda: _documents(include_secrets=False))}
        if name not in documents:
            raise _not_found(name, sorted(documents))
        with get_client(sync_client=True) as client:
            client.delete_block_document(documents[name].id)


@asynccontextmanager
async def opened(
    name: str,
    settings: ConnectionSettings,
    *,
    on_budget_exhausted: OnBudgetExhausted = OnBudgetExhausted.STOP,
    clock: Clock = _SYSTEM_CLOCK,
    windows: Windows | None = None,
) -> AsyncIterator[Source]:
    """The connector of a connection, entered, its calls under the client's shared budget, its tokens shared."""
    async with opened_with_budget(
        name, settings, on_budget_exhausted=on_budget_exhausted, clock=clock, windows=windows
    ) as both:
        yield both.connector


@asynccontextmanager
async def opened_with_budget(
    name: str,
    settings: ConnectionSettings,
    *,
    on_budget_exhausted: OnBudgetExhausted = OnBudgetExhausted.STOP,
    clock: Clock = _SYSTEM_CLOCK,
    windows: Windows | None = None,
    reserve_percent: int = 0,
) -> AsyncIterator[Opened]:
    """The same, with the budget beside it. `windows` are the spans of the allowances, the real ones by default;
    `reserve_percent` of the hour is left to others. A child of a job takes its calls from its parent's budget."""
    from connectors.registry import make_connector
    from tasks.tokens import PrefectTokenStore

    async with _budget(settings, on_budget_exhausted, clock, windows, reserve_percent) as budget:
        services = Services(budget=budget, tokens=PrefectTokenStore.of(settings), clock=clock)
        async with make_connector(settings, services) as connector:
            yield Opened(connector, budget, name)


@asynccontextmanager
async def _budget(
    settings: ConnectionSettings,
    on_budget_exhausted: OnBudgetExhausted,
    clock: Clock,
    windows: Windows | None,
    reserve_percent: int,
) -> AsyncIterator[CallBudget]:
    if not isinstance(settings, ProcoreSettings):
        yield UnlimitedBudget()
        return
    from tasks.budget import PrefectCallBudget
    from tasks.shares import share_of_this_run

    if (turn := share_of_this_run()) is not None:
        yield await turn.budget(settings)
        return

    async with PrefectCallBudget.opened(
        settings.client_name,
        hourly_calls=settings.hourly_calls,
        spike_calls=settings.spike_calls,
        on_budget_exhausted=on_budget_exhausted,
        clock=clock,
        windows=windows,
        reserve_percent=reserve_percent,
    ) as budget:
        yield budget


def _documents(*, include_secrets: bool) -> list[Any]:
    """The block documents of all connections."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    from tasks.blocks import SiteHaulConnection

    slug = SiteHaulConnection.get_block_type_slug()
    documents: list[Any] = []
    with get_client(sync_client=True) as client:
        try:
            while True:
                page = client.read_block_documents_by_type(
                    slug, offset=len(documents), limit=_PAGE, include_secrets=include_secrets
                )
                documents += page
                if len(page) < _PAGE:
                    return documents
        except ObjectNotFound:
            return []
        except httpx.HTTPStatusError as error:
            if error.response.status_code == 404:  # the block type is registered with the first connection
                return []
            raise


def _revealed(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {key: _revealed(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_revealed(one) for one in value]
    return value


def _not_found(name: str, known: list[str]) -> ConfigurationError:
    there = f"The saved ones are: {', '.join(known)}." if known else "None is saved yet."
    return ConfigurationError(
        "connection-not-found",
        f"There is no connection named '{name}'. {there}",
        fix="Use one of them, or save it: sitehaul connect --help",
    )


@contextmanager
def _told_server_errors() -> Iterator[None]:
    try:
        yield
    except (httpx.TransportError, RuntimeError) as error:
        if not nobody_answered(error):
            raise
        raise ConfigurationError(
            "server-unreachable",
            f"The Prefect server, which keeps the connections, does not answer ({error}).",
            fix="Run the same command again; SiteHaul's own server is started again then.",
        ) from error
