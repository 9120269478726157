"""A DryvIQ job becomes a job of ours, and each of its fields is accounted for."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.dryviq import Conversion, Verdict, convert, is_dryviq
from migration.errors import ConfigurationError
from migration.job_files import job_as_yaml
from migration.job_problems import job_from_values
from migration.job_text import read_job_text
from migration.jobs import Job

SAMPLES = sorted((Path(__file__).parent / "dryviq").glob("*.json"))


def sample(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((Path(__file__).parent / "dryviq" / name).read_text("utf-8"))
    return body


def converted(name: str, **changes: Any) -> tuple[Conversion, Job]:
    conversion = convert(sample(name) | changes, source_connection="office", destination_connection="archive")
    return conversion, job_from_values(conversion.values)


def leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from leaves(part, f"{path}.{key}".removeprefix("."))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, part in enumerate(value):
            yield from leaves(part, f"{path}[{number}]")
    else:
        yield path


def verdicts(conversion: Conversion) -> dict[str, str]:
    return {one.field: one.verdict for one in conversion.fields}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_no_field_is_left_unexplained(path: Path) -> None:
    body = json.loads(path.read_text("utf-8"))
    assert is_dryviq(body)
    conversion = convert(body)
    told = [one.field for one in conversion.fields]
    assert len(told) == len(set(told))
    for leaf in leaves(body):
        assert any(leaf == field or leaf.startswith((f"{field}.", f"{field}[")) for field in told), leaf
    assert [one for one in conversion.fields if one.verdict is Verdict.UNKNOWN or not one.text] == []
    job = job_from_values(conversion.values)
    assert Job.model_validate(read_job_text(job_as_yaml(job, comment="x\ny")).values) == job


def test_every_policy_of_a_full_job_arrives() -> None:
    conversion, job = converted("everything.json")
    rules = job.rules
    assert (job.name, job.kind, job.transfer_type, job.simulation_mode) == (
        "Riverside-Tower-Procore-to-SharePoint-all-options", "transfer", "copy", True,
    )  # fmt: skip
    assert (job.source.connection, job.source.path) == ("office", "Riverside Tower/Drawings")
    assert (rules.conflict_resolution, rules.delete_propagation, rules.item_overwrite, rules.large_item) == (
        "latest", "ignore_both", "overwrite", "skip",
    )  # fmt: skip
    assert (rules.versioning.preserve, rules.versioning.from_source, rules.versioning.from_destination) == (
        "native", 5, 10,
    )  # fmt: skip
    assert (rules.encode_invalid_characters, rules.preserve_owners, rules.max_items_per_container) == (
        True,
        True,
        10000,
    )
    assert job.schedule.model_dump(mode="json", exclude_defaults=True) == {
        "mode": "auto", "status": "paused", "days": ["weekdays", "saturday"], "start_date": "2026-01-01",
        "end_date": "2027-01-01", "start_window": "20:00:00", "end_window": "06:30:00", "repeat_interval": "90m",
        "repeat_count": 4, "max_execution": "10h",
    }  # fmt: skip
    assert (job.stop_policy.executions, job.stop_policy.failures) == (200, 5)
    assert job.performance.parallel_writes == 8
    assert job.performance.upload.bytes_per_second == 5_000_000
    assert job.performance.download.bytes_per_second is None
    windows = [
        (str(one.start_time), str(one.end_time), one.bytes_per_second) for one in job.performance.download.window
    ]
    assert windows == [("07:30:00", "19:00:00", 1_000_000), ("19:00:00", "07:30:00", None)]
    not_applicable = {one.field for one in conversion.fields if one.verdict is Verdict.NOT_APPLICABLE}
    assert not_applicable == {
        "priority", "scheduler", "retention", "stop_policy.completions", "stop_policy.on_success",
        "transfer.batch_mode", "transfer.restricted_content", "transfer.lock_propagation", "transfer.rendition",
        "transfer.preserve_destination_root_owner", "transfer.permissions.policy", "transfer.permissions.links",
        "transfer.permissions.failures", "transfer.permissions.import", "transfer.metadata_import",
        "transfer.filter.source[1].rules[0]", "transfer.item_inspection_policy", "transfer.item_inspection_policy_next",
        "transfer.performance.parallel_writes.max", "transfer.performance.retries",
        "transfer.source.impersonate_as", "transfer.source.size_estimate", "transfer.source.options",
        "transfer.destination.impersonate_as", "transfer.destination.target.uri", "transfer.destination.authenticate",
    }  # fmt: skip
    assert any("map 7 as CSV" in sentence for sentence in conversion.to_do)
    assert "Description: Handover of the project documents" in conversion.notes


def test_filters_become_rules() -> None:
    conversion, job = converted("copy-with-filters.json")
    rules = [rule.model_dump(mode="json", exclude_defaults=True) for rule in job.rules.filter.rules]
    assert [rule["type"] for rule in rules] == [
        "any_of", "pattern", "pattern", "size", "size", "date", "date", "hidden", "path",
    ]  # fmt: skip
    assert rules[0]["action"] == "include"
    assert [one.get("groups") or one.get("extensions") for one in rules[0]["rules"]] == [
        ["dwg", "rvt", "ifc"], ["documents", "images"],
    ]  # fmt: skip
    assert (rules[1]["text"], rules[1]["targets"]) == ("*superseded*;Archive*", ["container"])
    assert (rules[3]["min_bytes"], rules[3]["max_bytes"], rules[4]["min_bytes"]) == (0, 0, 10 << 30)
    assert (rules[5]["action"], rules[5]["within_last"], rules[5]["unit"]) == ("include", 18, "month")
    assert (rules[6]["after"], rules[6]["before"]) == ("2010-01-01T00:00:00Z", "2015-01-01T00:00:00Z")
    assert rules[8]["paths"] == ["Drawings/Old"]
    assert verdicts(conversion)["transfer.filter.source[9].rules[0]"] is Verdict.NOT_APPLICABLE
    assert any("source[9].rules[0] (filter_context) could not be taken" in sentence for sentence in conversion.to_do)


def test_a_sync_with_schedule_and_stop_policy() -> None:
    conversion, job = converted("sync-on-schedule.json")
    assert (job.name, job.transfer_type, job.rules.conflict_resolution, job.rules.delete_propagation) == (
        "tower-two-way", "sync", "latest", "mirror",
    )  # fmt: skip
    assert (str(job.schedule.run_at), job.schedule.repeat_interval, job.schedule.max_execution) == (
        "22:15:00", "1m", "90m",
    )  # fmt: skip
    policy = job.stop_policy
    assert (policy.failures, policy.no_changes, str(policy.on_date)) == (3, 30, "2027-01-01")
    to_do = "\n".join(conversion.to_do)
    for words in ("takes as sync", "rules.deletes", "source.path", "schedule.time_zone"):
        assert words in to_do
    assert job.source.path == ""


def test_what_is_not_said_keeps_its_meaning() -> None:
    _, job = converted("sync-on-schedule.json")
    assert (job.rules.item_overwrite, job.rules.versioning.preserve, job.rules.audit_level) == (
        "overwrite", "native", "info",
    )  # fmt: skip


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    body = sample("copy-with-filters.json")
    body["colour"] = {"of": "blue", "and": [1]}
    body["transfer"] |= {"conflict_resolution": "newest", "trust_mode": "maybe", "teleport": True, "versioning": 3}
    body["transfer"]["filter"] = {
        "source": [{"rules": [{"type": "filter_size"}, {"type": "smell"}], "mood": 1}],
        "up": 1,
    }
    body["schedule"] = {"mode": "sometimes", "run_at": "noon", "days": ["someday"], "repeat_interval": {"value": 1}}
    conversion = convert(body)
    unknown = {one.field for one in conversion.fields if one.verdict is Verdict.UNKNOWN}
    assert unknown == {
        "colour.of", "colour.and", "transfer.conflict_resolution", "transfer.trust_mode", "transfer.teleport",
        "transfer.versioning", "transfer.filter.source[0].rules[0]", "transfer.filter.source[0].rules[1]",
        "transfer.filter.source[0].mood", "transfer.filter.up", "schedule.mode", "schedule.run_at", "schedule.days",
        "schedule.repeat_interval",
    }  # fmt: skip
    assert job_from_values(conversion.values).rules.conflict_resolution == "copy"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["transfer", "m"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def branches(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from branches(part, (*place, key))


WHOLE = sample("everything.json")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(branches(WHOLE))), anything)
def test_whatever_stands_in_a_field_is_told_and_breaks_nothing(place: tuple[Any, ...], value: Any) -> None:
    body = json.loads(json.dumps(WHOLE))
    holder = body
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    conversion = convert(body)
    assert all(one.text for one in conversion.fields)
    with suppress(ConfigurationError):
        job_from_values(conversion.values)


def test_connections_that_are_not_named_are_asked_for() -> None:
    conversion = convert(sample("copy-with-filters.json"), name="short")
    assert conversion.values["name"] == "short"
    assert conversion.values["source"] == {"connection": "dryviq-11", "path": "Riverside Tower"}
    assert sum("sitehaul connect" in sentence for sentence in conversion.to_do) == 2


@pytest.mark.parametrize("kind", ["policy", "personal-drive-convention", "mystery"])
def test_other_kinds_are_told(kind: str) -> None:
    conversion = convert(sample("copy-with-filters.json") | {"kind": kind, "convention": {"match": "ldap"}})
    assert verdicts(conversion)["kind"] is (Verdict.UNKNOWN if kind == "mystery" else Verdict.NOT_APPLICABLE)
    assert verdicts(conversion)["convention.match"] is Verdict.NOT_APPLICABLE


def test_folder_mapping_is_a_kind() -> None:
    body = sample("copy-with-filters.json") | {"kind": "folder_mapping"}
    body["transfer"]["schedule"] = {"mode": "auto"}
    conversion = convert(body)
    assert job_from_values(conversion.values).kind == "folder_mapping"
    assert verdicts(conversion)["transfer.schedule.mode"] is Verdict.NOT_APPLICABLE
