"""What a person says to connect a local folder or a mounted share."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from connectors.shared.settings import ConnectionSettings


class FilesystemSettings(ConnectionSettings):
    """Access to one local folder, or to a file share that is mounted there."""

    kind: Literal["filesystem"] = "filesystem"
    display_name: str = "Local folder"
    folder: Path = Field(description="The folder; nothing outside it is ever touched.")
    durability: Literal["none", "batch", "file"] = Field(
        default="batch",
        description="When copied files are forced onto the disk: never, before a batch is recorded, or file by file.",
    )
    names: Literal["posix", "windows", "portable"] = Field(
        default="posix", description="Whose rules file names follow; a mounted Windows share needs windows."
    )

    @field_validator("folder")
    @classmethod
    def _folder_is_absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError("the folder must be an absolute path")
        return value

    @property
    def summary(self) -> str:
        return str(self.folder)
