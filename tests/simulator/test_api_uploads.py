import hashlib
import json
from typing import Any

import httpx
import pytest

from simulator.api.content import body_path, part_path
from tests.simulator.api_support import ANNA, COMPANY, PROJECT, SERVICE, Api, api

__all__ = ["api"]
UPLOADS = f"/rest/v1.1/projects/{PROJECT}/uploads"
FORMS = [
    UPLOADS,
    UPLOADS.replace("v1.1", "v1.0"),
    f"/rest/v1.1/companies/{COMPANY}/uploads",
    f"/rest/v1.0/companies/{COMPANY}/uploads",
]
FILES = "/rest/v1.0/files"
HERE = {"project_id": PROJECT}


def segment(body: bytes) -> dict[str, Any]:
    return {"size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "md5": hashlib.md5(body).hexdigest()}


def store_whole(api: Api, uuid: str, body: bytes) -> None:
    """What the blob host does with a POST."""
    body_path(api.store, uuid).write_bytes(body)
    api.store.execute("UPDATE uploads SET status = 'stored', size_bytes = ? WHERE uuid = ?", len(body), uuid)


def store_parts(api: Api, uuid: str, parts: list[bytes]) -> list[str]:
    """What the blob host does with the PUTs."""
    etags = [hashlib.md5(part).hexdigest() for part in parts]
    for number, part in enumerate(parts):
        part_path(api.store, uuid, number).write_bytes(part)
    api.store.execute("UPDATE uploads SET etags = ? WHERE uuid = ?", json.dumps(etags), uuid)
    return etags


async def attach(api: Api, uuid: str, name: str = "a.pdf", user: int = SERVICE) -> httpx.Response:
    return await api.call(
        "POST", FILES, params=HERE, json={"file": {"name": name, "upload_uuid": uuid, "unique_name": False}}, user=user
    )


@pytest.mark.parametrize("path", FORMS)
async def test_a_plain_upload_is_attached_once_by_its_maker(api: Api, path: str) -> None:
    created = await api.call(
        "POST", path, json={"response_filename": "a.pdf", "response_content_type": "application/pdf"}
    )
    upload = created.json()
    assert created.status_code == 201
    assert set(upload["fields"]) == {
        "key", "Content-Type", "Content-Disposition", "policy", "x-amz-credential", "x-amz-algorithm", "x-amz-date",
        "x-amz-signature",
    }  # fmt: skip
    assert await api.get(f"{path}/{upload['uuid']}") == upload
    assert (await attach(api, upload["uuid"])).status_code == 400  # no bytes yet
    store_whole(api, upload["uuid"], b"hello")
    assert (await attach(api, upload["uuid"], user=ANNA)).status_code == 400  # not hers
    assert (await api.call("GET", f"{path}/{upload['uuid']}", user=ANNA)).status_code == 404
    file = (await attach(api, upload["uuid"])).json()
    assert (file["size"], file["file_versions"][0]["prostore_file"]["filename"]) == (5, "a.pdf")
    row = api.store.one("SELECT * FROM versions WHERE file_id = ?", file["id"])
    assert row is not None
    assert (row["body_key"], row["sha256"]) == (f"upload:{upload['uuid']}", hashlib.sha256(b"hello").hexdigest())
    again = await attach(api, upload["uuid"], "b.pdf")
    assert (again.status_code, again.json()) == (400, {"errors": {"upload_uuid": ["has already been used"]}})


async def test_an_upload_makes_a_version_too(api: Api) -> None:
    file_id = api.file("a.pdf")
    for number, call in enumerate(("PATCH", "POST"), 2):
        uuid = (await api.call("POST", UPLOADS, json={"response_filename": "b.pdf"})).json()["uuid"]
        store_whole(api, uuid, b"x" * number)
        if call == "PATCH":
            made = await api.call("PATCH", f"{FILES}/{file_id}", params=HERE, json={"file": {"upload_uuid": uuid}})
        else:
            made = await api.call(
                "POST", "/rest/v1.0/file_versions", params={**HERE, "file_id": file_id},
                json={"file_version": {"upload_uuid": uuid, "notes": "n"}},
            )  # fmt: skip
        assert made.status_code in (200, 201)
        assert (await api.get(f"{FILES}/{file_id}", params=HERE))["size"] == number


async def test_uploads_are_thrown_away_after_a_week(api: Api) -> None:
    uuid = (await api.call("POST", UPLOADS, json={"response_filename": "a.pdf"})).json()["uuid"]
    store_whole(api, uuid, b"hello")
    api.clock.advance(7 * 86400 + 1)
    api.sign_in(SERVICE, "service-client", service_account=True)
    assert (await attach(api, uuid)).status_code == 400
    assert not body_path(api.store, uuid).exists()
    assert (await api.call("GET", f"{UPLOADS}/{uuid}")).status_code == 404


async def test_a_segmented_upload(api: Api) -> None:
    parts = [b"a" * 5_000_000, b"b" * 5_000_000, b"tail"]
    body = {"response_filename": "big.bin", "size": 10_000_004, "segments": [segment(part) for part in parts]}
    upload = (await api.call("POST", UPLOADS, json=body)).json()
    assert upload["status"] == "ready"
    assert upload["segments"][2]["headers"]["content-length"] == "4"
    assert upload["segments"][0]["headers"]["x-amz-content-sha256"] == segment(parts[0])["sha256"]
    path = f"{UPLOADS}/{upload['uuid']}"
    assert (await api.call("PATCH", path, json={"segments": [{"etag": "x"}] * 3})).status_code == 422  # no bytes yet
    etags = store_parts(api, upload["uuid"], parts)
    for wrong in ([etags[1], etags[0], etags[2]], etags[:2], ["x", *etags[1:]], []):
        answer = await api.call("PATCH", path, json={"segments": [{"etag": etag} for etag in wrong]})
        assert answer.status_code == 422, wrong
    assert (await attach(api, upload["uuid"])).status_code == 400  # not complete
    done = await api.call("PATCH", path, json={"segments": [{"etag": f'"{etag}"'} for etag in etags]})
    assert (done.status_code, done.json()["status"]) == (200, "complete")
    assert (await api.call("PATCH", path, json={"segments": []}, user=ANNA)).status_code == 403
    file = (await attach(api, upload["uuid"], "big.bin")).json()
    assert file["size"] == 10_000_004
    assert body_path(api.store, upload["uuid"]).read_bytes() == b"".join(parts)


async def test_small_segments_are_refused_at_completion(api: Api) -> None:
    parts = [b"a" * 1000, b"b"]
    body = {"response_filename": "big.bin", "segments": [segment(part) for part in parts]}
    uuid = (await api.call("POST", UPLOADS, json=body)).json()["uuid"]
    etags = store_parts(api, uuid, parts)
    answer = await api.call("PATCH", f"{UPLOADS}/{uuid}", json={"segments": [{"etag": etag} for etag in etags]})
    assert answer.status_code == 422


async def test_an_expired_segmented_upload_is_gone(api: Api) -> None:
    body = {"response_filename": "big.bin", "segments": [segment(b"x")]}
    uuid = (await api.call("POST", UPLOADS, json=body)).json()["uuid"]
    api.clock.advance(7 * 86400 + 1)
    api.sign_in(SERVICE, "service-client", service_account=True)
    assert (await api.call("PATCH", f"{UPLOADS}/{uuid}", json={"segments": [{"etag": "x"}]})).status_code == 410
    assert (await api.call("PATCH", f"{UPLOADS}/01NEVER", json={"segments": []})).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {}, {"response_filename": " "}, {"response_filename": "a", "size": "big"},
        {"response_filename": "a", "segments": []}, {"response_filename": "a", "segments": [{"size": 1}]},
        {"response_filename": "a", "segments": [{"size": 0, "sha256": "0" * 64}]},
        {"response_filename": "a", "segments": [{"size": 5 * 1024**3 + 1, "sha256": "0" * 64}]},
        {"response_filename": "a", "segments": [{"size": 1, "sha256": "0" * 64, "md5": "zz"}]},
        {"response_filename": "a", "size": 2, "segments": [{"size": 1, "sha256": "0" * 64}]},
    ],
)  # fmt: skip
async def test_uploads_that_cannot_be_made(api: Api, body: dict[str, Any]) -> None:
    assert (await api.call("POST", UPLOADS, json=body, checked=False)).status_code == 400


async def test_version_1_0_needs_no_name(api: Api) -> None:
    assert (await api.call("POST", UPLOADS.replace("v1.1", "v1.0"), json={})).status_code == 201
