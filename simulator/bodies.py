"""File bodies that cost nothing to hold: computed from (seed, body key), readable at any offset, at memory speed.

A body is a sequence of 64 KiB blocks. Each is a slice of one seeded pool of random bytes, at a place picked by the
body key and the block's number, with that pair stamped over its first 16 bytes, so that no two blocks of different
bodies are equal. A body whose key begins with `upload:` was uploaded and is a file.
"""

import hashlib
import os
import random
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

BLOCK_BYTES = 64 * 1024
UPLOAD_PREFIX = "upload:"
_POOL_BYTES = 4 * 1024 * 1024
_STAMP_BYTES = 16
_PIECE_BYTES = 1024 * 1024


class Bodies:
    """The bodies of one seed, and those that were uploaded into a folder."""

    def __init__(self, seed: int, uploads_folder: Path) -> None:
        self._uploads_folder = uploads_folder
        self._pool = memoryview(random.Random(f"bodies-{seed}").randbytes(_POOL_BYTES + BLOCK_BYTES))
        self._keyed = lru_cache(maxsize=65536)(self._key_number)

    def read(self, body_key: str, size_bytes: int, offset: int, length: int) -> bytes:
        """`length` bytes of the body from `offset`, fewer where the body ends."""
        end = min(offset + length, size_bytes)
        if offset >= end:
            return b""
        if body_key.startswith(UPLOAD_PREFIX):
            return self._uploaded(body_key.removeprefix(UPLOAD_PREFIX), offset, end - offset)
        key = self._keyed(body_key)
        parts: list[bytes | memoryview] = []
        while offset < end:
            number = offset // BLOCK_BYTES
            start, stop = offset - number * BLOCK_BYTES, min(end - number * BLOCK_BYTES, BLOCK_BYTES)
            place = (key ^ (number * 0x9E3779B97F4A7C15)) % _POOL_BYTES
            if start < _STAMP_BYTES:
                parts.append(struct.pack("<QQ", key, number)[start:stop])
            parts.append(self._pool[place + max(start, _STAMP_BYTES) : place + max(stop, _STAMP_BYTES)])
            offset += stop - start
        return b"".join(parts)

    def pieces(
        self,
        body_key: str,
        size_bytes: int,
        offset: int = 0,
        length: int | None = None,
        piece_bytes: int = _PIECE_BYTES,
    ) -> Iterator[bytes]:
        """The body in pieces of at most 1 MiB."""
        end = size_bytes if length is None else min(size_bytes, offset + length)
        while offset < end:
            piece = self.read(body_key, size_bytes, offset, min(piece_bytes, end - offset))
            offset += len(piece)
            yield piece

    def sha256(self, body_key: str, size_bytes: int) -> str:
        """SHA-256 of the whole body, in hexadecimal."""
        digest = hashlib.sha256()
        for piece in self.pieces(body_key, size_bytes):
            digest.update(piece)
        return digest.hexdigest()

    def _uploaded(self, name: str, offset: int, length: int) -> bytes:
        with open(self._uploads_folder / name, "rb") as body:
            return os.pread(body.fileno(), length, offset)

    @staticmethod
    def _key_number(body_key: str) -> int:
        return int.from_bytes(hashlib.blake2b(body_key.encode(), digest_size=8).digest(), "little")
