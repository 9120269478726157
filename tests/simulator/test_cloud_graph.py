"""The stand-in of Microsoft Graph against MSAL and the requests of Microsoft's documentation."""

import base64
import io
import subprocess
import sysconfig
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import msal
import pytest

from simulator.clouds import graph
from simulator.clouds.base import Cloud
from simulator.clouds.graph.quickxor import QuickXor, quickxor_text

SCOPES = ["https://graph.microsoft.com/.default"]
UNIT = 320 * 1024
BEHAVIOUR = "@microsoft.graph.conflictBehavior"
PLANTED_AT = datetime(2023, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def own_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says of certificates outweighs what a `requests` session was told."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with graph.running() as running:
        yield running


def get(url: str, **how: Any) -> httpx.Response:
    return httpx.get(url, verify=False, **how)  # plain http; loading the world's certificates takes its time


def post(url: str, **how: Any) -> httpx.Response:
    return httpx.post(url, verify=False, **how)


class Graph:
    """Microsoft's requests, sent with plain httpx."""

    def __init__(self, cloud: Cloud, token: str) -> None:
        self.cloud = cloud
        self.drive = f"/drives/{cloud.credentials['drive_id']}"
        self.client = httpx.Client(
            base_url=cloud.urls["api"], headers={"authorization": f"Bearer {token}"}, verify=False
        )
        self.plain = httpx.Client(verify=False)

    def __call__(self, method: str, path: str, **how: Any) -> httpx.Response:
        return self.client.request(method, path, **how)

    def on(self, method: str, path: str, **how: Any) -> httpx.Response:
        return self.client.request(method, self.drive + path, **how)

    def put(self, path: str, content: bytes, **how: Any) -> dict[str, Any]:
        answer = self.on("PUT", f"/root:/{path}:/content", content=content, **how)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    def folder(self, name: str, parent: str = "root", **how: Any) -> dict[str, Any]:
        at = "root" if parent == "root" else f"items/{parent}"
        answer = self.on("POST", f"/{at}/children", json={"name": name, "folder": {}, **how})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def names(self, path: str = "/root/children") -> list[str]:
        return [one["name"] for one in self.pages(self.drive + path)]

    def pages(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        following: str | None = path
        while following:
            page = self.client.get(following).raise_for_status().json()
            found += page["value"]
            following = page.get("@odata.nextLink")
        return found

    def session(self, path: str, item: dict[str, Any] | None = None, **how: Any) -> str:
        body = {"item": item or {}, **how.pop("json", {})}
        answer = self.on("POST", f"/root:/{path}:/createUploadSession", json=body, **how)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["uploadUrl"])

    def part(self, url: str, content: bytes, start: int, total: int, **headers: str) -> httpx.Response:
        ranged = {"content-range": f"bytes {start}-{start + len(content) - 1}/{total}", **headers}
        return self.plain.put(url, content=content, headers=ranged)


@pytest.fixture
def api(cloud: Cloud) -> Iterator[Graph]:
    keys = cloud.credentials
    answer = post(
        f"{cloud.url}/{keys['tenant_id']}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials", "client_id": keys["client_id"], "client_secret": keys["client_secret"],
            "scope": SCOPES[0],
        },
    )  # fmt: skip
    speaking = Graph(cloud, answer.json()["access_token"])
    with speaking.client, speaking.plain:
        yield speaking


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def app(cloud: Cloud, credential: Any) -> msal.ConfidentialClientApplication:
    keys = cloud.credentials
    return msal.ConfidentialClientApplication(
        keys["client_id"], client_credential=credential, authority=keys["authority"], validate_authority=False,
        instance_discovery=False, verify=keys["ca_file"],
    )  # fmt: skip


def person(cloud: Cloud) -> msal.PublicClientApplication:
    keys = cloud.credentials
    return msal.PublicClientApplication(
        keys["public_client_id"], authority=keys["authority"], validate_authority=False, instance_discovery=False,
        verify=keys["ca_file"],
    )  # fmt: skip


def test_msal_signs_in_with_a_secret_and_with_a_certificate(cloud: Cloud) -> None:
    keys = cloud.credentials
    by_secret = app(cloud, keys["client_secret"]).acquire_token_for_client(SCOPES)
    thumbprint = {"private_key": keys["private_key_pem"], "thumbprint": keys["thumbprint"]}
    by_sha1 = app(cloud, thumbprint).acquire_token_for_client(SCOPES)
    certificate = {"private_key": keys["private_key_pem"], "public_certificate": keys["certificate_pem"]}
    by_sha256 = app(cloud, certificate).acquire_token_for_client(SCOPES)
    for result in (by_secret, by_sha1, by_sha256):
        headers = {"authorization": f"Bearer {result['access_token']}"}
        answer = get(f"{cloud.urls['api']}/drives/{keys['drive_id']}", headers=headers)
        assert answer.status_code == 200, answer.text
        me = get(f"{cloud.urls['api']}/me/drive", headers=headers)
        assert (me.status_code, code_of(me)) == (400, "BadRequest")


