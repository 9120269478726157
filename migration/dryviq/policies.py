"""The fields of `transfer` that say what is done with what is found: most have the same name and words here."""

from collections.abc import Callable, Mapping
from typing import Any

from migration.dryviq.converting import Converting

Handler = Callable[[Converting, str, Any], None]

_WORDS = (
    "conflict_resolution", "duplicate_names", "item_overwrite", "empty_containers", "large_item", "failure_policy",
    "audit_level",
)  # fmt: skip
_SWITCHES = (
    "trust_mode", "segment_transform", "segment_truncate", "encode_invalid_characters", "timestamps", "preserve_owners",
)  # fmt: skip
_SECURITY = "rights are given at the destination by its own means; they are not copied"
_NOT_APPLICABLE = {
    "batch_mode": "whether many entries are sent in one call is the connector's own choice",
    "preserve_destination_root_owner": "the owner of the job's folder at the destination is left as it is",
    "rendition": "only Box Notes have renditions; they are copied as they are stored",
    "item_inspection_policy": "everything found is always in the inventory and in the account, also what is left out",
    "item_inspection_policy_next": "everything found is always in the inventory and in the account",
    "metadata_import": "no metadata is written from files; do that at the destination after the run",
    "link_detection": "links inside of files are not looked for",
}
_DELETIONS = {
    frozenset({"mirror"}): "mirror",
    frozenset({"ignore_source"}): "ignore_source",
    frozenset({"ignore_destination"}): "ignore_destination",
    frozenset({"ignore_both"}): "ignore_both",
    frozenset({"ignore_source", "ignore_destination"}): "ignore_both",
}


def policy_of(name: str) -> Handler | None:
    """What to do with a field of `transfer`; None for one that is not a policy."""
    if name in _WORDS:
        return lambda work, path, value: work.map_word(path, value, f"rules.{name}")
    if name in _SWITCHES:
        return lambda work, path, value: work.map_switch(path, value, f"rules.{name}")
    if name in _NOT_APPLICABLE:
        return lambda work, path, value: work.not_applicable(path, value, _NOT_APPLICABLE[name])
    return _SPECIAL.get(name)


def say_defaults(work: Converting, transfer: Mapping[str, Any]) -> None:
    """What the job does not say means DryvIQ's default; where ours is another one, the job says it from now on."""
    if "transfer_type" not in transfer:
        work.map_to("transfer.transfer_type", None, "transfer_type", "sync", "not said: DryvIQ's default")
        work.to_do.append(
            "The job does not say its transfer_type, which DryvIQ takes as sync; check that this is meant."
        )
    if "item_overwrite" not in transfer:
        work.map_to("transfer.item_overwrite", None, "rules.item_overwrite", "overwrite", "not said: DryvIQ's default")
    if "versioning" not in transfer:
        work.map_to("transfer.versioning", None, "rules.versioning.preserve", "native", "not said: DryvIQ's default")
    if "audit_level" not in transfer:
        work.map_to("transfer.audit_level", None, "rules.audit_level", "info", "not said: DryvIQ's default")


def _transfer_type(work: Converting, path: str, value: Any) -> None:
    if value == "default":
        work.map_to(path, value, "transfer_type", "sync", "DryvIQ's default")
    else:
        work.map_word(path, value, "transfer_type")
    if work.values.get("transfer_type") in ("move", "publish"):
        work.to_do.append(
            f"{work.values['transfer_type']} deletes: look at `sitehaul plan` before the first run, and rules.deletes."
        )


def _deletions(work: Converting, path: str, value: Any) -> None:
    words = frozenset(map(str, value)) if isinstance(value, list) else frozenset({str(value)})
    ours = _DELETIONS.get(words)
    if ours is None:
        work.unknown(path, value, f"rules.delete_propagation takes {', '.join(_DELETIONS[key] for key in _DELETIONS)}")
        return
    work.map_to(path, value, "rules.delete_propagation", ours)
    if ours != "ignore_both":
        work.to_do.append(
            "Deletions have brakes here that DryvIQ has not: rules.deletes (missing in two runs, at most 100 and 10 %)."
        )


def _restricted(work: Converting, path: str, value: Any) -> None:
    place = "rules.restricted_content"
    if value == "convert":
        work.not_applicable(path, value, f"files are never zipped, so that they stay usable; {place} = fail flags them")
    elif value == "warn":
        work.map_to(path, value, place, "fail", "flagged")
    else:
        work.map_word(path, value, place)


