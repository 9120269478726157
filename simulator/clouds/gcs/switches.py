"""What can be switched at the simulated Google Cloud Storage."""

from dataclasses import dataclass

from simulator.clouds.switches import Switches


@dataclass(frozen=True, slots=True, kw_only=True)
class GcsSwitches(Switches):
    """How this Google Cloud Storage behaves."""

    page_entries_max: int = 1000
    token_lifetime_seconds: float = 3599.0
    session_lifetime_seconds: float = 7 * 86_400.0
    short_pages: bool = False
    """Whether a page that is not the last has fewer entries than asked for, which the description allows."""
    buckets_described: bool = False
    """Whether the service accounts may ask for the bucket itself: the roles for objects do not let them."""
    object_writes_per_second: bool = False
    """Whether a second change of the same object within one second is refused, as Google may do."""
    bytes_rewritten_per_call: int = 2**60
    """How much of an object one call of rewrite copies: Google answers `done: false` when it copies across places."""
