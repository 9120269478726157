"""A connector to one of the SSH servers of tests/servers."""

from typing import Any

from connectors.registry import make_connector
from connectors.sftp.connector import SftpConnector
from connectors.sftp.settings import SftpSettings
from connectors.shared.services import Services
from tests.servers.ssh import OpenSsh
from tests.servers.ssh_in_process import InProcessSsh


def connector(server: InProcessSsh | OpenSsh, **changes: Any) -> SftpConnector:
    values: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "folder": server.folder,
        "username": server.username,
        "password": server.password,
        "host_key": server.keys.host_fingerprint,
    }
    made = make_connector(SftpSettings(**(values | changes)), Services())
    assert isinstance(made, SftpConnector)
    return made
