"""Which earlier versions are copied, what they are called as files, and which files become versions again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.capabilities import Capabilities, NameRules, Operation
from migration.naming import Namer, Place
from migration.platforms import name_rules
from migration.rules import PreserveVersions, SelectVersions, Versioning
from migration.versions import (
    Form,
    Sibling,
    VersionPolicy,
    earlier_numbers,
    families,
    free_version_name,
    limited,
    version_name,
    version_policy,
)

PROCORE = Capabilities(keeps_versions=True, operations=frozenset({Operation.VERSIONS}))
SHARE = Capabilities()
FORGETFUL = Capabilities(keeps_versions=True)
NATIVE = PreserveVersions.NATIVE


@pytest.mark.parametrize(
    ("versioning", "source", "destination", "expected"),
    [
        (Versioning(), PROCORE, PROCORE, VersionPolicy(Form.NONE)),
        (Versioning(), SHARE, PROCORE, VersionPolicy(Form.NONE)),
        (Versioning(preserve=NATIVE), PROCORE, PROCORE, VersionPolicy(Form.NATIVE)),
        (Versioning(preserve=NATIVE), PROCORE, SHARE, VersionPolicy(Form.FILES)),
        (Versioning(preserve=NATIVE, from_source=3), PROCORE, SHARE, VersionPolicy(Form.FILES, 3)),
        (Versioning(preserve=NATIVE, select=SelectVersions.LATEST), PROCORE, SHARE, VersionPolicy(Form.NONE)),
        (Versioning(preserve=NATIVE), SHARE, SHARE, VersionPolicy(Form.NONE)),
        (Versioning(preserve=NATIVE), FORGETFUL, SHARE, VersionPolicy(Form.NONE)),
        (Versioning(preserve=NATIVE, from_destination=2), SHARE, PROCORE, VersionPolicy(Form.NONE, 2, folds=True)),
    ],
)
def test_what_a_job_does_with_earlier_versions(
    versioning: Versioning, source: Capabilities, destination: Capabilities, expected: VersionPolicy
) -> None:
    assert version_policy(versioning, source, destination) == expected


@pytest.mark.parametrize(
    ("policy", "current", "copied", "expected"),
    [
        (VersionPolicy(Form.NONE), 5, None, []),
        (VersionPolicy(Form.FILES), None, None, []),
        (VersionPolicy(Form.FILES), 1, None, []),
        (VersionPolicy(Form.NATIVE), 4, None, [1, 2, 3]),
        (VersionPolicy(Form.NATIVE), 4, 2, [3]),
        (VersionPolicy(Form.NATIVE), 4, 4, []),
        (VersionPolicy(Form.FILES, 2), 5, None, [4]),
        (VersionPolicy(Form.FILES, 1), 5, None, []),
        (VersionPolicy(Form.FILES, 9), 3, None, [1, 2]),
    ],
)
def test_which_versions_are_copied(
    policy: VersionPolicy, current: int | None, copied: int | None, expected: list[int]
) -> None:
    assert list(earlier_numbers(policy, current, copied=copied)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Plan.pdf", "Plan (v3).pdf"),
        ("Plan", "Plan (v3)"),
        (".profile", ".profile (v3)"),
        ("a.tar.gz", "a.tar (v3).gz"),
        ("a.this is no extension", "a.this is no extension (v3)"),
    ],
)
def test_a_version_is_called_like_its_file(name: str, expected: str) -> None:
    assert version_name(name, 3) == expected


@pytest.mark.parametrize(
    ("name", "rules", "used", "expected"),
    [
        ("Plan.pdf", NameRules(), [], "Plan (v3).pdf"),
        ("Plan.pdf", name_rules("smb_windows_share"), ["PLAN (V3).PDF"], "Plan (v3)-########.pdf"),
        ("Plan.pdf", NameRules(), ["PLAN (V3).PDF"], "Plan (v3).pdf"),
        ("x" * 30 + ".pdf", NameRules(segment_length_max=20), [], "xxxxxxxxxxx (v3).pdf"),
    ],
)
def test_a_version_as_a_file_takes_nobodys_name(name: str, rules: NameRules, used: list[str], expected: str) -> None:
    namer = Namer(rules)
    found = free_version_name(name, 3, "7", namer=namer, place=Place(), used={namer.key(one) for one in used})
    assert found is not None
    assert len(found.name) == len(expected)
    assert all(mark in (digit, "#") for mark, digit in zip(expected, found.name, strict=True))
    assert namer.is_legal(found.name)


def test_without_room_a_version_has_no_name() -> None:
    namer = Namer(NameRules(segment_length_max=4))
    assert free_version_name("a.pdf", 3, "7", namer=namer, place=Place(), used=()) is None


def siblings(*names: str) -> list[Sibling]:
    """`name@time`; a time of ? is unknown."""
    return [
        Sibling(name, name.split("@")[0], None if name.endswith("?") else int(name.split("@")[1])) for name in names
    ]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.pdf@3", "a (v1).pdf@1", "a (v2).pdf@2", "b.pdf@1"], {"a.pdf": ["a (v1).pdf", "a (v2).pdf"]}),
        (["a.pdf@3", "a (v2).pdf@2"], {}),
        (["a.pdf@3", "a (v1).pdf@1", "a (v3).pdf@2"], {}),
        (["a.pdf@1", "a (v1).pdf@2"], {}),
        (["a.pdf@1", "a (v1).pdf@1"], {}),
        (["a.pdf@?", "a (v1).pdf@1"], {}),
        (["a (v1).pdf@1", "a (v2).pdf@2"], {}),
        (["a@3", "a (v1)@1"], {"a": ["a (v1)"]}),
        (["a.pdf@3", "a (v01).pdf@1"], {}),
        (["a.pdf@3", "a (V1).pdf@1"], {}),
        (["a.pdf@3", "a(v1).pdf@1"], {}),
        (["a.pdf@3", "A (v1).pdf@1"], {}),
        (["a.pdf@3", "a (v1).pdf@2", "a (v1) (v1).pdf@1"], {"a (v1).pdf": ["a (v1) (v1).pdf"]}),
    ],
)
def test_only_a_complete_family_becomes_one_file(files: list[str], expected: dict[str, list[str]]) -> None:
    found = families(siblings(*files))
    assert {one.current.name: [file.name for _, file in one.earlier] for one in found} == expected


def test_what_is_known_to_be_a_version_needs_no_pattern() -> None:
    files = siblings("a.pdf@1", "a (v3).pdf@9", "a (v4)-0a1b2c3d.pdf@?", "a (v1).pdf@0")
    known = {"a (v3).pdf": ("a.pdf", 3), "a (v4)-0a1b2c3d.pdf": ("a.pdf", 4), "gone.pdf": ("a.pdf", 5)}
    (family,) = families(files, known)
    assert [(number, file.name) for number, file in family.earlier] == [
        (3, "a (v3).pdf"),
        (4, "a (v4)-0a1b2c3d.pdf"),
    ]


def test_a_limit_leaves_out_the_oldest() -> None:
    (family,) = families(siblings("a.pdf@4", "a (v1).pdf@1", "a (v2).pdf@2", "a (v3).pdf@3"))
    taken, left = limited(family, VersionPolicy(Form.NONE, 2, folds=True))
    assert [number for number, _ in taken] == [3]
    assert [number for number, _ in left] == [1, 2]
    assert limited(family, VersionPolicy(Form.NONE, folds=True)) == (list(family.earlier), [])


NAMES = st.text(st.sampled_from("aB.1 (v)é"), min_size=1, max_size=12)


@given(st.sets(NAMES, max_size=6), st.integers(1, 4))
def test_what_became_files_becomes_the_same_versions_again(names: set[str], versions: int) -> None:
    namer = Namer(NameRules())
    mains = [name for name in sorted(names) if namer.is_legal(name)]
    used, made, files = {namer.key(name) for name in mains}, dict[str, tuple[str, int]](), list[Sibling]()
    for name in mains:
        for number in range(1, versions):
            new = free_version_name(name, number, name, namer=namer, place=Place(), used=used)
            assert new is not None
            assert new.key not in used
            used.add(new.key)
            made[new.name] = (name, number)
            files.append(Sibling(new.name, new.name, number))
        files.append(Sibling(name, name, versions))
    found = families(files, made)
    assert {one.current.name: [number for number, _ in one.earlier] for one in found} == {
        name: list(range(1, versions)) for name in mains if versions > 1
    }
    assert {made[file.name] for one in found for _, file in one.earlier} == set(made.values())
