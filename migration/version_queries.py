"""What is asked of inventories and baseline about versions: DuckDB over the tables that planning defines.

Text stays as stored; times are microseconds since 1970.
"""

from migration.versions import VERSION_NAME_SQL

_FILE = "kind = 'file' AND NOT deleted"
_LIKE_A_VERSION = f"regexp_matches(name, '{VERSION_NAME_SQL}', 'i')"
_PATH_THERE = """list_append(b.destination_path[1:len(b.destination_path) - 1],
                             coalesce(b.destination_name, b.destination_path[-1]))"""
NUMBERS = f"""
    SELECT id, coalesce(version_number, version_count) AS number FROM source_rows WHERE {_FILE} AND number > 1
"""  # noqa: S608 - put together from constants, like all below
UNKNOWN = f"SELECT count(*) FROM source_rows WHERE {_FILE} AND coalesce(version_number, version_count) IS NULL"  # noqa: S608
COPIED = """
    SELECT source_id, version_number FROM baseline_rows
    WHERE entry_kind IS DISTINCT FROM 'version' AND source_id IS NOT NULL AND version_number IS NOT NULL
"""
HELD = f"""
    SELECT source_id, version_number, {_PATH_THERE}, destination_id IS NOT NULL FROM baseline_rows AS b
    WHERE entry_kind = 'version'
"""  # noqa: S608
VERSION_FILES = f"""
    CREATE TABLE version_files AS
    WITH held AS (SELECT {_PATH_THERE} AS path, destination_id AS id FROM baseline_rows AS b
                  WHERE entry_kind = 'version' AND destination_id IS NOT NULL)
    SELECT d.id FROM destination_rows AS d JOIN held ON held.path = d.path WHERE d.kind = 'file'
    UNION
    SELECT d.id FROM destination_rows AS d JOIN held ON held.id = d.id AND held.path[-1] = d.name WHERE d.kind = 'file'
"""  # noqa: S608
THERE = f"""
    SELECT path, id, version_id, kind, size_bytes, epoch_us(modified_at) FROM destination_rows
    WHERE NOT deleted AND {_LIKE_A_VERSION}
"""  # noqa: S608
HERE = f"SELECT path FROM source_rows WHERE {_FILE} AND {_LIKE_A_VERSION}"  # noqa: S608
LIKELY = f"""
    SELECT path, id, epoch_us(modified_at), version_id, size_bytes FROM source_rows
    WHERE {_FILE} AND {_LIKE_A_VERSION} ORDER BY path
"""  # noqa: S608
HEADS = f"""
    SELECT s.path, s.id, epoch_us(s.modified_at) FROM source_rows AS s JOIN version_heads AS h ON h.path = s.path
    WHERE {_FILE} ORDER BY s.path
"""  # noqa: S608
LEFT_AT = """
    SELECT b.source_path, epoch_us(b.source_modified_at) FROM baseline_rows AS b
    JOIN version_heads AS h ON h.path = b.source_path WHERE b.entry_kind IS DISTINCT FROM 'version'
"""
