"""A stand-in of Microsoft Graph: sign-in, SharePoint document libraries and OneDrive for work or school.

    with graph.running(page_entries_max=3) as cloud: ...

`cloud.credentials` has what a client presents. MSAL takes https addresses only, so the sign-in host has a second,
TLS address, `cloud.urls["login"]`, whose certificate is in `credentials["ca_file"]`:

    msal.ConfidentialClientApplication(
        credentials["client_id"], client_credential=credentials["client_secret"], authority=credentials["authority"],
        validate_authority=False, instance_discovery=False, verify=credentials["ca_file"],
    ).acquire_token_for_client(["https://graph.microsoft.com/.default"])
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simulator.clouds.base import Cloud, served
from simulator.clouds.base import Path as CloudPath
from simulator.clouds.graph.oauth import TENANT
from simulator.clouds.graph.service import GraphService
from simulator.clouds.graph.settings import GraphSwitches
from simulator.clouds.graph.tls import Front, server_certificate


@contextlib.contextmanager
def running(**switches: Any) -> Iterator[Cloud]:
    """Serve a simulated tenant until the block ends. Raises ValueError for switches that make no sense."""
    values = GraphSwitches().changed(switches)
    with tempfile.TemporaryDirectory() as folder, served(lambda url: GraphService(url, values)) as cloud:
        service, certificate = cloud.service, server_certificate(Path(folder))
        port = urlsplit(cloud.url).port
        assert port is not None and isinstance(service, GraphService)
        front = Front(certificate, port)
        try:
            login = cloud.wait(front.open())
            cloud.do(lambda: service.served_at(login))
            cloud.urls["login"] = login
            cloud.credentials |= {"authority": f"{login}/{TENANT}", "ca_file": str(certificate.ca_file)}
            yield cloud
        finally:
            cloud.wait(front.close())


def plant_notebook(cloud: Cloud, path: CloudPath) -> None:
    """Put a OneNote notebook into the sample library: a package, neither file nor folder."""

    def plant() -> None:
        cloud.service.tree.folders(path).extra["package"] = "oneNote"

    cloud.do(plant)
