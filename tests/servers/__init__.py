"""The real servers that tests talk to.

Each module starts one kind: `with samba.running(folder) as server`. A server listens on 127.0.0.1 on free ports,
answers when the block begins, and is gone with what it kept when the block ends; its log stays in the folder. It
brings ways to look at what it holds, and to put things there, that use none of SiteHaul's connectors.
"""

from tests.servers.procore import (
    RECORD_FOLDER,
    ProcoreSimulators,
    Recorder,
    api_url,
    procore_simulators,
    signed_in,
)

__all__ = ["RECORD_FOLDER", "ProcoreSimulators", "Recorder", "api_url", "procore_simulators", "signed_in"]
