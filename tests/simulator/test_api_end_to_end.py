"""The API host as part of the whole simulator: signed in at the login host, bytes through storage and blob host."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.server import Running, running
from tests.conformance import oas

FILES = 120


@pytest.fixture
def procore(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path / "procore", seed=11, files=FILES, max_file_bytes=300_000) as place:
        yield place


@pytest.fixture
def client(procore: Running) -> Iterator[httpx.Client]:
    facts = procore.facts
    grant = {
        "grant_type": "client_credentials", "client_id": facts["client_id"], "client_secret": facts["client_secret"],
    }  # fmt: skip
    token = httpx.post(f"{facts['login_url']}/oauth/token", data=grant).json()["access_token"]
    headers = {"authorization": f"Bearer {token}", "procore-company-id": str(facts["company_id"])}
    with httpx.Client(base_url=facts["api_url"], headers=headers) as opened:
        yield opened


def index(client: httpx.Client, project_id: int, **params: Any) -> list[dict[str, Any]]:
    path = f"/rest/v1.0/projects/{project_id}/documents"
    response = client.get(path, params={"view": "extended", "per_page": 10_000, "sort": "name", **params})
    oas.check_response(response)
    entries: list[dict[str, Any]] = response.json()
    assert int(response.headers["total"]) == len(entries)
    return entries


def test_the_index_lists_exactly_what_the_truth_says_is_visible(procore: Running, client: httpx.Client) -> None:
    project_id = procore.project["id"]
    truth = {entry["id"]: entry for entry in procore.truth(project_id)}
    hidden = {entry_id for entry_id, entry in truth.items() if entry["private"]}
    listed = {entry["id"]: entry for entry in index(client, project_id, **{"filters[document_type]": "file"})}
    truth_files = {entry_id: entry for entry_id, entry in truth.items() if entry["kind"] == "file" and entry["current"]}
    assert set(listed) <= set(truth_files)
    assert set(truth_files) - set(listed) == hidden & set(truth_files)
    for entry_id, entry in listed.items():
        version = entry["file"]["current_version"]
        known = truth_files[entry_id]
        assert (version["id"], version["size"]) == (known["version_id"], known["size_bytes"])
        assert entry["name"] == known["path"][-1]


def test_both_ways_of_listing_agree(procore: Running, client: httpx.Client) -> None:
    project_id = procore.project["id"]
    flat = index(client, project_id, **{"filters[is_in_recycle_bin]": "false"})
    waiting, walked = [procore.project["id"]], set[int]()
    root = client.get("/rest/v1.0/folders", params={"project_id": project_id}).json()
    waiting, walked = [root["id"]], {root["id"]}
    for folder_id in waiting:
        response = client.get(f"/rest/v1.0/folders/{folder_id}", params={"project_id": project_id})
        if response.status_code == 429:
            procore.advance(11)
            response = client.get(f"/rest/v1.0/folders/{folder_id}", params={"project_id": project_id})
        oas.check_response(response)
        folder = response.json()
        walked |= {child["id"] for child in [*folder["folders"], *folder["files"]] if not child["is_deleted"]}
        waiting += [child["id"] for child in folder["folders"] if not child["is_recycle_bin"]]
    assert walked == {entry["id"] for entry in flat}


def upload(client: httpx.Client, project_id: int, body: bytes) -> str:
    path = f"/rest/v1.1/projects/{project_id}/uploads"
    created = client.post(path, json={"response_filename": "up.bin", "response_content_type": "application/pdf"}).json()
    sent = httpx.post(created["url"], data=created["fields"], files={"file": ("up.bin", body)})
    assert sent.status_code == 204, sent.text
    return str(created["uuid"])


def upload_in_segments(client: httpx.Client, project_id: int, parts: list[bytes]) -> str:
    path = f"/rest/v1.1/projects/{project_id}/uploads"
    segments = [
        {"size": len(part), "sha256": hashlib.sha256(part).hexdigest(), "md5": hashlib.md5(part).hexdigest()}
        for part in parts
    ]
    created = client.post(path, json={"response_filename": "up.bin", "segments": segments}).json()
    etags = []
    for segment, part in zip(created["segments"], parts, strict=True):
        sent = httpx.put(segment["url"], content=part, headers=segment["headers"])
        assert sent.status_code == 200, sent.text
        etags.append(sent.headers["etag"])
    done = client.patch(f"{path}/{created['uuid']}", json={"segments": [{"etag": etag} for etag in etags]})
    assert done.json()["status"] == "complete", done.text
    return str(created["uuid"])


@pytest.mark.parametrize("in_segments", [False, True])
def test_what_was_uploaded_comes_down_again(procore: Running, client: httpx.Client, in_segments: bool) -> None:
    project_id = procore.project["id"]
    parts = [b"first" * 1_000_000, b"last"]
    uuid = upload_in_segments(client, project_id, parts) if in_segments else upload(client, project_id, b"".join(parts))
    body = {"file": {"name": "up.bin", "upload_uuid": uuid, "unique_name": True}}
    file = client.post("/rest/v1.0/files", params={"project_id": project_id}, json=body).json()
    redirect = client.get(file["file_versions"][0]["url"])
    assert redirect.status_code == 302
    assert httpx.get(redirect.headers["location"]).content == b"".join(parts)
    known = next(entry for entry in procore.truth(project_id) if entry["id"] == file["id"])
    assert known["sha256"] == hashlib.sha256(b"".join(parts)).hexdigest()
