"""What a job has behind it (executions.json): the counters of its stop policy, kept from run to run."""

import json
from datetime import date
from pathlib import Path

from migration.errors import FatalError
from migration.state import write_json_atomically
from migration.stop_policy import Counters

FORMAT_VERSION = 1


def load_counters(path: Path) -> Counters:
    """Those in the file, zero where there is none. FatalError `counters-unreadable` for a damaged one."""
    try:
        plain = json.loads(path.read_text("utf-8"))
        day = plain["resumed_on"]
        return Counters(
            **{name: plain[name] for name in ("executions", "no_changes", "failures", "begun_by_person")},
            resumed_on=date.fromisoformat(day) if day else None,
        )
    except FileNotFoundError:
        return Counters()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FatalError(
            "counters-unreadable",
            f"The counters of the job, {path}, are damaged.",
            fix="Move the file away; counting then begins anew.",
        ) from error


def save_counters(path: Path, counters: Counters) -> None:
    """Durable on return."""
    write_json_atomically(path, {"format_version": FORMAT_VERSION, **counters.to_json()})
