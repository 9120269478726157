"""How numbers, sizes, times and reason codes are written for people."""

from datetime import UTC, datetime

from migration.stored_text import from_stored, readable
from reports.reasons import REASONS

_SIZE_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB")


def number(value: float | None) -> str:
    """1234567 → 1,234,567; None → unknown."""
    return "unknown" if value is None else f"{value:,.0f}"


def size(value_bytes: float | None) -> str:
    """Decimal units as file managers of storage vendors show them: 1,500,000 → 1.5 MB; None → unknown."""
    if value_bytes is None:
        return "unknown"
    value, unit = float(value_bytes), 0
    while value >= 999.95 and unit < len(_SIZE_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:,.0f} {_SIZE_UNITS[unit]}" if unit == 0 or value >= 99.95 else f"{value:,.1f} {_SIZE_UNITS[unit]}"


def span(seconds: float | None) -> str:
    """3725 → 1 h 2 min; 4.2 → 4.2 s; None → unknown."""
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def moment(value: datetime | str | None) -> str:
    """A time in UTC, to the minute; text is read as ISO 8601; None → unknown."""
    if value is None:
        return "unknown"
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def reason(code: str | None) -> str:
    """A reason code as words; an unknown code is shown with spaces for dashes."""
    if not code:
        return ""
    return REASONS.get(code, code.replace("-", " "))


def detail(text: str | None) -> str:
    """A plan's detail as words: reason codes in it are written out, anything else stays."""
    if not text:
        return ""
    return ", ".join(REASONS.get(part, part) for part in readable(text).split(", "))


def percent(part: float, whole: float) -> str:
    """A share; nothing of nothing is 100 %."""
    return "100 %" if not whole else f"{100 * part / whole:.1f} %".replace(".0 %", " %")


def stored(text: str) -> str:
    """A name as a run's files store it, for people's eyes."""
    return readable(from_stored(text))
