import hashlib
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from simulator.server import Running
from tests.servers import ProcoreSimulators, signed_in


@pytest.fixture(scope="module")
def served(shared_procore_simulator: ProcoreSimulators) -> Running:
    return shared_procore_simulator(60)


@pytest.fixture
def fresh(served: Running) -> Running:
    served.settings(direct_bytes=False, extra_hop=False, link_seconds=0.0, count_storage=False, ranges=True)
    served.faults([])
    return served


def link_of(served: Running, headers: dict[str, str], at: int = 0) -> tuple[str, dict[str, Any]]:
    """The download link and the entry of one file of at least some size."""
    answer = httpx.get(
        f"{served.facts['api_url']}/rest/v1.0/projects/{served.project['id']}/documents",
        params={"view": "extended", "filters[document_type]": "file", "filters[is_in_recycle_bin]": "false"},
        headers=headers,
    )
    entries = [entry for entry in answer.json() if entry["file"]["current_version"]["size"] > 10_000]
    return entries[at]["file"]["current_version"]["url"], entries[at]


def bearer(headers: dict[str, str]) -> dict[str, str]:
    return {"Authorization": headers["Authorization"]}


def test_a_link_redirects_to_bytes_that_are_the_truth(fresh: Running) -> None:
    headers = signed_in(fresh)
    link, entry = link_of(fresh, headers)
    redirect = httpx.get(link, headers=bearer(headers))
    assert redirect.status_code == 302
    location = redirect.headers["location"]
    assert location.startswith(fresh.facts["blob_url"])
    assert "X-Amz-Expires=300" in location
    answer = httpx.get(location)
    version = entry["file"]["current_version"]
    true = next(row for row in fresh.truth() if row["version_id"] == version["id"])
    assert hashlib.sha256(answer.content).hexdigest() == true["sha256"]
    assert len(answer.content) == version["size"] == true["size_bytes"]


def test_a_link_stays_the_same_while_links_live_for_ever(fresh: Running) -> None:
    headers = signed_in(fresh)
    before = link_of(fresh, headers)[0]
    fresh.advance(10)
    assert link_of(fresh, headers)[0] == before


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda link, headers: (link, {}), 401),
        (lambda link, headers: (link, {"Authorization": "Bearer nonsense"}), 401),
        (lambda link, headers: (link[:-1] + ("0" if link[-1] != "0" else "1"), headers), 403),
        (lambda link, headers: (link.replace("projectId=", "projectId=1"), headers), 403),
        (lambda link, headers: (link.replace("companyId=", "companyId=1"), headers), 403),
        (lambda link, headers: (link.partition("?")[0], headers), 403),
        (lambda link, headers: (link.replace("/files/", "/elsewhere/"), headers), 404),
    ],
)
def test_the_storage_host_refuses(fresh: Running, change: Any, status: int) -> None:
    headers = signed_in(fresh)
    address, sent = change(link_of(fresh, headers)[0], bearer(headers))
    assert httpx.get(address, headers=sent).status_code == status


def test_links_expire_by_switch(fresh: Running) -> None:
    fresh.settings(link_seconds=60.0)
    headers = signed_in(fresh)
    link = link_of(fresh, headers)[0]
    assert httpx.get(link, headers=bearer(headers)).status_code == 302
    fresh.advance(61)
    assert httpx.get(link, headers=bearer(headers)).status_code == 403
    assert link_of(fresh, headers)[0] != link


def test_a_link_ends_with_the_permission(fresh: Running) -> None:
    headers, project_id = signed_in(fresh), fresh.project["id"]
    link = link_of(fresh, headers)[0]
    fresh.edit({"op": "permission", "project_id": project_id, "level": None})
    assert httpx.get(link, headers=bearer(headers)).status_code == 403
    fresh.edit({"op": "permission", "project_id": project_id, "level": 3})
    assert httpx.get(link, headers=bearer(headers)).status_code == 302


def test_direct_bytes_and_a_second_hop_by_switch(fresh: Running) -> None:
    headers = signed_in(fresh)
    link, entry = link_of(fresh, headers)
    fresh.settings(extra_hop=True)
    first = httpx.get(link, headers=bearer(headers)).headers["location"]
    assert urlsplit(first).netloc == urlsplit(fresh.facts["storage_url"]).netloc
    assert httpx.get(first).status_code == 401
    second = httpx.get(first, headers=bearer(headers)).headers["location"]
    assert second.startswith(fresh.facts["blob_url"])
    fresh.settings(direct_bytes=True)
    direct = httpx.get(link, headers={**bearer(headers), "Range": "bytes=5-9"})
    assert direct.status_code == 206
    assert direct.content == httpx.get(second).content[5:10]
    assert direct.headers["content-range"] == f"bytes 5-9/{entry['file']['current_version']['size']}"


