"""The examples of Egnyte's documentation, and what clients of it rely on, against the stand-in."""

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from simulator.clouds import egnyte
from simulator.clouds.base import Cloud

AT = datetime(2012, 8, 26, 3, 55, 29, tzinfo=UTC)
AT_TEXT = "Sun, 26 Aug 2012 03:55:29 GMT"
ROOT = "/Shared/Projects"


class Http:
    """Calls of one user."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.http = httpx.Client(base_url=cloud.url, trust_env=False)
        given = cloud.credentials
        token = self.token(grant_type="password", username=given["username"], password=given["password"],
                           scope="Egnyte.filesystem")  # fmt: skip
        self.http.headers["authorization"] = f"Bearer {token.json()['access_token']}"

    def token(self, **fields: str) -> httpx.Response:
        given = self.cloud.credentials
        known = {"client_id": given["client_id"], "client_secret": given["client_secret"]}
        return self.http.post("/puboauth/token", data={**known, **fields})

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(f"/pubapi/v1/fs{path}", params=query)

    def act(self, path: str, action: str, **body: Any) -> httpx.Response:
        return self.http.post(f"/pubapi/v1/fs{path}", json={"action": action, **body})

    def send(self, path: str, content: bytes, **headers: str) -> httpx.Response:
        given = {"content-type": "application/octet-stream", **headers}
        return self.http.post(f"/pubapi/v1/fs-content{path}", content=content, headers=given)

    def chunk(self, path: str, content: bytes, number: int, upload: str | None, **more: str) -> httpx.Response:
        headers = {"x-egnyte-chunk-num": str(number), "x-egnyte-chunk-sha512-checksum": sha512(content), **more}
        if upload is not None:
            headers["x-egnyte-upload-id"] = upload
        return self.http.post(f"/pubapi/v1/fs-content-chunked{path}", content=content, headers=headers)

    def fetch(self, path: str, **more: Any) -> httpx.Response:
        return self.http.get(f"/pubapi/v1/fs-content{path}", **more)


def sha512(content: bytes) -> str:
    return hashlib.sha512(content).hexdigest()


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with egnyte.running(chunk_bytes_min=10) as running:
        yield running


@pytest.fixture
def http(cloud: Cloud) -> Iterator[Http]:
    calls = Http(cloud)
    with contextlib.closing(calls.http):
        yield calls


def test_every_way_to_sign_in(cloud: Cloud, http: Http) -> None:
    me = http.http.get("/pubapi/v1/userinfo").json()
    assert (me["id"], me["username"]) == (121, cloud.credentials["username"])
    renewed = http.token(grant_type="refresh_token", refresh_token=cloud.credentials["refresh_token"])
    assert (renewed.json()["token_type"], renewed.json()["expires_in"]) == ("bearer", 2_592_000)
    again = http.token(grant_type="refresh_token", refresh_token=cloud.credentials["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    query = {"client_id": cloud.credentials["client_id"], "redirect_uri": "http://localhost/back", "state": "s",
             "response_type": "code", "scope": "Egnyte.filesystem"}  # fmt: skip
    back = http.http.get("/puboauth/token", params=query).headers["location"]
    code = httpx.URL(back).params["code"]
    fields = {"grant_type": "authorization_code", "redirect_uri": query["redirect_uri"], "code": code}
    assert http.token(**fields).status_code == 200
    assert http.token(**fields).status_code == 400
    cloud.expire_tokens()
    denied = http.get(ROOT)
    assert (denied.status_code, denied.headers["content-type"]) == (401, "text/html; charset=utf-8")
    cloud.settings(token_requests_per_hour=1)
    slow = http.token(grant_type="password")
    assert (slow.status_code, int(slow.headers["retry-after"]) > 0) == (409, True)


def test_a_file_comes_back_as_it_was_sent_with_its_time_and_checksum(cloud: Cloud, http: Http) -> None:
    content, path = b"hello egnyte", f"{ROOT}/example%20$file&co.txt"
    headers = {"x-sha512-checksum": sha512(content), "last-modified": AT_TEXT}
    sent = http.send(path, content, **headers)
    assert (sent.status_code, set(sent.json())) == (200, {"checksum", "group_id", "entry_id"})
    assert (sent.headers["x-sha512-checksum"], sent.headers["etag"]) == (sha512(content), sent.json()["entry_id"])
    details = http.get(path).json()
    assert (details["name"], details["size"], details["checksum"]) == (
        "example $file&co.txt", len(content), sha512(content),
    )  # fmt: skip
    assert (details["last_modified"], details["is_folder"], details["num_versions"]) == (AT_TEXT, False, 1)
    assert details["uploaded"] > 1_700_000_000_000
    assert "versions" not in details
    whole = http.fetch(path)
    assert (whole.content, whole.headers["last-modified"]) == (content, AT_TEXT)
    part = http.fetch(path, headers={"range": "bytes=6-11"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"egnyte", "bytes 6-11/12")
    assert http.fetch(f"/ids/file/{details['group_id']}").content == content
    assert cloud.content(("example $file&co.txt",)) == content


def test_an_upload_over_a_file_is_a_new_version_whatever_the_case_of_its_name(cloud: Cloud, http: Http) -> None:
    first = http.send(f"{ROOT}/A.txt", b"one").json()
    form = {"file": ("ignored.txt", b"two")}
    second = http.http.post(f"/pubapi/v1/fs-content{ROOT}/a.TXT", files=form).json()
    assert second["group_id"] == first["group_id"]
    details = http.get(f"{ROOT}/a.txt").json()
    assert (details["name"], details["num_versions"], details["entry_id"]) == ("A.txt", 2, second["entry_id"])
    assert [version["entry_id"] for version in details["versions"]] == [first["entry_id"]]
    assert http.fetch(f"{ROOT}/A.txt", params={"entry_id": first["entry_id"]}).content == b"one"
    assert http.http.delete(f"/pubapi/v1/fs{ROOT}/A.txt", params={"entry_id": first["entry_id"]}).status_code == 200
    assert "versions" not in http.get(f"{ROOT}/A.txt").json()
    third = http.http.post(f"/pubapi/v1/fs-content/ids/file/{first['group_id']}", content=b"three").json()
    assert (third["group_id"], cloud.content(("A.txt",))) == (first["group_id"], b"three")


def test_folders_are_listed_in_pages(cloud: Cloud, http: Http) -> None:
    for number in range(5):
        cloud.plant((f"f{number}.txt",), b"x" * number, AT)
    cloud.plant_folder(("Z",))
    page = http.get(ROOT, list_content="true", count=2, offset=0).json()
    assert (page["total_count"], page["count"], page["offset"]) == (6, 2, 0)
    assert ([folder["name"] for folder in page["folders"]], [file["name"] for file in page["files"]]) == (
        ["Z"], ["f0.txt"],
    )  # fmt: skip
    assert isinstance(page["folders"][0]["lastModified"], int)
    assert page["files"][0]["last_modified"] == AT_TEXT
    rest = http.get(ROOT, count=4, offset=2).json()
    assert ("folders" in rest, len(rest["files"])) == (False, 4)
    largest = http.get(ROOT, sort_by="size", sort_direction="descending").json()["files"][0]
    assert largest["name"] == "f4.txt"
    alone = http.get(ROOT, list_content="false").json()
    assert ("files" in alone, alone["is_folder"]) == (False, True)
    assert http.get(f"/ids/folder/{alone['folder_id']}").json()["path"] == ROOT
    for query in ({"count": 1001}, {"count": "x"}, {"sort_by": "colour"}, {"page": 1}):
        assert http.get(ROOT, **query).status_code == 400, query
    missing = http.get(f"{ROOT}/nothing")
    assert (missing.status_code, missing.json()["errorMessage"]) == (404, "Item does not exist")


def test_folders_are_made_moved_copied_and_deleted(cloud: Cloud, http: Http) -> None:
    made = http.act(f"{ROOT}/New", "add_folder")
    assert (made.status_code, bool(made.json()["folder_id"])) == (201, True)
    again = http.act(f"{ROOT}/NEW", "add_folder")
    assert (again.status_code, again.json()["errorMessage"]) == (403, "Folder already exists at this location")
    assert http.act(f"{ROOT}/No/Parent", "add_folder").status_code == 404
    http.send(f"{ROOT}/New/a.txt", b"1")
    assert http.act(f"{ROOT}/New/a.txt", "move", destination=f"{ROOT}/b.txt").status_code == 200
    assert http.act(f"{ROOT}/b.txt", "copy", destination=f"{ROOT}/New/c.txt").status_code == 200
    assert http.act(f"{ROOT}/b.txt", "copy", destination=f"{ROOT}/New/C.TXT").status_code == 409
    assert http.act(f"{ROOT}/b.txt", "move", destination=f"{ROOT}/B.txt").status_code == 200  # only the case
    assert http.act(f"{ROOT}/New", "move", destination=f"{ROOT}/New/In").status_code == 403
    assert http.act(f"{ROOT}/B.txt", "move", destination=f"{ROOT}/x", new_name="y").status_code == 400
    assert cloud.everything() == {("B.txt",), ("New", "c.txt")}
    assert http.http.delete(f"/pubapi/v1/fs{ROOT}/New").status_code == 200
    assert (cloud.everything(), cloud.trash()) == ({("B.txt",)}, [("New",)])


def test_where_nothing_may_be_put(cloud: Cloud, http: Http) -> None:
    assert http.send("/Shared/a.txt", b"1").status_code == 403
    assert http.send("/Private/a.txt", b"1").status_code == 403
    assert http.act("/Elsewhere", "add_folder").status_code == 403
    assert http.act("/Shared", "move", destination="/Shared/Projects/x").status_code == 403
    assert http.send(f"{ROOT}/no/folder/a.txt", b"1").status_code == 404
    cloud.settings(creates_parents=True)
    assert http.send(f"{ROOT}/no/folder/a.txt", b"1").status_code == 200
    cloud.settings(quota_bytes=1)
    assert http.send(f"{ROOT}/b.txt", b"1").json()["errorMessage"] == "Storage quota exceeded"
    cloud.settings(quota_bytes=None, read_only=True)
    assert http.send(f"{ROOT}/b.txt", b"1").status_code == 403
    cloud.settings(read_only=False, direct_upload_bytes_max=3)
    assert http.send(f"{ROOT}/b.txt", b"1234").status_code == 413
    assert http.send(f"{ROOT}/b.txt", b"1", **{"x-sha512-checksum": "0"}).status_code == 400
    assert http.send(f"{ROOT}/b.txt", b"1", **{"last-modified": "yesterday"}).status_code == 400
    assert cloud.everything() == {("no", "folder", "a.txt")}


def test_names_that_egnyte_does_not_take(http: Http) -> None:
    for name in ("a%3Ab", "a%22", "a%7C", "a%2A", "a%3F", "a%3C", "a%5C", "a.", "a ", "%20a", "a%07", "x.tmp", "a~",
                 "._a", ".~a", "Desktop.ini", ".DS_Store", "~$plan.docx", "aau38221", "%F0%9F%8F%97.txt",
                 "n" * 246, "%C3%A4" * 123):  # fmt: skip
        assert http.send(f"{ROOT}/{name}", b"x").status_code == 400, name
    assert http.act(f"{ROOT}/.data", "add_folder").status_code == 400
    assert http.send(f"{ROOT}/.data", b"x").status_code == 200
    assert http.send(f"{ROOT}/{'n' * 245}", b"x").status_code == 200
    assert http.get("/" + "n" * 5001).status_code == 400


def test_a_large_file_goes_up_in_chunks(cloud: Cloud, http: Http) -> None:
    path, chunks = f"{ROOT}/big.bin", [b"a" * 16, b"b" * 16, b"c" * 3]
    first = http.chunk(path, chunks[0], 1, None)
    upload = first.headers["x-egnyte-upload-id"]
    assert (first.content, first.headers["x-egnyte-chunk-num"], cloud.unfinished()) == (b"", "1", 1)
    assert first.headers["x-egnyte-chunk-sha512-checksum"] == sha512(chunks[0])
    last = {"x-egnyte-last-chunk": "true", "last-modified": AT_TEXT}
    assert http.chunk(path, chunks[2], 3, upload, **last).status_code == 400  # the second is missing
    assert http.chunk(path, b"b" * 15, 2, upload).status_code == 400
    assert http.chunk(path, chunks[1], 2, "unknown").status_code == 400
    assert http.chunk(f"{ROOT}/other.bin", chunks[1], 2, upload).status_code == 400
    wrong = http.chunk(path, chunks[1], 2, upload, **{"x-egnyte-chunk-sha512-checksum": "00"})
    assert wrong.status_code == 400
    assert [http.chunk(path, chunks[1], 2, upload).status_code for _ in range(2)] == [200, 200]
    plain = sha512(b"".join(chunks))
    assert http.chunk(path, chunks[2], 3, upload, **last, **{"x-sha512-checksum": plain}).status_code == 400
    whole = f"2-3-16-{sha512(''.join(map(sha512, chunks)).encode())}"
    done = http.chunk(path, chunks[2], 3, upload, **last, **{"x-sha512-checksum": whole})
    assert (done.status_code, done.json()["checksum"]) == (200, whole)
    details = http.get(path).json()
    assert (details["checksum"], details["size"], details["last_modified"]) == (whole, 35, AT_TEXT)
    assert (cloud.content(("big.bin",)), cloud.unfinished()) == (b"".join(chunks), 0)
    assert http.chunk(path, chunks[2], 3, upload, **last).status_code == 400
    late = http.chunk(path, chunks[0], 1, None).headers["x-egnyte-upload-id"]
    cloud.advance(86_401)
    assert (http.chunk(path, chunks[1], 2, late).status_code, cloud.unfinished()) == (400, 0)


def test_locks(cloud: Cloud, http: Http) -> None:
    http.send(f"{ROOT}/a.txt", b"1")
    lock = http.act(f"{ROOT}/a.txt", "lock").json()
    assert lock["timeout"] == 3600
    assert http.get(f"{ROOT}/a.txt", include_locks="true").json()["lock_info"]["owner_id"] == 121
    assert http.act(f"{ROOT}/a.txt", "unlock", lock_token="foo").status_code == 404
    assert http.act(f"{ROOT}/a.txt", "unlock", lock_token=lock["lock_token"]).status_code == 200
    cloud.do(lambda: cloud.service.lock(("a.txt",)))
    for refused in (http.send(f"{ROOT}/a.txt", b"2"), http.http.delete(f"/pubapi/v1/fs{ROOT}/a.txt")):
        assert refused.json()["errorMessage"] == "File is locked by another user"


def test_the_trash_gives_back_what_was_deleted(cloud: Cloud, http: Http) -> None:
    cloud.plant(("In", "a.txt"), b"1", AT)
    group = http.get(f"{ROOT}/In/a.txt").json()["group_id"]
    http.http.delete(f"/pubapi/v1/fs{ROOT}/In")
    listed = http.http.get("/pubapi/v1/fs/trash").json()
    assert [(gone["type"], gone["path"]) for gone in listed["items"]] == [("folder", f"{ROOT}/In")]
    assert http.http.get("/pubapi/v2/fs/trash/totalcount").json() == {"totalCount": 1}
    ids = [listed["items"][0]["id"]]
    assert http.http.post("/pubapi/v1/fs/trash", json={"action": "RESTORE", "ids": ids}).status_code == 200
    assert http.get(f"{ROOT}/In/a.txt").json()["group_id"] == group
    http.http.delete(f"/pubapi/v1/fs{ROOT}/In")
    http.act(f"{ROOT}/In", "add_folder")
    gone = http.http.get("/pubapi/v2/fs/trash").json()["items"][0]["id"]
    partly = http.http.post("/pubapi/v1/fs/trash", json={"action": "RESTORE", "ids": [gone, "unknown"]})
    assert (partly.status_code, [outcome["code"] for outcome in partly.json()["resources"]]) == (207, ["409", "404"])
    assert http.http.post("/pubapi/v1/fs/trash", json={"action": "PURGE", "ids": [gone]}).status_code == 200
    assert cloud.trash() == []


def test_events_tell_what_came_after_a_cursor(cloud: Cloud, http: Http) -> None:
    start = http.http.get("/pubapi/v1/events/cursor").json()["latest_event_id"]

    def after(cursor: int, **query: Any) -> httpx.Response:
        return http.http.get("/pubapi/v1/events", params={"id": cursor, **query})

    assert after(start).status_code == 204
    cloud.plant(("outside.txt",), b"1", AT)
    http.act(f"{ROOT}/In", "add_folder")
    http.send(f"{ROOT}/In/a.txt", b"1")
    http.act(f"{ROOT}/In/a.txt", "move", destination=f"{ROOT}/b.txt")
    http.http.delete(f"/pubapi/v1/fs{ROOT}/b.txt")
    page = after(start, folder=ROOT).json()
    assert [(event["action"], event["data"]["target_path"]) for event in page["events"]] == [
        ("create", f"{ROOT}/outside.txt"), ("create", f"{ROOT}/In"), ("create", f"{ROOT}/In/a.txt"),
        ("move", f"{ROOT}/b.txt"), ("delete", f"{ROOT}/b.txt"),
    ]  # fmt: skip
    assert (page["latest_id"], page["count"]) == (start + 5, 5)
    assert page["events"][3]["data"]["source_path"] == f"{ROOT}/In/a.txt"
    others = after(start, suppress="app").json()["events"]
    assert [event["data"]["target_path"] for event in others] == [f"{ROOT}/outside.txt"]
    assert len(http.http.get("/pubapi/v2/events", params={"id": start, "count": 2}).json()["events"]) == 2
    cloud.settings(events_kept=2)
    assert after(start).status_code == 404


def test_the_limits_of_a_token(cloud: Cloud, http: Http) -> None:
    shown = http.get(ROOT).headers
    assert shown["x-accesstoken-qps-allotted"] == "1000000"
    cloud.settings(calls_per_day=2)
    assert http.get(ROOT).headers["x-accesstoken-quota-current"] == "2"
    over = http.get(ROOT)
    assert (over.status_code, over.headers["x-mashery-error-code"]) == (403, "ERR_403_DEVELOPER_OVER_RATE")
    assert int(over.headers["retry-after"]) >= 1
    cloud.settings(throttle_status=429)
    assert http.get(ROOT).status_code == 429
    cloud.settings(calls_per_day=1000, calls_per_second=0, throttle_status=403)
    fast = http.get(ROOT)
    assert (fast.headers["x-mashery-error-code"], fast.headers["retry-after"]) == ("ERR_403_DEVELOPER_OVER_QPS", "1")


def test_scripted_faults_in_egnytes_words(cloud: Cloud, http: Http) -> None:
    cloud.faults([{"route": "/fs/", "fault": "429", "retry_after": 7, "nth": 1},
                  {"route": "/fs/", "fault": "quota", "nth": 2}, {"route": "/fs/", "fault": "503", "nth": 3},
                  {"route": "fs-content", "fault": "lost-response", "nth": 1}])  # fmt: skip
    slow = http.get(ROOT)
    assert (slow.status_code, slow.headers["retry-after"]) == (403, "7")
    assert http.get(ROOT).json()["errorMessage"] == "Storage quota exceeded"
    assert http.get(ROOT).status_code == 503
    with pytest.raises(httpx.TransportError):
        http.send(f"{ROOT}/a.txt", b"1", **{"last-modified": formatdate(0, usegmt=True)})
    assert cloud.everything() == {("a.txt",)}
    assert http.http.get("/pubapi/v1/nothing").status_code == 596
    assert http.http.put(f"/pubapi/v1/fs{ROOT}").status_code == 405
