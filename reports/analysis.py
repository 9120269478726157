"""What the inventory of the source says: types, sizes, ages, depth, folders, versions, authors, problem names."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb

from reports.charts import Bar
from reports.run_files import rows, shown_path
from reports.words import number, percent, size

SHOWN = 12
"""Longest list of a chart."""

SIZE_CLASSES = (
    ("empty", 0, 1),
    ("<10 KB", 1, 10_000),
    ("<100 KB", 10_000, 100_000),
    ("<1 MB", 100_000, 1_000_000),
    ("<10 MB", 1_000_000, 10_000_000),
    ("<100 MB", 10_000_000, 100_000_000),
    ("<1 GB", 100_000_000, 1_000_000_000),
    ("larger", 1_000_000_000, None),
)
_WINDOWS_NAMES = r"^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?$"
_PROBLEM_NAMES = {
    "characters Windows forbids": r"""regexp_matches(name, '[<>:"|?*\\/]') OR regexp_matches(name, '[\x00-\x1f]')""",
    "names reserved by Windows": f"regexp_matches(lower(name), '{_WINDOWS_NAMES}')",
    "ends with a space or a dot": "regexp_matches(name, '[ .]$')",
    "begins with a space": "regexp_matches(name, '^ ')",
    "space around the extension": r"regexp_matches(name, '( \.[^.]+|\. +[^.]+)$')",
    "no Unicode text": "contains(name, chr(64976))",
    "characters outside the basic plane (emoji)": r"regexp_matches(name, '[\x{10000}-\x{10FFFF}]')",
    "segment longer than 255": "length(name) > 255",
    "path longer than 260 (Windows)": "length(array_to_string(path, '/')) > 260",
    "path longer than 400 (SharePoint)": "length(array_to_string(path, '/')) > 400",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The facts and charts of one inventory. Shares are of files unless said otherwise."""

    files: int
    folders: int
    bytes: int
    unknown_sizes: int
    private: int
    locked: int
    oldest: datetime | None
    newest: datetime | None
    depth_max: int
    with_versions: int
    types_by_size: list[Bar] = field(default_factory=list)
    types_by_count: list[Bar] = field(default_factory=list)
    sizes: list[Bar] = field(default_factory=list)
    ages: list[Bar] = field(default_factory=list)
    depths: list[Bar] = field(default_factory=list)
    folders_by_size: list[Bar] = field(default_factory=list)
    versions: list[Bar] = field(default_factory=list)
    authors: list[Bar] = field(default_factory=list)
    problem_names: list[Bar] = field(default_factory=list)
    largest_files: list[dict[str, Any]] = field(default_factory=list)


def analysis_of(database: duckdb.DuckDBPyConnection) -> Analysis:
    """Everything the analysis part of a report shows, from the view `source`."""
    totals = rows(database, _TOTALS)[0]
    return Analysis(
        **totals,
        types_by_size=_bars(database, _TYPES.format(order="bytes"), by_size=True),
        types_by_count=_bars(database, _TYPES.format(order="files"), by_size=False),
        sizes=_sizes(database),
        ages=_years(database),
        depths=_classes(database, _DEPTHS),
        folders_by_size=_bars(database, _FOLDERS, by_size=True),
        versions=_classes(database, _VERSIONS),
        authors=_bars(database, _AUTHORS, by_size=False),
        problem_names=_problem_names(database, totals["files"] + totals["folders"]),
        largest_files=rows(database, _LARGEST),
    )


def _bars(database: duckdb.DuckDBPyConnection, query: str, *, by_size: bool) -> list[Bar]:
    bars = []
    for row in rows(database, query):
        files, bytes_ = row["files"], row["bytes"] or 0
        shown = f"{size(bytes_)}" if by_size else f"{number(files)} files"
        bars.append(
            Bar(
                row["label"],
                bytes_ if by_size else files,
                shown,
                f"{row['label']}: {number(files)} files, {size(bytes_)}",
            )
        )
    return bars


def _sizes(database: duckdb.DuckDBPyConnection) -> list[Bar]:
    bars = []
    for label, least, below in SIZE_CLASSES:
        upper = f"AND size_bytes < {below}" if below is not None else ""
        query = f"SELECT count(*) AS files FROM source WHERE kind = 'file' AND size_bytes >= {least} {upper}"
        files = rows(database, query)[0]["files"]
        bars.append(Bar(label, files, number(files), f"{label}: {number(files)} files"))
    return bars


def _years(database: duckdb.DuckDBPyConnection) -> list[Bar]:
    found = {row["label"]: row["files"] for row in rows(database, _AGES)}
    if not found:
        return []
    years = range(max(min(found), max(found) - SHOWN + 1), max(found) + 1)
    bars = [Bar(str(year), found.get(year, 0), number(found.get(year, 0))) for year in years]
    earlier = sum(files for year, files in found.items() if year < years[0])
    return [Bar("earlier", earlier, number(earlier)), *bars] if earlier else bars


