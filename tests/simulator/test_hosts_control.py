import json
from typing import Any

import httpx
import pytest

from simulator.server import Running
from tests.servers import ProcoreSimulators, signed_in


@pytest.fixture
def served(procore_simulator: ProcoreSimulators) -> Running:
    return procore_simulator(40)


@pytest.fixture
def control(served: Running) -> httpx.Client:
    return httpx.Client(base_url=served.facts["control_url"])


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.splitlines()]


def paths(served: Running, **wanted: Any) -> set[tuple[str, ...]]:
    rows = served.truth(hashes=False)
    return {tuple(row["path"]) for row in rows if all(row[name] == value for name, value in wanted.items())}


def test_the_truth_over_http_is_the_truth(served: Running, control: httpx.Client) -> None:
    told = lines(control.get("/truth", params={"project_id": served.project["id"]}))
    assert told == served.truth()
    live = [row for row in told if row["kind"] == "file" and row["current"] and not row["deleted"]]
    assert sum(not row["private"] for row in live) == served.project["files"]
    assert {row["path"][-1] for row in live if row["private"]} == {
        "Claim 7.docx", "Settlement.pdf", "Private fee proposal.pdf",
    }  # fmt: skip
    assert all(len(row["sha256"]) == 64 for row in live)
    without = lines(control.get("/truth", params={"project_id": served.facts["projects"][1]["id"], "hashes": "false"}))
    assert {row["sha256"] for row in without} == {None}


def test_switches(served: Running, control: httpx.Client) -> None:
    assert control.get("/settings").json()["hourly_calls"] == 3600
    assert control.put("/settings", json={"hourly_calls": 600, "latency_ms": 1}).json()["hourly_calls"] == 600
    assert served.state.settings.hourly_calls == 600
    unknown = control.put("/settings", json={"hourly_call": 1})
    assert (unknown.status_code, "there is no switch 'hourly_call'" in unknown.text) == (400, True)
    assert control.put("/settings", json={"hourly_calls": "many"}).status_code == 400
    assert served.state.settings.hourly_calls == 600


def test_faults_and_time(served: Running, control: httpx.Client) -> None:
    control.put("/faults", json=[{"fault": "500", "host": "peer"}])
    control.post("/faults", json=[{"fault": "502"}])
    assert [rule["fault"] for rule in control.get("/faults").json()] == ["500", "502"]
    assert httpx.get(served.facts["peer_url"]).status_code == 500
    assert control.put("/faults", json=[{"fault": "flood"}]).status_code == 400
    before = served.state.clock.now()
    after = control.post("/clock", json={"advance_seconds": 3600}).json()["now"]
    assert 3600 <= after - before < 3700
    assert control.get("/nothing").status_code == 404
    assert control.post("/clock", json={}).status_code == 400


def test_the_log_names_who_asked_but_no_token(served: Running, control: httpx.Client) -> None:
    headers = signed_in(served)
    httpx.get(f"{served.facts['api_url']}/rest/v1.0/me", headers=headers)
    httpx.get(f"{served.facts['blob_url']}/x", headers={"Range": "bytes=1-2"})
    told = lines(control.get("/log"))
    assert [(row["host"], row["path"], row["status"]) for row in told] == [
        ("login", "/oauth/token", 200), ("api", "/rest/v1.0/me", 200), ("blob", "/x", 405),
    ]  # fmt: skip
    assert [row["client"] for row in told] == [None, served.facts["client_id"], None]
    assert [row["authorization"] for row in told] == [False, True, False]
    assert told[2]["range"] == "bytes=1-2"
    assert headers["Authorization"].split()[1] not in json.dumps(told)
    assert control.delete("/log").status_code == 200
    assert served.log() == []


