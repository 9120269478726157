"""The variables Prefect takes its settings from: read for a configured server, set for SiteHaul's own.

Prefect reads them when it is first imported, so nothing here imports Prefect.
"""

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

OWN_SERVER_VARIABLE = "SITEHAUL_OWN_SERVER"
"""Holds the address SiteHaul itself put into PREFECT_API_URL, also for child processes: a server named by the operator
is used or complained about, our own is restarted."""

_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR",  # the run's log lines still reach the server and its UI
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
}

_SERVER = {
    "PREFECT_SERVER_API_HOST": "127.0.0.1",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
    # The default storage forgets its leases when the server ends, and their slots would never come back.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "3",
    # With the default batches of one the record of task runs lags minutes behind a busy flow.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "100",
}


def configured_api_url(environment: Mapping[str, str]) -> str | None:
    """The server the operator named: PREFECT_API_URL, else the active profile's. None for SiteHaul's own."""
    url = environment.get("PREFECT_API_URL")
    if url:
        return None if url == environment.get(OWN_SERVER_VARIABLE) else url.rstrip("/")
    named = _profile_values(environment).get("PREFECT_API_URL")
    return named.rstrip("/") if named else None


def use_configured() -> None:
    """Make this process quiet; where Prefect finds its server stays as the operator configured it."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def use_own(api_url: str, prefect_home: Path) -> None:
    """Let this process and its children use SiteHaul's own server. Prefect, if imported already, reads it again."""
    use_configured()
    changes = {"PREFECT_API_URL": api_url, OWN_SERVER_VARIABLE: api_url, "PREFECT_HOME": str(prefect_home)}
    if all(os.environ.get(name) == value for name, value in changes.items()):
        return
    os.environ.update(changes)
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def server_variables(environment: Mapping[str, str], prefect_home: Path, port: int) -> dict[str, str]:
    """The environment of our server process: the inherited one without other Prefect settings."""
    inherited = {name: value for name, value in environment.items() if not name.startswith("PREFECT_")}
    places = {
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_HOME": str(prefect_home),
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(prefect_home / "ui"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{prefect_home / 'prefect.db'}",
    }
    return {**inherited, **_QUIET, **_SERVER, **places}


def _profile_values(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of Prefect's active profile (~/.prefect/profiles.toml); empty if there is none or it is unreadable,
    as Prefect itself will say when it is used."""
    prefect_home = Path(environment.get("PREFECT_HOME") or "~/.prefect").expanduser()
    path = Path(environment.get("PREFECT_PROFILES_PATH") or prefect_home / "profiles.toml").expanduser()
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
    active = environment.get("PREFECT_PROFILE") or content.get("active")
    values = content.get("profiles", {}).get(active, {})
    return {name: str(value) for name, value in values.items()} if isinstance(values, dict) else {}