def test_msal_is_told_of_a_wrong_secret_in_microsofts_words(cloud: Cloud) -> None:
    result = app(cloud, "wrong").acquire_token_for_client(SCOPES)
    assert result["error"] == "invalid_client" and "AADSTS7000215" in result["error_description"]
    assert result["error_codes"] == [7000215]


def test_a_tenant_that_is_not_there_is_refused_with_its_own_number(cloud: Cloud) -> None:
    """AADSTS90002 "InvalidTenantName": https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes"""
    answer = get(f"{cloud.url}/00000000-0000-0000-0000-000000000009/v2.0/.well-known/openid-configuration")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_tenant")
    assert answer.json()["error_description"].startswith("AADSTS90002: Tenant")


@pytest.mark.parametrize("wrong", [{"aud": "https://elsewhere.example"}, {"exp": 1}, {"iss": "x"}, {"sub": "x"}])
def test_an_assertion_is_checked(cloud: Cloud, wrong: dict[str, Any]) -> None:
    keys = cloud.credentials
    token_url = f"{keys['authority']}/oauth2/v2.0/token"
    claims = {
        "aud": token_url, "exp": int(time.time()) + 300, "iss": keys["client_id"], "sub": keys["client_id"], "jti": "1",
    }  # fmt: skip
    x5t = base64.urlsafe_b64encode(bytes.fromhex(keys["thumbprint"])).decode().rstrip("=")

    def asked(said: dict[str, Any]) -> httpx.Response:
        assertion = jwt.encode(said, keys["private_key_pem"], "RS256", headers={"x5t": x5t})
        return post(f"{cloud.url}/{keys['tenant_id']}/oauth2/v2.0/token", data={
            "grant_type": "client_credentials", "client_id": keys["client_id"], "scope": SCOPES[0],
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        })  # fmt: skip

    refused = asked({**claims, **wrong})
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert asked(claims).status_code == 200
    assert asked(claims).status_code == 401, "an assertion is good once"


def test_msal_signs_a_person_in_with_a_device_code_and_refreshes(cloud: Cloud) -> None:
    cloud.settings(device_interval_seconds=0)
    client = person(cloud)
    scopes = ["https://graph.microsoft.com/Files.ReadWrite.All"]
    flow = client.initiate_device_flow(scopes)
    assert flow["user_code"] in flow["message"]
    first = post(f"{cloud.url}/{cloud.credentials['tenant_id']}/oauth2/v2.0/token", data={
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": flow["device_code"],
        "client_id": cloud.credentials["public_client_id"],
    })  # fmt: skip
    assert (first.status_code, first.json()["error"]) == (400, "authorization_pending")
    result = client.acquire_token_by_device_flow(flow)
    assert result["id_token_claims"]["preferred_username"] == cloud.credentials["username"]
    cloud.expire_tokens()
    again = client.acquire_token_silent(scopes, client.get_accounts()[0], force_refresh=True)
    assert again is not None and again["access_token"] != result["access_token"]
    headers = {"authorization": f"Bearer {again['access_token']}"}
    drive = get(f"{cloud.urls['api']}/me/drive", headers=headers).json()
    assert (drive["id"], drive["driveType"]) == (cloud.credentials["onedrive_id"], "business")
    old = {"authorization": f"Bearer {result['access_token']}"}
    refused = get(f"{cloud.urls['api']}/me/drive", headers=old)
    assert (refused.status_code, code_of(refused)) == (401, "InvalidAuthenticationToken")


def test_a_refresh_token_given_before_signs_in_and_a_refusing_person_ends_the_flow(cloud: Cloud) -> None:
    client, scopes = person(cloud), ["https://graph.microsoft.com/Files.ReadWrite.All"]
    assert "access_token" in client.acquire_token_by_refresh_token(cloud.credentials["refresh_token"], scopes)
    cloud.settings(device_person="refuses", device_interval_seconds=0)
    result = client.acquire_token_by_device_flow(client.initiate_device_flow(scopes))
    assert result["error"] == "authorization_declined"


