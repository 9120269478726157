"""What a person says to connect a folder of an SSH server."""

import base64
import binascii
import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.shared.settings import ConnectionSettings

_HOST = re.compile(r"[A-Za-z0-9_.:%-]+")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
_KEY_LINE = re.compile(r"([a-z0-9@.-]+) +([A-Za-z0-9+/]+=*)( .*)?")


class SftpSettings(ConnectionSettings):
    """Access to one folder of an SSH server. Nothing is read from `~/.ssh` that is not named here."""

    kind: Literal["sftp"] = "sftp"
    display_name: str = "SFTP"
    host: str = Field(description="The server's name or address.")
    port: int = Field(default=22, ge=1, le=65535, description="The server's port.")
    folder: str = Field(
        default="",
        description="The folder, such as /srv/projects; nothing outside it is ever touched. Without a leading slash it "
        "is below the folder where the user's sessions begin; empty means that folder.",
    )
    username: str = Field(min_length=1, description="Who signs in.")
    password: SecretStr | None = Field(default=None, description="The user's password.")
    private_key_file: Path | None = Field(
        default=None, description="A private key to sign in with, in OpenSSH's or PEM form."
    )
    passphrase: SecretStr | None = Field(default=None, description="What opens the private key.")
    use_agent: bool = Field(default=False, description="Sign in with the keys of the running SSH agent.")
    host_key: str | None = Field(
        default=None,
        description="How the server is recognised: the fingerprint of its host key (SHA256:…) or the public key itself "
        "(ssh-ed25519 AAAA…). Several are separated by commas.",
    )
    known_hosts_file: Path | None = Field(
        default=None, description="A file in the form of OpenSSH's known_hosts that names the server, instead."
    )
    connections: int = Field(default=3, ge=1, le=16, description="How many connections work at the same time.")
    names: Literal["posix", "windows", "portable"] = Field(
        default="posix", description="Whose rules file names follow; where Windows users work with the files: windows."
    )
    connect_timeout_seconds: float = Field(
        default=20.0, gt=0, description="How long to wait for a connection that is signed in."
    )
    timeout_seconds: float = Field(
        default=60.0, gt=0, description="How long an answer of the server is waited for before it counts as lost."
    )

    @field_validator("host")
    @classmethod
    def _host_is_a_name(cls, value: str) -> str:
        if not _HOST.fullmatch(value):
            raise ValueError("the host is a name or an address only, such as files.example.com")
        return value

    @field_validator("folder")
    @classmethod
    def _folder_is_plain(cls, value: str) -> str:
        if "\0" in value or ".." in value.split("/") or value.startswith("~"):
            raise ValueError("the folder is a path such as /srv/projects or projects, without .. and ~")
        names = [name for name in value.split("/") if name not in ("", ".")]
        return ("/" if value.startswith("/") else "") + "/".join(names)

    @field_validator("host_key")
    @classmethod
    def _host_keys_are_keys(cls, value: str | None) -> str | None:
        for one in _listed(value):
            if not (_FINGERPRINT.fullmatch(one) or _is_public_key(one)):
                raise ValueError("a host key is a fingerprint SHA256:… or a public key such as ssh-ed25519 AAAA…")
        return value

    @model_validator(mode="after")
    def _signs_in_somehow(self) -> Self:
        if self.password is None and self.private_key_file is None and not self.use_agent:
            raise ValueError("give a password, a private key file or the agent to sign in with")
        if self.passphrase is not None and self.private_key_file is None:
            raise ValueError("a passphrase belongs to a private key file")
        return self

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The host keys that are named by their fingerprints."""
        return tuple(one.rstrip("=") for one in _listed(self.host_key) if one.startswith("SHA256:"))

    @property
    def public_keys(self) -> tuple[str, ...]:
        """The host keys that are given themselves."""
        return tuple(one for one in _listed(self.host_key) if not one.startswith("SHA256:"))

    @property
    def summary(self) -> str:
        port = "" if self.port == 22 else f":{self.port}"
        folder = self.folder if self.folder.startswith("/") else f"/~/{self.folder}".rstrip("/")
        return f"sftp://{self.username}@{self.host}{port}{folder}"


def _listed(value: str | None) -> list[str]:
    return [one.strip() for one in value.split(",") if one.strip()] if value else []


def _is_public_key(text: str) -> bool:
    """Whether it is one line of an OpenSSH public key: its kind, named once more in the data."""
    line = _KEY_LINE.fullmatch(text)
    if line is None:
        return False
    try:
        data = base64.b64decode(line[2], validate=True)
    except binascii.Error:
        return False
    return data[4 : 4 + int.from_bytes(data[:4], "big")] == line[1].encode()
