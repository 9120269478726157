"""The methods of Drive API v3 that the stand-in has."""

import re

from simulator.clouds.drive import edits, reads
from simulator.clouds.drive.calls import Handler, Route


def _route(method: str, path: str, name: str, resource: str | None, handler: Handler, marks: str = "") -> Route:
    """`marks`: w writes, c can answer with content."""
    pattern = re.compile("/drive/v3/" + path.replace("{id}", "([^/]+)"))
    return Route(method, pattern, name, resource, handler, "w" in marks, "c" in marks)


ROUTES = [
    _route("GET", "about", "about.get", "About", reads.about),
    _route("GET", "files", "files.list", "FileList", reads.list_files),
    _route("POST", "files", "files.create", "File", edits.upload, "w"),
    _route("GET", "files/generateIds", "files.generateIds", "GeneratedIds", edits.generate_ids),
    _route("DELETE", "files/trash", "files.emptyTrash", None, edits.empty_trash, "w"),
    _route("GET", "files/{id}", "files.get", "File", reads.get_file, "c"),
    _route("PATCH", "files/{id}", "files.update", "File", edits.upload, "w"),
    _route("DELETE", "files/{id}", "files.delete", None, edits.delete, "w"),
    _route("POST", "files/{id}/copy", "files.copy", "File", edits.copy, "w"),
    _route("GET", "files/{id}/export", "files.export", None, reads.export, "c"),
    _route("GET", "files/{id}/revisions", "revisions.list", "RevisionList", reads.list_revisions),
    _route("GET", "files/{id}/revisions/{id}", "revisions.get", "Revision", reads.get_revision, "c"),
    _route("PATCH", "files/{id}/revisions/{id}", "revisions.update", "Revision", reads.update_revision, "w"),
    _route("DELETE", "files/{id}/revisions/{id}", "revisions.delete", None, reads.delete_revision, "w"),
    _route("GET", "changes/startPageToken", "changes.getStartPageToken", "StartPageToken", reads.start_page_token),
    _route("GET", "changes", "changes.list", "ChangeList", reads.list_changes),
    _route("GET", "drives", "drives.list", "DriveList", reads.list_drives),
    _route("GET", "drives/{id}", "drives.get", "Drive", reads.get_drive),
]
"""Asked in this order."""
