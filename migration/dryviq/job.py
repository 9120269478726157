"""A whole DryvIQ job: what is around its policies, and the two places."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from migration.dryviq import timing
from migration.dryviq.converting import Conversion, Converting
from migration.dryviq.filters import filters
from migration.dryviq.policies import policy_of, say_defaults

_KINDS = ("transfer", "folder_mapping")
_OTHER_KINDS = {
    "policy": "content scans are not part of SiteHaul; `sitehaul analyze` reports on what is there",
    "convention": "jobs for each person's drive need to act as other people, which Procore does not allow",
}
_TOP = {
    "priority": "runs share the client's calls fairly; children of one job have an order, see children.first",
    "scheduler": "there is one scheduler: Prefect",
    "retention": "runs and reports stay until you remove them",
    "id": "DryvIQ's own number of the job",
    "parent_id": "DryvIQ's own number; children come from their parent's kind",
    "links": "addresses in DryvIQ",
    "health": "how the job stood in DryvIQ",
}
_END = {
    "impersonate_as": "SiteHaul acts as the connection's user only",
    "size_estimate": "the plan counts what is really there",
    "authenticate": "the connection says how it signs in",
    "options": "what belongs to a system is set in the connection (sitehaul connect)",
    "event_position": "DryvIQ's own mark; changes are found by comparing with the baseline",
}


def is_dryviq(values: Mapping[str, Any]) -> bool:
    """Whether these are values of a DryvIQ job rather than of one of ours."""
    return isinstance(values.get("transfer"), Mapping) or ("convention" in values and "source" not in values)


def convert(
    body: Mapping[str, Any],
    *,
    name: str | None = None,
    source_connection: str | None = None,
    destination_connection: str | None = None,
) -> Conversion:
    """The job that the body of a `POST v1/jobs` describes. Every field of the body has its line.

    Connections are named by the arguments; one that is not named gets a name with DryvIQ's number, and a line in
    `to_do`. The values are not validated yet.
    """
    work = Converting()
    _name(work, body, name)
    connections = {"source": source_connection, "destination": destination_connection}
    transfer = body.get("transfer")
    for key, value in body.items():
        if key == "transfer" and isinstance(value, Mapping):
            _transfer(work, value, connections, children="schedule" in value and body.get("kind") == "folder_mapping")
        elif key != "name":
            _top(work, key, value)
    say_defaults(work, transfer if isinstance(transfer, Mapping) else {})
    for side in ("source", "destination"):
        if not work.has(f"{side}.connection"):
            _connection(work, side, None, connections[side])
    return Conversion(_ordered(work.values), tuple(work.fields), tuple(work.to_do), tuple(work.notes))


def _name(work: Converting, body: Mapping[str, Any], name: str | None) -> None:
    theirs = body.get("name")
    wanted = name or (theirs if isinstance(theirs, str) else None) or "dryviq-job"
    ours = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip("-._")[:64].rstrip("-._") or "dryviq-job"
    work.put("name", ours)
    if "name" in body:
        work.mapped("name", theirs, f"name = {ours}" + ("" if ours == theirs else " (names are one word here)"))
    if theirs and theirs != ours:
        work.notes.append(f"In DryvIQ: {theirs}")


def _top(work: Converting, key: str, value: Any) -> None:
    handler = _HANDLERS.get(key)
    if handler is not None:
        handler(work, key, value)
    elif key in _TOP:
        work.not_applicable(key, value, _TOP[key])
    elif key == "convention" and isinstance(value, Mapping):
        for part, inner in value.items():
            work.not_applicable(f"convention.{part}", inner, _OTHER_KINDS["convention"])
    else:
        work.nothing_known(key, value)


def _note(work: Converting, key: str, value: Any) -> None:
    word = value.get("name", value.get("id")) if isinstance(value, Mapping) else value
    work.notes.append(f"{key.capitalize()}: {word}")
    work.mapped(key, value, "kept as a comment at the top of the file")


def _kind(work: Converting, key: str, value: Any) -> None:
    if value in _KINDS:
        work.map_to(key, value, "kind", value)
        return
    why = _OTHER_KINDS.get(str(value), "there are the kinds transfer, folder_mapping and company")
    if str(value) in _OTHER_KINDS or "convention" in str(value) or "drive" in str(value):
        work.not_applicable(key, value, why)
    else:
        work.unknown(key, value, why)
    work.to_do.append(f"A job of the kind {value} does not exist here; this file describes a plain transfer. Check it.")


def _disabled(work: Converting, key: str, value: Any) -> None:
    if value is True:
        work.map_to(key, value, "schedule.status", "paused")
    elif value is False:
        work.mapped(key, value, "a schedule that is not paused")
    else:
        work.unknown(key, value, "true or false")


def _simulation(work: Converting, key: str, value: Any) -> None:
    work.map_switch(key, value, "simulation_mode")


_HANDLERS: Mapping[str, Callable[[Converting, str, Any], None]] = {
    "kind": _kind,
    "description": _note,
    "category": _note,
    "schedule": timing.schedule,
    "stop_policy": timing.stop_policy,
    "status": timing.status,
    "disabled": _disabled,
    "simulation_mode": _simulation,
}


def _transfer(
    work: Converting, transfer: Mapping[str, Any], connections: Mapping[str, str | None], *, children: bool
) -> None:
    for key, value in transfer.items():
        path = f"transfer.{key}"
        handler = policy_of(key)
        if handler is not None:
            handler(work, path, value)
        elif key in ("source", "destination"):
            _end(work, path, key, value, connections[key])
        elif key == "filter":
            filters(work, path, value)
        elif key == "simulation_mode":
            _simulation(work, path, value)
        elif key == "schedule":
            _childrens_schedule(work, path, value, children=children)
        else:
            work.nothing_known(path, value)


def _childrens_schedule(work: Converting, path: str, value: Any, *, children: bool) -> None:
    why = "children run within their parent's runs" if children else "the job's schedule is the one outside of transfer"
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            work.not_applicable(f"{path}.{key}", part, why)
    else:
        work.not_applicable(path, value, why)


def _end(work: Converting, path: str, side: str, value: Any, connection: str | None) -> None:
    if not isinstance(value, Mapping):
        work.unknown(path, value, "an object with connection and target")
        return
    for key, part in value.items():
        name = f"{path}.{key}"
        if key == "connection":
            _connection(work, side, part, connection)
        elif key == "target":
            _place(work, name, side, part)
        elif key == "type":
            _type(work, name, part)
        elif key in _END:
            work.not_applicable(name, part, _END[key])
        else:
            work.nothing_known(name, part)


def _connection(work: Converting, side: str, theirs: Any, ours: str | None) -> None:
    number = theirs.get("id", theirs.get("name")) if isinstance(theirs, Mapping) else theirs
    word = re.sub(r"[^a-z0-9]+", "-", str(number or "unnamed").lower()).strip("-") or "unnamed"
    work.put(f"{side}.connection", ours or f"dryviq-{word}")
    if theirs is not None:
        work.mapped(f"transfer.{side}.connection", theirs, f"{side}.connection = {ours or f'dryviq-{word}'}")
    if ours is None:
        work.to_do.append(
            f"Save the connection that DryvIQ knows as {number or 'nothing'} (`sitehaul connect`) and name it in "
            f"{side}.connection, or import again with --{side}-connection."
        )


def _place(work: Converting, path: str, side: str, value: Any) -> None:
    parts = value if isinstance(value, Mapping) else {"path": value}
    for key, part in parts.items():
        name = f"{path}.{key}" if isinstance(value, Mapping) else path
        if key == "path" and isinstance(part, str):
            work.map_to(name, part, f"{side}.path", part.replace("\\", "/").strip("/"))
        elif key in ("item", "uri"):
            work.not_applicable(name, part, "places are named by their path")
            if not isinstance(parts.get("path"), str):
                work.to_do.append(
                    f"Write the path of {key} {part} into {side}.path; a place is not named by a number here."
                )
        else:
            work.nothing_known(name, part)


def _type(work: Converting, path: str, value: Any) -> None:
    if value == "directory":
        work.mapped(path, value, "a place is always a folder")
    else:
        work.not_applicable(path, value, "a place is always a folder; use rules.filter for a single file")


_ORDER = ("name", "kind", "source", "destination", "transfer_type", "rules", "performance", "schedule", "stop_policy")


def _ordered(values: dict[str, Any]) -> dict[str, Any]:
    first = {key: values[key] for key in _ORDER if key in values}
    return first | {key: value for key, value in values.items() if key not in first}
