"""Measurements side by side, as text on the terminal and as a table in docs/benchmarks.md."""

from dataclasses import dataclass, field


@dataclass
class Table:
    """One measurement: rows of (what, how much, ratio)."""

    title: str
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def row(self, what: str, how_much: str, *, ratio: float | None = None) -> None:
        """Add a line; `ratio` is the multiple of the line it is compared with."""
        self.rows.append((what, how_much, f"{ratio:.2f} ×" if ratio is not None else ""))

    def markdown(self) -> str:
        """The table as Markdown with its title above."""
        lines = [f"### {self.title}", "", "| | | ratio |", "|---|---:|---:|"]
        return (
            "\n".join([*lines, *(f"| {what} | {how_much} | {ratio} |" for what, how_much, ratio in self.rows)]) + "\n"
        )
