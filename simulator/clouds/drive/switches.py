"""What can be switched at the simulated Google Drive."""

from dataclasses import dataclass

from simulator.clouds.switches import Switches


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveSwitches(Switches):
    """How this Google Drive behaves."""

    page_entries_max: int = 1000
    token_lifetime_seconds: float = 3599.0
    session_lifetime_seconds: float = 7 * 86_400.0
    page_token_lifetime_seconds: float = 3 * 3600.0
    """How long the token of a further page of files.list is good; the description says only that it can be refused."""
    short_pages: bool = True
    """Whether a page that is not the last has fewer entries than asked for, which the description allows."""
    incomplete_search: bool = False
    """Whether a search in all drives says that it did not search everything."""
    rename_sets_modified_time: bool = True
    """Whether a new name also gives the file a new time, unless the request sets one."""
    native_sizes: bool = True
    """Whether documents of Google's own kinds have a `size` (of no use: it is not that of any export)."""
    revisions_downloadable: bool = False
    """Whether old revisions can be read that are not kept for ever."""
    folder_changes_repeated: bool = False
    """Whether trashing a folder is a change of everything in it, too."""
