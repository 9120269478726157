"""From saved settings to a connector. The only module that names concrete connectors.

Each is imported when it is made, so that a connection needs no more than its own family's dependencies.
"""

import importlib
import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from connectors.azure.settings import AzureSettings
from connectors.box.settings import BoxSettings
from connectors.dropbox.settings import DropboxSettings
from connectors.egnyte.settings import EgnyteSettings
from connectors.filesystem.settings import FilesystemSettings
from connectors.gcs.settings import GcsSettings
from connectors.google_drive.settings import GoogleDriveSettings
from connectors.procore.settings import ProcoreSettings
from connectors.s3.settings import S3Settings
from connectors.sftp.settings import SftpSettings
from connectors.shared.services import Ask, Services, Tell
from connectors.shared.settings import ConnectionSettings
from connectors.sharepoint.settings import SharePointSettings
from connectors.smb.settings import SmbSettings
from connectors.webdav.settings import WebDavSettings
from connectors.wrappers.read_only import read_only
from connectors.wrappers.throttled import throttled
from migration.contract import Destination, Source
from migration.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of connection."""

    settings: type[ConnectionSettings]
    about: str
    """Completes "access to …"."""
    connector: str
    """`module:Class`, made from settings and services."""
    extra: str
    """What to install for it (pyproject.toml)."""
    sign_in: str | None = None
    """`module:function` through which a person signs in (`SignIn`), where that is possible."""

    @property
    def name(self) -> str:
        """The settings' `kind`."""
        return str(self.settings.model_fields["kind"].default)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            ProcoreSettings,
            "one Procore company",
            "connectors.procore.connector:ProcoreConnector",
            "procore",
            "connectors.procore.oauth:sign_in",
        ),
        Kind(
            FilesystemSettings,
            "a local folder or a mounted file share",
            "connectors.filesystem.connector:FilesystemConnector",
            "filesystem",
        ),
        Kind(
            GoogleDriveSettings,
            "a folder of a Google Drive, a person's or a shared one",
            "connectors.google_drive.connector:GoogleDriveConnector",
            "google-drive",
            "connectors.google_drive.signing:sign_in",
        ),
        Kind(
            DropboxSettings,
            "a folder of a person's or a team's Dropbox",
            "connectors.dropbox.connector:DropboxConnector",
            "dropbox",
            "connectors.dropbox.signing:sign_in",
        ),
        Kind(
            WebDavSettings,
            "a folder of a WebDAV server (Nextcloud, ownCloud or another)",
            "connectors.webdav.connector:WebDavConnector",
            "webdav",
        ),
        Kind(
            SmbSettings,
            "a file share of Windows or a NAS, by SMB 2 or 3",
            "connectors.smb.connector:SmbConnector",
            "smb",
        ),
        Kind(
            SftpSettings,
            "a folder of an SSH server, by SFTP",
            "connectors.sftp.connector:SftpConnector",
            "sftp",
        ),
        Kind(
            S3Settings,
            "a bucket of Amazon S3, or of any service that speaks like it",
            "connectors.s3.connector:connector_of",
            "s3",
        ),
        Kind(
            AzureSettings,
            "a container of Azure Blob Storage",
            "connectors.azure.connector:AzureConnector",
            "azure",
        ),
        Kind(
            GcsSettings,
            "a bucket of Google Cloud Storage",
            "connectors.gcs.connector:connector_of",
            "gcs",
        ),
        Kind(
            BoxSettings,
            "a folder of Box",
            "connectors.box.connector:BoxConnector",
            "box",
            "connectors.box.signing:sign_in",
        ),
        Kind(
            SharePointSettings,
            "a document library of SharePoint, or a OneDrive for work or school",
            "connectors.sharepoint.connector:SharePointConnector",
            "sharepoint",
            "connectors.sharepoint.signing:sign_in",
        ),
        Kind(
            EgnyteSettings,
            "a folder of an Egnyte domain",
            "connectors.egnyte.connector:EgnyteConnector",
            "egnyte",
            "connectors.egnyte.signing:sign_in",
        ),
    )
}


def settings_of(text: str | bytes) -> ConnectionSettings:
    """Settings that were written as JSON. Raises ValueError saying what does not fit."""
    values = json.loads(text)
    kind = KINDS.get(str(values.get("kind"))) if isinstance(values, dict) else None
    if kind is None:
        raise ValueError(f"the kind is not one of {', '.join(KINDS)}")
    try:
        return kind.settings.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(problems_of(error)) from None


def problems_of(error: ValidationError) -> str:
    """What is wrong with settings, in one line that holds no value."""
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())


def make_connector(settings: ConnectionSettings, services: Services) -> Source:
    """The connector of these settings, not entered yet. Nothing is touched before it is entered.

    Raises ConfigurationError `not-installed` when its libraries are not there.
    """
    kind = KINDS[settings.kind]
    made: Source = _loaded(kind, kind.connector)(settings, services)
    if settings.bytes_per_second is not None:
        made = throttled(made, settings.bytes_per_second, services.clock)
    return read_only(made) if settings.read_only else made


async def sign_in(settings: ConnectionSettings, services: Services, *, tell: Tell, ask: Ask) -> None:
    """Let a person sign in, if the connection acts for one; the tokens are then in `services.tokens`.

    Raises ConfigurationError or FatalError when it does not come about.
    """
    kind = KINDS[settings.kind]
    if settings.acts_for_a_person and kind.sign_in:
        await _loaded(kind, kind.sign_in)(settings, services, tell=tell, ask=ask)


def _loaded(kind: Kind, place: str) -> Any:
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "not-installed",
            f"Connections of the kind {kind.name} need the library '{error.name}', which is not installed.",
            fix=f"Install it: pip install 'sitehaul[{kind.extra}]'",
        ) from error


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
