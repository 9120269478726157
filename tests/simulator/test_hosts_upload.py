import base64
import hashlib
from typing import Any

import httpx
import pytest

from simulator.server import Running
from tests.servers import ProcoreSimulators, signed_in

MB = 1_000_000


@pytest.fixture(scope="module")
def served(shared_procore_simulator: ProcoreSimulators) -> Running:
    return shared_procore_simulator(5, projects=1)


@pytest.fixture
def api(served: Running) -> httpx.Client:
    return httpx.Client(
        base_url=served.facts["api_url"], headers=signed_in(served), params={"project_id": served.project["id"]}
    )


def create(served: Running, api: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = api.post(
        f"/rest/v1.1/projects/{served.project['id']}/uploads", json={"response_filename": "new.pdf", **body}
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def send(upload: dict[str, Any], body: bytes, **changes: str) -> httpx.Response:
    fields = {**upload["fields"], **changes}
    return httpx.post(upload["url"], data=fields, files={"file": ("new.pdf", body)})


def attach(api: httpx.Client, uuid: str, name: str) -> httpx.Response:
    return api.post("/rest/v1.0/files", json={"file": {"name": name, "upload_uuid": uuid}})


def downloaded(api: httpx.Client, file: dict[str, Any]) -> bytes:
    headers = {"Authorization": api.headers["Authorization"]}
    location = httpx.get(file["file_versions"][0]["url"], headers=headers).headers["location"]
    return httpx.get(location).content


def test_an_uploaded_file_comes_back_as_it_was(served: Running, api: httpx.Client) -> None:
    body = bytes(range(256)) * 8000
    upload = create(served, api)
    answer = send(upload, body)
    assert (answer.status_code, answer.content) == (204, b"")
    made = attach(api, upload["uuid"], "comes back.pdf")
    assert made.status_code == 201
    assert downloaded(api, made.json()) == body
    true = next(row for row in served.truth() if row["path"] == ["comes back.pdf"])
    assert true["sha256"] == hashlib.sha256(body).hexdigest()
    assert true["size_bytes"] == len(body)


def test_an_empty_file_can_be_uploaded(served: Running, api: httpx.Client) -> None:
    upload = create(served, api)
    assert send(upload, b"").status_code == 204
    assert downloaded(api, attach(api, upload["uuid"], "empty.pdf").json()) == b""


def test_the_policy_is_checked(served: Running, api: httpx.Client) -> None:
    upload = create(served, api)
    assert send(upload, b"x", **{"Content-Type": "text/html"}).status_code == 403
    assert send(upload, b"x", **{"x-amz-signature": "0" * 40}).status_code == 403
    assert send(upload, b"x", **{"key": "uploads/elsewhere"}).status_code == 403
    fewer = {name: value for name, value in upload["fields"].items() if name != "policy"}
    assert httpx.post(upload["url"], data=fewer, files={"file": b"x"}).status_code == 403
    before = {"file": ("new.pdf", b"x"), **{name: (None, value) for name, value in upload["fields"].items()}}
    assert httpx.post(upload["url"], files=before).status_code == 400
    assert httpx.post(upload["url"], content=b"nonsense").status_code == 400
    assert attach(api, upload["uuid"], "never sent.pdf").status_code == 400


def test_a_bearer_token_is_refused_and_an_hour_is_too_late(served: Running, api: httpx.Client) -> None:
    upload = create(served, api)
    headers = {"Authorization": api.headers["Authorization"]}
    refused = httpx.post(upload["url"], data=upload["fields"], files={"file": b"x"}, headers=headers)
    assert (refused.status_code, "InvalidArgument" in refused.text) == (400, True)
    served.advance(3601)
    late = send(upload, b"x")
    assert (late.status_code, "Policy expired" in late.text) == (403, True)


def segments_of(bodies: list[bytes]) -> list[dict[str, Any]]:
    return [
        {"size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "md5": hashlib.md5(body).hexdigest()}
        for body in bodies
    ]


def put(segment: dict[str, Any], body: bytes, **changes: str) -> httpx.Response:
    return httpx.put(segment["url"], content=body, headers={**segment["headers"], **changes})


def test_segments_are_put_together_in_order(served: Running, api: httpx.Client) -> None:
    bodies = [b"a" * (5 * MB), b"b" * (5 * MB), b"c" * 10]
    upload = create(served, api, segments=segments_of(bodies))
    answers = [put(segment, body) for segment, body in zip(upload["segments"], bodies, strict=True)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    etags = [answer.headers["etag"] for answer in answers]
    assert etags == [f'"{hashlib.md5(body).hexdigest()}"' for body in bodies]
    address = f"/rest/v1.1/projects/{served.project['id']}/uploads/{upload['uuid']}"
    wrong = api.patch(address, json={"segments": [{"etag": etag} for etag in reversed(etags)]})
    assert wrong.status_code == 422
    done = api.patch(address, json={"segments": [{"etag": etag} for etag in etags]})
    assert done.json()["status"] == "complete"
    assert downloaded(api, attach(api, upload["uuid"], "segments.pdf").json()) == b"".join(bodies)


def test_a_segment_has_to_be_what_was_announced(served: Running, api: httpx.Client) -> None:
    body = b"z" * 2000
    upload = create(served, api, segments=segments_of([body]))
    segment = upload["segments"][0]
    other = hashlib.sha256(b"other").hexdigest()
    assert put(segment, body, **{"x-amz-content-sha256": other}).status_code == 403
    assert put(segment, b"y" * 2000).status_code == 400
    assert put(segment, body, **{"content-md5": base64.b64encode(b"0" * 16).decode()}).status_code == 403
    assert put({**segment, "url": segment["url"].replace("partNumber=1", "partNumber=2")}, body).status_code == 403
    assert put(segment, body, Authorization=api.headers["Authorization"]).status_code == 400
    assert put(segment, body).status_code == 200
    served.advance(3601)
    assert put(segment, body).status_code == 403


def test_a_lost_answer_to_a_create_leaves_a_file(served: Running, api: httpx.Client) -> None:
    upload = create(served, api)
    send(upload, b"once")
    served.faults([{"method": "POST", "route": "/rest/v1.0/files$", "fault": "lost-response", "count": 1}])
    with pytest.raises(httpx.TransportError):
        attach(api, upload["uuid"], "ambiguous.pdf")
    assert attach(api, upload["uuid"], "ambiguous.pdf").status_code == 400
    assert [row["path"] for row in served.truth() if row["path"] == ["ambiguous.pdf"]] == [["ambiguous.pdf"]]


def test_a_lost_answer_to_an_upload_leaves_it_stored(served: Running, api: httpx.Client) -> None:
    upload = create(served, api)
    served.faults([{"host": "blob", "method": "POST", "fault": "lost-response", "count": 1}])
    with pytest.raises(httpx.TransportError):
        send(upload, b"stored")
    assert attach(api, upload["uuid"], "stored all the same.pdf").status_code == 201
