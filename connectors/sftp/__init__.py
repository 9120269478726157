"""Folders of SSH servers, by SFTP."""