def test_sites_and_drives_are_found_as_documented(api: Graph) -> None:
    keys = api.cloud.credentials
    site = api("GET", f"/sites/{keys['site_hostname']}:{keys['site_path']}").json()
    assert site["id"] == keys["site_id"] and site["id"].startswith(keys["site_hostname"] + ",")
    libraries = api("GET", f"/sites/{site['id']}/drives").json()["value"]
    assert [one["name"] for one in libraries] == ["Documents", "Drawings"]
    assert api("GET", f"/sites/{site['id']}/drive").json()["id"] == keys["drive_id"]
    by_path = api("GET", f"/sites/{keys['site_hostname']}:{keys['site_path']}:/drive/root/children")
    assert by_path.json() == {"value": []}
    personal = api("GET", f"/users/{keys['username']}/drive").json()
    assert personal["quota"]["state"] == "normal" and personal["quota"]["remaining"] == personal["quota"]["total"]
    found = api("GET", "/sites", params={"search": "river"}).json()["value"]
    assert [one["id"] for one in found] == [site["id"]]
    assert api("GET", f"/sites/{keys['site_hostname']}:/sites/nowhere").status_code == 404
    assert api("GET", "/nothing").status_code == 400


def test_items_are_addressed_by_id_and_by_path(api: Graph) -> None:
    folder = api.folder("Adele's Files")
    made = api.on("PUT", f"/items/{folder['id']}:/doc (1).txt:/content", content=b"a")
    assert made.status_code == 201
    by_path = api.on("GET", "/root:/Adele's%20Files/doc%20(1).txt").json()
    assert by_path["id"] == made.json()["id"] == api.on("GET", "/root:/ADELE'S FILES/DOC (1).TXT").json()["id"]
    assert by_path["parentReference"]["path"].endswith("/root:/Adele%27s%20Files")
    assert by_path["name"] == "doc (1).txt" and by_path["file"]["mimeType"] == "text/plain"
    below = api.on("GET", "/root:/Adele's Files:/children").json()["value"]
    assert [one["id"] for one in below] == [by_path["id"]]
    root = api.on("GET", "/root").json()
    assert root["root"] == {} and root["folder"] == {"childCount": 1} and "cTag" not in root
    assert api.on("GET", "/items/unknown").status_code == 404


def test_select_expand_and_unknown_parameters(api: Graph) -> None:
    item = api.put("a.txt", b"a")
    only = api.on("GET", f"/items/{item['id']}", params={"$select": "id,@microsoft.graph.downloadUrl"}).json()
    assert set(only) == {"id", "@odata.etag", "@microsoft.graph.downloadUrl"}
    expanded = api.on("GET", "/root", params={"$expand": "children"}).json()
    assert [one["name"] for one in expanded["children"]] == ["a.txt"]
    for params in ({"$select": "nonsense"}, {"$filter": "name eq 'a'"}, {"colour": "red"}, {"$expand": "listItem"}):
        refused = api.on("GET", f"/items/{item['id']}", params=params)
        assert (refused.status_code, code_of(refused)) == (400, "invalidRequest"), params
    assert api.on("GET", f"/items/{item['id']}", headers={"if-none-match": item["eTag"]}).status_code == 304


def test_children_come_in_pages_and_survive_changes_between_them(api: Graph) -> None:
    api.cloud.settings(page_entries_max=2)
    for name in "bdacge":
        api.put(f"{name}.txt", b"")
    page = api.on("GET", "/root/children", params={"$top": 5, "$select": "name"}).json()
    assert [one["name"] for one in page["value"]] == ["a.txt", "b.txt"]
    api.cloud.remove(("a.txt",))
    rest = api.pages(page["@odata.nextLink"])
    assert [one["name"] for one in rest] == ["c.txt", "d.txt", "e.txt", "g.txt"]
    assert all(set(one) <= {"name", "@odata.etag"} for one in rest)
    forged = api.on("GET", "/root/children", params={"$skiptoken": "x"})
    assert (forged.status_code, code_of(forged)) == (400, "invalidRequest")


def test_a_download_needs_no_token_takes_ranges_and_dies_soon(api: Graph) -> None:
    item = api.put("a.bin", bytes(range(256)))
    moved = api.on("GET", f"/items/{item['id']}/content")
    assert moved.status_code == 302 and not moved.content
    url = moved.headers["location"]
    assert api.plain.get(url).content == bytes(range(256))
    assert api.client.get(url).status_code == 200, "a bearer does no harm"
    part = api.plain.get(url, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.headers["content-range"], part.content[0]) == (206, "bytes 10-19/256", 10)
    assert api.plain.get(url, headers={"range": "bytes=256-"}).status_code == 416
    changed = {"range": "bytes=10-", "if-range": '"other"'}
    assert api.plain.get(url, headers=changed).status_code == 200
    assert api.plain.get(url + "0").status_code == 401
    api.cloud.advance(181)
    assert api.plain.get(url).status_code == 401


