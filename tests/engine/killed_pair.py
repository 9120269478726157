"""A run of renames, copies in both directions and deletions in a process of its own that kills itself at a named point,
for test_kills_both_sides.py."""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

from migration.actions import ActionKind, Side
from tests.engine.hand_made import Pair, Row

NEW = 1_800_000_000
ROWS = (
    *(Row(ActionKind.RENAME, f"Moved/{one}", there=f"r{one}", from_path=f"r{one}", accounts=False) for one in range(3)),
    Row(ActionKind.RENAME, "Q", source="P", side=Side.SOURCE, from_path="P", source_path="Q", folder=True),
    Row(ActionKind.COPY, "new", source="new"),
    Row(ActionKind.COPY, "replaced", source="replaced", there="replaced"),
    Row(ActionKind.COPY, "home", there="home", side=Side.SOURCE, accounts=False),
    *(Row(ActionKind.DELETE, f"d{one}", there=f"d{one}", accounts=False) for one in range(3)),
    Row(ActionKind.DELETE, "s", source="s", side=Side.SOURCE),
    Row(ActionKind.DELETE, "F", there="F", folder=True, accounts=False),
)


def before(folder: Path) -> Pair:
    """Both sides as the plan sees them, made once."""
    pair = Pair(folder)
    if not (pair.root(Side.DESTINATION) / "F").exists() and not pair.state.runs():
        for one in range(3):
            pair.plant(Side.DESTINATION, f"r{one}", f"renamed {one}".encode())
            pair.plant(Side.DESTINATION, f"d{one}", f"deleted {one}".encode())
        pair.plant(Side.DESTINATION, "replaced", b"as it was")
        pair.plant(Side.DESTINATION, "home", b"for the source")
        (pair.root(Side.DESTINATION) / "F").mkdir()
        pair.plant(Side.SOURCE, "P/inside", b"inside")
        pair.plant(Side.SOURCE, "new", b"new")
        pair.plant(Side.SOURCE, "replaced", b"as it is now", NEW)
        pair.plant(Side.SOURCE, "s", b"deleted at the source")
    return pair


def run(folder: Path, point: str | None, occurrence: int, *, undo: bool = False) -> None:
    """Run it (or undo the run), until it is killed at the occurrence of the point."""
    seen = Counter[str]()

    def at(reached: str, action_id: str) -> None:
        del action_id
        seen[reached] += 1
        if (reached, seen[reached]) == (point, occurrence):
            os.kill(os.getpid(), signal.SIGKILL)

    pair = before(folder)
    if undo:
        asyncio.run(pair.undo(at=at))
    else:
        asyncio.run(pair.run(ROWS, at=at))
