"""Schedules, stop policies and throttles of a DryvIQ job."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from migration.dryviq.converting import Converting

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_ZONE = "DryvIQ's times of day are those of its server: say which time zone that is in schedule.time_zone."


def schedule(work: Converting, path: str, value: Any) -> None:
    """The job's own schedule."""
    if not isinstance(value, Mapping):
        work.unknown(path, value, "an object with mode, days, start_window and so on")
        return
    for key, part in value.items():
        _schedule_field(work, f"{path}.{key}", key, part, value)


def _schedule_field(work: Converting, name: str, key: str, value: Any, around: Mapping[str, Any]) -> None:
    place = f"schedule.{key}"
    if key == "mode":
        _mode(work, name, value)
    elif key == "days":
        _days(work, name, value, place)
    elif key in ("start_date", "end_date"):
        _date(work, name, value, place)
    elif key in ("start_window", "end_window", "run_at"):
        _time_of_day(work, name, key, value, around)
    elif key in ("repeat_interval", "max_execution"):
        _span(work, name, value, place)
    elif key == "repeat_count":
        work.map_count(name, value, place)
    elif key == "status":
        status(work, name, value)
    else:
        work.nothing_known(name, value)


def _mode(work: Converting, name: str, value: Any) -> None:
    if value == "ad-hoc":
        work.map_to(name, value, "schedule.mode", "manual", "a person starts it")
    else:
        work.map_word(name, value, "schedule.mode")


def status(work: Converting, name: str, value: Any) -> None:
    """Whether the job begins by itself."""
    if value in ("start", "paused"):
        work.map_to(name, value, "schedule.status", value)
    else:
        work.not_applicable(name, value, "how the job stood in DryvIQ; only start and paused say something about later")


def _days(work: Converting, name: str, value: Any, place: str) -> None:
    from migration.schedules import Days

    words = value if isinstance(value, list) else str(value).replace(" ", "").split(",")
    allowed = [day.value for day in Days]
    if words and all(word in allowed for word in words):
        work.map_to(name, value, place, list(words))
    else:
        work.unknown(name, value, f"{place} takes {', '.join(allowed)}")


def _date(work: Converting, name: str, value: Any, place: str) -> None:
    day = _day_of(value)
    if day is None:
        work.unknown(name, value, "seconds since 1970, or a date")
    else:
        work.map_to(name, value, place, day)