def test_downloads_count_by_switch(fresh: Running) -> None:
    headers = signed_in(fresh)
    link = link_of(fresh, headers)[0]
    assert "x-rate-limit-remaining" not in httpx.get(link, headers=bearer(headers)).headers
    fresh.settings(count_storage=True, spike_calls=2)
    fresh.advance(60)
    answers = [httpx.get(link, headers=bearer(headers)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [302, 302, 429]
    assert [answer.headers["x-rate-limit-remaining"] for answer in answers] == ["1", "0", "0"]
    fresh.settings(spike_calls=100)


def blob_of(fresh: Running) -> tuple[str, bytes]:
    headers = signed_in(fresh)
    location = httpx.get(link_of(fresh, headers)[0], headers=bearer(headers)).headers["location"]
    return location, httpx.get(location).content


def test_the_blob_host_refuses_a_bearer_token(fresh: Running) -> None:
    location, _ = blob_of(fresh)
    answer = httpx.get(location, headers={"Authorization": "Bearer anything"})
    assert answer.status_code == 400
    assert "<Code>InvalidArgument</Code>" in answer.text


def test_a_blob_address_expires_and_cannot_be_changed(fresh: Running) -> None:
    location, _ = blob_of(fresh)
    longer = location.replace("X-Amz-Expires=300", "X-Amz-Expires=9999")
    assert "SignatureDoesNotMatch" in httpx.get(longer).text
    version_id = urlsplit(location).path.split("/")[3]
    assert httpx.get(location.replace(version_id, str(int(version_id) + 1))).status_code == 403
    fresh.advance(301)
    answer = httpx.get(location)
    assert answer.status_code == 403
    assert "Request has expired" in answer.text


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=100-199", 206, 100, 200),
        ("bytes=9000-", 206, 9000, None),
        ("bytes=-50", 206, -50, None),
        ("bytes=0-999999999", 206, 0, None),
        ("bytes=5-2", 200, 0, None),
        ("bytes=0-1,5-6", 200, 0, None),
        ("lines=1-2", 200, 0, None),
        ("bytes=-", 200, 0, None),
    ],
)
def test_ranges(fresh: Running, asked: str, status: int, start: int, end: int | None) -> None:
    location, whole = blob_of(fresh)
    answer = httpx.get(location, headers={"Range": asked})
    assert answer.status_code == status
    assert answer.content == whole[start:end]
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert ("content-range" in answer.headers) is (status == 206)


def test_a_range_past_the_end_and_ranges_switched_off(fresh: Running) -> None:
    location, whole = blob_of(fresh)
    answer = httpx.get(location, headers={"Range": f"bytes={len(whole)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(whole)}"
    fresh.settings(ranges=False)
    answer = httpx.get(location, headers={"Range": "bytes=5-9"})
    assert (answer.status_code, answer.content) == (200, whole)


def test_conditions(fresh: Running) -> None:
    location, whole = blob_of(fresh)
    etag = httpx.head(location).headers["etag"]
    assert httpx.get(location, headers={"If-None-Match": etag}).status_code == 304
    assert httpx.get(location, headers={"If-Match": '"other"'}).status_code == 412
    assert httpx.get(location, headers={"If-Match": etag, "Range": "bytes=1-2"}).content == whole[1:3]
    assert httpx.get(location, headers={"If-Range": '"other"', "Range": "bytes=1-2"}).content == whole
    head = httpx.head(location)
    assert (head.status_code, head.content, int(head.headers["content-length"])) == (200, b"", len(whole))


def test_old_versions_are_downloadable_and_bodies_have_rates(fresh: Running) -> None:
    headers = signed_in(fresh)
    true = next(row for row in fresh.truth() if row["path"][-1] == "Setting-out drawing.pdf" and row["version"] == 1)
    answer = httpx.get(
        f"{fresh.facts['api_url']}/rest/v1.0/files/{true['id']}",
        params={"project_id": fresh.project["id"]},
        headers=headers,
    )
    url = next(version["url"] for version in answer.json()["file_versions"] if version["number"] == 1)
    location = httpx.get(url, headers=bearer(headers)).headers["location"]
    fresh.settings(bytes_per_second=20_000_000.0)
    assert hashlib.sha256(httpx.get(location).content).hexdigest() == true["sha256"]
    fresh.settings(bytes_per_second=0.0)


def test_the_end_of_a_file_beyond_4_gib_is_served_at_once(procore_simulator: ProcoreSimulators) -> None:
    served = procore_simulator(60, max_file_bytes=0, projects=1)
    huge = next(row for row in served.truth(hashes=False) if (row["size_bytes"] or 0) > 4 * 1024**3)
    address = f"{served.facts['peer_url']}/{served.project['id']}/{'/'.join(huge['path'])}"
    answer = httpx.get(address, headers={"Range": "bytes=4294971000-"})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes 4294971000-{huge['size_bytes'] - 1}/{huge['size_bytes']}"
    assert len(answer.content) == huge["size_bytes"] - 4_294_971_000
