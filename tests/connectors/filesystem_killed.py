"""Begins to write a file, says "there" once it has come to the given point, and waits there to be killed."""

import asyncio
import sys
from pathlib import Path

from migration.contract import Precondition, WriteAt
from tests.connectors.filesystem_support import connector_at
from tests.contract.place import MODIFIED
from tests.contract.steps import content_of, cut, nothing, put, stream

SIZE = 4 * 1024 * 1024


async def wait_here() -> None:
    sys.stdout.write("there\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


async def fill(write_at: WriteAt) -> None:
    await write_at(1_000, content_of(100_000))
    await wait_here()


async def main(folder: Path, when: str) -> None:
    path = ("folder", "file")
    async with connector_at(folder) as connector:
        await connector.make_folder(path[:1])
        if when == "writing":
            some = stream(cut(content_of(SIZE // 2 + 5), 65_536), then=wait_here)
            await put(connector, path, b"", chunks=some, size_bytes=SIZE)
        elif when == "staged":
            await put(connector, path, content_of(SIZE), before_publish=wait_here)
        else:
            await connector.put_ranges(
                path,
                size_bytes=SIZE,
                modified_at=MODIFIED,
                precondition=Precondition(),
                staging_key="key-1",
                fill=fill,
                before_publish=nothing,
            )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
