"""What a fault of the disk that keeps SiteHaul's own state means to the operator.

Destinations tell their own faults (connectors); what is left are the files of the job: inventories, plan, ledger,
report.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from migration.errors import FatalError

_FULL = ("disk-full", "The disk is full", "Free some space there and run the same command again; it continues.")
_NOT_WRITABLE = (
    "state-not-writable",
    "The state cannot be written",
    "Let the user that runs SiteHaul write there, or choose another folder (SITEHAUL_HOME), and run again.",
)
_FAILED = ("disk-error", "The disk failed", "Check the disk and run the same command again; it continues.")
_MEANINGS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _NOT_WRITABLE,
    errno.EACCES: _NOT_WRITABLE,
    errno.EPERM: _NOT_WRITABLE,
    errno.EIO: _FAILED,
}


@contextmanager
def told_disk_faults(folder: Path) -> Iterator[None]:
    """Raise FatalError `disk-full`, `state-not-writable` or `disk-error` for such a fault below the state folder."""
    try:
        yield
    except Exception as error:
        told = _meaning(error, folder)
        if told is None:
            raise
        raise told from error


def _meaning(error: Exception, folder: Path) -> FatalError | None:
    meaning = _MEANINGS.get(error.errno or 0) if isinstance(error, OSError) else None
    if meaning is None and _is_full_for_duckdb(error):
        meaning = _FULL
    if meaning is None:
        return None
    code, what, fix = meaning
    where = getattr(error, "filename", None) or folder
    reason = f": {error.strerror}" if isinstance(error, OSError) and error.strerror and meaning is not _FULL else ""
    return FatalError(code, f"{what} where SiteHaul keeps the state of the job ({where}){reason}.", fix=fix)


def _is_full_for_duckdb(error: Exception) -> bool:
    """DuckDB's errors carry no number, only the system's words."""
    return type(error).__module__.endswith("duckdb") and "No space left on device" in str(error)
