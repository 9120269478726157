"""What a person says to connect a SharePoint library or a OneDrive."""

import hashlib
import ssl
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.shared.settings import ConnectionSettings, checked_address
from connectors.shared.timeouts import Timeouts
from connectors.shared.trust import trusting

_CLOUDS = MappingProxyType(
    {
        "global": ("https://graph.microsoft.com", "https://login.microsoftonline.com"),
        "us-gov": ("https://graph.microsoft.us", "https://login.microsoftonline.us"),
        "us-gov-dod": ("https://dod-graph.microsoft.us", "https://login.microsoftonline.us"),
        "china": ("https://microsoftgraph.chinacloudapi.cn", "https://login.chinacloudapi.cn"),
    }
)
"""Microsoft Graph and sign-in of each cloud: https://learn.microsoft.com/en-us/graph/deployments"""
_DEFAULT_LIBRARY = "Shared Documents"
"""The usual place of a site's default library; only for estimating how long paths may be."""


class SharePointSettings(ConnectionSettings):
    """Access to one folder of a document library or of a person's OneDrive."""

    kind: Literal["sharepoint"] = "sharepoint"
    display_name: str = "SharePoint"
    tenant_id: str = Field(
        min_length=1,
        description="The directory (tenant) ID or a domain of it, shown on the app's overview page in Microsoft Entra.",
    )
    client_id: str = Field(
        min_length=1, description="The application (client) ID of the app registration, shown on the same page."
    )
    where: str = Field(
        min_length=1,
        description="A site's address such as https://contoso.sharepoint.com/sites/riverside, or a person's user name "
        "such as ada@contoso.com for that person's OneDrive, or the ID of a drive.",
    )
    library: str | None = Field(
        default=None, description="The name of the site's document library; the default library if it is not given."
    )
    folder: str = Field(
        default="", description="The folder in there, such as Projects/Tower; nothing outside it is touched."
    )
    sign_in: Literal["app", "device-code"] = Field(
        default="app",
        description="Whether the app acts for itself, with a secret or a certificate, or for a person who signs in "
        "with a code.",
    )
    client_secret: SecretStr | None = Field(
        default=None, description="The value of a client secret of the app (not the secret's ID)."
    )
    certificate_file: Path | None = Field(
        default=None, description="The app's certificate in PEM form instead of a secret; it may hold the key as well."
    )
    private_key_file: Path | None = Field(
        default=None, description="The certificate's private key in PEM form, if it is in a file of its own."
    )
    private_key_password: SecretStr | None = Field(default=None, description="The password of the private key.")
    cloud: Literal["global", "us-gov", "us-gov-dod", "china"] = Field(
        default="global",
        description="Which of Microsoft's clouds the tenant is in; us-gov is GCC High, while GCC is in the global one.",
    )
    api_url: str | None = Field(
        default=None, description="Another address of Microsoft Graph than the cloud's own, without the version."
    )
    login_url: str | None = Field(default=None, description="Another address for signing in than the cloud's own.")
    ca_file: Path | None = Field(
        default=None, description="Certificates to trust besides this machine's, where a proxy has its own authority."
    )
    connect_timeout_seconds: float = Field(default=15.0, gt=0, description="How long to wait for a connection.")
    read_timeout_seconds: float = Field(default=120.0, gt=0, description="How long to wait for bytes.")

    @field_validator("api_url", "login_url")
    @classmethod
    def _address_is_safe(cls, value: str | None) -> str | None:
        return None if value is None else checked_address(value)

    @field_validator("where")
    @classmethod
    def _where_is_one_of_three(cls, value: str) -> str:
        value = value.strip()
        if "://" not in value:
            if "/" in value or not value:
                raise ValueError("give a site's address beginning with https://, a user name, or the ID of a drive")
            return value
        if "?" in value or "/_layouts/" in value or value.lower().endswith(".aspx"):
            raise ValueError("give the site's own address, such as https://contoso.sharepoint.com/sites/riverside")
        return checked_address(value)

    @field_validator("folder")
    @classmethod
    def _folder_is_a_path(cls, value: str) -> str:
        names = value.strip("/").split("/")
        if any(name in (".", "..") for name in names) or (len(names) > 1 and "" in names):
            raise ValueError("a folder is a path of names, such as Projects/Tower")
        return value.strip("/")

    @model_validator(mode="after")
    def _signs_in_one_way(self) -> Self:
        for name in ("client_secret", "private_key_password"):
            secret: SecretStr | None = getattr(self, name)
            if secret is not None and not secret.get_secret_value():
                raise ValueError(f"{name} is empty; leave it out instead")
        ways = (self.client_secret is not None) + (self.certificate_file is not None)
        if self.sign_in == "app" and ways != 1:
            raise ValueError("an app signs in with either client_secret or certificate_file")
        if self.sign_in == "device-code" and ways:
            raise ValueError("a person signs in without the app's secret or certificate")
        if self.certificate_file is None and (self.private_key_file or self.private_key_password):
            raise ValueError("a private key belongs to certificate_file")
        if self.library is not None and not self.is_site:
            raise ValueError("only a site has libraries; leave library out")
        return self

    @property
    def summary(self) -> str:
        return "/".join(part for part in (self.where, self.library, self.folder) if part)

    @property
    def acts_for_a_person(self) -> bool:
        return self.sign_in == "device-code"

    @property
    def token_key(self) -> str | None:
        if not self.acts_for_a_person:
            return None
        which = "|".join((self.authority, self.client_id, self.where))
        return f"sharepoint-{hashlib.sha256(which.encode()).hexdigest()[:12]}"

    @property
    def is_site(self) -> bool:
        """Whether `where` is a site's address."""
        return "://" in self.where

    @property
    def is_person(self) -> bool:
        """Whether `where` is somebody's user name."""
        return "@" in self.where and not self.is_site

    @property
    def site(self) -> tuple[str, str]:
        """The site's host, and its path there without slashes around it; that of the root site is empty."""
        parts = urlsplit(self.where)
        return parts.netloc, unquote(parts.path).strip("/")

    @property
    def folder_names(self) -> tuple[str, ...]:
        """The way to the folder from the root of library or OneDrive."""
        return tuple(name for name in self.folder.split("/") if name)

    @property
    def path_before(self) -> str:
        """What stands before every path in its address, as far as the settings tell: paths are measured with it."""
        if self.is_site:
            place: tuple[str, ...] = (self.site[1], self.library or _DEFAULT_LIBRARY)
        else:
            place = ("personal", self.where.replace("@", "_").replace(".", "_"), "Documents")
        return "".join(f"{part}/" for part in (*place, *self.folder_names) if part)

    @property
    def graph_url(self) -> str:
        """Where Microsoft Graph is."""
        return f"{self.api_url or _CLOUDS[self.cloud][0]}/v1.0"

    @property
    def authority(self) -> str:
        """Where the tenant's people and apps sign in."""
        return f"{self.login_url or _CLOUDS[self.cloud][1]}/{self.tenant_id}"

    @property
    def scope(self) -> str:
        """Everything the app was allowed in Microsoft Graph."""
        return f"{_CLOUDS[self.cloud][0]}/.default"

    @property
    def timeouts(self) -> Timeouts:
        """How long requests wait."""
        return Timeouts(connect_seconds=self.connect_timeout_seconds, read_seconds=self.read_timeout_seconds)

    def tls(self) -> ssl.SSLContext | None:
        """What to trust; None = what this machine trusts. Raises ConfigurationError `ca-file-unreadable`."""
        return trusting(self.ca_file)
