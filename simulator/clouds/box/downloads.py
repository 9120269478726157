"""Downloads from Box: https://developer.box.com/reference/get-files-id-content/.

The API answers with the address of another host, which needs no token, serves byte ranges and ends soon (15 minutes,
https://developer.box.com/guides/api-calls/permissions-and-errors/expiration/).
"""

import re
import secrets
from dataclasses import dataclass
from urllib.parse import quote

from simulator.clouds.base import Content, download
from simulator.clouds.box import checks, files
from simulator.clouds.box.state import Box
from simulator.web import Answer, Call, Header

_LINKS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Link:
    """What a download address leads to."""

    content: Content
    name: str
    expires_at: float


async def start(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """GET /files/{id}/content: where to get the bytes; 202 while they are not ready."""
    file = checks.found(box, "file", path[1])
    version = files.version_or_current(file, call.first("version"))
    if box.not_ready(version.id):
        return Answer(202, b"", [(b"retry-after", b"1")])
    token = secrets.token_urlsafe(32)
    box.links[token] = Link(version.content, file.name, box.clock.now() + box.switches.download_url_seconds)
    if len(box.links) > _LINKS_MAX:
        del box.links[next(iter(box.links))]
    return Answer(302, b"", [(b"location", f"{box.urls['download']}/d/1/{token}/download".encode())])


async def serve(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """The bytes of a download address, all or a range of them."""
    link = box.links.get(path[1])
    if link is None or link.expires_at <= box.clock.now():
        return Answer.text("This link has expired.", 403)
    disposition = f"attachment; filename*=UTF-8''{quote(link.name)}".encode()
    headers: list[Header] = [
        (b"content-type", b"application/octet-stream"), (b"content-disposition", disposition),
    ]  # fmt: skip
    return download(call, link.content, headers)
