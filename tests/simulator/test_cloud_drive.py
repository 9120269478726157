"""Google's own client, unchanged, and plain HTTP against the stand-in; its answers held against the description."""

import hashlib
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import google.auth.exceptions
import google_auth_httplib2
import googleapiclient.discovery
import httplib2
import httpx
import jwt
import pytest
from google.auth.transport.requests import Request
from google.oauth2 import credentials as people
from google.oauth2 import service_account
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaInMemoryUpload, MediaIoBaseDownload, MediaIoBaseUpload

from simulator.clouds import drive
from simulator.clouds.drive import DriveCloud, described
from simulator.clouds.drive.tokens import PUBLISHED_AUDIENCE, signing_key

AT = datetime(2019, 5, 6, 7, 8, 9, 123000, tzinfo=UTC)
FULL = "https://www.googleapis.com/auth/drive"
DESCRIPTION = json.loads(
    (Path(googleapiclient.discovery.__file__).parent / "discovery_cache/documents/drive.v3.json").read_text("utf-8")
)
SCHEMAS = DESCRIPTION["schemas"]
FOLDER = "application/vnd.google-apps.folder"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def cloud() -> Iterator[DriveCloud]:
    with drive.running() as running:
        yield running


def person(cloud: DriveCloud) -> people.Credentials:
    given = cloud.credentials
    return people.Credentials(  # type: ignore[no-untyped-call]
        None, refresh_token=given["refresh_token"], token_uri=given["token_url"], client_id=given["client_id"],
        client_secret=given["client_secret"],
    )  # fmt: skip


def service(cloud: DriveCloud, subject: str | None = None, scopes: tuple[str, ...] = (FULL,)) -> Any:
    key_file = json.loads(cloud.credentials["service_account_json"])
    return service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
        key_file, scopes=list(scopes), subject=subject
    )


class Checked(httplib2.Http):
    """Holds every JSON answer of the API against the description."""

    def __init__(self) -> None:
        super().__init__()
        self.redirect_codes = self.redirect_codes - {308}  # as Google's own `build_http` does it

    def request(self, *asked: Any, **values: Any) -> Any:
        response, body = super().request(*asked, **values)
        kind = json.loads(body).get("kind") if body.startswith(b"{") else None
        if kind:
            name = kind.removeprefix("drive#")
            hold(json.loads(body), name[0].upper() + name[1:])
        return response, body


def hold(value: Any, name: str) -> None:
    """Every field of an answer is in the schema and of its type."""
    schema = SCHEMAS[name]["properties"]
    for key, one in value.items():
        assert key in schema, f"{name} has no {key}"
        hold_value(one, schema[key], f"{name}.{key}")


def hold_value(value: Any, schema: dict[str, Any], where: str) -> None:
    if "$ref" in schema:
        hold(value, schema["$ref"])
        return
    kinds: dict[str, type] = {"string": str, "boolean": bool, "integer": int, "array": list, "object": dict}
    assert isinstance(value, kinds[schema["type"]]), f"{where} is {value!r}"
    if schema.get("format") == "date-time":
        assert TIME.fullmatch(value), f"{where} is {value!r}"
    if schema.get("format") == "int64":
        assert value.isdecimal(), f"{where} is {value!r}"
    if schema["type"] == "array":
        for one in value:
            hold_value(one, schema["items"], where)
    for key, one in value.items() if schema["type"] == "object" else ():
        known = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
        assert known, f"{where} has no {key}"
        hold_value(one, known, f"{where}.{key}")


def api_of(cloud: DriveCloud, credentials: Any) -> Any:
    http = google_auth_httplib2.AuthorizedHttp(credentials, http=Checked())
    return build_from_document({**DESCRIPTION, "rootUrl": f"{cloud.url}/"}, http=http)


@pytest.fixture
def api(cloud: DriveCloud) -> Any:
    return api_of(cloud, person(cloud))


@pytest.fixture
def http(cloud: DriveCloud) -> Iterator[httpx.Client]:
    credentials = person(cloud)
    credentials.refresh(Request())  # type: ignore[no-untyped-call]
    with httpx.Client(base_url=cloud.url, headers={"authorization": f"Bearer {credentials.token}"}) as client:
        yield client


def reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def refused(call: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(HttpError) as error:
        call()
    return int(error.value.status_code), str(error.value.error_details[0]["reason"])


def test_the_known_names_are_those_of_the_description() -> None:
    for resource, fields in described.FIELDS.items():
        owner, *below = resource.split(".")
        schema = SCHEMAS[owner]
        for name in below:
            schema = schema["properties"][name]
            schema = schema.get("items", schema)
        assert set(fields) == set(schema["properties"])
    for method, parameters in described.PARAMETERS.items():
        group, name = method.split(".")
        known = DESCRIPTION["resources"][group]["methods"][name].get("parameters", {})
        assert parameters == {key for key, value in known.items() if value["location"] == "query"}
    assert set(DESCRIPTION["parameters"]) == described.GLOBAL_PARAMETERS
    output_only = {
        name for name, value in SCHEMAS["File"]["properties"].items() if value["description"].startswith("Output only")
    }
    assert not output_only & described.WRITABLE_AT_CREATION


def test_googles_client_makes_finds_changes_and_removes(api: Any, cloud: DriveCloud) -> None:
    files = api.files()
    folder = files.create(body={"name": "Plans / 2019", "mimeType": FOLDER}).execute()
    assert set(folder) == {"kind", "id", "name", "mimeType"}
    body = {
        "name": "a'b\\c.pdf", "parents": [folder["id"]], "modifiedTime": AT.isoformat(), "createdTime": AT.isoformat(),
        "appProperties": {"k": "v"},
    }  # fmt: skip
    made = files.create(body=body, media_body=MediaInMemoryUpload(b"hello\r", "application/pdf"), fields="*").execute()
    assert made["md5Checksum"] == hashlib.md5(b"hello\r").hexdigest()
    assert made["sha1Checksum"] == hashlib.sha1(b"hello\r").hexdigest()
    assert made["sha256Checksum"] == hashlib.sha256(b"hello\r").hexdigest()
    assert (made["size"], made["modifiedTime"], made["createdTime"]) == ("6", *["2019-05-06T07:08:09.123Z"] * 2)
    found = files.list(
        q=f"'{folder['id']}' in parents and name = 'a\\'b\\\\c.pdf' and trashed = false", fields="files(id,size)"
    ).execute()
    assert found == {"files": [{"id": made["id"], "size": "6"}]}
    assert files.get_media(fileId=made["id"]).execute() == b"hello\r"
    new = MediaInMemoryUpload(b"second", "application/pdf")
    changed = files.update(fileId=made["id"], media_body=new, fields="headRevisionId,version,modifiedTime").execute()
    assert changed["headRevisionId"] != made["headRevisionId"]
    assert int(changed["version"]) > int(made["version"])
    assert changed["modifiedTime"] > made["modifiedTime"]
    revisions = api.revisions().list(fileId=made["id"]).execute()["revisions"]
    assert [one["id"] for one in revisions] == [made["headRevisionId"], changed["headRevisionId"]]
    assert refused(
        lambda: api.revisions().get_media(fileId=made["id"], revisionId=made["headRevisionId"]).execute()
    ) == (403, "download_restricted_for_revision")
    moved = files.update(
        fileId=made["id"], addParents="root", removeParents=folder["id"], body={"name": "moved"}, fields="parents,name"
    ).execute()
    assert moved == {"parents": [cloud.credentials["root_id"]], "name": "moved"}
    assert cloud.content(("moved",)) == b"second"
    files.update(fileId=made["id"], body={"trashed": True}).execute()
    assert cloud.trash() == [("moved",)]
    assert cloud.everything() == set()
    assert files.get(fileId=made["id"], fields="trashed,explicitlyTrashed").execute() == {
        "trashed": True, "explicitlyTrashed": True,
    }  # fmt: skip
    files.delete(fileId=made["id"]).execute()
    assert refused(lambda: files.get(fileId=made["id"]).execute()) == (404, "notFound")


def test_googles_client_uploads_in_pieces(api: Any, cloud: DriveCloud) -> None:
    content = bytes(range(256)) * 2600  # 650 KiB: two whole pieces and a part of one
    media = MediaIoBaseUpload(io.BytesIO(content), "image/x-plan", chunksize=256 * 1024, resumable=True)
    request = api.files().create(body={"name": "big"}, media_body=media, fields="id,size,md5Checksum,mimeType")
    answer, rounds = None, 0
    while answer is None:
        _, answer = request.next_chunk()
        rounds += 1
    assert rounds == 3
    assert answer["size"] == str(len(content))
    assert answer["md5Checksum"] == hashlib.md5(content).hexdigest()
    assert answer["mimeType"] == "image/x-plan"
    assert cloud.unfinished() == 0
    target = io.BytesIO()
    download = MediaIoBaseDownload(target, api.files().get_media(fileId=answer["id"]), chunksize=100_000)
    while download.next_chunk()[0].progress() != 1.0:
        pass
    assert target.getvalue() == content
    empty = MediaIoBaseUpload(io.BytesIO(b""), "text/plain", resumable=True)
    assert api.files().create(body={"name": "none"}, media_body=empty, fields="size").execute() == {"size": "0"}


def begun(http: httpx.Client, body: dict[str, Any], **headers: str) -> str:
    answer = http.post("/upload/drive/v3/files?uploadType=resumable&fields=id,size", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["location"]


def test_a_session_says_where_it_is_and_forgets_nothing(cloud: DriveCloud, http: httpx.Client) -> None:
    piece = 256 * 1024
    address = begun(http, {"name": "piecewise"}, **{"X-Upload-Content-Type": "text/plain"})
    assert cloud.unfinished() == 1

    def put(content: bytes, span: str) -> httpx.Response:
        return httpx.put(address, content=content, headers={"content-range": span})

    asked = put(b"", "bytes */*")
    assert asked.status_code == 308
    assert "range" not in asked.headers
    small = put(b"x" * 1000, "bytes 0-999/*")
    assert reason(small) == (400, "badRequest")
    assert "262144" in small.text
    part = put(b"a" * (piece + 5), f"bytes 0-{piece + 4}/*")
    assert part.headers["range"] == f"bytes=0-{piece - 1}", "only whole multiples are kept"
    assert reason(put(b"b", f"bytes {piece + 9}-{piece + 9}/{piece + 10}")) == (400, "badRequest")
    assert reason(put(b"ab", f"bytes {piece}-{piece}/{piece + 1}")) == (400, "badRequest")
    done = put(b"bb", f"bytes {piece}-{piece + 1}/{piece + 2}")
    assert (done.status_code, done.json()["size"]) == (200, str(piece + 2))
    assert put(b"", f"bytes */{piece + 2}").json() == done.json(), "asked again after the end, it gives the file again"
    assert cloud.content(("piecewise",)) == b"a" * piece + b"bb"
    unknown = begun(http, {"name": "unknown total"})
    httpx.put(unknown, content=b"c" * piece, headers={"content-range": f"bytes 0-{piece - 1}/*"})
    assert httpx.put(unknown, headers={"content-range": f"bytes */{piece}"}).json()["size"] == str(piece)
    stale = begun(http, {"name": "never"}, **{"X-Upload-Content-Length": "3"})
    assert reason(httpx.put(stale, content=b"four")) == (400, "badRequest")
    cloud.advance(7 * 86_400)
    assert reason(httpx.put(stale, content=b"abc")) == (404, "notFound")
    assert cloud.unfinished() == 0


def test_what_was_cut_off_goes_on_where_the_server_says(cloud: DriveCloud, http: httpx.Client) -> None:
    piece = 256 * 1024
    address = begun(http, {"name": "cut"})

    def broken() -> Iterator[bytes]:
        yield b"d" * (piece + 7)
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError):
        httpx.put(address, content=broken(), headers={"content-range": f"bytes 0-{3 * piece - 1}/{3 * piece}",
                                                      "content-length": str(3 * piece)})  # fmt: skip
    end = time.monotonic() + 5
    while (at := httpx.put(address, headers={"content-range": "bytes */*"}).headers.get("range")) is None:
        assert time.monotonic() < end
    assert at == f"bytes=0-{piece - 1}"
    cloud.faults([{"host": "upload", "fault": "lost-response", "count": 1}])
    rest = {"content-range": f"bytes {piece}-{3 * piece - 1}/{3 * piece}"}
    with pytest.raises(httpx.TransportError):
        httpx.put(address, content=b"d" * (2 * piece), headers=rest)
    assert httpx.put(address, headers={"content-range": f"bytes */{3 * piece}"}).json()["size"] == str(3 * piece)
    assert cloud.content(("cut",)) == b"d" * 3 * piece


def test_an_id_made_before_makes_a_creation_once(api: Any) -> None:
    made = api.files().generateIds(count=2, type="files").execute()["ids"]
    assert api.files().create(body={"id": made[0], "name": "one"}, fields="id").execute() == {"id": made[0]}
    again = api.files().create(body={"id": made[0], "name": "one"})
    assert refused(again.execute) == (409, "fileIdInUse")
    assert refused(lambda: api.files().create(body={"id": "1" * 33, "name": "two"}).execute()) == (400, "invalid")
    native = {"id": made[1], "name": "doc", "mimeType": "application/vnd.google-apps.document"}
    assert refused(lambda: api.files().create(body=native).execute()) == (400, "invalid")


def test_names_repeat_and_pages_end(api: Any, cloud: DriveCloud) -> None:
    for number in range(7):
        api.files().create(body={"name": "same" if number < 2 else f"n{number}"}).execute()
    cloud.plant(("Sub", "deep.txt"), b"x", AT)
    names: list[str] = []
    request = api.files().list(q="'root' in parents and trashed = false", pageSize=3, orderBy="folder,name desc")
    sizes = []
    while request is not None:
        page = request.execute()
        sizes.append(len(page["files"]))
        names += [one["name"] for one in page["files"]]
        request = api.files().list_next(request, page)
    assert names == ["Sub", "same", "same", "n6", "n5", "n4", "n3", "n2"]
    assert sizes == [2, 2, 2, 2], "a page may be shorter than asked"
    first = api.files().list(q="'root' in parents", pageSize=3).execute()
    other = api.files().list(q="trashed = false", pageSize=3, pageToken=first["nextPageToken"])
    assert refused(other.execute) == (400, "invalid")
    cloud.advance(4 * 3600)
    stale = api.files().list(q="'root' in parents", pageSize=3, pageToken=first["nextPageToken"])
    assert refused(stale.execute) == (400, "invalid")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name = 'PLAN A.pdf'", {"plan a.pdf"}),
        ("name contains 'pla'", {"plan a.pdf", "plan b.txt"}),
        ("name contains 'lan'", set()),
        ("mimeType != 'application/vnd.google-apps.folder'", {"plan a.pdf", "plan b.txt"}),
        ("mimeType = 'application/vnd.google-apps.folder' or name = 'plan b.txt'", {"F", "plan b.txt"}),
        ("not (name = 'F') and (name = 'plan b.txt' or name = 'F')", {"plan b.txt"}),
        ("modifiedTime > '2019-05-06T00:00:00' and modifiedTime < '2019-05-07T00:00:00+00:00'", {"plan a.pdf"}),
        ("trashed = true", {"gone.txt"}),
        ("appProperties has { key='k' and value='v' }", {"plan b.txt"}),
        ("'amelie@sitehaul.example' in owners and name = 'F'", {"F"}),
    ],
)
def test_queries_find(api: Any, cloud: DriveCloud, query: str, found: set[str]) -> None:
    cloud.plant(("F", "plan a.pdf"), b"", AT)
    cloud.plant(("plan b.txt",), b"", datetime(2020, 1, 1, tzinfo=UTC))
    cloud.plant(("gone.txt",), b"", datetime(2018, 1, 1, tzinfo=UTC))
    cloud.remove(("gone.txt",))
    api.files().update(
        fileId=cloud.file_id(("plan b.txt",)),
        body={"appProperties": {"k": "v"}, "modifiedTime": "2020-01-01T00:00:00Z"},
    ).execute()
    trash = "" if "trashed" in query else " and trashed = false"
    answer = api.files().list(q=f"({query}){trash}").execute()
    assert {one["name"] for one in answer["files"]} == found


