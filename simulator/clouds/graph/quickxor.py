"""QuickXorHash, the checksum of OneDrive and SharePoint.

Each byte is rotated left by 11 bits more than the one before it within 160 bits, all are xored, and the length is xored
into the last eight bytes: https://learn.microsoft.com/en-us/onedrive/developer/code-snippets/quickxorhash. As 160 times
11 is a whole number of turns, bytes 160 apart fall on each other and can be xored first.
"""

import base64

import numpy as np

_BITS = 160
_SHIFT = 11
_MASK = (1 << _BITS) - 1


class QuickXor:
    """A running QuickXorHash."""

    def __init__(self) -> None:
        self._columns = np.zeros(_BITS, dtype=np.uint8)
        self._length = 0

    def update(self, data: bytes) -> None:
        """Append bytes."""
        values = np.frombuffer(data, dtype=np.uint8)
        first = min((-self._length) % _BITS, len(values))
        if first:
            start = self._length % _BITS
            self._columns[start : start + first] ^= values[:first]
        whole = (len(values) - first) // _BITS * _BITS
        if whole:
            rows = values[first : first + whole].reshape(-1, _BITS)
            self._columns ^= np.bitwise_xor.reduce(rows, axis=0)
        rest = values[first + whole :]
        self._columns[: len(rest)] ^= rest
        self._length += len(values)

    def digest(self) -> bytes:
        """The 20 bytes of what was appended so far."""
        total = 0
        for place, value in enumerate(self._columns.tolist()):
            total ^= value << (place * _SHIFT)
        folded = 0
        while total:
            folded ^= total & _MASK
            total >>= _BITS
        result = bytearray(folded.to_bytes(20, "little"))
        for place, value in enumerate(self._length.to_bytes(8, "little")):
            result[12 + place] ^= value
        return bytes(result)


def quickxor_text(digest: bytes) -> str:
    """A digest as `file.hashes.quickXorHash` shows it."""
    return base64.b64encode(digest).decode()
