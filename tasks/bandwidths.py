"""The bandwidth of a run: what it reads and what it writes, each over both ends of the job together."""

from dataclasses import dataclass

from connectors.wrappers.throttled import Bandwidth, limited
from migration.bandwidth import BandwidthLimit, RateByClock
from migration.clock import Clock
from migration.contract import Source
from migration.jobs import Job


@dataclass(frozen=True, slots=True)
class Bandwidths:
    """The limits of one run, shared by all that it opens. None = no limit."""

    reading: Bandwidth | None
    writing: Bandwidth | None

    @classmethod
    def of(cls, job: Job, clock: Clock) -> "Bandwidths":
        """Those of the job, by the clock of its schedule's time zone."""

        def bandwidth(limit: BandwidthLimit) -> Bandwidth | None:
            return Bandwidth(RateByClock(limit, job.schedule.zone, clock), clock) if limit.is_one else None

        return cls(bandwidth(job.performance.download), bandwidth(job.performance.upload))

    def over(self, connector: Source) -> Source:
        """The connector under these limits."""
        return limited(connector, self.reading, self.writing)