def test_senseless_queries_and_masks_and_parameters_are_refused(http: httpx.Client) -> None:
    for query in ("name is 'x'", "name = x", "name = 'it's'", "(name = 'x'", "trashed = maybe", "size > 3"):
        assert reason(http.get("/drive/v3/files", params={"q": query})) == (400, "invalid")
    for mask in ("files(id", "files(nome)", "id", "files(owners(emailaddress))"):
        assert reason(http.get("/drive/v3/files", params={"fields": mask})) == (400, "invalidParameter")
    assert reason(http.get("/drive/v3/about")) == (400, "required")
    assert reason(http.get("/drive/v3/files", params={"pagesize": "3"})) == (400, "badRequest")
    assert reason(http.get("/drive/v3/files", params={"pageSize": "0"})) == (400, "invalid")
    assert reason(http.post("/drive/v3/files", json={"nome": "x"})) == (400, "badRequest")
    assert reason(http.post("/drive/v3/files", json={"size": "3"})) == (403, "fieldNotWritable")
    assert reason(http.post("/drive/v3/files", content=b"{")) == (400, "parseError")
    assert reason(http.post("/drive/v3/files", json={"modifiedTime": "2019-05-06"})) == (400, "badRequest")
    long = {"appProperties": {"k": "v" * 124}}
    assert reason(http.post("/drive/v3/files", json=long)) == (400, "badRequest")
    made = http.post("/drive/v3/files", json={"appProperties": {"k": "v" * 123}}).json()["id"]
    address = f"/drive/v3/files/{made}"
    assert reason(http.patch(address, json={"parents": ["root"]})) == (403, "fieldNotWritable")
    assert reason(http.patch(address, json={"createdTime": AT.isoformat()})) == (403, "fieldNotWritable")
    assert reason(http.put(address, json={})) == (405, "httpMethodNotAllowed")
    folder = http.post("/drive/v3/files", json={"mimeType": FOLDER, "name": "f"}).json()["id"]
    assert reason(http.patch(address, params={"addParents": folder})) == (403, "cannotAddParent")
    inner = http.post("/drive/v3/files", json={"mimeType": FOLDER, "name": "g", "parents": [folder]}).json()["id"]
    circle = http.patch(f"/drive/v3/files/{folder}", params={"addParents": inner, "removeParents": "root"})
    assert reason(circle) == (400, "badRequest")
    assert reason(http.post("/drive/v3/files", json={"parents": [made]})) == (403, "parentNotAFolder")


