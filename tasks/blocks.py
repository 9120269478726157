"""The Prefect blocks SiteHaul keeps its secrets in; Prefect encrypts them and shows them as dots."""

from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr


class SiteHaulConnection(Block):
    """Access to one system. Made and changed by `sitehaul connect`, which tests it first."""

    _block_type_name: ClassVar[str] = "SiteHaul connection"
    _block_type_slug: ClassVar[str] = "sitehaul-connection"

    system: str = Field(title="System", description="What kind of system this is.")
    description: str = Field(default="", title="Description", description="Which one, for people.")
    settings: SecretStr = Field(title="Settings", description="Everything `sitehaul connect` was told, as JSON.")


class SiteHaulTokens(Block):
    """The current sign-in of one client; renewed by SiteHaul itself."""

    _block_type_name: ClassVar[str] = "SiteHaul tokens"
    _block_type_slug: ClassVar[str] = "sitehaul-tokens"

    client: str = Field(title="Client", description="Which client of which environment.")
    tokens: SecretStr = Field(title="Tokens", description="Access and refresh token, as JSON.")
