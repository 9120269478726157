"""Google's own client, unchanged, and plain HTTP against the stand-in; its answers held against the description."""

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_auth_httplib2  # type: ignore[import-untyped]
import google_crc32c
import googleapiclient.discovery  # type: ignore[import-untyped]
import httplib2  # type: ignore[import-untyped]
import httpx
import pytest
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError  # type: ignore[import-untyped]
from googleapiclient.http import MediaInMemoryUpload, MediaIoBaseUpload  # type: ignore[import-untyped]

from tests.servers import gcs
from tests.servers.gcs import Gcs

DESCRIPTION = json.loads(
    (Path(googleapiclient.discovery.__file__).parent / "discovery_cache/documents/storage.v1.json").read_text("utf-8")
)
WRITE = "https://www.googleapis.com/auth/devstorage.read_write"
READ = "https://www.googleapis.com/auth/devstorage.read_only"
PIECE = 256 * 1024
BIG = bytes(range(256)) * 4096


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Gcs]:
    with gcs.running(tmp_path) as running:
        yield running


def signed_in(server: Gcs, key_file: Path | None = None, scope: str = WRITE) -> Any:
    return service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
        str(key_file or server.key_file), scopes=[scope]
    )


def http(server: Gcs, key_file: Path | None = None, scope: str = WRITE) -> httpx.Client:
    credentials = signed_in(server, key_file, scope)
    credentials.refresh(Request())
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {credentials.token}"})


def objects(server: Gcs, key_file: Path | None = None) -> Any:
    plain = httplib2.Http()
    plain.redirect_codes = plain.redirect_codes - {308}  # as Google's client has it when it makes its own
    transport = google_auth_httplib2.AuthorizedHttp(signed_in(server, key_file), plain)
    document = {**DESCRIPTION, "rootUrl": f"{server.url}/", "baseUrl": f"{server.url}/storage/v1/"}
    return build_from_document(document, http=transport).objects()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def test_googles_client_writes_reads_lists_changes_and_deletes(server: Gcs) -> None:
    api, where = objects(server), {"bucket": server.bucket}
    body = {"name": "a/b c.txt", "metadata": {"mtime": "1"}, "customTime": "2024-01-02T03:04:05.678Z"}
    made = api.insert(**where, body=body, media_body=MediaInMemoryUpload(b"hello", "text/plain")).execute()
    assert set(made) <= set(DESCRIPTION["schemas"]["Object"]["properties"])
    assert made["md5Hash"] == base64.b64encode(hashlib.md5(b"hello").digest()).decode()
    assert made["crc32c"] == base64.b64encode(google_crc32c.value(b"hello").to_bytes(4, "big")).decode()
    assert server.files.content(("a", "b c.txt")) == b"hello" == api.get_media(**where, object="a/b c.txt").execute()
    media = MediaIoBaseUpload(io.BytesIO(BIG), "application/pdf", chunksize=PIECE, resumable=True)
    big = api.insert(**where, name="big", media_body=media).execute()
    assert int(big["size"]) == len(BIG) and server.files.content(("big",)) == BIG
    found = api.list(**where, delimiter="/").execute()
    assert ([one["name"] for one in found["items"]], found["prefixes"]) == (["big"], ["a/"])
    patched = api.patch(**where, object="a/b c.txt", body={"metadata": {"x": "y", "mtime": None}}).execute()
    assert (patched["metadata"], patched["metageneration"]) == ({"x": "y"}, "2")
    copy = {"sourceBucket": server.bucket, "sourceObject": "big", "destinationBucket": server.versioned_bucket}
    assert api.rewrite(**copy, destinationObject="copy", body={}).execute()["done"] is True
    whole = {"sourceObjects": [{"name": "big"}, {"name": "a/b c.txt"}]}
    composed = api.compose(destinationBucket=server.bucket, destinationObject="whole", body=whole).execute()
    assert "md5Hash" not in composed and server.files.content(("whole",)) == BIG + b"hello"
    api.delete(**where, object="big").execute()
    with pytest.raises(HttpError, match="No such object"):
        api.get(**where, object="big").execute()
    assert server.files.everything() == {("a", "b c.txt"), ("whole",)}