def test_what_is_googles_own_has_no_content(api: Any, cloud: DriveCloud) -> None:
    document = cloud.plant_native(("Minutes",), "document", b"words")
    shortcut = cloud.plant_shortcut(("Short",), document)
    facts = api.files().get(fileId=document, fields="*").execute()
    assert not facts.keys() & {"md5Checksum", "headRevisionId", "sha256Checksum", "fileExtension"}
    assert facts["exportLinks"]
    for file_id in (document, shortcut, "root"):
        assert refused(lambda asked=file_id: api.files().get_media(fileId=asked).execute()) == (
            403, "fileNotDownloadable",
        )  # fmt: skip
    exported = api.files().export(fileId=document, mimeType="text/plain").execute()
    assert exported == b"text/plain\nwords"
    details = api.files().get(fileId=shortcut, fields="shortcutDetails,size").execute()
    assert details == {"shortcutDetails": {"targetId": document, "targetMimeType": facts["mimeType"]}}
    cloud.plant(("bad.exe",), b"virus", AT)
    cloud.mark_abusive(("bad.exe",))
    bad = cloud.file_id(("bad.exe",))
    assert refused(lambda: api.files().get_media(fileId=bad).execute()) == (403, "cannotDownloadAbusiveFile")
    assert api.files().get_media(fileId=bad, acknowledgeAbuse=True).execute() == b"virus"