def _locks(work: Converting, path: str, value: Any) -> None:
    if value in ("mirror_lock", "mirror_owner"):
        why = "locks are not set for other people; rules.lock_propagation = wait leaves checked-out files for later"
        work.not_applicable(path, value, why)
    else:
        work.map_word(path, value, "rules.lock_propagation")


def _items_max(work: Converting, path: str, value: Any) -> None:
    work.map_count(path, value, "rules.max_items_per_container")


def _permissions(work: Converting, path: str, value: Any) -> None:
    if isinstance(value, str):
        _permission_policy(work, path, value)
        return
    if not isinstance(value, Mapping):
        work.unknown(path, value, "none, add, diff, or an object with policy, links, failures and import")
        return
    for key, part in value.items():
        name = f"{path}.{key}"
        if key == "policy":
            _permission_policy(work, name, part)
        elif key == "links" and part is False:
            work.mapped(name, part, "no links are made")
        elif key in ("links", "failures", "import"):
            work.not_applicable(name, part, _SECURITY)
        else:
            work.nothing_known(name, part)


def _permission_policy(work: Converting, path: str, value: Any) -> None:
    if value == "none":
        work.mapped(path, value, "permissions are not copied")
    elif value in ("add", "diff"):
        work.not_applicable(path, value, _SECURITY)
        work.to_do.append("Give people their rights at the destination; DryvIQ's job copied permissions.")
    else:
        work.unknown(path, value, "none, add or diff")


def _versioning(work: Converting, path: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        work.unknown(path, value, "an object with preserve, select, from_source and from_destination")
        return
    for key, part in value.items():
        name, place = f"{path}.{key}", f"rules.versioning.{key}"
        if key == "select" and part == "published":
            work.not_applicable(name, part, "there are no published versions besides the current one")
        elif key in ("preserve", "select"):
            work.map_word(name, part, place)
        elif key in ("from_source", "from_destination"):
            work.map_count(name, part, place)
        else:
            work.nothing_known(name, part)


def _map(work: Converting, path: str, value: Any) -> None:
    ours = path.rsplit(".", 1)[-1]
    number = value.get("id") if isinstance(value, Mapping) else value
    work.mapped(path, value, f"rules.{ours}.file, once you have exported the map")
    work.to_do.append(
        f"Export DryvIQ's map {number} as CSV with the columns source and destination; name it in rules.{ours}.file."
    )


def _metadata_map(work: Converting, path: str, value: Any) -> None:
    work.map_to(
        path, value, "rules.metadata", "sidecar", "all properties go into the manifest, not into columns one by one"
    )


def _performance(work: Converting, path: str, value: Any) -> None:
    from migration.dryviq.timing import throttle

    if not isinstance(value, Mapping):
        work.unknown(path, value, "an object with parallel_writes, upload and download")
        return
    for key, part in value.items():
        name = f"{path}.{key}"
        if key == "parallel_writes":
            _parallel_writes(work, name, part)
        elif key in ("upload", "download"):
            throttle(work, name, part, f"performance.{key}")
        elif key == "retries":
            work.not_applicable(name, part, "DryvIQ does not use it; attempts_max says how often a file is tried")
        else:
            work.nothing_known(name, part)


def _parallel_writes(work: Converting, path: str, value: Any) -> None:
    place = "performance.parallel_writes"
    if not isinstance(value, Mapping):
        work.map_count(path, value, place)
        return
    for key, part in value.items():
        name = f"{path}.{key}"
        if key == "requested" or (key == "max" and "requested" not in value):
            work.map_count(name, part, place)
        elif key == "max":
            work.not_applicable(name, part, f"{place} is what is asked for and the upper limit in one")
        else:
            work.nothing_known(name, part)


_SPECIAL: Mapping[str, Handler] = {
    "transfer_type": _transfer_type,
    "delete_propagation": _deletions,
    "restricted_content": _restricted,
    "lock_propagation": _locks,
    "max_items_per_container": _items_max,
    "permissions": _permissions,
    "versioning": _versioning,
    "account_map": _map,
    "group_map": _map,
    "metadata_map": _metadata_map,
    "tags": _metadata_map,
    "performance": _performance,
}
