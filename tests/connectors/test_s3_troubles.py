"""What S3's own refusals look like, and what is left behind after them."""

from collections.abc import Iterator

import pytest

from connectors.s3.settings import S3Settings
from migration.errors import FatalError, ItemError, RetryableError, SiteHaulError
from tests.connectors.s3_support import Setting, setting
from tests.contract.steps import content_of, entries, put, read, walked
from tests.servers.s3 import S3

pytestmark = pytest.mark.xdist_group("s3_server")
MIB = 1024 * 1024


@pytest.fixture
def s3(s3_server: S3) -> Iterator[Setting]:
    with setting(s3_server) as made:
        yield made


@pytest.mark.parametrize(
    ("status", "code", "kind", "meaning"),
    [
        (403, "InvalidAccessKeyId", FatalError, "sign-in-refused"),
        (403, "SignatureDoesNotMatch", FatalError, "sign-in-refused"),
        (400, "ExpiredToken", FatalError, "sign-in-expired"),
        (403, "AccessDenied", ItemError, "permission-denied"),
        (404, "NoSuchBucket", FatalError, "root-missing"),
        (301, "PermanentRedirect", FatalError, "wrong-region"),
        (400, "AuthorizationHeaderMalformed", FatalError, "wrong-region"),
        (403, "QuotaExceeded", FatalError, "disk-full"),
        (507, "XMinioStorageFull", FatalError, "disk-full"),
        (403, "RequestTimeTooSkewed", FatalError, "clock-skewed"),
        (400, "EntityTooLarge", ItemError, "file-too-large"),
        (400, "KeyTooLongError", ItemError, "name-too-long"),
        (501, "NotImplemented", FatalError, "not-supported"),
        (400, "SomethingNew", ItemError, "refused"),
    ],
)
async def test_a_refused_file_says_what_to_do(
    s3: Setting, status: int, code: str, kind: type[SiteHaulError], meaning: str
) -> None:
    async with s3.connector() as connector:
        await connector.make_folder(("folder",))
        s3.answer(status, code, method="PUT")
        for size in (20_000, 9 * MIB):
            with pytest.raises(kind) as caught:
                await put(connector, ("folder", "file"), content_of(size))
            assert caught.value.code == meaning
            assert caught.value.fix
            assert s3.server.secret_key not in caught.value.message
        s3.proxy.faults([])
        assert s3.files.everything() == set()
        assert s3.files.unfinished() == []


async def test_a_walk_of_a_bucket_that_may_not_be_seen_is_fatal(s3: Setting) -> None:
    stranger = {"access_key_id": s3.server.stranger_access_key, "secret_access_key": s3.server.stranger_secret_key}
    async with s3.connector(**stranger) as connector:
        with pytest.raises(FatalError) as caught:
            await walked(connector)
        report = await connector.test()
    assert caught.value.code == "permission-denied"
    assert "s3:ListBucket" in (caught.value.fix or "")
    assert not report.usable


async def test_an_archived_object_is_flagged_and_not_retried(s3: Setting) -> None:
    s3.files.plant(("file",), b"content")
    async with s3.connector() as connector:
        entry = (await entries(connector))[("file",)]
        s3.answer(403, "InvalidObjectState", method="GET")
        with pytest.raises(ItemError) as caught:
            await read(connector, entry)
    assert caught.value.code == "archived"


async def test_a_page_that_says_something_else_is_never_an_empty_listing(s3: Setting) -> None:
    async with s3.connector() as connector:
        s3.proxy.faults([{"fault": "answer", "status": 200, "body": "<html>sign in</html>", "method": "GET"}])
        with pytest.raises(RetryableError) as caught:
            await walked(connector)
    assert caught.value.code == "not-xml"


async def test_a_service_that_stored_something_else_is_found_out(s3: Setting) -> None:
    other = {"x-amz-checksum-sha256": "A" * 43 + "=", "ETag": '"0"'}
    async with s3.connector() as connector:
        await connector.make_folder(("folder",))
        s3.proxy.faults([{"fault": "answer", "status": 200, "headers": other, "method": "PUT"}])
        with pytest.raises(RetryableError) as caught:
            await put(connector, ("folder", "file"), b"content")
    assert caught.value.code == "stored-content-differs"


async def test_an_error_inside_a_success_is_an_error(s3: Setting) -> None:
    """CompleteMultipartUpload may begin its answer with 200 and end it with an error."""
    async with s3.connector() as connector:
        await connector.make_folder(("folder",))
        s3.answer(200, "InternalError", method="POST", route=r"uploadId=", count=1)
        with pytest.raises(RetryableError):
            await put(connector, ("folder", "file"), content_of(9 * MIB))
        assert s3.files.everything() == set()
        assert s3.files.unfinished() == []
        await put(connector, ("folder", "file"), content_of(9 * MIB))
    assert s3.files.content(("folder", "file")) == content_of(9 * MIB)


async def test_the_report_of_a_wrong_bucket_names_it(s3: Setting) -> None:
    async with s3.connector(bucket="no-such-bucket") as connector:
        report = await connector.test()
    assert not report.usable
    assert "no-such-bucket" in report.findings[0].message


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"bucket": "s3://files"}, "bucket's name"),
        ({"prefix": "a/../b"}, "prefix"),
        ({"access_key_id": "AKIA"}, "belong together"),
        ({"endpoint_url": "http://s3.example.com"}, "https://"),
        ({"kms_key_id": "key"}, "aws:kms"),
        ({"session_token": "token"}, "session token"),
        ({"region": "Frankfurt, Germany"}, "eu-central-1"),
    ],
)
def test_settings_that_make_no_sense_say_so(changes: dict[str, str], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        S3Settings.model_validate({"bucket": "files", **changes})


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({"region": "eu-central-1"}, "https://files.s3.eu-central-1.amazonaws.com"),
        ({"region": "cn-north-1"}, "https://files.s3.cn-north-1.amazonaws.com.cn"),
        ({"bucket": "my.files"}, "https://s3.us-east-1.amazonaws.com/my.files"),
        ({"endpoint_url": "https://minio.example.com:9000/"}, "https://minio.example.com:9000/files"),
        ({"endpoint_url": "https://e.com", "addressing": "virtual"}, "https://files.e.com"),
        ({"addressing": "path"}, "https://s3.us-east-1.amazonaws.com/files"),
    ],
)
def test_the_bucket_is_named_where_the_service_wants_it(changes: dict[str, str], url: str) -> None:
    assert S3Settings.model_validate({"bucket": "files", **changes}).base_url == url