def test_a_shared_drive_is_there_only_for_who_asks_for_it(api: Any, cloud: DriveCloud) -> None:
    shared = api.drives().list().execute()["drives"][0]["id"]
    assert shared == cloud.credentials["drive_id"]
    body = {"name": "in it", "parents": [shared]}
    assert refused(lambda: api.files().create(body=body).execute()) == (404, "notFound")
    made = api.files().create(body=body, supportsAllDrives=True, fields="*").execute()
    assert made["driveId"] == shared
    assert not made.keys() & {"owners", "ownedByMe", "shared"}
    assert refused(lambda: api.files().get(fileId=made["id"]).execute()) == (404, "notFound")
    mine = api.files().list(q="name = 'in it'").execute()
    assert mine["files"] == []
    both = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}
    for values in ({"corpora": "drive", "driveId": shared, **both}, {"corpora": "allDrives", **both}, both):
        assert [one["id"] for one in api.files().list(q="name = 'in it'", **values).execute()["files"]] == [made["id"]]
    for wrong in ({"driveId": shared, **both}, {"corpora": "drive", **both}, {"includeItemsFromAllDrives": True}):
        assert refused(lambda values=wrong: api.files().list(**values).execute())[0] == 403
    folder = api.files().create(body={"name": "f", "mimeType": FOLDER}).execute()["id"]
    assert refused(
        lambda: api.files().update(
            fileId=folder, addParents=shared, removeParents="root", supportsAllDrives=True
        ).execute()
    ) == (403, "teamDrivesFolderMoveInNotSupported")  # fmt: skip


