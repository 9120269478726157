"""Box's own client, unchanged, and plain HTTP against the stand-in."""

import base64
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from box_sdk_gen import (
    BoxAPIError,
    BoxCCGAuth,
    BoxClient,
    BoxJWTAuth,
    BoxOAuth,
    CCGConfig,
    CreateFolderParent,
    JWTConfig,
    OAuthConfig,
    UploadFileAttributes,
    UploadFileAttributesParentField,
)
from box_sdk_gen.box.token_storage import InMemoryTokenStorage
from box_sdk_gen.managers.events import GetEventsStreamType
from box_sdk_gen.managers.files import CopyFileParent, UpdateFileByIdLock, UpdateFileByIdLockAccessField
from box_sdk_gen.managers.uploads import (
    PreflightFileUploadCheckParent,
    UploadFileVersionAttributes,
    UploadWithPreflightCheckAttributes,
    UploadWithPreflightCheckAttributesParentField,
)
from box_sdk_gen.networking.base_urls import BaseUrls
from box_sdk_gen.networking.network import NetworkSession
from box_sdk_gen.networking.retries import BoxRetryStrategy
from box_sdk_gen.schemas.access_token import AccessToken

from simulator.clouds import box
from simulator.clouds.base import Cloud

AT = datetime(2019, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with box.running(session_bytes_min=100, part_size_bytes=64, commit_retry_after_seconds=0) as running:
        yield running


def session_of(cloud: Cloud) -> NetworkSession:
    addresses = BaseUrls(base_url=cloud.urls["api"], upload_url=cloud.urls["upload"], oauth_2_url=cloud.urls["account"])
    return NetworkSession(base_urls=addresses, retry_strategy=BoxRetryStrategy(retry_base_interval=0.001))


def client_of(cloud: Cloud) -> BoxClient:
    given = cloud.credentials
    config = CCGConfig(given["client_id"], given["client_secret"], enterprise_id=given["enterprise_id"])
    return BoxClient(BoxCCGAuth(config), network_session=session_of(cloud))


def upload(client: BoxClient, name: str, content: bytes, parent: str = "0", **more: Any) -> Any:
    attributes = UploadFileAttributes(name, UploadFileAttributesParentField(parent), **more)
    return client.uploads.upload_file(attributes, io.BytesIO(content)).entries[0]


def sha1(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def refusal(call: Callable[[], Any]) -> tuple[int, str | None, dict[str, Any]]:
    with pytest.raises(BoxAPIError) as refused:
        call()
    info = refused.value.response_info
    assert info.status_code == 401 or info.body["request_id"]
    return info.status_code, info.code, info.context_info


class Http:
    """Calls of the API without the client that checks them first."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.http = httpx.Client(trust_env=False)
        token = self.token(grant_type="client_credentials", box_subject_type="enterprise",
                           box_subject_id=cloud.credentials["enterprise_id"])  # fmt: skip
        self.http.headers["authorization"] = f"Bearer {token.json()['access_token']}"

    def token(self, **fields: str) -> httpx.Response:
        given = self.cloud.credentials
        known = {"client_id": given["client_id"], "client_secret": given["client_secret"]}
        return httpx.post(f"{self.cloud.urls['api']}/oauth2/token", data={**known, **fields})

    def api(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.http.request(method, f"{self.cloud.urls['api']}/2.0{path}", **more)

    def up(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.http.request(method, f"{self.cloud.urls['upload']}/2.0{path}", **more)

    def send(self, name: str, content: bytes, parent: str = "0", **headers: str) -> httpx.Response:
        attributes = json.dumps({"name": name, "parent": {"id": parent}})
        files = {"attributes": (None, attributes), "file": ("file", content)}
        return self.up("POST", "/files/content", files=files, headers=headers)


@pytest.fixture
def http(cloud: Cloud) -> Iterator[Http]:
    calls = Http(cloud)
    with calls.http:
        yield calls


def test_every_way_to_sign_in_gives_the_same_user(cloud: Cloud) -> None:
    given, session = cloud.credentials, session_of(cloud)
    config = JWTConfig(
        given["client_id"], given["client_secret"], given["jwt_key_id"], given["private_key"],
        given["private_key_passphrase"], enterprise_id=given["enterprise_id"],
    )  # fmt: skip
    by_key = BoxClient(BoxJWTAuth(config), network_session=session)
    assert by_key.users.get_user_me().id == given["user_id"]
    assert client_of(cloud).users.get_user_me().id == given["user_id"]
    storage = InMemoryTokenStorage(AccessToken(access_token="gone", refresh_token=given["refresh_token"]))
    oauth = BoxOAuth(OAuthConfig(given["client_id"], given["client_secret"], token_storage=storage))
    by_refresh = BoxClient(oauth, network_session=session)
    assert by_refresh.users.get_user_me().id == given["user_id"]  # 401 first, then the refresh token
    assert storage.get().refresh_token != given["refresh_token"]
    cloud.expire_tokens()
    assert by_refresh.users.get_user_me().id == given["user_id"]
    assert by_key.users.get_user_me().login


def test_a_refresh_token_is_good_for_one_use_and_a_revoked_token_for_none(cloud: Cloud, http: Http) -> None:
    refresh = cloud.credentials["refresh_token"]
    first = http.token(grant_type="refresh_token", refresh_token=refresh)
    again = http.token(grant_type="refresh_token", refresh_token=refresh)
    assert (first.status_code, again.status_code, again.json()["error"]) == (200, 400, "invalid_grant")
    auth = BoxOAuth(
        OAuthConfig(
            cloud.credentials["client_id"], cloud.credentials["client_secret"],
            token_storage=InMemoryTokenStorage(AccessToken(**first.json())),
        )
    )  # fmt: skip
    auth.revoke_token(network_session=session_of(cloud))
    denied = httpx.get(
        f"{cloud.urls['api']}/2.0/users/me", headers={"authorization": f"Bearer {first.json()['access_token']}"}
    )
    assert denied.status_code == 401
    assert denied.headers["www-authenticate"].startswith('Bearer realm="Service", error="invalid_token"')
    assert http.token(grant_type="client_credentials", box_subject_type="enterprise",
                      box_subject_id="1").json()["error"] == "invalid_grant"  # fmt: skip


def test_a_file_comes_back_as_it_was_sent_with_its_times_and_hash(cloud: Cloud) -> None:
    client, content = client_of(cloud), b"drawing " * 1000
    sent = upload(client, "A 101 – plan.pdf", content, content_created_at=AT, content_modified_at=AT)
    file = client.files.get_file_by_id(sent.id)
    assert (file.name, file.size, file.sha_1) == ("A 101 – plan.pdf", len(content), sha1(content))
    assert (file.content_modified_at, file.content_created_at) == (AT, AT)
    assert (file.etag, file.sequence_id, file.parent.id) == ("0", "0", "0")
    assert file.item_status.value == "active"
    assert client.downloads.download_file(sent.id).read() == content
    assert client.downloads.download_file(sent.id, range="bytes=8-15").read() == b"drawing "
    assert cloud.content(("A 101 – plan.pdf",)) == content
    assert cloud.everything() == {("A 101 – plan.pdf",)}


def test_a_download_is_an_address_elsewhere_that_needs_no_token(cloud: Cloud, http: Http) -> None:
    cloud.plant(("a.bin",), bytes(range(256)), AT)
    file_id = http.api("GET", "/folders/0/items").json()["entries"][0]["id"]
    redirect = http.api("GET", f"/files/{file_id}/content")
    address = redirect.headers["location"]
    assert (redirect.status_code, address.startswith(cloud.urls["download"])) == (302, True)
    part = httpx.get(address, headers={"range": "bytes=250-"})
    assert (part.status_code, part.content) == (206, bytes(range(250, 256)))
    assert part.headers["content-range"] == "bytes 250-255/256"
    assert httpx.get(address, headers={"range": "bytes=256-"}).status_code == 416
    cloud.settings(download_url_seconds=0, download_waits=1)
    assert http.api("GET", f"/files/{file_id}/content").headers["retry-after"] == "1"
    late = http.api("GET", f"/files/{file_id}/content").headers["location"]
    assert httpx.get(late).status_code == 403
    cloud.remove(("a.bin",))
    assert http.api("GET", f"/files/{file_id}/content").json()["code"] == "trashed"


def test_a_name_is_taken_whatever_its_case_and_the_conflict_says_by_what(cloud: Cloud) -> None:
    client = client_of(cloud)
    folder = client.folders.create_folder("Plans", CreateFolderParent("0"))
    sent = upload(client, "a.txt", b"1")
    status, code, context = refusal(lambda: upload(client, "A.TXT", b"2"))
    assert (status, code, context["conflicts"]["id"]) == (409, "item_name_in_use", sent.id)
    assert context["conflicts"]["sha1"] == sha1(b"1")
    status, code, context = refusal(lambda: client.folders.create_folder("PLANS", CreateFolderParent("0")))
    assert (status, code, context["conflicts"][0]["id"]) == (409, "item_name_in_use", folder.id)
    assert refusal(lambda: upload(client, "plans", b""))[1] == "item_name_in_use"
    taken = PreflightFileUploadCheckParent(id="0")
    refused = refusal(lambda: client.uploads.preflight_file_upload_check(name="a.txt", size=1, parent=taken))
    assert refused[2]["conflicts"]["id"] == sent.id
    free = client.uploads.preflight_file_upload_check(name="b.txt", size=1, parent=taken)
    assert free.upload_url.startswith(cloud.urls["upload"])
    parent = UploadWithPreflightCheckAttributesParentField("0")
    attributes = UploadWithPreflightCheckAttributes("b.txt", parent, 1)
    client.uploads.upload_with_preflight_check(attributes, io.BytesIO(b"b"))
    assert cloud.everything() == {("a.txt",), ("b.txt",)}


def test_names_that_box_does_not_take(http: Http) -> None:
    for name in ("a/b", "a\\b", "..", ".", " a", "a ", "a\x07", "", "n" * 256):
        code = "item_name_too_long" if len(name) > 255 else "item_name_invalid"
        assert http.send(name, b"x").json()["code"] == code, name
        answer = http.api("POST", "/folders", json={"name": name, "parent": {"id": "0"}})
        assert (answer.status_code, answer.json()["code"]) == (400, code), name
    assert http.send("n" * 255, b"x").status_code == 201


def test_names_are_cleaned_silently_by_switch(cloud: Cloud, http: Http) -> None:
    cloud.settings(clean_names=True)
    assert http.send("a/b\\c\x01.txt ", b"x").json()["entries"][0]["name"] == "abc.txt"


def test_versions_and_conditions(cloud: Cloud) -> None:
    client = client_of(cloud)
    sent = upload(client, "a.txt", b"one")
    later = UploadFileVersionAttributes("a.txt", content_modified_at=AT)
    second = client.uploads.upload_file_version(sent.id, later, io.BytesIO(b"two"), if_match="0").entries[0]
    assert (second.id, second.etag, second.sha_1, second.content_modified_at) == (sent.id, "1", sha1(b"two"), AT)
    stale = refusal(lambda: client.uploads.upload_file_version(sent.id, later, io.BytesIO(b"three"), if_match="0"))
    assert stale[:2] == (412, "precondition_failed")
    assert refusal(lambda: client.files.delete_file_by_id(sent.id, if_match="0"))[0] == 412
    assert refusal(lambda: client.files.update_file_by_id(sent.id, name="b.txt", if_match="0"))[0] == 412
    earlier = client.file_versions.get_file_versions(sent.id)
    assert (earlier.total_count, [version.sha_1 for version in earlier.entries]) == (1, [sha1(b"one")])
    assert client.downloads.download_file(sent.id, version=earlier.entries[0].id).read() == b"one"
    assert cloud.content(("a.txt",)) == b"two"


def test_moving_renaming_copying_and_locking(cloud: Cloud) -> None:
    client = client_of(cloud)
    folder = client.folders.create_folder("In", CreateFolderParent("0"))
    sent = upload(client, "a.txt", b"1", content_modified_at=AT)
    moved = client.files.update_file_by_id(sent.id, name="b.txt", parent=CopyFileParent(folder.id))
    assert (moved.name, moved.parent.id, moved.etag, moved.content_modified_at) == ("b.txt", folder.id, "1", AT)
    copied = client.files.copy_file(sent.id, CopyFileParent("0"), name="c.txt")
    assert (copied.sha_1, copied.content_modified_at) == (sha1(b"1"), AT)
    inside = client.folders.create_folder("Deep", CreateFolderParent(folder.id))
    assert refusal(lambda: client.folders.update_folder_by_id(folder.id, parent=CreateFolderParent(inside.id)))[:2] == (
        400, "cyclical_folder_structure",
    )  # fmt: skip
    client.folders.copy_folder(folder.id, CreateFolderParent("0"), name="Copy")
    assert cloud.everything() == {("In", "b.txt"), ("c.txt",), ("Copy", "b.txt")}
    lock = UpdateFileByIdLock(access=UpdateFileByIdLockAccessField.LOCK)
    assert client.files.update_file_by_id(sent.id, lock=lock, fields=["lock"]).lock.type.value == "lock"
    cloud.do(lambda: cloud.service.lock(("In", "b.txt")))
    assert refusal(lambda: client.files.delete_file_by_id(sent.id))[:2] == (403, "access_denied_item_locked")
    assert client.files.get_file_by_id(sent.id, fields=["name", "size"]).to_dict() == {
        "type": "file", "id": sent.id, "etag": "2", "name": "b.txt", "size": 1,
    }  # fmt: skip


def test_listings_by_offset_and_by_marker_show_everything_once(cloud: Cloud, http: Http) -> None:
    for number in range(7):
        cloud.plant((f"f{number}.txt",), b"x", AT)
    cloud.plant_folder(("z",))
    client, seen, marker = client_of(cloud), [], None
    while True:
        page = client.folders.get_folder_items("0", usemarker=True, marker=marker, limit=3)
        seen += [entry.name for entry in page.entries]
        marker = page.next_marker
        if marker is None:
            break
        cloud.remove((seen[-1],))
    assert seen == ["z", *(f"f{number}.txt" for number in range(7))]
    pages = [client.folders.get_folder_items("0", limit=4, offset=offset) for offset in (0, 4)]
    assert [page.total_count for page in pages] == [6, 6]
    assert len([entry for page in pages for entry in page.entries]) == 6
    first = http.api("GET", "/folders/0/items", params={"limit": 2000, "fields": "size,sha1"}).json()
    assert (first["limit"], set(first["entries"][-1])) == (1000, {"type", "id", "etag", "size", "sha1"})
    for query, status in (
        ({"offset": 10_001}, 400), ({"limit": "-1"}, 400), ({"marker": "abc"}, 400), ({"unknown": "1"}, 400),
        ({"usemarker": "true", "marker": "AAAA"}, 400), ({"usemarker": "true", "offset": 0}, 400),
        ({"fields": "no_such_field"}, 400), ({"usemarker": "true", "sort": "name"}, 400),
    ):  # fmt: skip
        assert http.api("GET", "/folders/0/items", params=query).status_code == status, query
    assert http.api("GET", "/folders/abc").status_code == 405
    assert http.api("GET", "/folders/999").json()["code"] == "not_found"


def test_the_trash_gives_back_what_was_deleted(cloud: Cloud) -> None:
    client = client_of(cloud)
    cloud.plant(("In", "a.txt"), b"1", AT)
    folder = client.folders.get_folder_items("0").entries[0]
    assert refusal(lambda: client.folders.delete_folder_by_id(folder.id))[:2] == (400, "folder_not_empty")
    file_id = client.folders.get_folder_items(folder.id).entries[0].id
    client.folders.delete_folder_by_id(folder.id, recursive=True)
    assert (cloud.everything(), cloud.trash()) == (set(), [("In",)])
    assert refusal(lambda: client.files.get_file_by_id(file_id))[:2] == (404, "trashed")
    assert [entry.id for entry in client.trashed_items.get_trashed_items().entries] == [folder.id]
    assert client.trashed_folders.get_trashed_folder_by_id(folder.id).item_status.value == "trashed"
    client.folders.create_folder("In", CreateFolderParent("0"))
    assert refusal(lambda: client.trashed_folders.restore_folder_from_trash(folder.id))[1] == "item_name_in_use"
    client.trashed_folders.restore_folder_from_trash(folder.id, name="Back")
    assert cloud.content(("Back", "a.txt")) == b"1"
    client.files.delete_file_by_id(file_id)
    client.trashed_files.delete_trashed_file_by_id(file_id)
    assert refusal(lambda: client.files.get_file_by_id(file_id))[:2] == (404, "not_found")
    assert cloud.trash() == []


def test_a_large_file_goes_up_in_parts(cloud: Cloud) -> None:
    client, content = client_of(cloud), bytes(range(256)) * 2 + b"tail"
    sent = client.chunked_uploads.upload_big_file(io.BytesIO(content), "big.bin", len(content), "0")
    assert (sent.size, sent.sha_1) == (len(content), sha1(content))
    assert cloud.content(("big.bin",)) == content
    changed = content[:64] + b"!" * 64 + content[128:]
    again = client.chunked_uploads.upload_big_file_version(sent.id, io.BytesIO(changed), len(changed))
    assert (again.id, again.sha_1, cloud.content(("big.bin",))) == (sent.id, sha1(changed), changed)
    sent_parts = [line for line in cloud.log() if line["method"] == "PUT"]
    assert len(sent_parts) == 9 + 1  # of the new version only the part that differs
    unchanged = client.chunked_uploads.upload_big_file_version(sent.id, io.BytesIO(changed), len(changed))
    assert unchanged is None
    assert cloud.unfinished() == 0


def part_headers(content: bytes, first: int, total: int) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha1(content).digest()).decode()
    return {
        "digest": f"sha={digest}", "content-range": f"bytes {first}-{first + len(content) - 1}/{total}",
        "content-type": "application/octet-stream",
    }  # fmt: skip


def test_parts_are_checked_kept_and_immutable(cloud: Cloud, http: Http) -> None:
    content = b"a" * 64 + b"b" * 64 + b"c" * 12
    body = {"folder_id": "0", "file_size": 140, "file_name": "big.bin"}
    small = http.up("POST", "/files/upload_sessions", json={**body, "file_size": 99})
    assert (small.status_code, small.json()["code"]) == (400, "file_size_too_small")
    session = http.up("POST", "/files/upload_sessions", json=body).json()
    assert (session["part_size"], session["total_parts"], cloud.unfinished()) == (64, 3, 1)
    address = session["session_endpoints"]["upload_part"]

    def put(part: bytes, first: int, **more: str) -> httpx.Response:
        headers = {**part_headers(part, first, 140), **more}
        return http.http.put(address, content=part, headers=headers)

    assert put(content[:32], 0).status_code == 416
    assert put(content[:64], 0, digest="sha=AAAA").json()["code"] == "bad_digest"
    assert put(content[:64], 32).status_code == 416
    parts = [put(content[first : first + 64], first).json()["part"] for first in (64, 128, 0)]
    overlap = put(content[:64], 0)
    assert (overlap.status_code, overlap.json()["code"]) == (409, "range_overlaps_existing_part")
    listed = http.http.get(session["session_endpoints"]["list_parts"]).json()
    assert [part["offset"] for part in listed["entries"]] == [0, 64, 128]
    commit, whole = session["session_endpoints"]["commit"], base64.b64encode(hashlib.sha1(content).digest()).decode()
    attributes = {"content_modified_at": "2019-05-06T07:08:09Z"}

    def committed(parts: list[Any], digest: str = whole) -> httpx.Response:
        headers = {"digest": f"sha={digest}"}
        return http.http.post(commit, json={"parts": parts, "attributes": attributes}, headers=headers)

    assert committed(parts[:2]).status_code == 400
    waiting = committed(parts)
    assert (waiting.status_code, waiting.headers["retry-after"], cloud.everything()) == (202, "0", set())
    assert committed(parts, "AAAA").json()["code"] == "bad_digest"
    cloud.plant(("BIG.bin",), b"in between", AT)
    assert committed(parts).json()["code"] == "item_name_in_use"
    cloud.remove(("BIG.bin",))
    done = committed(parts).json()["entries"][0]
    assert (done["sha1"], done["content_modified_at"]) == (sha1(content), "2019-05-05T23:08:09-08:00")
    assert (committed(parts).status_code, cloud.unfinished()) == (404, 0)
    cloud.settings(session_lifetime_seconds=0)
    late = http.up("POST", "/files/upload_sessions", json={**body, "file_name": "late.bin"}).json()
    assert http.http.get(late["session_endpoints"]["status"]).json()["code"] == "session_expired"


def test_an_aborted_session_leaves_nothing(cloud: Cloud) -> None:
    client = client_of(cloud)
    session = client.chunked_uploads.create_file_upload_session("0", 100, "big.bin")
    assert cloud.unfinished() == 1
    client.chunked_uploads.delete_file_upload_session_by_url(session.session_endpoints.abort)
    assert (cloud.unfinished(), cloud.everything()) == (0, set())


def test_what_is_wrong_with_an_upload_is_said(cloud: Cloud, http: Http) -> None:
    attributes = json.dumps({"name": "a", "parent": {"id": "0"}})
    turned = http.up("POST", "/files/content", files=[("file", ("f", b"x")), ("attributes", (None, attributes))])
    assert turned.json()["code"] == "metadata_after_file_contents"
    assert http.send("a", b"x", **{"content-md5": "0" * 40}).json()["code"] == "bad_digest"
    assert http.send("a", b"x", parent="77").status_code == 404
    assert http.api("POST", "/files/content", files={"file": b"x"}).status_code == 405  # that is the upload host's
    unknown = json.dumps({"name": "a", "parent": {"id": "0"}, "overwrite": True})
    odd = http.up("POST", "/files/content", files=[("attributes", (None, unknown)), ("file", ("f", b"x"))])
    assert odd.status_code == 400
    cloud.settings(direct_upload_bytes_max=10)
    assert http.send("a", b"x" * 11).status_code == 413
    cloud.settings(direct_upload_bytes_max=50_000_000, quota_bytes=10)
    full = http.send("a", b"x" * 11)
    assert (full.status_code, full.json()["code"]) == (403, "storage_limit_exceeded")
    cloud.settings(quota_bytes=None, read_only=True)
    assert http.send("a", b"x").json()["code"] == "access_denied_insufficient_permissions"
    assert cloud.everything() == set()


def test_a_name_is_reserved_while_its_upload_is_under_way(cloud: Cloud, http: Http) -> None:
    attributes = json.dumps({"name": "a.bin", "parent": {"id": "0"}}).encode()
    half = b"x" * 500_000
    head = b'--b\r\nContent-Disposition: form-data; name="attributes"\r\n\r\n' + attributes
    head += b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'

    def body() -> Iterator[bytes]:
        yield head + half
        while not cloud.do(lambda: len(cloud.service.world.reserved)):
            pass
        meanwhile = http.send("A.BIN", b"y")
        assert meanwhile.status_code == 409, meanwhile.text
        assert meanwhile.json()["code"] == "name_temporarily_reserved"
        yield half + b"\r\n--b--\r\n"

    with httpx.Client(headers=http.http.headers) as other:
        kind = {"content-type": "multipart/form-data; boundary=b"}
        sent = other.post(f"{cloud.urls['upload']}/2.0/files/content", content=body(), headers=kind)
    assert (sent.status_code, sent.json()["entries"][0]["size"]) == (201, 1_000_000)
    assert http.send("A.BIN", b"y").json()["code"] == "item_name_in_use"


def test_content_that_is_too_large_for_memory(cloud: Cloud) -> None:
    client, content = client_of(cloud), bytes(range(256)) * 40_000
    sent = upload(client, "large.bin", content)
    assert sent.sha_1 == sha1(content)
    assert client.downloads.download_file(sent.id, range="bytes=-300").read() == content[-300:]
    assert sha1(client.downloads.download_file(sent.id).read()) == sha1(content)


def test_events_tell_what_changed_more_than_once(cloud: Cloud) -> None:
    client = client_of(cloud)
    start = client.events.get_events(stream_position="now")
    assert start.entries == []
    folder = client.folders.create_folder("In", CreateFolderParent("0"))
    sent = upload(client, "a.txt", b"1")
    client.files.update_file_by_id(sent.id, name="b.txt", parent=CopyFileParent(folder.id))
    client.files.delete_file_by_id(sent.id)
    position, seen = str(start.next_stream_position), []
    while True:
        page = client.events.get_events(stream_type=GetEventsStreamType.CHANGES, stream_position=position, limit=2)
        if not page.entries:
            break
        seen += [(event.event_id, event.event_type.value, event.source.id) for event in page.entries]
        position = str(page.next_stream_position)
    assert len(seen) > len(set(seen))
    assert list(dict.fromkeys((kind, of) for _, kind, of in seen)) == [
        ("ITEM_CREATE", folder.id), ("ITEM_UPLOAD", sent.id), ("ITEM_MOVE", sent.id), ("ITEM_RENAME", sent.id),
        ("ITEM_TRASH", sent.id),
    ]  # fmt: skip
    logs = client.events.get_events(stream_type=GetEventsStreamType.ADMIN_LOGS)
    assert "DELETE" in [event.event_type.value for event in logs.entries]


def test_scripted_faults_and_limits_in_boxs_words(cloud: Cloud, http: Http) -> None:
    cloud.faults([{"route": "/2.0/folders", "fault": "429", "retry_after": 7, "nth": 1},
                  {"route": "/2.0/folders", "fault": "quota", "nth": 2}])  # fmt: skip
    slow = http.api("GET", "/folders/0")
    assert (slow.status_code, slow.json()["code"], slow.headers["retry-after"]) == (429, "rate_limit_exceeded", "7")
    assert http.api("GET", "/folders/0").json()["code"] == "storage_limit_exceeded"
    cloud.faults([{"route": "files/content", "fault": "lost-response", "nth": 1}])
    with pytest.raises(httpx.TransportError):
        http.send("a.txt", b"1")
    assert (cloud.everything(), http.send("a.txt", b"1").json()["code"]) == ({("a.txt",)}, "item_name_in_use")
    cloud.faults([])
    cloud.settings(calls_per_minute=1)
    http.api("GET", "/folders/0")
    over = http.api("GET", "/folders/0")
    assert (over.status_code, int(over.headers["retry-after"]) >= 1) == (429, True)


def test_a_folder_under_way_blocks_others(cloud: Cloud, http: Http) -> None:
    cloud.plant(("In", "a.txt"), b"1", AT)
    cloud.settings(folder_operation_seconds=30)
    folder = http.api("GET", "/folders/0/items").json()["entries"][0]["id"]
    assert http.api("PUT", f"/folders/{folder}", json={"name": "Out"}).status_code == 200
    blocked = http.api("POST", "/folders", json={"name": "x", "parent": {"id": folder}})
    assert (blocked.status_code, blocked.json()["code"]) == (409, "operation_blocked_temporary")
