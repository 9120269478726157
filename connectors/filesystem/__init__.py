"""The local filesystem: a folder of this machine, an NFS mount or a mounted share."""

from connectors.filesystem.connector import FilesystemConnector

__all__ = ["FilesystemConnector"]