def test_hashes_are_microsofts_and_rclones(api: Graph, tmp_path: Path) -> None:
    bodies = [b"", b"J", b"hello", bytes(range(256)) * 5, b"x" * 320, bytes(i * 7 % 251 for i in range(100_003))]
    for number, body in enumerate(bodies):
        (tmp_path / f"{number}.bin").write_bytes(body)
        running = QuickXor()
        for start in range(0, len(body), 997):
            running.update(body[start : start + 997])
        shown = api.put(f"{number}.bin", body)["file"]["hashes"]
        assert shown == {"quickXorHash": quickxor_text(running.digest())} == {"quickXorHash": plain_quickxor(body)}
    program = Path(sysconfig.get_path("scripts")) / "rclone"
    listed = subprocess.run(
        [program, "hashsum", "quickxor", "--base64", tmp_path], capture_output=True, text=True, check=True
    ).stdout
    hashes = {line.split()[1]: line.split()[0].replace("-", "+").replace("_", "/") for line in listed.splitlines()}
    assert hashes == {f"{number}.bin": plain_quickxor(body) for number, body in enumerate(bodies)}


def plain_quickxor(data: bytes) -> str:
    """The algorithm as Microsoft describes it, one byte at a time."""
    total, mask = 0, (1 << 160) - 1
    for place, value in enumerate(data):
        shift = place * 11 % 160
        total ^= ((value << shift) & mask) | (value >> (160 - shift) if shift > 152 else 0)
    return base64.b64encode((total ^ (len(data) << 96)).to_bytes(20, "little")).decode()


def test_small_uploads_follow_their_conflict_behaviour(api: Graph) -> None:
    first = api.put("Plan.txt", b"one")
    second = api.put("PLAN.TXT", b"two")
    assert (second["id"], second["name"]) == (first["id"], "Plan.txt"), "the default of PUT is to replace"
    assert second["cTag"] != first["cTag"] and second["eTag"] != first["eTag"]
    refused = api.on("PUT", "/root:/plan.txt:/content", params={BEHAVIOUR: "fail"}, content=b"three")
    assert (refused.status_code, code_of(refused)) == (409, "nameAlreadyExists")
    renamed = api.put("plan.txt", b"three", params={BEHAVIOUR: "rename"})
    assert renamed["name"] == "plan 1.txt" and api.cloud.content(("plan 1.txt",)) == b"three"
    missing = api.on("PUT", "/root:/no/where.txt:/content", content=b"x")
    assert (missing.status_code, code_of(missing)) == (404, "itemNotFound")
    api.folder("Folder")
    assert api.on("PUT", "/root:/Folder:/content", content=b"x").status_code == 409
    stale = api.put("plan.txt", b"four", headers={"if-match": first["eTag"]})
    assert stale["size"] == 4, "undocumented for PUT, so it does not protect"


def test_versions_are_listed_read_and_restored(api: Graph) -> None:
    for body in (b"one", b"two!", b"three"):
        item = api.put("a.txt", body)
    at = f"/items/{item['id']}/versions"
    listed = api.on("GET", at).json()["value"]
    assert [(one["id"], one["size"]) for one in listed] == [("3.0", 5), ("2.0", 4), ("1.0", 3)]
    old = api.on("GET", f"{at}/1.0/content")
    assert api.plain.get(old.headers["location"]).content == b"one"
    current = api.on("GET", f"{at}/3.0/content")
    assert current.status_code == 400 and api.on("GET", f"{at}/9.0").status_code == 404
    assert api.on("POST", f"{at}/2.0/restoreVersion").status_code == 204
    assert api.cloud.content(("a.txt",)) == b"two!"
    assert len(api.on("GET", at).json()["value"]) == 4


def test_a_file_goes_up_in_parts_in_order(api: Graph) -> None:
    body = bytes(range(256)) * 3000
    when = {"createdDateTime": "2020-01-02T03:04:05Z", "lastModifiedDateTime": "2021-02-03T04:05:06.789Z"}
    url = api.session("big.bin", {"name": "big.bin", "fileSystemInfo": when})
    assert api.cloud.unfinished() == 1
    first = api.part(url, body[:UNIT], 0, len(body))
    assert (first.status_code, first.json()["nextExpectedRanges"]) == (202, [f"{UNIT}-"])
    again = api.part(url, body[:UNIT], 0, len(body))
    assert (again.status_code, again.json()["nextExpectedRanges"]) == (416, [f"{UNIT}-"])
    ahead = api.part(url, body[2 * UNIT :], 2 * UNIT, len(body))
    assert (ahead.status_code, code_of(ahead)) == (416, "invalidRange")
    assert api.cloud.everything() == set()
    assert api.plain.get(url).json()["nextExpectedRanges"] == [f"{UNIT}-"]
    assert api.part(url, body[UNIT : 2 * UNIT], UNIT, len(body)).status_code == 202
    done = api.part(url, body[2 * UNIT :], 2 * UNIT, len(body))
    assert done.status_code == 201 and done.json()["size"] == len(body)
    info = done.json()["fileSystemInfo"]
    assert (info["createdDateTime"], info["lastModifiedDateTime"]) == ("2020-01-02T03:04:05Z", "2021-02-03T04:05:06Z")
    assert done.json()["file"]["hashes"]["quickXorHash"] == plain_quickxor(body)
    assert (api.cloud.content(("big.bin",)), api.cloud.unfinished()) == (body, 0)
    assert api.plain.get(url).status_code == 404


