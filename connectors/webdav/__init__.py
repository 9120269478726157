"""WebDAV: Nextcloud, ownCloud and any other server."""