def test_edits_of_files_and_folders(served: Running) -> None:
    at = {"project_id": served.project["id"]}
    made = served.edit({"op": "add_file", **at, "path": ["New", "Deep", "a.txt"], "size_bytes": 10, "body": "x"})
    copy = served.edit({"op": "add_file", **at, "path": ["New", "b.txt"], "size_bytes": 10, "body": "x"})
    served.edit({"op": "add_version", "id": made["id"], "size_bytes": 20})
    served.edit({"op": "rename", "id": copy["id"], "name": "c.txt"})
    served.edit({"op": "move", "id": copy["id"], "to": ["Elsewhere"]})
    served.edit({"op": "add_folder", **at, "path": ["Secret"], "private": True})
    served.edit({"op": "add_file", **at, "path": ["Secret", "d.txt"]})
    served.edit({"op": "delete", **at, "path": ["New", "Deep"]})
    assert ("Elsewhere", "c.txt") in paths(served, kind="file", deleted=False)
    assert ("Secret", "d.txt") in paths(served, private=True)
    assert ("Recycle Bin", "Deep", "a.txt") in paths(served, deleted=True)
    rows = {(row["id"], row["version"]): row for row in served.truth()}
    assert rows[made["id"], 1]["sha256"] == rows[copy["id"], 1]["sha256"]
    assert (rows[made["id"], 1]["current"], rows[made["id"], 2]["current"]) == (False, True)
    served.edit({"op": "remove", **at, "path": ["Elsewhere"]})
    assert not any(path[0] == "Elsewhere" for path in paths(served))


def test_edits_of_rights(served: Running) -> None:
    at, url, headers = {"project_id": served.project["id"]}, f"{served.facts['api_url']}/rest/v1.0", signed_in(served)
    index = f"{url}/projects/{served.project['id']}/documents"
    served.edit({"op": "project", **at, "documents_on": False})
    assert httpx.get(index, headers=headers).status_code == 403
    served.edit({"op": "project", **at, "documents_on": True, "name": "Renamed"})
    served.edit({"op": "permission", **at, "level": 1})
    assert httpx.get(index, headers=headers).status_code == 403
    served.edit({"op": "permission", **at, "level": 4})
    assert httpx.get(index, headers=headers).status_code == 200
    served.edit({"op": "expire_tokens"})
    assert httpx.get(index, headers=headers).status_code == 401
    assert httpx.get(index, headers=signed_in(served)).status_code == 200
    held = signed_in(served)
    served.edit({"op": "revoke_tokens", "client_id": served.facts["client_id"]})
    assert httpx.get(index, headers=held).status_code == 401


def test_edits_of_locks_and_privacy(served: Running) -> None:
    at = {"project_id": served.project["id"]}
    made = served.edit({"op": "add_file", **at, "path": ["lock me.txt"]})
    url = f"{served.facts['api_url']}/rest/v1.0/files/{made['id']}"
    headers = signed_in(served)
    served.edit({"op": "lock", "id": made["id"], "seconds": 60})
    assert httpx.get(url, params=at, headers=headers).json()["checked_out_by"]["id"] == 8000001
    served.edit({"op": "lock", "id": made["id"], "seconds": 0})
    assert httpx.get(url, params=at, headers=headers).json().get("checked_out_by") is None
    served.edit({"op": "private", "id": made["id"]})
    assert httpx.get(url, params=at, headers=headers).status_code == 404


def test_edits_without_sense_are_refused(served: Running, control: httpx.Client) -> None:
    for values in ({"op": "burn"}, {"op": "rename", "id": 1, "name": "x"}, {"op": "add_file", "path": ["x"]}):
        assert control.post("/edit", json=values).status_code == 400, values
    with pytest.raises(ValueError, match="there is no op 'burn'; there are: add_file, add_folder"):
        served.edit({"op": "burn"})


def test_the_peer_host_serves_the_same_bodies_as_files(served: Running) -> None:
    base = f"{served.facts['peer_url']}/{served.project['id']}"
    page = httpx.get(f"{base}/")
    assert '<a href="01%20Contracts/">01 Contracts/</a>' in page.text
    assert "Recycle" not in page.text
    assert httpx.get(f"{base}/01%20Contracts").status_code == 301
    assert "Legal" not in httpx.get(f"{base}/01%20Contracts/").text
    true = next(row for row in served.truth() if row["path"][-1] == "Site Plan.pdf" and row["current"])
    address = base + "/" + "/".join(name.replace(" ", "%20") for name in true["path"])
    head = httpx.head(address)
    assert int(head.headers["content-length"]) == true["size_bytes"]
    assert "content-disposition" not in head.headers
    assert httpx.get(address, headers={"Range": "bytes=3-5"}).content == httpx.get(address).content[3:6]
    assert httpx.get(f"{base}/nothing.txt").status_code == 404
    assert httpx.post(address).status_code == 405