def test_a_part_that_breaks_the_rules_is_refused(api: Graph) -> None:
    url, total = api.session("a.bin"), 3 * UNIT
    for content, start, of, status in (
        (b"x" * 1000, 0, total, 400), (b"x" * UNIT, 0, UNIT - 1, 400), (b"x" * UNIT, UNIT, total, 416),
    ):  # fmt: skip
        assert api.part(url, content, start, of).status_code == status
    assert api.plain.put(url, content=b"x").status_code == 400
    wrong_length = api.plain.put(url, content=b"x" * UNIT, headers={"content-range": f"bytes 0-{2 * UNIT - 1}/{total}"})
    assert (wrong_length.status_code, code_of(wrong_length)) == (400, "invalidRequest")
    too_large = {"content-range": f"bytes 0-{60 * 1024**2 - 1}/{61 * 1024**2}"}
    assert api.plain.put(url, content=b"", headers=too_large).status_code == 400
    with_bearer = api.part(url, b"x" * UNIT, 0, total, authorization=api.client.headers["authorization"])
    assert with_bearer.status_code == 401
    assert api.part(url, b"x" * UNIT, 0, total).status_code == 202
    assert api.part(url, b"x" * UNIT, UNIT, total + UNIT).status_code == 400, "the total may not change"


def test_a_deferred_upload_becomes_visible_when_it_is_completed(api: Graph) -> None:
    url = api.session("a.txt", {BEHAVIOUR: "fail"}, json={"deferCommit": True})
    early = api.plain.post(url)
    assert (early.status_code, code_of(early)) == (400, "invalidRequest")
    last = api.part(url, b"abc", 0, 3)
    assert (last.status_code, last.json()["nextExpectedRanges"]) == (202, [])
    assert (api.cloud.everything(), api.cloud.unfinished()) == (set(), 1)
    done = api.plain.post(url)
    assert done.status_code == 201 and api.cloud.content(("a.txt",)) == b"abc"
    assert api.plain.post(url).status_code == 404


def test_a_name_taken_meanwhile_is_a_conflict_and_the_session_stays(api: Graph) -> None:
    url = api.session("a.txt")
    api.cloud.plant(("a.txt",), b"theirs", PLANTED_AT)
    taken = api.part(url, b"ours", 0, 4)
    assert (taken.status_code, code_of(taken)) == (409, "nameAlreadyExists")
    assert (api.cloud.content(("a.txt",)), api.cloud.unfinished()) == (b"theirs", 1)
    api.cloud.remove(("a.txt",))
    assert api.plain.post(url).status_code == 201 and api.cloud.content(("a.txt",)) == b"ours"
    early = api.on("POST", "/root:/a.txt:/createUploadSession", json={"item": {BEHAVIOUR: "fail"}})
    assert (early.status_code, code_of(early)) == (409, "nameAlreadyExists")
    renaming = api.session("a.txt", {BEHAVIOUR: "rename"})
    assert api.part(renaming, b"third", 0, 5).json()["name"] == "a 1.txt"


def test_a_replacement_holds_its_condition_until_the_end(api: Graph) -> None:
    item = api.put("a.txt", b"one")
    stale = api.on("POST", f"/items/{item['id']}/createUploadSession", headers={"if-match": '"x"'})
    assert (stale.status_code, code_of(stale)) == (412, "resourceModified")
    for tag in ("eTag", "cTag"):
        item = api.on("GET", "/root:/a.txt").json()
        url = api.on("POST", f"/items/{item['id']}/createUploadSession", headers={"if-match": item[tag]}).json()[
            "uploadUrl"
        ]
        api.put("a.txt", b"meanwhile")
        late = api.part(url, b"ours", 0, 4)
        assert late.status_code == 412 and api.cloud.content(("a.txt",)) == b"meanwhile"
    item = api.on("GET", "/root:/a.txt").json()
    url = api.session("a.txt", {BEHAVIOUR: "replace"}, headers={"if-match": item["eTag"]})
    done = api.part(url, b"ours", 0, 4)
    assert (done.status_code, done.json()["id"]) == (200, item["id"])
    unwanted = api.on("POST", "/root:/a.txt:/createUploadSession", headers={"if-none-match": "*"})
    assert unwanted.status_code == 412


