"""Saved connections: encrypted Prefect blocks, and how one is opened. `ensure_server` comes first."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migration.budget import CallBudget
from migration.clock import Clock, SystemClock
from migration.contract import Source
from migration.jobs import OnBudgetExhausted

if TYPE_CHECKING:
    from connectors.settings import ConnectionSettings

_SYSTEM_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Opened:
    """An entered connector and the budget its calls are taken from."""

    connector: Source
    budget: CallBudget


def save_connection(name: str, settings: ConnectionSettings) -> None:
    """Save or replace. ConfigurationError `connection-name` for a name that is not lower-case letters, digits, '-'."""
    raise NotImplementedError


def load_connection(name: str) -> ConnectionSettings:
    """The settings saved under `name`. ConfigurationError `connection-not-found` names the known ones."""
    raise NotImplementedError


def list_connections() -> list[tuple[str, str]]:
    """(name, system) of every saved connection, by name."""
    raise NotImplementedError


def delete_connection(name: str) -> None:
    """Forget a connection. ConfigurationError `connection-not-found`."""
    raise NotImplementedError


def opened(
    name: str,
    settings: ConnectionSettings,
    *,
    on_budget_exhausted: OnBudgetExhausted = OnBudgetExhausted.STOP,
    clock: Clock = _SYSTEM_CLOCK,
) -> AbstractAsyncContextManager[Source]:
    """The connector of a connection, entered, its calls under the client's shared budget, its tokens shared."""
    raise NotImplementedError


def opened_with_budget(
    name: str,
    settings: ConnectionSettings,
    *,
    on_budget_exhausted: OnBudgetExhausted = OnBudgetExhausted.STOP,
    clock: Clock = _SYSTEM_CLOCK,
) -> AbstractAsyncContextManager[Opened]:
    """The same, with the budget beside it (`Opened(connector, budget)`)."""
    raise NotImplementedError
