"""What a person sees while a run goes on: bars on a terminal, a line every few seconds elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from migration.progress import Phase
from tasks.progress import Standing, Watcher, size_text, standing_line

LINE_SECONDS = 5.0
_NAMES = {
    Phase.ANALYZE: "Analyze",
    Phase.PLAN: "Plan",
    Phase.TRANSFER: "Transfer",
    Phase.VERIFY: "Verify",
    Phase.REMOVE: "Remove",
    Phase.REPORT: "Report",
    Phase.UNDO: "Undo",
}


class _Watching(Watcher, Protocol):
    def close(self) -> None: ...


@contextmanager
def on_console(console: Console) -> Iterator[Watcher]:
    """A watcher that writes to the console while inside."""
    watcher: _Watching = Bars(console) if console.is_terminal else Lines(console)
    try:
        yield watcher
    finally:
        watcher.close()


class Lines:
    """For logs and pipes: a line when a phase begins and every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._phase: Phase | None = None
        self._said_at = 0.0

    def stands(self, standing: Standing) -> None:
        """A line if it is time for one."""
        now = time.monotonic()
        phase = standing.progress.phase
        if phase is self._phase and now - self._said_at < LINE_SECONDS:
            return
        is_news = phase is not self._phase
        self._phase, self._said_at = phase, now
        self._print(_NAMES[phase] + " …" if is_news else f"  {standing_line(standing)}")

    def said(self, sentence: str) -> None:
        """The sentence as a line."""
        self._print(sentence)

    def close(self) -> None:
        """Nothing is left open."""

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


class Bars:
    """For terminals: one row per phase, the finished ones stay."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/green]"),
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=24),
            _Figures(),
            console=console,
            refresh_per_second=5,
        )
        self._rows: dict[Phase, TaskID] = {}
        self._phase: Phase | None = None
        self._progress.start()

    def stands(self, standing: Standing) -> None:
        """Update the phase's row."""
        phase = standing.progress.phase
        if phase is not self._phase:
            self._finish()
            self._phase = phase
            self._rows[phase] = self._rows.get(phase) or self._progress.add_task(_NAMES[phase], total=None)
        done, total = _share(standing)
        self._progress.update(self._rows[phase], completed=done, total=total, standing=standing)

    def said(self, sentence: str) -> None:
        """The sentence above the bars."""
        self._progress.console.print(Text(sentence), soft_wrap=True)

    def close(self) -> None:
        """Leave the rows as they are."""
        self._finish()
        self._progress.stop()

    def _finish(self) -> None:
        if self._phase is not None:
            row = self._progress.tasks[self._rows[self._phase]]
            if row.total is None or row.completed >= row.total:
                self._progress.update(row.id, total=1, completed=1)


class _Figures(ProgressColumn):
    """Files, bytes, rates, calls and the time left."""

    max_refresh = 0.2

    def render(self, task: Task) -> Text:
        standing: Standing | None = task.fields.get("standing")
        return Text(figures(standing, finished=task.finished) if standing else "")


def figures(standing: Standing, *, finished: bool) -> str:
    """The figures of one row."""
    progress = standing.progress
    if progress.phase in (Phase.ANALYZE, Phase.PLAN):
        words = [f"{progress.entries:,} entries"]
    elif progress.phase is Phase.REPORT:
        words = []
    else:
        of = f"/{progress.files_total:,}" if progress.files_total is not None else ""
        words = [f"{progress.files_done:,}{of} files", size_text(progress.bytes_done)]
    if standing.files_per_second and not finished:
        words.append(f"{standing.files_per_second:,.0f} files/s")
    if standing.bytes_per_second and not finished:
        words.append(f"{size_text(standing.bytes_per_second)}/s")
    if progress.phase in (Phase.ANALYZE, Phase.TRANSFER):
        words.append(f"{standing.calls:,} calls")
        if standing.calls_left is not None and not finished:
            words.append(f"{standing.calls_left:,} left")
    if standing.seconds_left is not None and not finished:
        words.append(f"about {_span(standing.seconds_left)} to go")
    return " · ".join(words)


def _share(standing: Standing) -> tuple[float, float | None]:
    progress = standing.progress
    if progress.bytes_total:
        return progress.bytes_done, progress.bytes_total
    if progress.files_total:
        return progress.files_done, progress.files_total
    return 0.0, None


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
