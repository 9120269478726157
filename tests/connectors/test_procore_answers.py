"""What is read out of single answers and addresses, as tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from connectors.filesystem.settings import FilesystemSettings
from connectors.procore.body import Wanted, check
from connectors.procore.errors import ProcoreRefusal, raise_for, text_of
from connectors.procore.hosts import Address, TrustedHosts
from connectors.procore.rates import reading_of, wait_seconds
from connectors.procore.records import SYSTEM, EntryMaker
from connectors.procore.settings import ProcoreSettings
from connectors.registry import make_connector, require_destination
from connectors.shared.services import Services
from migration.clock import SystemClock
from migration.entries import Entry, EntryKind, Ref
from migration.errors import FatalError, ItemError, RetryableError, SiteHaulError

BODIES: dict[str, tuple[bytes, str]] = {
    "string": (b'{"errors":"Unauthorized"}', "Unauthorized"),
    "list": (b'{"errors":["App is not connected to this company."]}', "App is not connected to this company"),
    "object": (b'{"errors":{"city":["can\'t be blank"]}}', "city can't be blank"),
    "two fields": (b'{"errors":{"a":["x","y"],"b":["z"]}}', "a x; y; b z"),
    "base": (b'{"errors":{"base":["No."]}}', "No"),
    "message": (b'{"code":403,"message":"Invalid Project or Company","fields":{}}', "Invalid Project or Company"),
    "reason": (b'{"code":1,"reason":"because"}', "because"),
    "version 2": (
        b'{"error":{"code":"FORBIDDEN","message":"Not for you.","details":[{"reason_code":"X","message":"y"}]}}',
        "Not for you",
    ),
    "OAuth": (b'{"error":"invalid_grant","error_description":"The refresh token is invalid"}', "invalid_grant"),
    "plain text": (
        b"Missing Procore-Company-Id header! All\nrequests",
        "Missing Procore-Company-Id header! All requests",
    ),
    "HTML": (b"<html><head><style>p{}</style></head><body><h1>Sign in</h1> now</body></html>", "Sign in now"),
    "broken JSON": (b'{"errors":', '{"errors":'),
    "empty": (b"", ""),
    "no text": (b"\xff\xfe", "��"),
    "a number": (b"[1, null]", "1"),
    "long": (b"x" * 1000, "x" * 299 + "…"),
}


@pytest.mark.parametrize(("content", "text"), BODIES.values(), ids=BODIES)
def test_every_shape_of_error_body_is_read(content: bytes, text: str) -> None:
    assert text_of(content) == text


@pytest.mark.parametrize(
    ("status", "content", "kind", "code"),
    [
        (400, b"{}", ProcoreRefusal, "procore-refused"),
        (403, b'{"errors":["App is not connected to this company."]}', FatalError, "app-not-installed"),
        (403, b'{"errors":["No."]}', ProcoreRefusal, "procore-refused"),
        (404, b"", ProcoreRefusal, "procore-refused"),
        (408, b"", RetryableError, "too-big"),
        (422, b'{"errors":{"a":["b"]}}', ProcoreRefusal, "procore-refused"),
        (500, b"<html>", RetryableError, "server-fault"),
        (504, b"", RetryableError, "server-fault"),
        (302, b"", FatalError, "not-procore"),
    ],
)
def test_every_status_is_an_error_of_ours(status: int, content: bytes, kind: type[SiteHaulError], code: str) -> None:
    answer = httpx.Response(status, headers={"x-request-id": "r1"})
    with pytest.raises(kind) as caught:
        raise_for("the list of projects", "api.example", answer, content)
    assert caught.value.code == code
    assert caught.value.message.endswith(".")
    assert caught.value.fix or kind is RetryableError


NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class WrongClock(SystemClock):
    """An hour fast."""

    def now(self) -> datetime:
        return NOW + timedelta(hours=1)


def headers(**values: str) -> httpx.Headers:
    return httpx.Headers({name.replace("_", "-"): value for name, value in values.items()})


def reset_in(seconds: float) -> str:
    return str(int((NOW + timedelta(seconds=seconds)).timestamp()))


DATE = "Sun, 01 Mar 2026 12:00:00 GMT"
WAITS: dict[str, tuple[int, dict[str, str], float | None]] = {
    "nothing said": (429, {}, None),
    "seconds": (503, {"retry_after": "7"}, 7.0),
    "a date": (503, {"retry_after": "Sun, 01 Mar 2026 12:00:09 GMT", "date": DATE}, 9.0),
    "the reset, by Procore's clock": (
        429,
        {"x_rate_limit_limit": "100", "x_rate_limit_remaining": "0", "x_rate_limit_reset": reset_in(8), "date": DATE},
        9.0,
    ),
    "the later of both": (
        429,
        {
            "x_rate_limit_limit": "100",
            "x_rate_limit_remaining": "0",
            "x_rate_limit_reset": reset_in(8),
            "date": DATE,
            "retry_after": "30",
        },
        30.0,
    ),
    "a reset in the past": (
        429,
        {"x_rate_limit_limit": "100", "x_rate_limit_remaining": "0", "x_rate_limit_reset": reset_in(-50), "date": DATE},
        0.0,
    ),
    "a reset far away": (
        429,
        {"x_rate_limit_limit": "9", "x_rate_limit_remaining": "0", "x_rate_limit_reset": reset_in(9e6), "date": DATE},
        3600.0,
    ),
    "a load-shedding answer does not wait for the window": (
        503,
        {
            "x_rate_limit_limit": "100",
            "x_rate_limit_remaining": "5",
            "x_rate_limit_reset": reset_in(900),
            "date": DATE,
            "retry_after": "2",
        },
        2.0,
    ),
    "nonsense": (429, {"retry_after": "soon", "x_rate_limit_limit": "many"}, None),
}


@pytest.mark.parametrize(("status", "values", "seconds"), WAITS.values(), ids=WAITS)
def test_waits_are_what_procore_asks_for(status: int, values: dict[str, str], seconds: float | None) -> None:
    assert wait_seconds(headers(**values), WrongClock(), status) == seconds


def test_rate_headers_are_read_or_nothing_is() -> None:
    said = headers(x_rate_limit_limit="600", x_rate_limit_remaining="17", x_rate_limit_reset=reset_in(60), date=DATE)
    reading = reading_of(said)
    assert reading is not None
    assert (reading.limit, reading.remaining, reading.server_now) == (600, 17, NOW)
    assert reading.reset_at == NOW + timedelta(seconds=60)
    del said["x-rate-limit-reset"]
    assert reading_of(said) is None


ADDRESSES = {
    "https://storage.procore.com/v4/d?sig=a%2Bb%3D": ("https://storage.procore.com", "/v4/d?sig=a%2Bb%3D"),
    "HTTPS://Storage.Procore.Com:443/a": ("https://storage.procore.com", "/a"),
    "https://h:8443?x=1#part": ("https://h:8443", "/?x=1"),
    "http://127.0.0.1:80": ("http://127.0.0.1", "/"),
    "http://[::1]:8080/ä b": ("http://[::1]:8080", "/%C3%A4%20b"),
    "https://h/%7Ea/%2e%2E/x": ("https://h", "/%7Ea/%2e%2E/x"),
}
UNSAFE = [
    "http://storage.procore.com/a",
    "//storage.procore.com/a",
    "/a",
    "ftp://h/a",
    "https://user@h/a",
    "https://storage.procore.com\\@evil.example/a",
    "https://storage.procore.com@evil.example/a",
    "https:///a",
    "https://h:99999/a",
    "https://h /a",
    "",
]


@pytest.mark.parametrize(("text", "parts"), ADDRESSES.items())
def test_addresses_are_taken_apart_and_sent_as_they_are(text: str, parts: tuple[str, str]) -> None:
    address = Address.parsed(text)
    assert (address.origin.url, address.target) == parts


@pytest.mark.parametrize("text", UNSAFE)
def test_unsafe_addresses_are_refused(text: str) -> None:
    with pytest.raises(ItemError) as caught:
        Address.parsed(text)
    assert caught.value.code == "link-unsafe"


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b?c", "https://h:1/b?c"),
        ("c", "https://h:1/a/c"),
        ("https://other/x", "https://other/x"),
        ("//other/x", "https://other/x"),
    ],
)
def test_redirects_may_be_relative(location: str, url: str) -> None:
    address = Address.parsed("https://h:1/a/b").redirected(location)
    assert address.origin.url + address.target == url


def procore(**changes: Any) -> ProcoreSettings:
    values: dict[str, Any] = {"company_id": 1, "client_id": "c", "client_secret": "s"}
    return ProcoreSettings(**(values | changes))


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("https://api.procore.com/x", True),
        ("https://storage.procore.com/x", True),
        ("https://mine.example:8443/x", True),
        ("https://mine.example/x", False),
        ("https://login.procore.com/x", False),
        ("https://storage.procore.com:8443/x", False),
        ("https://storage.procore.com.evil.example/x", False),
        ("https://evilstorage.procore.com/x", False),
        ("http://127.0.0.1/x", False),
    ],
)
def test_only_the_connections_own_hosts_see_the_token(address: str, trusted: bool) -> None:
    hosts = TrustedHosts(procore(token_hosts=("mine.example:8443",)))
    assert (Address.parsed(address).origin in hosts) is trusted


@pytest.mark.parametrize(
    "changes",
    [
        {"client_secret": ""},
        {"company_id": 0},
        {"environment": "custom"},
        {"environment": "elsewhere"},
        {"api_url": "https://api.example"},
        {"environment": "custom", "login_url": "http://login.example", "api_url": "https://api.example"},
        {"environment": "custom", "login_url": "login.example", "api_url": "https://api.example"},
        {"token_hosts": ("https://h",)},
        {"token_hosts": ("h:port",)},
        {"unknown": 1},
        {"hourly_calls": 0},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        procore(**changes)


def test_settings_show_no_secret_and_know_their_environment() -> None:
    settings = procore(environment="federal", client_secret="very secret")
    assert "very secret" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert (settings.login_base, settings.api_base) == ("https://login.procoregov.com", "https://api.procoregov.com")


def test_both_can_be_written_to(tmp_path: Any) -> None:
    for settings in (FilesystemSettings(folder=tmp_path), procore()):
        connector = make_connector(settings, Services())
        assert require_destination(connector, "office") is connector


def entry(size_bytes: int | None, name: str = "a.pdf") -> Entry:
    return Entry(
        ref=Ref(SYSTEM, "1", "2"), parent=None, name=name, path=(name,), kind=EntryKind.FILE, size_bytes=size_bytes
    )


HEADS: dict[str, tuple[Wanted, int, dict[str, str], str | None]] = {
    "whole": (Wanted(entry(10), 0, None, None), 200, {"content-length": "10"}, None),
    "whole of unknown length": (Wanted(entry(10), 0, None, None), 200, {}, None),
    "too short": (Wanted(entry(10), 0, None, None), 200, {"content-length": "9"}, "short-body"),
    "too long": (Wanted(entry(10), 0, None, None), 200, {"content-length": "11"}, "long-body"),
    "a page": (Wanted(entry(None), 0, None, None), 200, {"content-type": "text/html; charset=x"}, "html-answer"),
    "a file that is a page": (
        Wanted(entry(None, "a.HTML"), 0, None, None), 200, {"content-type": "text/html"}, None,
    ),
    "a page of the right length": (
        Wanted(entry(10), 0, None, None), 200, {"content-type": "text/html", "content-length": "10"}, None,
    ),
    "nothing": (Wanted(entry(10), 0, None, None), 204, {}, "unexpected-answer"),
    "a part nobody asked for": (Wanted(entry(10), 0, None, None), 206, {}, "unexpected-answer"),
    "the part": (Wanted(entry(10), 4, None, None), 206, {"content-range": "bytes 4-9/10"}, None),
    "a part of an unknown whole": (Wanted(entry(10), 4, 2, None), 206, {"content-range": "bytes 4-5/*"}, None),
    "another part": (Wanted(entry(10), 4, None, None), 206, {"content-range": "bytes 5-9/10"}, "wrong-range"),
    "no place": (Wanted(entry(10), 4, None, None), 206, {}, "wrong-range"),
    "a shorter part": (Wanted(entry(10), 4, None, None), 206, {"content-range": "bytes 4-7/10"}, "short-body"),
    "a part of another whole": (Wanted(entry(10), 4, 2, None), 206, {"content-range": "bytes 4-5/12"}, "long-body"),
    "a part past the end": (Wanted(entry(10), 4, None, None), 416, {"content-range": "bytes */3"}, "short-body"),
    "the whole instead of a part": (Wanted(entry(10), 4, None, None), 200, {"content-length": "10"}, None),
    "the same content": (
        Wanted(entry(10), 4, None, '"t"'), 206, {"content-range": "bytes 4-9/10", "etag": '"t"'}, None,
    ),
    "another content": (
        Wanted(entry(10), 4, None, '"t"'), 206, {"content-range": "bytes 4-9/10", "etag": '"u"'}, "source-changed",
    ),
    "another content, refused": (Wanted(entry(10), 4, None, '"t"'), 412, {}, "source-changed"),
}  # fmt: skip


@pytest.mark.parametrize(("wanted", "status", "head", "code"), HEADS.values(), ids=HEADS)
def test_the_head_of_a_download_is_held_against_the_listing(
    wanted: Wanted, status: int, head: dict[str, str], code: str | None
) -> None:
    answer = httpx.Response(status, headers=head)
    if code is None:
        assert check(wanted, answer) == head.get("etag")
    else:
        with pytest.raises(SiteHaulError) as caught:
            check(wanted, answer)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("offset", "length", "range_"),
    [
        (0, None, None),
        (0, 10, None),
        (0, 4, "bytes=0-3"),
        (4, None, "bytes=4-9"),
        (4, 3, "bytes=4-6"),
        (4, 99, "bytes=4-9"),
    ],
)
def test_a_range_is_asked_for_only_when_it_is_one(offset: int, length: int | None, range_: str | None) -> None:
    assert Wanted(entry(10), offset, length, None).headers.get("Range") == range_


def test_unknown_values_stay_unknown() -> None:
    maker = EntryMaker("7", NOW)
    bare = maker.file({"id": 1, "name": "a", "parent_id": 2}, "2", ("f",))
    assert (bare.size_bytes, bare.modified_at, bare.created_by, bare.version_number) == (None, None, None, None)
    assert (bare.ref.version_id, bare.path, dict(bare.extra)) == (None, ("f", "a"), {"project": "7"})
    odd = maker.file({"id": "1", "name": "a", "created_at": "yesterday"}, None, ())
    assert odd.created_at is None
    zoned = maker.file({"id": "1", "name": "a", "created_at": "2026-03-01T04:00:00-08:00"}, None, ())
    assert zoned.created_at == NOW
    assert zoned.created_at.tzinfo is UTC
