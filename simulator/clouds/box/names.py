"""What Box lets an item be called, and which names it takes for the same one.

https://developer.box.com/guides/files/limitations/ says that Box removes what it does not allow, the list of errors
(https://developer.box.com/guides/api-calls/permissions-and-errors/common-errors/) that it refuses: a switch chooses.
Names are unique in their folder whatever their case, across files and folders.
"""

import re
import unicodedata

from simulator.clouds.box.errors import Refused

LENGTH_MAX = 255
_NOT_ALLOWED = re.compile(r"[/\\\x00-\x1f\x7f]")


def key(name: str) -> str:
    """Names with the same key cannot stand in one folder."""
    return unicodedata.normalize("NFC", name).lower()


def checked(name: object, *, clean: bool) -> str:
    """The name an item gets. Raises Refused for one that Box does not take."""
    if not isinstance(name, str) or not name:
        raise Refused(400, "item_name_invalid", "Item name invalid")
    if clean:
        name = _NOT_ALLOWED.sub("", name).strip(" ")
        name = "" if name in (".", "..") else name
    if len(name) > LENGTH_MAX:
        raise Refused(400, "item_name_too_long", "Item name too long")
    if not name or name in (".", "..") or name != name.strip() or _NOT_ALLOWED.search(name):
        raise Refused(400, "item_name_invalid", "Item name invalid")
    return name
