import time
from typing import Any

import httpx
import pytest

from simulator.faults import FAULTS, FaultScript
from simulator.server import Running
from tests.servers import ProcoreSimulators, signed_in

SIZE = 40_000
SHOWN_HERE = {
    "429-hour", "429-spike", "503", "500", "502", "408", "401", "404", "expired", "html-200", "foreign-redirect",
    "redirect-loop", "reset", "reset-mid-body", "truncated", "short-length", "too-long", "corrupt", "stall", "slow",
    "lost-response", "range-ignored", "etag-changed", "wrong-total", "duplicate-entries", "missing-entries",
    "reordered-entries",
}  # fmt: skip


@pytest.fixture(scope="module")
def served(shared_procore_simulator: ProcoreSimulators) -> Running:
    return shared_procore_simulator(30, file_bytes=SIZE, projects=1)


@pytest.fixture(scope="module")
def headers(served: Running) -> dict[str, str]:
    return signed_in(served)


@pytest.fixture(autouse=True)
def no_faults(served: Running) -> None:
    served.faults([])


def index(served: Running, headers: dict[str, str]) -> httpx.Response:
    return httpx.get(
        f"{served.facts['api_url']}/rest/v1.0/projects/{served.project['id']}/documents",
        params={"view": "extended", "filters[document_type]": "file"},
        headers=headers,
    )


@pytest.fixture(scope="module")
def link(served: Running, headers: dict[str, str]) -> str:
    served.faults([])
    return str(index(served, headers).json()[0]["file"]["current_version"]["url"])


def blob(link: str, headers: dict[str, str]) -> str:
    return str(httpx.get(link, headers=headers).headers["location"])


def test_every_fault_is_shown_in_this_file() -> None:
    assert SHOWN_HERE == FAULTS


@pytest.mark.parametrize(
    ("fault", "status", "has"),
    [
        ("429-hour", 429, {"x-rate-limit-limit": "3600", "x-rate-limit-remaining": "0"}),
        ("429-spike", 429, {"x-rate-limit-limit": "100", "x-rate-limit-remaining": "0"}),
        ("503", 503, {"retry-after": "1"}),
        ("500", 500, {}),
        ("502", 502, {}),
        ("408", 408, {}),
        ("401", 401, {}),
        ("expired", 401, {}),
        ("404", 404, {}),
        ("html-200", 200, {"content-type": "text/html; charset=utf-8"}),
    ],
)
def test_the_api_answers_with_the_fault(
    served: Running, headers: dict[str, str], fault: str, status: int, has: dict[str, str]
) -> None:
    before = int(index(served, headers).headers["x-rate-limit-remaining"])
    served.advance(11)
    served.faults([{"fault": fault, "nth": 1}])
    answer = index(served, headers)
    assert answer.status_code == status
    assert has.items() <= dict(answer.headers).items()
    again = index(served, headers)
    assert again.status_code == 200
    assert int(again.headers["x-rate-limit-remaining"]) <= before - 2 or again.headers["x-rate-limit-limit"] == "100"


def test_an_injected_refusal_says_when_it_ends(served: Running, headers: dict[str, str]) -> None:
    served.faults([{"fault": "429-spike", "seconds": 4}])
    reset_in = int(index(served, headers).headers["x-rate-limit-reset"]) - served.state.clock.now()
    assert 3 < reset_in <= 5
    served.faults([{"fault": "503", "retry_after": None}])
    assert "retry-after" not in index(served, headers).headers


@pytest.mark.parametrize("fault", ["reset", "lost-response"])
def test_a_connection_can_end_without_an_answer(served: Running, headers: dict[str, str], fault: str) -> None:
    served.clear_log()
    served.faults([{"fault": fault, "count": 1}])
    with pytest.raises(httpx.TransportError):
        index(served, headers)
    assert index(served, headers).status_code == 200
    assert [(row["status"], row["fault"]) for row in served.log()] == [(0, fault), (200, None)]


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ("401", 401, "AccessDenied"),
        ("404", 404, "NoSuchKey"),
        ("expired", 403, "Request has expired"),
        ("500", 500, ""),
    ],
)
def test_the_blob_host_refuses_as_an_object_store(
    served: Running, link: str, headers: dict[str, str], fault: str, status: int, text: str
) -> None:
    location = blob(link, headers)
    served.faults([{"host": "blob", "fault": fault}])
    answer = httpx.get(location)
    assert (answer.status_code, text in answer.text) == (status, True)


def test_redirects_that_lead_astray(served: Running, link: str, headers: dict[str, str]) -> None:
    served.faults([{"host": "storage", "fault": "redirect-loop"}])
    assert httpx.get(link, headers=headers).headers["location"] == link
    served.faults([{"host": "storage", "fault": "foreign-redirect"}])
    assert blob(link, headers).startswith(served.facts["peer_url"])
    served.faults([{"host": "storage", "fault": "foreign-redirect", "location": "http://localhost:9/"}])
    assert blob(link, headers) == "http://localhost:9/"
    served.faults([{"host": "storage", "fault": "expired"}])
    assert httpx.get(link, headers=headers).status_code == 403


def body_of(location: str, headers: dict[str, str] | None = None) -> tuple[bytes, Exception | None]:
    """What of a body arrives, and how it ends."""
    arrived = b""
    try:
        with httpx.stream("GET", location, headers=headers, timeout=0.6) as answer:
            for chunk in answer.iter_raw():
                arrived += chunk
    except httpx.TransportError as error:
        return arrived, error
    return arrived, None


