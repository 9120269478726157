"""QuickXorHash, the checksum OneDrive for work and SharePoint show of every file.

Byte number i is rotated by 11·i bits within 160, everything is xored, and the length goes into the last eight bytes:
https://learn.microsoft.com/en-us/onedrive/developer/code-snippets/quickxorhash. Bytes 160 apart are rotated alike, as
11·160 is a whole number of turns, so that they can be xored first, many at once.
"""

import base64

import numpy as np

_BITS = 160
_STEP_BITS = 11
_MASK = (1 << _BITS) - 1
_LENGTH_BIT = 96


class QuickXor:
    """The hash of bytes that come one after another."""

    def __init__(self) -> None:
        self._columns = np.zeros(_BITS // 8, dtype=np.uint64)
        self._length = 0

    def add(self, data: bytes) -> None:
        """The next bytes."""
        rest = memoryview(data)
        place = self._length % _BITS
        self._length += len(data)
        if place:
            self._xor(place, rest[: _BITS - place])
            rest = rest[_BITS - place :]
        whole = len(rest) // _BITS * _BITS
        if whole:
            rows = np.frombuffer(rest[:whole], dtype=np.uint64).reshape(-1, _BITS // 8)
            self._columns ^= np.bitwise_xor.reduce(rows, axis=0)
        self._xor(0, rest[whole:])

    def text(self) -> str:
        """The hash of what came so far, in the form of `quickXorHash` (base64)."""
        turned = 0
        for place, value in enumerate(self._columns.tobytes()):
            turned ^= value << (place * _STEP_BITS % _BITS)
        turned = (turned & _MASK) ^ (turned >> _BITS)
        return base64.b64encode((turned ^ (self._length << _LENGTH_BIT)).to_bytes(_BITS // 8, "little")).decode()

    def _xor(self, place: int, few: memoryview) -> None:
        self._columns.view(np.uint8)[place : place + len(few)] ^= np.frombuffer(few, dtype=np.uint8)
