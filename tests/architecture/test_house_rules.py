"""The rules of docs/design.md and CONTRIBUTING.md that no linter knows."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("connectors", "flows", "migration", "reports", "simulator", "tasks")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LINES_MAX = 400
UNWANTED_WORDS = ("adapter", "driver", "plugin", "snapshot", "sanitise", "sanitize", "clash", "rerun", "partition")
"""Words that docs/design.md section 3 replaces by others, as far as they can only be meant that way in a name."""


def names_defined(tree: ast.Module) -> set[str]:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text("utf-8")) for path in MODULES}


def test_a_module_is_short_or_says_why_it_is_not(trees: dict[Path, ast.Module]) -> None:
    for path, tree in trees.items():
        lines = len(path.read_text("utf-8").splitlines())
        reason = "long because" in (ast.get_docstring(tree) or "").lower()
        assert lines <= LINES_MAX or reason, f"{path.relative_to(ROOT)} has {lines} lines and does not say why"


def test_names_use_the_words_of_the_design(trees: dict[Path, ast.Module]) -> None:
    for path, tree in trees.items():
        for name in {*names_defined(tree), path.stem}:
            unwanted = [word for word in UNWANTED_WORDS if word in name.lower()]
            assert not unwanted, f"{path.relative_to(ROOT)}: {name} uses {unwanted}; see docs/design.md section 3"


def test_nothing_is_read_from_the_environment_at_import(trees: dict[Path, ast.Module]) -> None:
    for path, tree in trees.items():
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.If):
                continue
            assert "environ" not in ast.unparse(statement), f"{path.relative_to(ROOT)}: {ast.unparse(statement)}"


def test_times_are_never_naive(trees: dict[Path, ast.Module]) -> None:
    for path, tree in trees.items():
        calls = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
        naive = [call for call in calls if re.search(r"datetime\.(utcnow|utcfromtimestamp)\(|datetime\.now\(\)", call)]
        assert not naive, f"{path.relative_to(ROOT)}: {naive}"


def test_every_dependency_says_why_it_is_there() -> None:
    inside = False
    for line in (ROOT / "pyproject.toml").read_text("utf-8").splitlines():
        if re.match(r"^(dependencies|simulator|dev) = \[", line):
            inside = True
        elif line.startswith("]"):
            inside = False
        elif inside:
            assert re.search(r'^    "[^"]+",\s+# \S', line), f"no reason: {line}"


def test_every_direct_dependency_is_locked_with_hashes_and_no_index_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    wanted = [*project["project"]["dependencies"], *(wish for extra in extras for wish in extra)]
    for name, extra in (("base.txt", []), ("dev.txt", project["dependency-groups"]["dev"])):
        text = (ROOT / "requirements" / name).read_text("utf-8")
        assert "://" not in text, f"{name} names an address"
        locked = set(re.findall(r"^([a-z0-9-]+)==\S+.*\\\n    --hash=sha256:", text, re.M))
        missing = [need for need in [*wanted, *extra] if re.split(r"[^A-Za-z0-9-]", need)[0].lower() not in locked]
        assert not missing, f"{name} does not lock {missing}; run make lock"
