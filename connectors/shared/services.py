"""What the surroundings give every connector."""

from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.tokens import MemoryTokenStore, TokenStore
from migration.budget import CallBudget, UnlimitedBudget
from migration.clock import Clock, SystemClock

Tell = Callable[[str], None]
"""Shows a person one paragraph; an address stands alone."""
Ask = Callable[[str], str]
"""Asks a person for one line; what is asked for is the argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The budget calls are taken from, where renewed tokens are kept, and the time."""

    budget: CallBudget = field(default_factory=UnlimitedBudget)
    tokens: TokenStore = field(default_factory=MemoryTokenStore)
    clock: Clock = field(default_factory=SystemClock)
