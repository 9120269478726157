"""The systems the contract is proved for: each module here has ROWS. A new connector joins by one more module."""

import importlib
import pkgutil

from tests.contract.place import Row


def rows() -> tuple[Row, ...]:
    """The rows of every module."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(row for name in names for row in importlib.import_module(f"{__name__}.{name}").ROWS)