def test_a_session_is_cancelled_or_expires(api: Graph) -> None:
    url = api.session("a.txt")
    assert api.plain.delete(url).status_code == 204 and api.plain.delete(url).status_code == 404
    url = api.session("a.txt")
    api.cloud.advance(90_000)
    assert (api.plain.get(url).status_code, api.cloud.unfinished()) == (404, 0)
    for body in ({"item": {"colour": 1}}, {"colour": 1}, {"item": {"name": "b.txt"}}, {"item": {BEHAVIOUR: "x"}}):
        # the token has grown too old with the session
        api.cloud.settings(token_lifetime_seconds=10.0**6)
        refused = Graph(api.cloud, fresh_token(api.cloud)).on("POST", "/root:/a.txt:/createUploadSession", json=body)
        assert (refused.status_code, code_of(refused)) == (400, "invalidRequest"), body


def fresh_token(cloud: Cloud) -> str:
    return cloud.do(lambda: cloud.service.tokens.issue("access", 10.0**6, user=None, client="x"))


def test_folders_are_made_renamed_moved_and_deleted(api: Graph) -> None:
    folder = api.folder("A")
    again = api.on("POST", "/root/children", json={"name": "a", "folder": {}})
    assert (again.status_code, code_of(again)) == (409, "nameAlreadyExists")
    assert api.folder("a", **{BEHAVIOUR: "rename"})["name"] == "a 1"
    inner = api.folder("Inner", folder["id"])
    api.put("A/Inner/x.txt", b"x")
    loop = api.on("PATCH", f"/items/{folder['id']}", json={"parentReference": {"id": inner["id"]}})
    assert loop.status_code == 400
    moved = api.on("PATCH", f"/items/{inner['id']}", json={"parentReference": {"id": "root"}, "name": "Outer"})
    assert moved.status_code == 200 and api.cloud.everything() == {("Outer", "x.txt")}
    assert moved.json()["eTag"] != inner["eTag"]
    cased = api.on("PATCH", f"/items/{inner['id']}", json={"name": "OUTER"})
    assert cased.json()["name"] == "OUTER", "the same name in another case is no conflict"
    conflict = api.on("PATCH", f"/items/{inner['id']}", json={"name": "A", BEHAVIOUR: "replace"})
    assert (conflict.status_code, code_of(conflict)) == (409, "nameAlreadyExists")
    stale = api.on("DELETE", f"/items/{inner['id']}", headers={"if-match": inner["eTag"]})
    assert (stale.status_code, code_of(stale)) == (412, "resourceModified")
    assert api.on("DELETE", f"/items/{inner['id']}").status_code == 204
    assert api.on("GET", f"/items/{inner['id']}").status_code == 404
    assert (api.cloud.everything(), api.cloud.trash()) == (set(), [("OUTER",)])
    assert api.on("POST", f"/items/{inner['id']}/restore", json={}).status_code == 404
    elsewhere = {"parentReference": {"driveId": api.cloud.credentials["onedrive_id"], "id": "root"}}
    assert api.on("PATCH", f"/items/{folder['id']}", json=elsewhere).status_code == 400


def test_times_are_set_in_whole_seconds_and_guarded_by_the_etag(api: Graph) -> None:
    item = api.put("a.txt", b"a")
    body = {"fileSystemInfo": {"lastModifiedDateTime": "2001-02-03T04:05:06.999+02:00"}}
    changed = api.on("PATCH", f"/items/{item['id']}", json=body, headers={"if-match": item["eTag"]}).json()
    assert changed["fileSystemInfo"]["lastModifiedDateTime"] == "2001-02-03T02:05:06Z"
    assert changed["cTag"] == item["cTag"] and changed["eTag"] != item["eTag"]
    stale = api.on("PATCH", f"/items/{item['id']}", json=body, headers={"if-match": item["eTag"]})
    assert stale.status_code == 412
    for wrong in ({"size": 3}, {"fileSystemInfo": {"lastModifiedDateTime": "yesterday"}}):
        assert api.on("PATCH", f"/items/{item['id']}", json=wrong).status_code == 400


def test_names_that_are_not_taken(api: Graph) -> None:
    for name in (
        'a"b', "a*b", "a:b", "a<b", "a|b", "a\\b", "CON", "com1.txt", ".lock", "desktop.ini", "~$a.docx", "a_vti_b",
        "~a", "ends.", "x" * 256, "..", "",
    ):  # fmt: skip
        refused = api.on("POST", "/root/children", json={"name": name, "folder": {}})
        assert (refused.status_code, code_of(refused)) == (400, "invalidRequest"), name
    assert api.names() == []