def _day_of(value: Any) -> str | None:
    """A date as text, in UTC."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC).date().isoformat()
        moment = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date().isoformat()


def _time_of_day(work: Converting, name: str, key: str, value: Any, around: Mapping[str, Any]) -> None:
    if key == "run_at" and "start_window" in around and "end_window" in around:
        work.not_applicable(name, value, "a schedule has either a window or a time; the window is kept")
        return
    text = clock_text(value)
    if text is None:
        work.unknown(name, value, "an object with hr, min, sec and ms, or HH:MM")
        return
    work.map_to(name, value, f"schedule.{key}", text)
    if _ZONE not in work.to_do:
        work.to_do.append(_ZONE)


def clock_text(value: Any) -> str | None:
    """HH:MM of `{hr, min, sec, ms}` or of a text; seconds are left out. None for anything else."""
    if isinstance(value, str):
        parts = value.split(":")
        if len(parts) not in (2, 3) or not all(part.isdigit() for part in parts):
            return None
        hour, minute = int(parts[0]), int(parts[1])
    elif isinstance(value, Mapping) and set(value) <= {"hr", "min", "sec", "ms"}:
        numbers = [value.get(key) or 0 for key in ("hr", "min")]
        if not all(isinstance(number, int) for number in numbers):
            return None
        hour, minute = numbers
    else:
        return None
    return f"{hour:02}:{minute:02}" if 0 <= hour < 24 and 0 <= minute < 60 else None


def _span(work: Converting, name: str, value: Any, place: str) -> None:
    number, unit = (value.get("value"), value.get("unit")) if isinstance(value, Mapping) else (None, None)
    is_known = isinstance(value, Mapping) and set(value) <= {"value", "unit"} and str(unit) in _SECONDS
    if not is_known or not isinstance(number, int | float) or isinstance(number, bool) or not 0 < number < 1e9:
        work.unknown(name, value, f"an object with value and unit ({', '.join(_SECONDS)})")
        return
    seconds = round(number * _SECONDS[str(unit)])
    if seconds < 60:
        work.map_to(name, value, place, "1m", "a minute is the least")
    else:
        work.map_to(name, value, place, _span_text(seconds))


def _span_text(seconds: int) -> str:
    for unit in ("d", "h", "m"):
        if seconds % _SECONDS[unit] == 0:
            return f"{round(seconds / _SECONDS[unit])}{unit}"
    return f"{seconds}s"


_COUNTERS = {"executions": "executions", "failures": "failures", "on_failure": "failures"}
_SUCCESSES = ("completions", "on_success")


def stop_policy(work: Converting, path: str, value: Any) -> None:
    """After what the job is complete."""
    if not isinstance(value, Mapping):
        work.unknown(path, value, "an object with executions, failures and so on")
        return
    for key, part in value.items():
        _stop_field(work, f"{path}.{key}", key, part, never=value.get("policy") == "never")


def _stop_field(work: Converting, name: str, key: str, value: Any, *, never: bool) -> None:
    if key == "policy" and value in ("never", "on_success", "on_failure"):
        work.mapped(name, value, "no stop_policy" if never else "the counters of stop_policy")
    elif never and (key in _COUNTERS or key in _SUCCESSES):
        work.not_applicable(name, value, "the policy is never")
    elif key in _COUNTERS:
        work.map_count(name, value, f"stop_policy.{_COUNTERS[key]}")
    elif key in _SUCCESSES:
        _successes(work, name, value)
    elif key in ("no_changes", "unchanged"):
        work.map_count(name, value, "stop_policy.no_changes")
    elif key in ("on_date", "date", "stop_on"):
        _date(work, name, value, "stop_policy.on_date")
    else:
        work.nothing_known(name, value)


def _successes(work: Converting, name: str, value: Any) -> None:
    if work.has("stop_policy.executions"):
        work.not_applicable(name, value, "all runs are counted together, in stop_policy.executions")
    else:
        work.map_count(name, value, "stop_policy.executions")
        work.to_do.append("stop_policy counts all finished runs, DryvIQ's job successful ones only; check the number.")


def throttle(work: Converting, path: str, value: Any, place: str) -> None:
    """A limit of bytes per second in one direction, and its windows."""
    if not isinstance(value, Mapping):
        work.unknown(path, value, "an object with bytes_per_second and window")
        return
    for key, part in value.items():
        name = f"{path}.{key}"
        if key == "bytes_per_second":
            work.map_count(name, part, f"{place}.bytes_per_second")
        elif key == "window" and isinstance(part, list):
            _windows(work, name, part, place)
        elif key == "disabled" and isinstance(part, bool):
            work.mapped(name, part, "there is no limit" if part else "the limit holds")
        else:
            work.nothing_known(name, part)
    if value.get("disabled") is True:
        work.put(place, {})


def _windows(work: Converting, path: str, windows: list[Any], place: str) -> None:
    ours = [_window(window, windows, number) for number, window in enumerate(windows)]
    if all(one is not None for one in ours):
        work.map_to(path, windows, f"{place}.window", ours)
        if _ZONE not in work.to_do:
            work.to_do.append(_ZONE)
    else:
        work.unknown(path, windows, "windows with days, start_time, end_time (or time) and bytes_per_second")


def _window(window: Any, windows: list[Any], number: int) -> dict[str, Any] | None:
    """A window of ours. One that has only a time begins then and lasts until the next one's time."""
    known = {"days", "start_time", "end_time", "time", "bytes_per_second"}
    if not isinstance(window, Mapping) or not set(window) <= known:
        return None
    ours: dict[str, Any] = {}
    if "days" in window:
        ours["days"] = window["days"]
    start, end = window.get("start_time", window.get("time")), window.get("end_time")
    if end is None and "time" in window and len(windows) > 1:
        following = windows[(number + 1) % len(windows)]
        end = following.get("time") if isinstance(following, Mapping) else None
    for key, moment in (("start_time", start), ("end_time", end)):
        text = clock_text(moment)
        if moment is not None and text is None:
            return None
        if start is not None and end is not None:
            ours[key] = text
    if window.get("bytes_per_second"):
        ours["bytes_per_second"] = window["bytes_per_second"]
    return ours
