"""A job file is read as its writer meant it, or refused with the line and the word that is wrong."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.cli.job_options import JobOptions
from migration.errors import ConfigurationError
from migration.job_files import job_as_yaml, load_job_file
from migration.job_set import set_field
from migration.job_text import job_yaml, read_job_text
from migration.jobs import Job
from migration.state import JobState

LEAST = "name: tower\nsource: {connection: office, path: A}\ndestination: {connection: archive, path: B}\n"


def written(folder: Path, text: str, name: str = "job.yaml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def refusal(folder: Path, text: str, name: str = "job.yaml") -> str:
    with pytest.raises(ConfigurationError) as told:
        load_job_file(written(folder, text, name))
    assert told.value.code == "job-invalid"
    return told.value.message


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    yaml = load_job_file(written(tmp_path, LEAST + "rules:\n  filter:\n    exclude: ['*.tmp', ~$*]\n"))
    values = yaml.model_dump(mode="json")
    indented = json.dumps(values, indent="\t")
    assert load_job_file(written(tmp_path, indented, "job.json")) == yaml
    assert load_job_file(written(tmp_path, "\ufeff" + LEAST)).name == "tower"
    assert yaml.rules.filter.exclude == ["*.tmp", "~$*"]


def test_words_stay_words(tmp_path: Path) -> None:
    job = load_job_file(written(tmp_path, "name: no\nsource: {connection: on, path: 2024-01-01}\n"
                                          "destination: {connection: off, path: 12:30}\n"))  # fmt: skip
    ends = (job.source, job.destination)
    assert (job.name, *[(end.connection, end.path) for end in ends]) == ("no", ("on", "2024-01-01"), ("off", "12:30"))


def test_everything_wrong_is_told_at_once_with_lines_and_allowed_values(tmp_path: Path) -> None:
    message = refusal(tmp_path, LEAST + """\
transfer_type: synch
item_overwrite: skip
rules:
  conflict_resolutoin: latest
  large_item: explode
  trust_mode: perhaps
  filter:
    include: "*.pdf"
  deletes: {count_max: many, percent_max: 101}
