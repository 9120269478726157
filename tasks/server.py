"""The Prefect server a command works with: the configured one, or a real local one in the background.

Nothing here imports Prefect before the environment that Prefect reads at import is set.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Server:
    """A Prefect server that answered. `started_here` True means SiteHaul's own local one, under `home`."""

    api_url: str
    ui_url: str
    started_here: bool
    home: Path


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What `sitehaul status` says of the server."""

    running: bool
    api_url: str | None
    ui_url: str | None
    pid: int | None
    own: bool
    log: Path


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What `sitehaul status` says of the local worker."""

    running: bool
    pid: int | None
    log: Path


def ensure_server(home: Path) -> Server:
    """Return a Prefect server that answers, and set this process's environment so that Prefect uses it.

    The one named by PREFECT_API_URL or Prefect's active profile is used when there is one; ConfigurationError
    `server-unreachable` when it does not answer. Otherwise SiteHaul's own server under `home` is reused or started;
    several processes at once start only one. ConfigurationError `home-not-writable`, FatalError `disk-full` or
    `server-did-not-start` (with the last lines of its log).
    """
    raise NotImplementedError


def server_status(home: Path) -> ServerStatus:
    """What is running now; starts nothing."""
    raise NotImplementedError


def stop_server(home: Path) -> bool:
    """Stop SiteHaul's own server; True if one was running. A configured server is left alone."""
    raise NotImplementedError


def deploy_all(home: Path, project: Path | None = None) -> list[str]:
    """Deploy everything in prefect.yaml (of `project`, default the one SiteHaul comes with); the deployments' names."""
    raise NotImplementedError


def start_worker(home: Path) -> WorkerStatus:
    """Start the local worker that runs deployments in the background; one that runs already is left as it is."""
    raise NotImplementedError


def worker_status(home: Path) -> WorkerStatus:
    """Whether the local worker runs; starts nothing."""
    raise NotImplementedError


def stop_worker(home: Path) -> bool:
    """Stop the local worker; True if one was running."""
    raise NotImplementedError