def _classes(database: duckdb.DuckDBPyConnection, query: str) -> list[Bar]:
    return [Bar(str(row["label"]), row["files"], number(row["files"])) for row in rows(database, query)]


def _problem_names(database: duckdb.DuckDBPyConnection, entries: int) -> list[Bar]:
    columns = ", ".join(f'count(*) FILTER ({test}) AS "{label}"' for label, test in _PROBLEM_NAMES.items())
    found = rows(database, f"SELECT {columns} FROM source")[0]
    found |= rows(database, _TWINS)[0]
    bars = [
        Bar(
            label,
            count,
            number(count),
            f"{label}: {number(count)} of {number(entries)} names ({percent(count, entries)})",
        )
        for label, count in found.items()
        if count
    ]
    return sorted(bars, key=lambda bar: -bar.value)


_TOTALS = """
    SELECT count(*) FILTER (kind = 'file') AS files, count(*) FILTER (kind = 'folder') AS folders,
           coalesce(sum(size_bytes) FILTER (kind = 'file'), 0)::BIGINT AS bytes,
           count(*) FILTER (kind = 'file' AND size_bytes IS NULL) AS unknown_sizes,
           count(*) FILTER (private) AS private, count(*) FILTER (locked) AS locked,
           min(modified_at) FILTER (kind = 'file') AS oldest, max(modified_at) FILTER (kind = 'file') AS newest,
           coalesce(max(len(path)), 0) AS depth_max, count(*) FILTER (version_number > 1) AS with_versions
    FROM source
"""
_TYPES = f"""
    SELECT CASE WHEN regexp_matches(name, '[^.]\\.[A-Za-z0-9]{{{{1,8}}}}$')
                THEN '.' || lower(regexp_extract(name, '\\.([A-Za-z0-9]+)$', 1)) ELSE 'no extension' END AS label,
           count(*) AS files, sum(size_bytes)::BIGINT AS bytes
    FROM source WHERE kind = 'file' GROUP BY label ORDER BY {{order}} DESC NULLS LAST, label LIMIT {SHOWN}
"""
_AGES = """
    SELECT year(modified_at) AS label, count(*) AS files FROM source
    WHERE kind = 'file' AND modified_at IS NOT NULL GROUP BY label ORDER BY label
"""
_DEPTHS = """
    SELECT least(len(path), 12) AS depth, CASE WHEN len(path) >= 12 THEN '12+' ELSE len(path)::VARCHAR END AS label,
           count(*) AS files FROM source WHERE kind = 'file' GROUP BY ALL ORDER BY depth
"""
_VERSIONS = """
    SELECT least(version_number, 10) AS step,
           CASE WHEN version_number >= 10 THEN '10+' ELSE version_number::VARCHAR END AS label, count(*) AS files
    FROM source WHERE kind = 'file' AND version_number IS NOT NULL GROUP BY ALL ORDER BY step
"""
_FOLDERS = f"""
    SELECT CASE WHEN len(path) > 1 THEN readable(path[1]) ELSE '(root)' END AS label, count(*) AS files,
           sum(size_bytes)::BIGINT AS bytes
    FROM source WHERE kind = 'file' GROUP BY label ORDER BY bytes DESC NULLS LAST, label LIMIT {SHOWN}
"""
_AUTHORS = f"""
    SELECT coalesce(readable(created_by), 'unknown') AS label, count(*) AS files, sum(size_bytes)::BIGINT AS bytes
    FROM source WHERE kind = 'file' GROUP BY label ORDER BY files DESC, label LIMIT {SHOWN}
"""
_TWINS = """
    WITH named AS (
        SELECT parent_id, name, lower(name) AS folded, nfc_normalize(name) AS composed FROM source
    )
    SELECT (SELECT coalesce(sum(n), 0)::BIGINT FROM
              (SELECT count(*) AS n FROM named GROUP BY parent_id, folded HAVING count(DISTINCT name) > 1))
              AS "differ from a neighbour in case only",
           (SELECT coalesce(sum(n), 0)::BIGINT FROM
              (SELECT count(*) AS n FROM named GROUP BY parent_id, composed HAVING count(DISTINCT name) > 1))
              AS "differ from a neighbour in Unicode form only"
"""
_LARGEST = f"""
    SELECT {shown_path("path")} AS path, size_bytes, modified_at, readable(created_by) AS created_by
    FROM source WHERE kind = 'file' ORDER BY size_bytes DESC NULLS LAST, path LIMIT {SHOWN}
"""
