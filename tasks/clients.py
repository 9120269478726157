"""What a client of Procore is called where its calls and tokens are kept together."""

import hashlib
import re

from connectors.settings import ProcoreSettings


def client_name(settings: ProcoreSettings) -> str:
    """The same for all connections of one client in one environment, different for any other; file-name safe.

    Recognisable by the beginning of the client id, which is no secret but is not shown whole either.
    """
    beginning = re.sub(r"[^a-z0-9]", "", settings.client_id.lower())[:6]
    digest = hashlib.sha256(f"{settings.api_base}|{settings.client_id}".encode()).hexdigest()[:8]
    return f"{beginning}-{digest}" if beginning else digest
