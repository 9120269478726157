"""When a listing is no ground for deleting anything. Pure."""

from typing import NamedTuple

from migration.inventory import InventoryHeader

INCOMPLETE = "listing-incomplete"
EMPTY = "listing-empty"
ANOTHER_PLACE = "another-place"
UNKNOWN_PLACE = "place-not-known-yet"


class Listed(NamedTuple):
    """What is known of the side on which something is missing."""

    header: InventoryHeader
    root_before: str | None
    """The id of the listed folder as the last run saw it; None = not known."""
    root_now: str | None
    known_entries: int
    """How many entries the last run knew."""


def refused(listed: Listed) -> tuple[str, str] | None:
    """Why nothing is deleted because of what this listing lacks: a reason code and a sentence; None if it counts."""
    if not listed.header.complete or listed.header.hiding_problems:
        return INCOMPLETE, "parts of the other side could not be listed, so nothing is deleted"
    if listed.header.root_missing or listed.header.entries == 0:
        return EMPTY, "the other side is empty or gone, so nothing is deleted"
    if listed.root_now is not None and listed.root_before is None and listed.known_entries > 0:
        return (
            UNKNOWN_PLACE,
            "the other side was empty in the last run, so whether it is the same folder is not known yet",
        )
    if None not in (listed.root_before, listed.root_now) and listed.root_before != listed.root_now:
        return ANOTHER_PLACE, "the other side is not the folder it was in the last run, so nothing is deleted"
    return None