def test_preconditions_hold_for_every_kind_of_upload(server: Gcs) -> None:
    server.files.plant(("there",), b"old")
    facts = server.files.facts(("there",))
    assert facts is not None
    with http(server) as client:
        up = f"/upload/storage/v1/b/{server.bucket}/o"
        for wanted, expected in (("0", 412), ("17", 412), (facts["generation"], 200)):
            asked = {"uploadType": "media", "name": "there", "ifGenerationMatch": wanted}
            assert client.post(up, params=asked, content=b"new").status_code == expected
        begun = client.post(up, params={"uploadType": "resumable", "name": "late", "ifGenerationMatch": "0"}, json={})
        server.files.plant(("late",), b"another's")
        assert code(client.put(begun.headers["location"], content=b"mine")) == (412, "conditionNotMet")
        assert server.files.content(("late",)) == b"another's"
        path = f"/storage/v1/b/{server.bucket}/o/there"
        assert client.delete(path, params={"ifGenerationMatch": facts["generation"]}).status_code == 412
        now = client.get(path).json()["generation"]
        assert client.get(path, params={"ifGenerationNotMatch": now}).status_code == 304
        assert client.patch(path, params={"ifMetagenerationMatch": "9"}, json={}).status_code == 412
        wrong = {"name": "sum", "md5Hash": base64.b64encode(bytes(16)).decode()}
        begun = client.post(up, params={"uploadType": "resumable"}, json=wrong)
        assert client.put(begun.headers["location"], content=b"mine").status_code == 400
        assert server.files.content(("sum",)) is None


def test_a_resumable_upload_goes_on_where_it_was(server: Gcs) -> None:
    with http(server) as client:
        up = f"/upload/storage/v1/b/{server.bucket}/o"
        begun = client.post(up, params={"uploadType": "resumable"}, json={"name": "big"}).headers["location"]
        asked = {"Content-Range": "bytes */*"}
        nothing = httpx.put(begun, headers=asked)
        assert nothing.status_code == 308 and "range" not in nothing.headers
        odd = httpx.put(begun, content=BIG[:1000], headers={"Content-Range": "bytes 0-999/*"})
        assert odd.status_code == 400
        piece = {"Content-Range": f"bytes 0-{PIECE + 99}/*"}
        assert httpx.put(begun, content=BIG[: PIECE + 100], headers=piece).headers["range"] == f"bytes=0-{PIECE - 1}"

        def cut() -> Iterator[bytes]:
            yield BIG[PIECE : 2 * PIECE + 5]
            raise RuntimeError

        with pytest.raises(RuntimeError):
            httpx.put(begun, content=cut(), headers={"Content-Range": f"bytes {PIECE}-{len(BIG) - 1}/{len(BIG)}"})
        assert server.files.unfinished() == [("big",)] and server.files.everything() == set()
        status = httpx.put(begun, headers=asked)
        assert status.headers["range"] == f"bytes=0-{2 * PIECE - 1}"
        rest = {"Content-Range": f"bytes {2 * PIECE}-{len(BIG) - 1}/{len(BIG)}"}
        done = httpx.put(begun, content=BIG[2 * PIECE :], headers=rest)
        assert done.status_code == 200 and server.files.content(("big",)) == BIG
        assert httpx.put(begun, headers=asked).json()["generation"] == done.json()["generation"]
        given_up = client.post(up, params={"uploadType": "resumable", "name": "no"}, json={}).headers["location"]
        assert httpx.delete(given_up).status_code == 499 and httpx.put(given_up, headers=asked).status_code == 404
        old = client.post(up, params={"uploadType": "resumable", "name": "no"}, json={}).headers["location"]
        server.cloud.advance(8 * 86_400)
        assert httpx.put(old, headers=asked).status_code == 410 and server.files.unfinished() == []


@pytest.mark.parametrize("short", [False, True])
def test_pages_give_everything_once_in_order(server: Gcs, short: bool) -> None:
    server.cloud.settings(short_pages=short)
    for name in ("a", "a/b", "a/c/d", "a/c/e", "a0", "b/", "b/x", "ä"):
        server.cloud.put(server.bucket, name, b"")
    with http(server, server.readonly_key_file, READ) as client:

        def listed(**asked: str) -> list[str]:
            found: list[str] = []
            token: str | None = ""
            while token is not None:
                more = {**asked, "maxResults": "2", **({"pageToken": token} if token else {})}
                page = client.get(f"/storage/v1/b/{server.bucket}/o", params=more).json()
                found += sorted([*(one["name"] for one in page.get("items", [])), *page.get("prefixes", [])])
                token = page.get("nextPageToken")
            return found

        assert listed() == ["a", "a/b", "a/c/d", "a/c/e", "a0", "b/", "b/x", "ä"]
        assert listed(delimiter="/") == ["a", "a/", "a0", "b/", "ä"]
        assert listed(prefix="a/", delimiter="/") == ["a/b", "a/c/"]
        assert listed(prefix="b/", delimiter="/") == ["b/", "b/x"]
        assert listed(startOffset="a/c/e", endOffset="b/x") == ["a/c/e", "a0", "b/"]
        fields = client.get(f"/storage/v1/b/{server.bucket}/o", params={"fields": "items(name,size),nextPageToken"})
        assert set(fields.json()["items"][0]) == {"name", "size"}
        assert code(client.get(f"/storage/v1/b/{server.bucket}/o", params={"colour": "red"})) == (400, "invalid")
        assert code(client.get(f"/storage/v1/b/{server.bucket}/o", params={"pageToken": "x"})) == (400, "invalid")


