"""From saved settings to a connector. The only module that names concrete connectors.

Each is imported when it is made, so that a connection needs no more than its own family's dependencies.
"""

from connectors.settings import ConnectionSettings, FilesystemSettings
from connectors.tokens import TokenStore
from migration.budget import CallBudget
from migration.clock import Clock
from migration.contract import Destination, Source
from migration.errors import ConfigurationError


def make_connector(settings: ConnectionSettings, *, budget: CallBudget, tokens: TokenStore, clock: Clock) -> Source:
    """The connector of these settings, not entered yet. Nothing is touched before it is entered."""
    if isinstance(settings, FilesystemSettings):
        from connectors.filesystem import FilesystemConnector

        return FilesystemConnector(settings, clock)
    from connectors.procore.connector import ProcoreConnector

    return ProcoreConnector(settings, budget=budget, tokens=tokens, clock=clock)


def require_destination(connector: Source, name: str) -> Destination:
    """The connector, if it can be written to; `name` is what the operator calls the connection.

    Raises ConfigurationError `not-a-destination`.
    """
    if isinstance(connector, Destination):
        return connector
    raise ConfigurationError(
        "not-a-destination",
        f"The connection '{name}' ({connector.display_name}) can only be read, so it cannot be a destination.",
        fix="Choose a connection to a system that can be written to, such as a local folder.",
    )
