from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from connectors.registry import make_connector, problems_of
from connectors.shared.services import Services
from connectors.webdav.connector import WebDavConnector
from connectors.webdav.properties import Base, entries_of, free_bytes
from connectors.webdav.settings import WebDavSettings
from migration.errors import RetryableError
from tests.contract.steps import content_of, entries, put, read
from tests.servers import webdav
from tests.servers.fixtures import running_or_skipped

BASE = Base("https://cloud.example.com/dav/files/me")


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdav.WebDav]:
    yield from running_or_skipped(webdav.running, tmp_path_factory.mktemp("webdav"), tls=True)


def settings(server: webdav.WebDav, **changes: object) -> WebDavSettings:
    values = {"url": server.url, "username": server.username, "password": server.password, "vendor": "wsgidav"}
    return WebDavSettings.model_validate(values | {"ca_file": server.certificate} | changes)


async def test_files_travel_encrypted_to_a_server_with_an_authority_of_its_own(encrypted: webdav.WebDav) -> None:
    connector = make_connector(settings(encrypted), Services())
    assert isinstance(connector, WebDavConnector)
    async with connector:
        await put(connector, ("small",), b"content")
        await put(connector, ("large",), content_of(3_000_000))
        assert await read(connector, (await entries(connector))[("large",)]) == content_of(3_000_000)
    assert encrypted.files.content(("small",)) == b"content"


async def test_a_certificate_nobody_vouches_for_is_not_trusted(encrypted: webdav.WebDav) -> None:
    async with make_connector(settings(encrypted, ca_file=None), Services()) as connector:
        report = await connector.test()
    (finding,) = report.findings
    assert (report.usable, finding.code) == (False, "untrusted-host")
    assert finding.fix and "--ca-file" in finding.fix


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "http://cloud.example.com/dav"}, "must begin with https://"),
        ({"url": "ftp://cloud.example.com"}, "begins with https://"),
        ({"password": None}, "username and password belong together"),
        ({"token": "t"}, "either username and password or a token"),
        ({"vendor": "sharepoint"}, "nextcloud"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object], said: str) -> None:
    values = {"url": "https://cloud.example.com/dav", "username": "me", "password": "kept-to-ourselves"}
    with pytest.raises(ValidationError) as caught:
        WebDavSettings.model_validate(values | changes)
    assert said in problems_of(caught.value)
    assert "kept-to-ourselves" not in problems_of(caught.value)


def answer(*responses: str) -> bytes:
    return f'<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">{"".join(responses)}</d:multistatus>'.encode()


FILE = (
    "<d:response><d:href>{href}</d:href><d:propstat><d:prop><d:getcontentlength>7</d:getcontentlength>"
    '<d:getetag>W/"5"</d:getetag><d:resourcetype/></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>'
    "<d:propstat><d:prop><d:getlastmodified/></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>"
    "</d:response>"
)


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("/dav/files/me/a%20b/%C3%BC%2F%25", ("a b", "ü/%")),
        ("https://cloud.example.com/dav/files/me/x", ("x",)),
        ("https://inside.example.com:8443/dav/files/me/x/", ("x",)),
    ],
)
def test_addresses_in_listings_are_read_in_every_form_servers_give(href: str, path: tuple[str, ...]) -> None:
    (entry,) = entries_of(BASE, answer(FILE.format(href=href)))
    assert (entry.path, entry.size_bytes, entry.ref.version_id, entry.modified_at) == (path, 7, "5", None)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Sign in</html>",
        b"not xml",
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        answer(FILE.format(href="/somewhere/else")),
    ],
)
def test_what_is_no_listing_is_refused(body: bytes) -> None:
    with pytest.raises(RetryableError) as caught:
        entries_of(BASE, body)
    assert caught.value.code == "not-webdav"


def test_the_free_space_is_read_where_it_is_told() -> None:
    told = FILE.format(href="/dav/files/me").replace(
        "<d:resourcetype/>", "<d:quota-available-bytes>12</d:quota-available-bytes>"
    )
    assert free_bytes(answer(told)) == 12
    assert free_bytes(answer(FILE.format(href="/dav/files/me"))) is None
