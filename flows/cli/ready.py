"""The Prefect server a command needs, before anything of Prefect is imported.

By itself, so that commands that run no flow need not import what flows are made of, which takes a quarter of a second.
"""

import os

from flows.cli.main import Common
from tasks.server import HOME_VARIABLE, Server, ensure_server, server_status


def ready_server(common: Common) -> Server:
    """A Prefect server that answers; says so when one has to be started. This process is set up for it."""
    os.environ[HOME_VARIABLE] = str(common.home)
    if not common.debug:
        for variable in ("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "PREFECT_INTERNAL_LOGGING_LEVEL"):
            os.environ.setdefault(variable, "CRITICAL")
    status = server_status(common.home)
    if status.own and not status.running:
        with common.console.status("Starting the local Prefect server (the first time takes half a minute) …"):
            return ensure_server(common.home)
    return ensure_server(common.home)
