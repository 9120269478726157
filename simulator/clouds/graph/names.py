"""Names that OneDrive and SharePoint take.

https://support.microsoft.com/office/invalid-file-names-and-file-types-in-onedrive-and-sharepoint-64883a5d-228e-48f5-b3d2-eb39e07630fa
and https://learn.microsoft.com/en-us/graph/onedrive-addressing-driveitems.
"""

import re

from simulator.clouds.graph.errors import invalid

NAME_CHARACTERS_MAX = 255
PATH_CHARACTERS_MAX = 400
_FORBIDDEN = re.compile(r'["*:<>?/\\|\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?|\.lock|desktop\.ini", re.IGNORECASE | re.DOTALL)


def accepted(name: object, *, folder: bool, at_root: bool, trim: bool) -> str:
    """The name as it will be kept. Raises Refused, 400 invalidRequest, for one that is not taken.

    Leading and trailing spaces are cut off silently if `trim`, else refused.
    """
    if not isinstance(name, str) or not name:
        raise invalid("The name in the provided parameter is not valid.")
    if name != name.strip(" "):
        if not trim:
            raise invalid("The provided name cannot begin or end with a space.", "invalidResourceId")
        name = name.strip(" ")
    if not name or name in (".", "..") or _FORBIDDEN.search(name) or not _encodable(name):
        raise invalid("The provided name cannot contain special characters.")
    if _RESERVED.fullmatch(name) or name.startswith("~$") or "_vti_" in name.lower():
        raise invalid("The provided name is reserved.")
    if name.startswith("~") or name.endswith("."):
        raise invalid("The provided name cannot begin with a tilde or end with a period.")
    if folder and at_root and name.lower() == "forms":
        raise invalid("The provided name is reserved at the root of a library.")
    if characters(name) > NAME_CHARACTERS_MAX:
        raise invalid("The provided name is too long.", "pathIsTooLong")
    return name


def characters(text: str) -> int:
    """The length as Windows counts it, in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
