"""Where the progress of a run comes together: phases tell it, whoever watches reads it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from migration.clock import Clock
from migration.progress import Phase, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a run is. Rates are those of the present phase in this process."""

    progress: Progress
    calls: int
    """Calls made by this process."""
    calls_left: int | None
    """What is left of the source's hourly allowance, as far as it is known; None when calls are not limited."""
    seconds: float
    """Since the phase began in this process."""
    files_per_second: float | None
    bytes_per_second: float | None
    seconds_left: float | None
    """None while it cannot be estimated."""


class Watcher(Protocol):
    """Somebody who follows a run in this process. Called from the event loop; must be quick and must not raise."""

    def stands(self, standing: Standing) -> None:
        """The run got further."""
        ...

    def said(self, sentence: str) -> None:
        """Something a person would like to know, once."""
        ...


class Unwatched:
    """Nobody watches."""

    def stands(self, standing: Standing) -> None:
        """Ignored."""

    def said(self, sentence: str) -> None:
        """Ignored."""


@dataclass
class Hub:
    """Collects what the phases tell and passes it on. Reading and telling cost microseconds."""

    clock: Clock
    watcher: Watcher
    calls: Callable[[], int]
    calls_left: int | None = None
    """As last asked; asking costs a request, so that is not done here."""
    standing: Standing | None = None
    _phase: Phase | None = None
    _began: float = 0.0
    _before: tuple[int, int] = (0, 0)
    _totals: tuple[int | None, int | None] = (None, None)
    _sentences: list[str] = field(default_factory=list)

    def begin(
        self,
        phase: Phase,
        *,
        files_total: int | None = None,
        bytes_total: int | None = None,
        files_before: int = 0,
        bytes_before: int = 0,
    ) -> None:
        """A phase begins here. What was done before, by earlier processes, counts as done but not into the rates."""
        self._phase = phase
        self._began = self.clock.monotonic()
        self._before = (files_before, bytes_before)
        self._totals = (files_total, bytes_total)
        self.told(Progress(phase))

    def told(self, progress: Progress) -> None:
        """A `ProgressListener`: what a phase says, completed by what this run knows."""
        if progress.phase is not self._phase:
            return
        files_total, bytes_total = self._totals
        seconds = self.clock.monotonic() - self._began
        files, size = progress.files_done, progress.bytes_done
        complete = replace(
            progress,
            files_done=files + self._before[0],
            bytes_done=size + self._before[1],
            files_total=progress.files_total if progress.files_total is not None else files_total,
            bytes_total=progress.bytes_total if progress.bytes_total is not None else bytes_total,
        )
        self.standing = Standing(
            progress=complete,
            calls=self.calls(),
            calls_left=self.calls_left,
            seconds=seconds,
            files_per_second=files / seconds if files and seconds > 0.5 else None,
            bytes_per_second=size / seconds if size and seconds > 0.5 else None,
            seconds_left=seconds_left(complete, seconds, files, size),
        )
        self.watcher.stands(self.standing)

    def say(self, sentence: str) -> None:
        """Tell the watcher, and remember it for the run's summary."""
        self._sentences.append(sentence)
        self.watcher.said(sentence)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was said so far."""
        return tuple(self._sentences)


def seconds_left(progress: Progress, seconds: float, files_here: int, bytes_here: int) -> float | None:
    """An estimate from what this process did so far: the slower of files and bytes. None while too little is known."""
    if seconds < 2.0:
        return None
    estimates = []
    if progress.files_total is not None and files_here:
        estimates.append((progress.files_total - progress.files_done) * seconds / files_here)
    if progress.bytes_total and bytes_here:
        estimates.append((progress.bytes_total - progress.bytes_done) * seconds / bytes_here)
    return max(0.0, *estimates) if estimates else None


def standing_line(standing: Standing) -> str:
    """One line for logs: what the run does and how far it is."""
    progress = standing.progress
    words = [f"{progress.phase.value}:"]
    if progress.phase in (Phase.ANALYZE, Phase.PLAN):
        words.append(f"{progress.entries:,} entries listed")
    else:
        of = f" of {progress.files_total:,}" if progress.files_total is not None else ""
        words.append(f"{progress.files_done:,}{of} files, {size_text(progress.bytes_done)}")
    if standing.files_per_second:
        words.append(f"· {standing.files_per_second:,.0f} files/s")
    if standing.bytes_per_second:
        words.append(f"· {size_text(standing.bytes_per_second)}/s")
    words.append(f"· {standing.calls:,} calls")
    return " ".join(words)


def size_text(size_bytes: float) -> str:
    """A size for people, in powers of 1,000."""
    for unit in ("B", "KB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:,.0f} {unit}" if unit == "B" else f"{size_bytes:,.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:,.1f} TB"


def resume_sentence(resume_at: datetime | None) -> str:
    """When it makes sense to go on, for people."""
    if resume_at is None:
        return "The next run continues it at once."
    return f"The next run can continue it from {resume_at:%Y-%m-%d %H:%M} UTC on."