def test_versions_are_kept_where_they_should_be(server: Gcs) -> None:
    for content in (b"1", b"2", b"3"):
        server.versioned.plant(("v",), content)
        server.files.plant(("v",), content)
    first, _, last = server.cloud.generations(server.versioned_bucket, "v")
    assert len(server.cloud.generations(server.bucket, "v")) == 1
    with http(server) as client:
        path = f"/storage/v1/b/{server.versioned_bucket}/o/v"
        assert client.get(path, params={"alt": "media", "generation": str(first)}).content == b"1"
        assert client.delete(path).status_code == 204 and client.get(path).status_code == 404
        found = client.get(f"/storage/v1/b/{server.versioned_bucket}/o", params={"versions": "true"}).json()["items"]
        assert [int(one["generation"]) for one in found][2] == last and all("timeDeleted" in one for one in found)
        assert client.delete(path, params={"generation": str(first)}).status_code == 204
    assert len(server.cloud.generations(server.versioned_bucket, "v")) == 2


def test_who_may_do_what(server: Gcs, tmp_path: Path) -> None:
    server.files.plant(("there",), b"x")
    up, where = f"/upload/storage/v1/b/{server.bucket}/o", f"/storage/v1/b/{server.bucket}/o"
    asked = {"uploadType": "media", "name": "new"}
    with http(server, server.readonly_key_file) as client:
        assert client.get(f"{where}/there", params={"alt": "media"}).content == b"x"
        assert code(client.post(up, params=asked, content=b"")) == (403, "forbidden")
    with http(server, server.creator_key_file) as client:
        assert client.post(up, params=asked, content=b"").status_code == 200
        assert code(client.post(up, params=asked, content=b"")) == (403, "forbidden")
        assert code(client.get(where)) == (403, "forbidden")
    with http(server, server.stranger_key_file) as client:
        assert code(client.get(where)) == (403, "forbidden")
    with http(server, scope=READ) as client:
        assert code(client.post(up, params=asked, content=b"")) == (403, "insufficientPermissions")
        assert code(client.get("/storage/v1/b/nowhere/o")) == (404, "notFound")
        assert code(client.get(f"/storage/v1/b/{server.bucket}")) == (403, "forbidden")
        server.cloud.expire_tokens()
        assert code(client.get(where)) == (401, "authError")
    assert code(httpx.get(f"{server.url}{where}")) == (401, "required")
    forged = json.loads(server.key_file.read_text()) | {"client_email": "nobody@site-archive.example"}
    (tmp_path / "forged.json").write_text(json.dumps(forged))
    with pytest.raises(RefreshError, match="invalid_grant"):
        http(server, tmp_path / "forged.json")


def test_faults_limits_and_names(server: Gcs) -> None:
    up, asked = f"/upload/storage/v1/b/{server.bucket}/o", {"uploadType": "media", "name": "x"}
    with http(server) as client:
        server.cloud.faults([{"fault": "503", "nth": 1, "retry_after": 7}, {"fault": "lost-response", "nth": 2}])
        assert client.post(up, params=asked, content=b"1").headers["retry-after"] == "7"
        with pytest.raises(httpx.TransportError):
            client.post(up, params=asked, content=b"2")
        assert server.files.content(("x",)) == b"2"
        server.cloud.faults([])
        server.cloud.settings(object_writes_per_second=True, quota_bytes=10)
        assert client.post(up, params={**asked, "name": "y"}, content=b"2").status_code == 200
        assert code(client.post(up, params={**asked, "name": "y"}, content=b"2")) == (429, "rateLimitExceeded")
        assert code(client.post(up, params={**asked, "name": "z"}, content=bytes(20))) == (403, "accountDisabled")
        for name in ("..", "a\nb", "x" * 1025):
            assert client.post(up, params={**asked, "name": name}, content=b"").status_code == 400
        ranged = client.get(
            f"/storage/v1/b/{server.bucket}/o/x", params={"alt": "media"}, headers={"Range": "bytes=0-0"}
        )
        assert (ranged.status_code, ranged.content, ranged.headers["content-range"]) == (206, b"2", "bytes 0-0/1")
