"""What a run can do without, and what it gives back."""

import ctypes
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

_LARGE_BYTES = 4 * 1024 * 1024
_KEPT_BYTES = 2 * 1024 * 1024
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""https://man7.org/linux/man-pages/man3/mallopt.3.html"""


def give_memory_back() -> None:
    """Have the C library give back what is let go of, parts of large files above all: glibc otherwise keeps more and
    more the larger the blocks were. Another C library is left as it is."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_ARENA_MAX, 1)


def leave_pandas_out() -> None:
    """Keep pyarrow from loading pandas into this process: it does so with the first array, for 35 MB and a third of a
    second, and nothing of a run needs it.

    Arrow's memory is taken from the system, which gets back what was let go of: Arrow's own keeper holds on to 14 MB.

    pyarrow looks once and remembers. pandas itself can be imported afterwards, but pyarrow then neither takes nor makes
    pandas objects here. Nothing happens where pandas is there already.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    nowhere = _Nowhere()
    sys.meta_path.insert(0, nowhere)
    try:
        pyarrow.array([0])
    finally:
        sys.meta_path.remove(nowhere)


class _Nowhere(MetaPathFinder):
    """Finds no pandas."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:  # noqa: ARG002
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is left out of this process", name=fullname)
