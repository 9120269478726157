"""What a run shows in Prefect's UI: markdown, tables and a progress line under keys that stay the same over runs."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any
from uuid import UUID

TABLE_ROWS_MAX = 1000
"""Prefect keeps a table in one row of its database; more belongs into the report's files."""


def artifact_key(*words: str) -> str:
    """A key as Prefect wants it (lower-case letters, digits, dashes), the same for the same words."""
    text = unicodedata.normalize("NFKD", "-".join(words)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-") or "sitehaul"


def escaped(text: str) -> str:
    """File names and messages as plain text inside markdown: no markup, no foreign image, no line break."""
    shown = re.sub("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", text)  # marks that turn the writing direction
    shown = "".join(" " if unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") else one for one in shown)
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&:-])", r"\\\1", shown)


async def show_markdown(key: str, markdown: str, *, description: str | None = None) -> UUID:
    """Show a text under the running flow or task. File names in it go through `escaped`."""
    from prefect.artifacts import acreate_markdown_artifact

    return await acreate_markdown_artifact(markdown=markdown, key=key, description=description)


async def show_table(key: str, rows: Sequence[dict[str, Any]], *, description: str | None = None) -> UUID:
    """Show rows as a table; the first `TABLE_ROWS_MAX` when there are more, and the description says so."""
    from prefect.artifacts import acreate_table_artifact

    if len(rows) > TABLE_ROWS_MAX:
        cut = f"The first {TABLE_ROWS_MAX:,} of {len(rows):,}; all are in the report's files."
        description = f"{description} {cut}" if description else cut
    table = [dict(row) for row in rows[:TABLE_ROWS_MAX]]
    return await acreate_table_artifact(table=table, key=key, description=description)


class ProgressArtifact:
    """A progress line in the UI. Made once per run, moved as often as is useful (each time costs about 20 ms)."""

    def __init__(self, artifact_id: UUID) -> None:
        self._id = artifact_id
        self._shown = 0.0

    @classmethod
    async def begin(cls, key: str, description: str) -> "ProgressArtifact":
        """Show 0 %."""
        from prefect.artifacts import acreate_progress_artifact

        return cls(await acreate_progress_artifact(progress=0.0, key=key, description=description))

    async def move(self, part: float, description: str | None = None) -> None:
        """Show `part` (0..1) of the whole; one that shows already costs nothing."""
        from prefect.artifacts import aupdate_progress_artifact

        percent = round(min(1.0, max(0.0, part)) * 100, 1)
        if percent == self._shown and description is None:
            return
        self._shown = percent
        await aupdate_progress_artifact(artifact_id=self._id, progress=percent, description=description)
