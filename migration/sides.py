"""The two ends of a job as what carries actions out sees them: which one is changed, from which folder on."""

from collections.abc import Mapping
from dataclasses import dataclass

from migration.actions import ActionKind, Side
from migration.contract import Destination, Movable, Source, Trash
from migration.entries import PathParts
from migration.errors import ConfigurationError
from migration.jobs import Job


@dataclass(frozen=True, slots=True)
class End:
    """One end of a job."""

    side: Side
    connector: Source
    root: PathParts
    """The job's folder from the connection's root."""

    @property
    def writable(self) -> Destination:
        """The connector, to change something there. Raises ConfigurationError `source-not-writable`."""
        if isinstance(self.connector, Destination):
            return self.connector
        raise ConfigurationError(
            f"{self.side.value}-not-writable",
            f"The plan changes something at the {self.side.value} ({self.connector.display_name}), but the connection "
            "can only be read.",
            fix="Allow writing through the connection, or choose a transfer type that leaves the source alone (copy).",
        )

    @property
    def movable(self) -> Movable:
        """The connector, to rename something there. Raises ConfigurationError `no-move`."""
        if isinstance(self.connector, Movable):
            return self.connector
        raise ConfigurationError(
            "no-move",
            f"The plan renames something at the {self.side.value}, which {self.connector.display_name} cannot do.",
            fix="Plan again; if it is planned again, report it.",
        )

    @property
    def trash(self) -> Trash:
        """The connector, to delete something there. Raises ConfigurationError `no-trash`."""
        if isinstance(self.connector, Trash):
            return self.connector
        raise ConfigurationError(
            "no-trash",
            f"The plan deletes something at the {self.side.value}, but what is deleted from "
            f"{self.connector.display_name} could not be brought back.",
            fix="Set the job's delete_propagation to ignore_both, or its transfer type to one that deletes nothing.",
        )

    def place(self, path: PathParts) -> PathParts:
        """The path from the connection's root."""
        return (*self.root, *path)


Ends = Mapping[Side, End]


def ends_of(job: Job, source: Source, destination: Source) -> Ends:
    """Both ends of a job."""
    return {
        Side.SOURCE: End(Side.SOURCE, source, job.source.parts),
        Side.DESTINATION: End(Side.DESTINATION, destination, job.destination.parts),
    }


def check_fit(changes: Mapping[str, Mapping[str, int]], ends: Ends) -> None:
    """Refuse a plan whose changes (`PlanSummary.changes`) the connections cannot make, before anything is done.

    Raises ConfigurationError `source-not-writable`, `no-move` or `no-trash`.
    """
    for side, kinds in changes.items():
        end = ends[Side(side)]
        for kind in (ActionKind(name) for name, count in kinds.items() if count):
            _ = end.writable
            if kind is ActionKind.RENAME:
                _ = end.movable
            if kind is ActionKind.DELETE:
                _ = end.trash