@pytest.mark.parametrize(
    ("rule", "arrives", "ends"),
    [
        ({"fault": "truncated"}, SIZE // 2, httpx.RemoteProtocolError),
        ({"fault": "truncated", "after_bytes": 0}, 0, httpx.RemoteProtocolError),
        ({"fault": "truncated", "after_bytes": 39_999}, 39_999, httpx.RemoteProtocolError),
        ({"fault": "stall", "after_bytes": 123}, 123, httpx.ReadTimeout),
        ({"fault": "stall", "after_bytes": 123, "seconds": 0.2}, 123, httpx.RemoteProtocolError),
        ({"fault": "short-length"}, SIZE // 2, None),
        ({"fault": "short-length", "after_bytes": 7}, 7, None),
    ],
)
def test_a_body_that_ends_early(
    served: Running, link: str, headers: dict[str, str], rule: dict[str, Any], arrives: int, ends: type | None
) -> None:
    location = blob(link, headers)
    whole = httpx.get(location).content
    served.faults([{"host": "blob", **rule}])
    arrived, error = body_of(location)
    assert arrived == whole[:arrives]
    assert (None if error is None else type(error)) is ends
    served.faults([])
    assert httpx.get(location).content == whole


def test_a_reset_in_the_middle_of_a_body(served: Running, link: str, headers: dict[str, str]) -> None:
    location = blob(link, headers)
    served.faults([{"host": "blob", "fault": "reset-mid-body", "after_bytes": 1000}])
    arrived, error = body_of(location)
    assert isinstance(error, httpx.TransportError)
    assert len(arrived) <= 1000


def test_a_body_that_is_wrong_but_looks_right(served: Running, link: str, headers: dict[str, str]) -> None:
    location = blob(link, headers)
    whole = httpx.get(location).content
    served.faults([{"host": "blob", "fault": "corrupt", "after_bytes": 500}])
    corrupt = httpx.get(location).content
    assert len(corrupt) == len(whole)
    assert [at for at in range(len(whole)) if corrupt[at] != whole[at]] == [500]
    served.faults([{"host": "blob", "fault": "too-long", "extra_bytes": 3}])
    assert httpx.get(location).content == whole + b"\0\0\0"
    served.faults([{"host": "blob", "fault": "html-200"}])
    assert "sign in" in httpx.get(location).text


def test_a_slow_body_is_complete(served: Running, link: str, headers: dict[str, str]) -> None:
    location = blob(link, headers)
    served.faults([{"host": "blob", "fault": "slow", "bytes_per_second": 200_000}])
    begun = time.monotonic()
    assert len(httpx.get(location).content) == SIZE
    assert time.monotonic() - begun >= 0.15


def test_ranges_and_entity_tags_that_betray_a_resume(served: Running, link: str, headers: dict[str, str]) -> None:
    location = blob(link, headers)
    whole = httpx.get(location)
    served.faults([{"host": "blob", "fault": "range-ignored"}])
    ignored = httpx.get(location, headers={"Range": "bytes=10-19"})
    assert (ignored.status_code, ignored.content) == (200, whole.content)
    served.faults([{"host": "blob", "fault": "etag-changed"}])
    changed = httpx.get(location, headers={"Range": "bytes=10-19"})
    assert changed.status_code == 206
    assert changed.headers["etag"] != whole.headers["etag"]
    assert httpx.get(location, headers={"If-Match": whole.headers["etag"]}).status_code == 412


def test_pages_that_drift(served: Running, headers: dict[str, str]) -> None:
    right = index(served, headers)
    ids = [entry["id"] for entry in right.json()]
    for rule, expected, total in (
        ({"fault": "duplicate-entries"}, [*ids, ids[0]], 0),
        ({"fault": "missing-entries"}, ids[: len(ids) // 2] + ids[len(ids) // 2 + 1 :], 0),
        ({"fault": "reordered-entries"}, ids[::-1], 0),
        ({"fault": "wrong-total", "delta": -2}, ids, -2),
    ):
        served.faults([rule])
        answer = index(served, headers)
        assert [entry["id"] for entry in answer.json()] == expected
        assert int(answer.headers["total"]) == int(right.headers["total"]) + total


def picks(rule: dict[str, Any], calls: int = 8, method: str = "GET", path: str = "/a") -> str:
    script = FaultScript()
    script.load([{"fault": "500", **rule}])
    return "".join("x" if script.pick("api", method, path) else "." for _ in range(calls))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, "xxxxxxxx"),
        ({"count": 3}, "xxx....."),
        ({"nth": 2}, ".x......"),
        ({"nth": [1, 3]}, "x.x....."),
        ({"every": 3}, "..x..x.."),
        ({"every": 3, "count": 1}, "..x....."),
        ({"route": "^/b"}, "........"),
        ({"method": "POST"}, "........"),
        ({"host": "blob"}, "........"),
        ({"probability": 0.0}, "........"),
        ({"probability": 1.0}, "xxxxxxxx"),
    ],
)
def test_when_a_rule_strikes(rule: dict[str, Any], expected: str) -> None:
    assert picks(rule) == expected


def test_chance_is_seeded_and_an_unknown_fault_is_refused(served: Running) -> None:
    assert picks({"probability": 0.5, "seed": 3}, 50) == picks({"probability": 0.5, "seed": 3}, 50)
    assert 10 < picks({"probability": 0.5, "seed": 3}, 50).count("x") < 40
    with pytest.raises(ValueError, match="there is no fault 'flood'"):
        served.faults([{"fault": "flood"}])


def test_every_matching_rule_counts_the_call() -> None:
    script = FaultScript()
    script.load([{"fault": "500", "nth": 1}, {"fault": "502", "nth": 2}])
    struck = [script.pick("api", "GET", "/") for _ in range(3)]
    assert [fault.name if fault else None for fault in struck] == ["500", "502", None]
    assert [(rule["matched"], rule["injected"]) for rule in script.described()] == [(3, 1), (3, 1)]
