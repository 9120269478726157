"""One call to a simulated Google Drive, and the methods there are."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.clouds.base import Answer, Call, json_answer
from simulator.clouds.drive import masks
from simulator.clouds.drive.masks import Mask
from simulator.clouds.drive.refusals import Refusal, invalid

if TYPE_CHECKING:
    from simulator.clouds.drive.service import Drive

_FILE = "kind,id,name,mimeType,driveId,teamDriveId"
DEFAULTS = {
    "File": _FILE,
    "FileList": f"kind,incompleteSearch,nextPageToken,files({_FILE})",
    "ChangeList": "kind,nextPageToken,newStartPageToken,changes(kind,type,changeType,time,removed,fileId,driveId,"
    f"teamDriveId,file({_FILE}),drive(kind,id,name))",
    "Drive": "kind,id,name",
    "DriveList": "kind,nextPageToken,drives(kind,id,name)",
    "Revision": "kind,id,mimeType,modifiedTime",
    "RevisionList": "kind,nextPageToken,revisions(kind,id,mimeType,modifiedTime)",
    "StartPageToken": "*",
    "GeneratedIds": "*",
}
"""What comes without a `fields` parameter."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One call that is allowed to be made."""

    call: Call
    user: str
    mask: Mask
    all_drives: bool
    """Whether the client says that it knows shared drives; what is in one does not exist for it otherwise."""
    path: tuple[str, ...]
    """The ids in the path."""

    def text(self, name: str) -> str | None:
        """A query parameter; None if it is not there."""
        return self.call.first(name)

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean query parameter. Raises Refusal for what is none."""
        value = self.call.first(name)
        if value not in (None, "", "true", "false", "True", "False"):
            raise invalid(name)
        return default if not value else value.lower() == "true"

    def number(self, name: str, default: int, most: int) -> int:
        """A number from 1; one above the greatest allowed counts as that. Raises Refusal for what is none."""
        value = self.call.first(name)
        if value is None:
            return default
        if not value.isdecimal() or int(value) < 1:
            raise invalid(name, f"Invalid value '{value}'. Values must be within the range: [1, {most}]")
        return min(int(value), most)


Handler = Callable[["Drive", Asked], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of the API."""

    method: str
    path: re.Pattern[str]
    name: str
    """As in the discovery document."""
    resource: str | None
    """What it answers with; None: nothing, or bytes."""
    handler: Handler
    write: bool = False
    content: bool = False


def asked_fields(route: Route, call: Call) -> Mask:
    """What the answer shall show. Raises Refusal for a mask that makes no sense, or is missing where it must be."""
    text = call.first("fields")
    if route.resource is None or call.first("alt") == "media":
        return {}
    if text:
        return masks.parsed(text, route.resource)
    if route.resource not in DEFAULTS:
        raise Refusal(400, "required", "The 'fields' parameter is required for this method.", location="fields")
    return masks.parsed(DEFAULTS[route.resource], route.resource)


def shown(asked: Asked, value: dict[str, object]) -> Answer:
    """The answer with what was asked for."""
    return json_answer(masks.picked(value, asked.mask))