def test_names_that_are_changed_and_paths_that_are_too_long(api: Graph) -> None:
    assert api.folder(" spaces ")["name"] == "spaces"
    assert api.folder("50% #1 & more")["name"] == "50% #1 & more"
    api.cloud.settings(trim_names=False)
    assert api.on("POST", "/root/children", json={"name": " a", "folder": {}}).status_code == 400
    assert api.on("POST", "/root/children", json={"name": "Forms", "folder": {}}).status_code == 400
    parent = "root"
    for _ in range(3):
        parent = api.folder("d" * 110, parent)["id"]
    deep = api.on("PUT", f"/items/{parent}:/{'e' * 60}:/content", content=b"x")
    assert deep.json()["error"]["innerError"]["code"] == "pathIsTooLong"


def delta(api: Graph, link: str) -> tuple[dict[str, dict[str, Any]], str, int]:
    """The last occurrence of each item by id, the next link, and how many were shown."""
    found: dict[str, dict[str, Any]] = {}
    shown = 0
    while True:
        page = api.client.get(link).raise_for_status().json()
        found |= {one["id"]: one for one in page["value"]}
        shown += len(page["value"])
        if "@odata.deltaLink" in page:
            return found, page["@odata.deltaLink"], shown
        link = page["@odata.nextLink"]


def test_delta_shows_everything_and_then_the_latest_state_of_what_changed(api: Graph) -> None:
    api.cloud.settings(page_entries_max=3)
    folder = api.folder("A")
    for number in range(8):
        api.put(f"A/{number}.txt", b"x")
    every, link, shown = delta(api, f"{api.drive}/root/delta")
    assert len(every) == 10 < shown, "some come twice"
    assert all("path" not in one["parentReference"] and "cTag" not in one for one in every.values())
    assert delta(api, link)[0] == {}
    item = api.put("A/1.txt", b"changed")
    api.on("PATCH", f"/items/{item['id']}", json={"name": "one.txt"})
    gone = api.on("GET", "/root:/A/2.txt").json()["id"]
    api.on("DELETE", f"/items/{gone}")
    changed, later, _ = delta(api, link)
    root = api.on("GET", "/root").json()["id"]
    assert set(changed) == {item["id"], gone, folder["id"], root}, "with the folders above"
    assert changed[item["id"]]["name"] == "one.txt"
    assert changed[gone]["deleted"] == {"state": "deleted"} and "name" not in changed[gone]
    api.on("PATCH", f"/items/{folder['id']}", json={"name": "B"})
    assert set(delta(api, later)[0]) == {folder["id"], root}, "what is in a renamed folder is not shown"


def test_delta_from_now_on_and_after_a_lost_token(api: Graph) -> None:
    api.put("before.txt", b"x")
    page = api.on("GET", "/root/delta", params={"token": "latest"}).json()
    assert page["value"] == []
    item = api.put("after.txt", b"x")
    headers = {"deltaExcludeParent": "true"}
    first = api.client.get(page["@odata.deltaLink"], headers=headers).json()
    assert [one["id"] for one in first["value"]] == [item["id"]]
    api.cloud.settings(delta_generation=1)
    gone = api.client.get(first["@odata.deltaLink"])
    assert (gone.status_code, code_of(gone)) == (410, "resyncChangesApplyDifferences")
    assert len(delta(api, gone.headers["location"])[0]) == 3
    as_function = api.on("GET", "/root/delta(token='latest')").json()
    assert as_function["value"] == [] and "@odata.deltaLink" in as_function
    since = api.on("GET", "/root/delta", params={"token": "2000-01-01T00:00:00Z"}).json()
    assert len(since["value"]) == 3
    assert api.on("GET", f"/items/{item['id']}/delta").status_code == 400