def test_a_service_account_owns_nothing_but_may_be_somebody(cloud: DriveCloud) -> None:
    alone, shared = api_of(cloud, service(cloud)), cloud.credentials["drive_id"]
    content = MediaInMemoryUpload(b"x", "text/plain")
    assert refused(lambda: alone.files().create(body={"name": "a"}, media_body=content).execute()) == (
        403, "storageQuotaExceeded",
    )  # fmt: skip
    body = {"name": "a", "parents": [shared]}
    made = alone.files().create(body=body, media_body=content, supportsAllDrives=True).execute()["id"]
    assert refused(lambda: alone.files().delete(fileId=made, supportsAllDrives=True).execute()) == (
        403, "insufficientFilePermissions",
    )  # fmt: skip
    alone.files().update(fileId=made, body={"trashed": True}, supportsAllDrives=True).execute()
    cloud.plant(("hers",), b"1", AT)
    hers = cloud.file_id(("hers",))
    assert refused(lambda: alone.files().get(fileId=hers).execute()) == (404, "notFound")
    as_her = api_of(cloud, service(cloud, cloud.credentials["subject"]))
    assert as_her.files().get_media(fileId=hers).execute() == b"1"
    assert as_her.about().get(fields="user").execute()["user"]["emailAddress"] == cloud.credentials["subject"]
    reading = api_of(cloud, service(cloud, cloud.credentials["subject"], (f"{FULL}.readonly",)))
    assert reading.files().get_media(fileId=hers).execute() == b"1"
    assert refused(lambda: reading.files().delete(fileId=hers).execute()) == (403, "insufficientPermissions")
    with pytest.raises(google.auth.exceptions.RefreshError):
        service(cloud, "bob@elsewhere.example").refresh(Request())  # type: ignore[no-untyped-call]


def test_assertions_that_are_not_sound_are_refused(cloud: DriveCloud) -> None:
    now = int(time.time())
    good = {
        "iss": cloud.credentials["service_account"], "scope": FULL, "aud": PUBLISHED_AUDIENCE, "iat": now,
        "exp": now + 3600,
    }  # fmt: skip

    def asked(claims: dict[str, Any], key: Any = None, algorithm: str = "RS256") -> tuple[int, str | None]:
        assertion = jwt.encode(claims, key or signing_key(), algorithm=algorithm)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        answer = httpx.post(cloud.urls["token"], data=form)
        return answer.status_code, answer.json().get("error")

    assert asked(good) == (200, None)
    for wrong in ({"iss": "x"}, {"aud": "x"}, {"exp": now + 7200}, {"iat": now - 9000, "exp": now - 5400}):
        assert asked(good | wrong) == (400, "invalid_grant")
    assert asked(good, "shared secret of thirty-two bytes", "HS256") == (400, "invalid_grant")
    assert asked(good | {"scope": ""}) == (400, "invalid_scope")
    assert asked(good | {"sub": "bob@elsewhere.example"}) == (401, "unauthorized_client")


def test_changes_tell_each_file_once_as_it_is_now(api: Any, cloud: DriveCloud) -> None:
    token = api.changes().getStartPageToken().execute()["startPageToken"]
    cloud.plant(("Folder", "a.txt"), b"1", AT)
    cloud.plant(("Folder", "a.txt"), b"2", AT)
    cloud.plant(("b.txt",), b"3", AT)
    api.files().delete(fileId=cloud.file_id(("b.txt",))).execute()
    api.files().update(fileId=cloud.file_id(("Folder",)), body={"trashed": True}).execute()
    seen: dict[str, tuple[bool, bool | None]] = {}
    page: dict[str, Any] = {"nextPageToken": token}
    while "nextPageToken" in page:
        page = api.changes().list(pageToken=page["nextPageToken"], pageSize=1, fields="*").execute()
        for change in page["changes"]:
            file = change.get("file", {})
            assert change["fileId"] not in seen
            seen[change["fileId"]] = (change["removed"], file.get("trashed"))
    assert sorted(seen.values(), key=str) == [(False, True), (False, True), (True, None)]
    again = api.changes().list(pageToken=page["newStartPageToken"]).execute()
    assert again["changes"] == []
    assert refused(lambda: api.changes().list(pageToken="x").execute()) == (400, "invalid")


