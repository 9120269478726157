"""Whether what is at a place now still is what the plan saw there."""

from migration.capabilities import Capabilities
from migration.entries import Entry


def is_as_seen(found: Entry, seen: Entry, capabilities: Capabilities, *, moved: bool = False) -> bool:
    """Whether it is the same entry, untouched since. Pure.

    `moved`: this run has moved it (or a folder around it), by which ids made of paths, versions and, where times are
    not kept, times may have become others. Of a folder only its identity counts.
    """
    if found.kind is not seen.kind:
        return False
    if (capabilities.stable_ids or not moved) and found.ref.id != seen.ref.id:
        return False
    if not found.is_file:
        return True
    if None not in (found.size_bytes, seen.size_bytes) and found.size_bytes != seen.size_bytes:
        return False
    versions = (found.ref.version_id, seen.ref.version_id)
    if None not in versions and (versions[0] == versions[1] or not moved):
        return versions[0] == versions[1]
    times = (found.modified_at, seen.modified_at)
    if None in times or (moved and not capabilities.keeps_times):
        return True
    return times[0] == times[1]
