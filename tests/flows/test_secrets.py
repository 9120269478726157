"""No secret leaves its place: after commands and runs, with everything told (--debug), none is found anywhere."""

import os
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from benchmarks.workplace import Workplace, workplace

WRONG_SECRET = "canary-wrong-secret-0123456789"
FAULTS = [
    {"host": "api", "route": "documents", "fault": "500", "nth": 1},
    {"host": "api", "route": "documents", "fault": "401", "nth": 2},
    {"host": "blob", "fault": "reset-mid-body", "probability": 0.1, "seed": 1},
    {"host": "storage", "fault": "500", "probability": 0.1, "seed": 2},
    {"host": "storage", "fault": "foreign-redirect", "nth": [7, 8]},
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, fill_home: Callable[[Path], None]) -> Iterator[Workplace]:
    folder = tmp_path_factory.mktemp("secrets")
    fill_home(folder / "home")
    with workplace(folder, "--files", "150", "--max-file-bytes", "20000") as started:
        yield started


def connect(place: Workplace, name: str, client_id: str, secret: str, *more: str, typed: str = "") -> str:
    """Connect as a person would; everything that was printed."""
    facts = place.simulator.facts
    secret_file = place.folder / "secret"
    secret_file.write_text(secret)
    words = place.command(
        "--debug", "connect", "procore", name, "--environment", "custom", "--login-url", facts["login_url"],
        "--api-url", facts["api_url"], "--token-host", facts["storage_url"].split("://")[1],
        "--company-id", str(facts["company_id"]), "--client-id", client_id, "--client-secret-file", str(secret_file),
        *more,
    )  # fmt: skip
    done = subprocess.run(
        words, input=typed, capture_output=True, text=True, env=place.environment(), timeout=120, check=False
    )
    secret_file.unlink()
    return f"{done.returncode}\n{done.stdout}\n{done.stderr}"


def code_of_a_person(place: Workplace) -> str:
    facts = place.simulator.facts
    page = httpx.get(
        f"{facts['login_url']}/oauth/authorize",
        params={"response_type": "code", "client_id": facts["user_client_id"],
                "redirect_uri": "urn:ietf:wg:oauth:2.0:oob"},
    )  # fmt: skip
    [code] = re.findall(r"<code>([^<]+)</code>", page.text)
    return str(code)


def secrets(place: Workplace, code: str) -> set[str]:
    """Every secret there is: what was typed, and every token that was ever given out."""
    facts = place.simulator.facts
    with closing(sqlite3.connect(place.simulator.folder / "procore.sqlite")) as database:
        tokens = {row[0] for row in database.execute("SELECT token FROM tokens")}
    assert len(tokens) >= 3, "service account, and access and refresh token of a person"
    return {WRONG_SECRET, facts["client_secret"], facts["user_client_secret"], code} | tokens


def everything_written(folder: Path) -> Iterator[tuple[str, bytes]]:
    """What lies in every file below, Parquet unpacked, too."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            yield str(path), path.read_bytes()
            if path.suffix == ".parquet":
                yield f"{path} (content)", str(pq.read_table(path).to_pylist()).encode()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_secret_is_in_outputs_logs_reports_state_or_copies(place: Workplace) -> None:
    facts = place.simulator.facts
    code = code_of_a_person(place)
    said = [
        connect(place, "office", facts["client_id"], facts["client_secret"]),
        connect(place, "person", facts["user_client_id"], facts["user_client_secret"], "--sign-in", typed=f"{code}\n"),
        connect(place, "wrong", "service-unknown", WRONG_SECRET, "--force"),
    ]
    assert [words.split("\n", 1)[0] for words in said] == ["0", "0", "0"], said
    place.destination.mkdir()
    place.run("connect", "filesystem", "archive", "--folder", str(place.destination))
    place.simulator.control("PUT", "/faults", FAULTS)
    project = place.simulator.project["id"]
    for name, expected in (("office", {0, 10, 11}), ("person", {0, 10, 11}), ("wrong", {3, 5})):
        ends = ("--source", f"{name}:{project}", "--destination", f"archive:{name}")
        done = place.run("--debug", "run", f"job-{name}", *ends, "--json", check=False)
        assert done.returncode in expected, done.stderr[-3000:]
        said += [done.stdout, done.stderr]
    for words in (("status", "--json"), ("budget", "office"), ("connect", "list"), ("test", "office")):
        done = place.run("--debug", *words, check=False)
        said += [done.stdout, done.stderr]

    known = secrets(place, code)
    written = [*everything_written(place.home), *everything_written(place.destination)]
    assert any("prefect.db" in where for where, _ in written)
    assert any(where.endswith("report.html") for where, _ in written)
    found = {(where, secret) for where, content in written for secret in known if secret.encode() in content}
    assert not found
    assert not [secret for secret in known if secret in "".join(said)]
