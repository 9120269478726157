"""What a person says to connect a file share of Windows or a NAS."""

import re
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from connectors.shared.settings import ConnectionSettings

_HOST = re.compile(r"[A-Za-z0-9_.:%-]+")
_SHARE = re.compile(r"[^\\/:*?\"<>|\x00-\x1f]{1,80}")


class SmbSettings(ConnectionSettings):
    """Access to one share of a Windows file server or a NAS, or to a folder in it."""

    kind: Literal["smb"] = "smb"
    display_name: str = "File share (SMB)"
    server: str = Field(description="The file server's name or address, without \\\\ in front.")
    port: int = Field(default=445, ge=1, le=65535, description="The server's port.")
    share: str = Field(description="The name of the share.")
    folder: str = Field(
        default="", description="A folder inside the share; nothing outside it is ever touched. Empty means the share."
    )
    username: str = Field(min_length=1, description="Who signs in: DOMAIN\\user, user@domain, or a user of the server.")
    password: SecretStr
    signing: Literal["required", "if-required"] = Field(
        default="required", description="Whether messages are always signed, or only if the server insists."
    )
    encryption: Literal["if-required", "required"] = Field(
        default="if-required", description="Whether messages are encrypted only if the server insists, or always."
    )
    names: Literal["windows", "linux"] = Field(
        default="windows",
        description="How long names may be: 255 characters on Windows, 255 bytes on Samba and most NAS systems.",
    )
    connections: int = Field(default=4, ge=1, le=16, description="How many connections work at the same time.")
    timeout_seconds: float = Field(
        default=60.0, gt=0, description="How long an answer of the server is waited for before it counts as lost."
    )

    @field_validator("server")
    @classmethod
    def _server_is_a_name(cls, value: str) -> str:
        if not _HOST.fullmatch(value):
            raise ValueError("the server is a name or an address only, such as files.example.com")
        return value

    @field_validator("share")
    @classmethod
    def _share_is_a_name(cls, value: str) -> str:
        if not _SHARE.fullmatch(value):
            raise ValueError("the share is its name only, such as projects; what is inside it belongs into folder")
        return value

    @field_validator("folder")
    @classmethod
    def _folder_is_inside(cls, value: str) -> str:
        names = [name for name in re.split(r"[\\/]", value) if name]
        if any(name in (".", "..") or re.search(r"[:*?\"<>|\x00-\x1f]", name) for name in names):
            raise ValueError(r"the folder is a path inside the share, such as projects\2024")
        return "\\".join(names)

    @property
    def summary(self) -> str:
        inside = f"\\{self.folder}" if self.folder else ""
        return f"\\\\{self.server}\\{self.share}{inside} as {self.username}"