performance: {parallel_writes: 0}
""")  # fmt: skip
    assert [line.strip() for line in message.splitlines()[1:]] == [
        "line 4: transfer_type is 'synch'; allowed: copy, sync, move, migrate, publish, taxonomy; did you mean sync?",
        "line 5: item_overwrite does not exist here; did you mean rules.item_overwrite?",
        "line 7: rules.conflict_resolutoin does not exist; did you mean conflict_resolution?",
        "line 8: rules.large_item is 'explode'; allowed: fail, skip",
        "line 9: rules.trust_mode is 'perhaps'; true or false is needed",
        "line 11: rules.filter.include is '*.pdf'; a list is needed",
        "line 12: rules.deletes.count_max is 'many'; a whole number is needed",
        "line 12: rules.deletes.percent_max is 101; at most 100 is possible",
        "line 13: performance.parallel_writes is 0; at least 1 is needed",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: a\nname: b\n", "line 2: name is there twice; the first is in line 1"),
        (LEAST + "rules: &x {trust_mode: on}\nperformance: *x\n", "line 5: performance is an alias"),
        (LEAST + "rules: !!python/object:os.system {}\n", "line 4: rules has the tag"),
        (LEAST + "---\n" + LEAST, "line 4: this is not YAML: there is a second document"),
        ("name: !!int b\n", "line 1: name is not a number"),
        ("name: &x {a: &x 1}\nsource: !!int [1]\n", "line 2: source has the tag"),
        (f"name: {'9' * 5000}\n", "line 1: name is not a number"),
        ("name: [\n", "this is not YAML"),
        ("- name\n", "line 1: a job is one object"),
        ("", "line 1: a job is one object"),
        (
            LEAST.replace("path: B", "pfad: B"),
            "line 3: destination.pfad does not exist; allowed here: connection, path",
        ),
        (LEAST.replace("{connection: archive, path: B}", "archive"), "line 3: destination is 'archive'; it has fields"),
        (LEAST.replace("name: tower", "name: a b"), "line 1: name is 'a b'; Names the job's folder"),
        ("name: tower\nsource: {connection: office}\n", "destination is missing"),
        (LEAST.replace("path: A", "path: ../A"), "line 2: source.path is '../A'; the path must not contain"),
    ],
)
def test_what_a_job_file_must_not_hold(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


def test_json_is_told_as_json(tmp_path: Path) -> None:
    assert "line 2: this is not JSON" in refusal(tmp_path, '{"name": "a",\n}', "job.json")
    assert "line 2: name is there twice" in refusal(tmp_path, '{"name": "a",\n"name": "b"}', "job.json")


def test_a_dryviq_job_is_sent_to_its_import(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps({"name": "a", "kind": "transfer", "transfer": {"transfer_type": "copy"}}))
    with pytest.raises(ConfigurationError) as told:
        load_job_file(path)
    assert told.value.fix is not None
    assert "sitehaul job import" in told.value.fix


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "absent.yaml", tmp_path / "binary", tmp_path):
        with pytest.raises(ConfigurationError, match="job file") as told:
            load_job_file(path)
        assert told.value.code == "job-file"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts.filter(bool), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(texts.filter(bool), plain, min_size=1, max_size=5))
def test_what_is_written_is_read_again(values: dict[str, Any]) -> None:
    assert read_job_text(json.dumps(values), as_json=True).values == values
    read = read_job_text(job_yaml(values))
    assert (read.values, read.problems) == (values, [])


PIECES = [
    *("a", ":", "- ", "{", "}", "[", "]", ",", "'", '"', "#", "&x", "*x", "!!int ", "!!map ", "!t ", "? ", "|", ">"),
    *("0o8", "0x", "1:30", "-.inf", "1e", "~", "<<", "2026-13-45", "\ufeff", "\\", "=", "0b1", "9" * 5000),
    *(" ", "\n", "\t", "---\n", "%YAML 1.1\n---\n"),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=14).map("".join), st.booleans())
def test_any_text_is_read_or_its_problems_are_told(text: str, as_json: bool) -> None:
    read = read_job_text(text, as_json=as_json)
    assert isinstance(read.values, dict)
    assert read.values or read.problems or not text.strip() or "{" in text


def test_deep_nesting_is_told(tmp_path: Path) -> None:
    for text, name in (
        ("a: " + "[" * 60 + "]" * 60, "a.yaml"),
        ("[" * 100_000, "a.json"),
        ("a: " + "{b: " * 900, "a.yaml"),
    ):
        assert refusal(tmp_path, text, name)


def changed(*changes: str) -> Job:
    values = read_job_text(LEAST).values
    for change in changes:
        set_field(values, change)
    return Job.model_validate(values)


def test_set_reaches_every_kind_of_field() -> None:
    job = changed(
        "rules.deletes.count_max=5",
        "rules.deletes.two_sightings=false",
        "rules.filter.exclude=*.tmp,*.bak",
        "rules.filter.exclude+=~$*",
        "rules.filter.exclude.0=*.temp",
        'rules.filter.include=["a,b/**", "[x]*.pdf"]',
        "rules.versioning={preserve: native, from_source: 3}",
        "rules.max_items_per_container=7",
        "source.path=2024",
        "transfer_type=sync",
        "rules.filter.modified_from=2026-01-01T00:00:00Z",
    )
    assert (job.rules.deletes.count_max, job.rules.deletes.two_sightings) == (5, False)
    assert job.rules.filter.exclude == ["*.temp", "*.bak", "~$*"]
    assert job.rules.filter.include == ["a,b/**", "[x]*.pdf"]
    assert (job.rules.versioning.preserve, job.rules.versioning.from_source) == ("native", 3)
    assert (job.source.path, job.transfer_type, job.rules.max_items_per_container) == ("2024", "sync", 7)
    assert job.rules.filter.modified_from == datetime(2026, 1, 1, tzinfo=UTC)
    back = changed("rules.max_items_per_container=7", "rules.max_items_per_container=", "source.path=",
                   "rules.filter.exclude=*.a", "rules.filter.exclude=")  # fmt: skip
    assert (back.rules.max_items_per_container, back.source.path, back.rules.filter.exclude) == (None, "", [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rules.large_item", "has no '='"),
        ("=x", "names no field"),
        ("large_item=skip", "Did you mean rules.large_item?"),
        ("rules.larg_item=skip", "Did you mean rules.large_item?"),
        ("rules.deletes.count=5", "Did you mean rules.deletes.count_max?"),
        ("name.first=x", "'name' has no fields"),
        ("rules.filter.exclude.3=x", "the list is empty"),
        ("rules.large_item+=skip", "is no list"),
        ("rules.versioning={preserve", "this is not YAML"),
    ],
)
def test_a_change_that_names_nothing_is_told(change: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        changed(change)
    assert words in f"{told.value.message} {told.value.fix}"


def test_a_job_is_written_with_what_it_says_only() -> None:
    job = changed("rules.deletes.count_max=5", "rules.filter.exclude=*.tmp")
    text = job_as_yaml(job, comment="two\nlines")
    assert text == (
        "# two\n# lines\nname: tower\nsource:\n  connection: office\n  path: A\ndestination:\n  connection: archive\n"
        '  path: B\ntransfer_type: copy\nrules:\n  filter:\n    exclude:\n      - "*.tmp"\n'
        "  deletes:\n    count_max: 5\n"
    )
    assert Job.model_validate(read_job_text(text).values) == job
    assert Job.model_validate(read_job_text(job_as_yaml(job, everything=True)).values) == job


def test_rules_are_written_without_their_defaults_and_read_again() -> None:
    job = changed(
        "rules.filter.rules=[{type: size, min_bytes: 5}, {type: any_of, action: include, rules: [{type: hidden}]}]",
        "rules.filter.destination={rules: [{type: hidden}]}",
        "performance.upload.window=[{start_time: '08:00', end_time: '18:00'}]",
    )
    text = job_as_yaml(job)
    assert "      - type: size\n        min_bytes: 5\n      - type: any_of\n" in text
    assert "    destination:\n      rules:\n        - type: hidden\n" in text
    assert "max_bytes" not in text
    assert Job.model_validate(read_job_text(text).values) == job
    empty = changed("rules.filter.exclude=*.a", "rules.filter.destination={}")
    assert Job.model_validate(read_job_text(job_as_yaml(empty)).values) == empty


def test_the_command_line_takes_file_then_options_then_changes(tmp_path: Path) -> None:
    file = written(tmp_path, LEAST + "rules: {large_item: skip}\n")
    options = JobOptions("other", destination="disk:C", file=file, changes=("rules.trust_mode=true",))
    job = options.resolve(tmp_path)
    assert (job.name, job.destination.connection, job.rules.large_item, job.rules.trust_mode) == (
        "other", "disk", "skip", True,
    )  # fmt: skip
    JobState.of(tmp_path, "other").save_job(job, datetime.now(UTC))
    assert JobOptions("other").resolve(tmp_path) == job
    with pytest.raises(ConfigurationError, match="has no source"):
        JobOptions("unknown").resolve(tmp_path)
    with pytest.raises(ConfigurationError, match="line 2: sauce does not exist; did you mean source"):
        JobOptions("x", file=written(tmp_path, "destination: {connection: a}\nsauce: 1\n")).resolve(tmp_path)
