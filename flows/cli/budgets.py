"""What `sitehaul budget` shows of the call budgets of saved connections."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from connectors.procore.settings import ProcoreSettings
from migration.errors import ConfigurationError
from tasks.budget_status import BudgetStatus, budget_status
from tasks.connections import list_connections, load_connection

RETURNS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ConnectionBudget:
    """The budget of the client that a connection uses; connections with the same client share it."""

    connection: str
    status: BudgetStatus

    def to_json(self) -> dict[str, Any]:
        """What `budget --json` prints of a connection."""
        status = self.status
        return {
            "connection": self.connection,
            "client": status.client,
            "limit": status.limit,
            "used": status.used,
            "free": status.free,
            "spike_calls": status.spike_calls,
            "mechanism": status.mechanism.value,
            "note": status.note,
            "paused_until": status.paused_until.isoformat() if status.paused_until else None,
            "returns": [{"at": one.at.isoformat(), "slots": one.slots} for one in status.returns],
            "holders": [
                {"holder": one.who, "slots": one.slots, "last_returns_at": one.last_returns_at.isoformat()}
                for one in status.holders
            ],
        }


def budgets_of(name: str | None) -> list[ConnectionBudget]:
    """The budgets of all Procore connections, or of the one named.

    ConfigurationError `no-budget` for a connection whose calls are not limited.
    """
    names = [name] if name is not None else [one for one, system in list_connections() if system == "procore"]
    budgets = []
    for connection in names:
        settings = load_connection(connection)
        if not isinstance(settings, ProcoreSettings):
            raise ConfigurationError("no-budget", f"The calls of the connection '{connection}' are not limited.")
        budgets.append(ConnectionBudget(connection, budget_status(settings)))
    return budgets


def show_budget(console: Console, budget: ConnectionBudget) -> None:
    """Print one budget for people."""
    status = budget.status
    line = Text.assemble((budget.connection, "bold"), f": {status.free:,} of {status.limit:,} calls left this hour")
    console.print(line)
    if status.paused_until:
        console.print(Text(f"  Procore refuses calls until {status.paused_until:%H:%M:%S} UTC.", style="yellow"))
    for one in status.returns[:RETURNS_SHOWN]:
        console.print(f"  {one.slots:,} come back at {one.at:%H:%M} UTC", highlight=False)
    if len(status.returns) > RETURNS_SHOWN:
        rest = sum(one.slots for one in status.returns[RETURNS_SHOWN:])
        console.print(f"  {rest:,} more until {status.returns[-1].at:%H:%M} UTC", highlight=False)
    slots: Counter[str] = Counter()
    for holder in status.holders:
        slots[holder.who or "commands outside of a run"] += holder.slots
    for who, taken in slots.most_common():
        console.print(Text(f"  {taken:,} were taken by {who}"))
    if status.note:
        console.print(Text(f"  {status.note}", style="dim"), soft_wrap=True)
