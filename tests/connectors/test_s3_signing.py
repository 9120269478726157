"""Where credentials come from, and signatures held against botocore's."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from connectors.s3.requests import escaped_key, query_of
from connectors.s3.signing import EMPTY_SHA256, Credentials, Signature
from migration.errors import ConfigurationError
from tests.connectors.s3_support import Setting, setting
from tests.contract.steps import entries, put, walked
from tests.servers.s3 import S3

pytestmark = pytest.mark.xdist_group("s3_server")
NO_KEY = {"access_key_id": None, "secret_access_key": None}


@pytest.fixture
def s3(s3_server: S3) -> Iterator[Setting]:
    with setting(s3_server) as made:
        yield made


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any AWS settings; the file its profiles would be in."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    profiles = tmp_path / "credentials"
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))
    return profiles


@pytest.mark.parametrize("token", [None, "a session token"])
@pytest.mark.parametrize("key", ["file", "a b/ü%+~'()*!.txt", "図面/🏗️ #1?.dwg", ""])
@pytest.mark.parametrize(
    "query", [{}, {"uploadId": "a/b+c=", "partNumber": "12"}, {"list-type": "2", "prefix": "ü x/"}]
)
def test_requests_are_signed_as_amazon_s_own_client_signs_them(
    key: str, query: dict[str, str], token: str | None
) -> None:
    url = f"http://127.0.0.1:8333/files/{escaped_key(key)}" + (f"?{query_of(query)}" if query else "")
    headers = {"If-None-Match": "*", "x-amz-meta-mtime": "1680674828.901234"}
    theirs = AWSRequest(method="PUT", url=url, headers=dict(headers), data=b"")
    S3SigV4Auth(BotoCredentials("AKIA", "secret", token), "s3", "eu-central-1").add_auth(theirs)
    at = datetime.strptime(theirs.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = Signature("eu-central-1").signed(Credentials("AKIA", "secret", token), at, "PUT", url, headers, EMPTY_SHA256)
    assert ours["authorization"] == theirs.headers["Authorization"]
    assert ours.get("x-amz-security-token") == token


def has_profile(profiles: Path, server: S3) -> None:
    profiles.write_text(
        f"[hauling]\naws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
    )


async def test_a_profile_of_the_machine_is_enough(s3: Setting, bare_machine: Path) -> None:
    server = s3.server
    has_profile(bare_machine, server)
    async with s3.connector(**NO_KEY, profile="hauling") as connector:
        await put(connector, ("file",), b"content")
        assert set(await entries(connector)) == {("file",)}
        assert (await connector.test()).who == f"access key {server.access_key}"


async def test_a_machine_without_credentials_says_so(s3: Setting, bare_machine: Path) -> None:
    async with s3.connector(**NO_KEY) as connector:
        with pytest.raises(ConfigurationError) as caught:
            await walked(connector)
        report = await connector.test()
    assert caught.value.code == "no-credentials"
    assert not report.usable


async def test_a_profile_that_is_not_there_is_named_as_the_reason(s3: Setting, bare_machine: Path) -> None:
    async with s3.connector(**NO_KEY, profile="nobody") as connector:
        report = await connector.test()
    assert not report.usable
    assert report.findings[0].code == "sign-in-refused"
    assert report.findings[0].fix
