"""What can be switched at every content cloud; each cloud adds its own by deriving a frozen dataclass."""

import types
import typing
from dataclasses import asdict, dataclass, replace
from typing import Any, Self, get_type_hints


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """How a cloud behaves. A derived class may give `page_entries_max` and the lifetimes its vendor's values."""

    latency_ms: float = 0.0
    page_entries_max: int = 200
    quota_bytes: int | None = None
    read_only: bool = False
    token_lifetime_seconds: float = 3600.0
    calls_per_minute: int | None = None
    """More calls than this within a minute are refused as the vendor does it; None = never."""
    session_lifetime_seconds: float = 86_400.0
    """How long an upload session stays open."""

    def changed(self, values: dict[str, Any]) -> Self:
        """These switches with some changed. Raises ValueError naming an unknown one or a value of the wrong type."""
        kinds = get_type_hints(type(self))
        for name, value in values.items():
            if name not in kinds:
                raise ValueError(f"there is no switch '{name}'; there are: {', '.join(sorted(kinds))}")
            if not _fits(value, kinds[name]):
                raise ValueError(f"the switch '{name}' takes {kinds[name]}, not {value!r}")
        return replace(self, **values)

    def described(self) -> dict[str, Any]:
        """Every switch and its value."""
        return asdict(self)


def _fits(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return any(_fits(value, one) for one in typing.get_args(kind))
    kind = typing.get_origin(kind) or kind
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)
