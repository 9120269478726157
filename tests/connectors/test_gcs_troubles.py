"""What an operator reads when Google Cloud Storage does not do what was asked."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from connectors.gcs.connector import GcsConnector, connector_of
from connectors.gcs.errors import meaning_of
from connectors.gcs.session import GcsSession
from connectors.gcs.settings import GcsSettings
from connectors.registry import make_connector, problems_of, settings_of
from connectors.shared.calls import Refusal
from connectors.shared.objects import ConditionFailed
from connectors.shared.services import Services
from migration.clock import SystemClock
from migration.errors import ConfigurationError, FatalError, ItemError, RetryableError
from tests.contract.steps import content_of, entries, put, read
from tests.servers import gcs
from tests.servers.gcs import Gcs
from tests.servers.http_faults import running as faults_before

MIB = 1024 * 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Gcs]:
    with gcs.running(tmp_path / "keys") as running:
        yield running


def connector(server: Gcs, services: Services | None = None, **changes: Any) -> GcsConnector:
    values = {"api_url": server.url, "bucket": server.bucket, "key_file": server.key_file}
    return connector_of(GcsSettings(**{**values, **changes}), services or Services())


def key_file(server: Gcs, folder: Path, **changes: Any) -> Path:
    file = folder / "changed.json"
    file.write_text(json.dumps({**json.loads(server.key_file.read_text("utf-8")), **changes}), "utf-8")
    return file


class Ahead(SystemClock):
    def now(self) -> datetime:
        return super().now() + timedelta(hours=3)


async def test_a_clock_that_is_wrong_is_named_with_by_how_much(server: Gcs) -> None:
    async with connector(server, Services(clock=Ahead())) as there:
        report = await there.test()
    (finding,) = report.findings
    assert finding.code == "clock-skewed"
    assert "by 180 minutes (ahead)" in finding.message
    assert finding.fix is not None
    assert "NTP" in finding.fix


async def test_a_service_account_that_is_gone_is_named(server: Gcs, tmp_path: Path) -> None:
    async with connector(server, key_file=key_file(server, tmp_path, client_email="gone@x.example")) as there:
        with pytest.raises(FatalError) as caught:
            await entries(there)
    assert caught.value.code == "sign-in-refused"
    assert "account not found" in caught.value.message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type": "authorized_user"}, "of the type authorized_user"),
        ({"private_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"}, "not of that form"),
        ({"token_uri": "http://oauth2.example.com/token"}, "must begin with https://"),
        (None, "No such file"),
    ],
)
async def test_a_file_that_is_no_key_says_why(server: Gcs, tmp_path: Path, changes: Any, said: str) -> None:
    file = tmp_path / "nowhere" if changes is None else key_file(server, tmp_path, **changes)
    with pytest.raises(ConfigurationError) as caught:
        async with connector(server, key_file=file):
            pass
    assert caught.value.code == "key-file-unreadable"
    assert said in caught.value.message
    assert "c2VjcmV0" not in caught.value.message


async def test_an_access_token_works_until_it_expires(server: Gcs) -> None:
    async with connector(server) as there:
        await entries(there)
        token = (await there.service.calls._signer.headers())["Authorization"].removeprefix("Bearer ")
    async with connector(server, key_file=None, access_token=token) as there:
        await put(there, ("file",), b"content")
        assert (await there.test()).who == "an access token"
        server.cloud.expire_tokens()
        with pytest.raises(FatalError) as caught:
            await entries(there)
    assert caught.value.code == "sign-in-refused"
    assert token not in caught.value.message


async def test_what_the_service_account_may_not_do_is_named(server: Gcs) -> None:
    async with connector(server, key_file=server.stranger_key_file) as there:
        report = await there.test()
        assert [finding.code for finding in report.findings] == ["permission-denied"]
        assert "storage.objects.list" in report.findings[0].message
        assert "Storage Object User" in (report.findings[0].fix or "")
    async with connector(server, key_file=server.readonly_key_file) as there:
        with pytest.raises(ItemError) as caught:
            await put(there, ("file",), content_of(9 * MIB))
    assert caught.value.code == "permission-denied"
    assert "storage.objects.create" in caught.value.message


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (["storage.objects.create"], "storage.objects.delete"),
        ([], "storage.objects.create and storage.objects.delete"),
        (["storage.objects.create", "storage.objects.delete"], None),
    ],
)
async def test_the_test_says_what_is_missing_to_write(server: Gcs, held: list[str], said: str | None) -> None:
    body = json.dumps({"kind": "storage#testIamPermissionsResponse", "permissions": held})
    rule = {"fault": "answer", "status": 200, "body": body, "route": "testPermissions"}
    with faults_before(server.url) as proxy:
        proxy.faults([rule])
        async with connector(server, api_url=proxy.url) as there:
            report = await there.test()
        async with connector(server, api_url=proxy.url, read_only=True) as reading:
            assert (await reading.test()).findings == ()
    assert report.usable
    assert [said in finding.message for finding in report.findings if said] == ([True] if said else [])
    assert len(report.findings) == (1 if said else 0)


async def test_a_connection_that_only_reads_asks_for_no_more(server: Gcs) -> None:
    server.files.plant(("file",), b"content")
    async with connector(server, read_only=True) as there:
        assert await read(there, (await entries(there))[("file",)]) == b"content"
        with pytest.raises(ItemError) as caught:
            await put(there, ("new",), b"content")
    assert caught.value.code == "permission-denied"
    assert server.files.everything() == {("file",)}


@pytest.mark.parametrize("size", [20_000, 9 * MIB])
async def test_a_project_nobody_pays_for_stops_the_run(server: Gcs, size: int) -> None:
    server.cloud.settings(quota_bytes=10_000)
    async with connector(server) as there:
        with pytest.raises(FatalError) as caught:
            await put(there, ("file",), content_of(size))
    assert caught.value.code == "billing-disabled"
    assert server.files.everything() == set()
    assert server.files.unfinished() == []


async def test_a_page_of_somebody_in_between_is_no_listing(server: Gcs) -> None:
    async with connector(server) as there:
        await there.stat(("x",))
        server.cloud.faults([{"fault": "html-200", "route": "/storage/v1"}])
        with pytest.raises(RetryableError) as caught:
            await entries(there)
    assert caught.value.code == "not-json"
    assert "proxy" in (caught.value.fix or "")


@pytest.mark.parametrize(
    ("status", "reason", "message", "error", "code"),
    [
        (400, "required", "Bucket is a requester pays bucket but no user project provided.", FatalError,
         "billing-project-wrong"),
        (403, "UserProjectAccessDenied", "denied", FatalError, "billing-project-wrong"),
        (403, "retentionPolicyNotMet", "Object is subject to bucket's retention policy", ItemError, "retained"),
        (403, "objectUnderActiveHold", "hold", ItemError, "retained"),
        (403, "vpcServiceControls", "Request is prohibited by organization's policy.", FatalError, "policy-denied"),
        (403, "rateLimitExceeded", "slow down", RetryableError, "rate-limited"),
        (403, "quotaExceeded", "used up", RetryableError, "rate-limited"),
        (403, "forbidden", "no", ItemError, "permission-denied"),
        (404, "notFound", "The specified bucket does not exist.", FatalError, "root-missing"),
        (404, "notFound", "No such object: my-bucket/bucket", ItemError, "not-found"),
        (409, "conflict", "busy", RetryableError, "locked"),
        (410, "gone", "", RetryableError, "upload-gone"),
        (412, "conditionNotMet", "A pre-condition did not hold.", ConditionFailed, "condition-failed"),
        (413, "uploadTooLarge", "", ItemError, "file-too-large"),
        (400, "invalid", "Provided MD5 hash doesn't match calculated MD5 hash.", RetryableError, "broken-on-the-way"),
        (400, "invalid", "Invalid value for: metadata", ItemError, "refused"),
        (418, "", "", ItemError, "refused"),
    ],
)  # fmt: skip
def test_what_refusals_mean(status: int, reason: str, message: str, error: type[Exception], code: str) -> None:
    body = {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}
    found = meaning_of(Refusal("write gs://b/k", status, httpx.Headers(), json.dumps(body).encode()))
    assert isinstance(found, error)
    assert found.code == code
    if code != "condition-failed":
        assert "write gs://b/k" in found.message
        assert message.rstrip(".") in found.message
        assert found.message.endswith(".")
        assert found.fix


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "x"}', b'{"error": {"errors": []}}'])
def test_a_refusal_without_words_is_told_by_its_status(body: bytes) -> None:
    assert meaning_of(Refusal("read it", 403, httpx.Headers(), body)).code == "permission-denied"


@pytest.mark.parametrize("url", ["", "http://storage.example.com/upload?upload_id=1", "/upload"])
async def test_an_upload_goes_to_no_address_that_is_not_safe(server: Gcs, url: str) -> None:
    async with connector(server) as there:
        with pytest.raises(FatalError) as caught:
            GcsSession(there.service, "key", url)
    assert caught.value.code == "not-gcs"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bucket": "gs://files"}, "without gs://"),
        ({"bucket": "Files"}, "small letters"),
        ({"prefix": "a/../b"}, "a prefix is a path"),
        ({"key_file": None}, "either key_file"),
        ({"access_token": "kept-to-ourselves"}, "either key_file"),
        ({"api_url": "http://storage.example.com"}, "must begin with https://"),
        ({"token_url": "ftp://x"}, "begins with https://"),
        ({"storage_class": "CHEAP"}, "STANDARD"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GcsSettings.model_validate({"bucket": "files", "key_file": "key.json"} | changes)
    assert said in problems_of(caught.value)
    assert "kept-to-ourselves" not in problems_of(caught.value)


def test_saved_settings_make_the_connector_again() -> None:
    settings = GcsSettings(bucket="files", prefix="/projects/2026/", key_file=Path("key.json"), versioned=True)
    again = settings_of(settings.model_dump_json())
    assert again == settings
    assert again.summary == "gs://files/projects/2026/"
    assert again.token_key is None
    assert make_connector(again, Services()).system == "gcs"
