"""What can be switched at the simulated Dropbox."""

from dataclasses import dataclass

from simulator.clouds.switches import Switches


@dataclass(frozen=True, slots=True, kw_only=True)
class DropboxSwitches(Switches):
    """How this Dropbox behaves."""

    page_entries_max: int = 2000
    token_lifetime_seconds: float = 14_400.0
    session_lifetime_seconds: float = 7 * 86_400.0
    team_space: bool = True
    """Whether the person is of a team with a shared space: the home folder is then one folder of the team's root."""
    unordered: bool = True
    """Whether entries come in no order, what is in a folder before the folder, too."""
    empty_page: bool = True
    """Whether the second page of a long listing is empty although more follows."""
    cursor_lifetime_seconds: float | None = None
    """After how long a cursor is reset; None: only when asked to."""
    write_ms: float = 0.0
    """How long a change takes."""
    writes_at_once_max: int | None = None
    """How many changes of one namespace may happen at the same time; more are refused. None = any."""
    write_refused_as_conflict: bool = False
    """Whether such a refusal is a 409 of the call's own kind instead of a 429."""
    batch_entries_at_once_max: int = 10
    """Larger batches are done later, and asked for by their job."""
    keeps_unchanged_time: bool = True
    """Whether an upload of the content that is there already changes nothing, the client's time included."""
