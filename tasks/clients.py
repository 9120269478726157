"""What a client of Procore is called where its calls and tokens are kept together."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BudgetNames:
    """What the limits and notes of one client are called on the server."""

    client: str

    @property
    def hourly(self) -> str:
        return f"procore-{self.client}-hourly"

    def hourly_but(self, percent: int) -> str:
        """The limit of those who leave this part of the hour to others."""
        return f"{self.hourly}-but-{percent}-percent"

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
