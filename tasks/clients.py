"""What a client of Procore is called where its calls and tokens are kept together."""

import hashlib
import re
from dataclasses import dataclass

from connectors.settings import ProcoreSettings


def client_name(settings: ProcoreSettings) -> str:
    """The same for all connections of one client in one environment, different for any other; file-name safe.

    Recognisable by the beginning of the client id, which is no secret but is not shown whole either.
    """
    beginning = re.sub(r"[^a-z0-9]", "", settings.client_id.lower())[:6]
    digest = hashlib.sha256(f"{settings.api_base}|{settings.client_id}".encode()).hexdigest()[:8]
    return f"{beginning}-{digest}" if beginning else digest


@dataclass(frozen=True, slots=True)
class BudgetNames:
    """What the limits and notes of one client are called on the server."""

    client: str

    @property
    def hourly(self) -> str:
        return f"procore-{self.client}-hourly"

    @property
    def spike(self) -> str:
        return f"procore-{self.client}-spike"

    @property
    def seen(self) -> str:
        """The allowances the system's headers stated last."""
        return f"procore_{self.client.replace('-', '_')}_allowances"

    @property
    def pause(self) -> str:
        """Until when no call is to be made."""
        return f"procore_{self.client.replace('-', '_')}_pause"