def test_an_office_file_is_rewritten_a_moment_after_it_was_uploaded(api: Graph) -> None:
    sheet = io.BytesIO()
    with zipfile.ZipFile(sheet, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    sent = api.put("Budget.XLSX", sheet.getvalue())
    assert sent["size"] == len(sheet.getvalue())
    until(lambda: api.cloud.content(("Budget.XLSX",)) != sheet.getvalue())
    settled = api.on("GET", "/root:/Budget.XLSX").json()
    assert settled["size"] > sent["size"] and settled["file"]["hashes"] != sent["file"]["hashes"]
    assert settled["eTag"] != sent["eTag"] and settled["cTag"] != sent["cTag"]
    kept = api.cloud.content(("Budget.XLSX",))
    assert kept is not None and "xl/workbook.xml" in zipfile.ZipFile(io.BytesIO(kept)).namelist()
    assert len(api.on("GET", f"/items/{sent['id']}/versions").json()["value"]) == 1
    api.cloud.settings(settle_seconds=0.0)
    assert api.put("b.docx", b"not an archive")["size"] > 14
    mine = api("PUT", f"/drives/{api.cloud.credentials['onedrive_id']}/root:/b.docx:/content", content=b"not")
    assert mine.json()["size"] == 3, "OneDrive rewrites nothing"


def test_packages_malware_locks_and_missing_hashes(api: Graph) -> None:
    graph.plant_notebook(api.cloud, ("Notes",))
    notebook = api.on("GET", "/root:/Notes").json()
    assert notebook["package"] == {"type": "oneNote"} and "folder" not in notebook and "file" not in notebook
    item = api.put("a.exe", b"x")
    api.cloud.settings(malware=r"\.exe$", locked=r"\.txt$", hashes_missing=r"\.one$")
    assert api.on("GET", f"/items/{item['id']}").json()["malware"]
    refused = api.on("GET", f"/items/{item['id']}/content")
    assert (refused.status_code, code_of(refused)) == (403, "accessDenied")
    open_file = api.put("a.txt", b"new files are not locked")
    for locked in (
        api.on("PUT", f"/items/{open_file['id']}/content", content=b"x"), api.on("DELETE", f"/items/{open_file['id']}"),
        api.on("PATCH", f"/items/{open_file['id']}", json={"name": "b"}),
    ):  # fmt: skip
        assert (locked.status_code, code_of(locked)) == (423, "resourceLocked")
    assert "hashes" not in api.put("a.one", b"x")["file"]


def test_quota_read_only_and_throttling(api: Graph) -> None:
    api.cloud.settings(quota_bytes=10)
    full = api.on("PUT", "/root:/a.txt:/content", content=b"x" * 11)
    assert (full.status_code, code_of(full)) == (507, "quotaLimitReached")
    url = api.session("a.txt")
    assert api.part(url, b"x" * 11, 0, 11).status_code == 507
    api.cloud.settings(quota_bytes=None, read_only=True)
    denied = api.on("POST", "/root/children", json={"name": "A", "folder": {}})
    assert (denied.status_code, code_of(denied)) == (403, "accessDenied")
    api.cloud.settings(read_only=False, calls_per_minute=5)
    answers = [api.on("GET", "/root") for _ in range(6)]
    assert [one.status_code for one in answers] == [200] * 5 + [429]
    assert "ratelimit-remaining" in answers[4].headers and answers[5].headers["ratelimit-remaining"] == "0"
    assert 1 <= int(answers[5].headers["retry-after"]) <= 60 and code_of(answers[5]) == "activityLimitReached"
    api.cloud.advance(61)
    assert api.on("GET", "/root").status_code == 200


def test_faults_strike_as_scripted_and_the_log_tells(api: Graph) -> None:
    api.cloud.clear_log()
    api.cloud.faults([
        {"fault": "503", "method": "GET", "nth": 1, "retry_after": 7}, {"fault": "429", "method": "GET", "nth": 2},
        {"fault": "lost-response", "method": "PUT", "route": "/content$"}, {"fault": "quota", "host": "upload"},
        {"fault": "truncated", "host": "download"},
    ])  # fmt: skip
    busy, limited = api.on("GET", "/root"), api.on("GET", "/root")
    assert (busy.status_code, busy.headers["retry-after"], code_of(busy)) == (503, "7", "serviceNotAvailable")
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "1")
    with pytest.raises(httpx.TransportError):
        api.put("a.txt", b"all there")
    assert api.cloud.content(("a.txt",)) == b"all there"
    assert code_of(api.part(api.session("b.txt"), b"x", 0, 1)) == "quotaLimitReached"
    with pytest.raises(httpx.RemoteProtocolError):
        api.plain.get(api.on("GET", "/root:/a.txt").json()["@microsoft.graph.downloadUrl"])
    told = [(one["host"], one["method"], one["status"], one["fault"]) for one in api.cloud.log()]
    assert told[:3] == [("api", "GET", 503, "503"), ("api", "GET", 429, "429"), ("api", "PUT", 0, "lost-response")]
    assert ("upload", "PUT", 507, "quota") in told and ("download", "GET", 200, "truncated") in told
    with pytest.raises(ValueError, match="no fault 'nonsense'"):
        api.cloud.faults([{"fault": "nonsense"}])
    with pytest.raises(ValueError, match="no switch 'colour'"):
        api.cloud.settings(colour="red")


def test_what_others_do_is_seen_through_the_api(api: Graph) -> None:
    api.cloud.plant(("A", "b.txt"), b"planted", PLANTED_AT)
    api.cloud.plant_folder(("A", "Empty"))
    shown = api.on("GET", "/root:/A/b.txt").json()
    assert shown["fileSystemInfo"]["lastModifiedDateTime"] == "2023-05-06T07:08:09Z" != shown["lastModifiedDateTime"]
    assert api.names("/root:/A:/children") == ["b.txt", "Empty"]
    api.cloud.remove(("A",))
    assert (api.names(), api.cloud.trash()) == ([], [("A",)])
    assert api.cloud.calls >= 3