def test_refusals_come_as_google_says_them(cloud: DriveCloud, http: httpx.Client) -> None:
    cloud.plant(("a",), b"12345", AT)
    address = f"/drive/v3/files/{cloud.file_id(('a',))}"
    cloud.settings(calls_per_minute=1)
    http.get(address)
    seen = {reason(http.get(address)) for _ in range(2)}
    assert seen == {(403, "userRateLimitExceeded"), (429, "rateLimitExceeded")}
    cloud.settings(calls_per_minute=None, quota_bytes=8)
    full = http.post("/upload/drive/v3/files?uploadType=media", content=b"1234")
    assert reason(full) == (403, "storageQuotaExceeded")
    begin = http.post("/upload/drive/v3/files?uploadType=resumable", headers={"x-upload-content-length": "4"})
    assert reason(begin) == (403, "storageQuotaExceeded")
    assert http.get("/drive/v3/about?fields=storageQuota").json()["storageQuota"]["limit"] == "8"
    cloud.settings(quota_bytes=None, read_only=True)
    assert reason(http.patch(address, json={})) == (403, "insufficientFilePermissions")
    assert http.get(address, params={"fields": "capabilities"}).json()["capabilities"]["canEdit"] is False
    cloud.settings(read_only=False)
    ranged = http.get(address, params={"alt": "media"}, headers={"range": "bytes=1-2"})
    assert (ranged.status_code, ranged.content, ranged.headers["content-range"]) == (206, b"23", "bytes 1-2/5")
    beyond = http.get(address, params={"alt": "media"}, headers={"range": "bytes=5-"})
    assert (reason(beyond), beyond.headers["content-range"]) == ((416, "requestedRangeNotSatisfiable"), "bytes */5")
    for fault, status in (("500", 500), ("503", 503), ("quota", 403), ("404", 404), ("401", 401)):
        cloud.faults([{"fault": fault, "count": 1}])
        assert http.get(address).status_code == status
    cloud.faults([])
    cloud.expire_tokens()
    assert reason(http.get(address)) == (401, "authError")
    with pytest.raises(ValueError, match="no switch"):
        cloud.settings(colour="red")


def test_a_long_query_may_come_as_a_form(api: Any, cloud: DriveCloud) -> None:
    cloud.plant(("x",), b"", AT)
    names = " or ".join(f"name = 'long name number {number}'" for number in range(100))
    assert [one["name"] for one in api.files().list(q=f"name = 'x' or {names}").execute()["files"]] == ["x"]


def test_folders_are_a_hundred_deep_at_most(cloud: DriveCloud, http: httpx.Client) -> None:
    cloud.plant_folder(tuple("f" * 99))
    parent = cloud.file_id(tuple("f" * 99))
    last = http.post("/drive/v3/files", json={"mimeType": FOLDER, "parents": [parent]})
    assert last.status_code == 200
    deeper = http.post("/drive/v3/files", json={"mimeType": FOLDER, "parents": [last.json()["id"]]})
    assert reason(deeper) == (403, "myDriveHierarchyDepthLimitExceeded")


def test_bytes_beyond_what_a_piece_says_are_not_kept(cloud: DriveCloud, http: httpx.Client) -> None:
    piece = 256 * 1024
    address = begun(http, {"name": "too much"})
    much = httpx.put(address, content=b"e" * (2 * piece), headers={"content-range": f"bytes 0-{piece - 1}/*"})
    assert reason(much) == (400, "badRequest")
    where = httpx.put(address, headers={"content-range": "bytes */*"})
    assert where.headers["range"] == f"bytes=0-{piece - 1}"
    rest = httpx.put(address, content=b"f", headers={"content-range": f"bytes {piece}-{piece}/{piece + 1}"})
    assert rest.status_code == 200
    assert cloud.content(("too much",)) == b"e" * piece + b"f"
