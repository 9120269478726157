"""Signing in at Microsoft, as an app and as a person, and what each refusal means."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import ValidationError

from connectors.registry import make_connector, problems_of, sign_in
from connectors.shared.services import Services
from connectors.sharepoint.errors import sign_in_refusal
from connectors.sharepoint.settings import SharePointSettings
from connectors.tokens import MemoryTokenStore, Tokens
from migration.errors import ConfigurationError, FatalError, RetryableError
from simulator.clouds import graph
from simulator.clouds.base import Cloud
from tests.contract.places.sharepoint import Hurried, settings_of
from tests.contract.steps import walked
from tests.servers.programs import free_ports

SITE = "https://contoso.sharepoint.com/sites/riverside"


@pytest.fixture(scope="module")
def shared_cloud() -> Iterator[Cloud]:
    with graph.running(device_interval_seconds=0) as running:
        yield running


@pytest.fixture
def cloud(shared_cloud: Cloud) -> Iterator[Cloud]:
    yield shared_cloud
    shared_cloud.faults([])
    shared_cloud.settings(device_person="agrees", device_interval_seconds=0)


def by_certificate(cloud: Cloud, **files: Any) -> SharePointSettings:
    return settings_of(cloud, client_secret=None, **files)


def as_person(cloud: Cloud, **changes: Any) -> SharePointSettings:
    given = cloud.credentials
    values = {"sign_in": "device-code", "client_id": given["public_client_id"], "client_secret": None}
    return settings_of(cloud, **{**values, "where": given["username"], **changes})


async def test_an_app_signs_in_with_a_certificate_in_one_file_or_two(cloud: Cloud, tmp_path: Path) -> None:
    certificate, key, both, locked = (tmp_path / name for name in ("app.pem", "app.key", "both.pem", "locked.key"))
    pem = cloud.credentials["private_key_pem"]
    certificate.write_text(cloud.credentials["certificate_pem"])
    key.write_text(pem)
    both.write_text(pem + cloud.credentials["certificate_pem"])
    opened = load_pem_private_key(pem.encode(), None)
    locked.write_bytes(opened.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open it")))
    for files in (
        {"certificate_file": certificate, "private_key_file": key},
        {"certificate_file": both},
        {"certificate_file": certificate, "private_key_file": locked, "private_key_password": "open it"},
    ):
        async with make_connector(by_certificate(cloud, **files), Services()) as connector:
            report = await connector.test()
        assert (report.usable, report.who) == (True, f"the app {cloud.credentials['client_id']}")


@pytest.mark.parametrize(
    ("content", "password"), [(None, None), ("no pem", None), ("key only", None), ("both", "but it is not locked")]
)
async def test_a_certificate_that_cannot_be_used_is_named(
    cloud: Cloud, tmp_path: Path, content: str | None, password: str | None
) -> None:
    file, given = tmp_path / "app.pem", cloud.credentials
    texts = {"key only": given["private_key_pem"], "both": given["private_key_pem"] + given["certificate_pem"]}
    if content is not None:
        file.write_text(texts.get(content, content))
    settings = by_certificate(cloud, certificate_file=file, private_key_password=password)
    async with make_connector(settings, Services()) as connector:
        with pytest.raises(ConfigurationError) as caught:
            await walked(connector)
    assert caught.value.code == "certificate-unreadable"


async def test_a_person_signs_in_with_a_code_and_the_sign_in_goes_on_from_there(cloud: Cloud) -> None:
    told: list[str] = []
    services = Services(tokens=MemoryTokenStore(), clock=Hurried())
    settings = as_person(cloud)
    await sign_in(settings, services, tell=told.append, ask=lambda _: "")
    assert told[1].startswith("https://")
    assert "code" in told[2]
    async with make_connector(settings, services) as connector:
        report = await connector.test()
        assert (report.usable, report.who) == (True, cloud.credentials["username"])
        before = await services.tokens.load()
        cloud.expire_tokens()
        assert len(await walked(connector)) == 1
    after = await services.tokens.load()
    assert before and after and before.access_token != after.access_token
    assert after.refresh_token


@pytest.mark.parametrize(("person", "said"), [("refuses", "declined"), ("waits", "in time")])
async def test_a_person_who_does_not_sign_in_ends_it(cloud: Cloud, person: str, said: str) -> None:
    cloud.settings(device_person=person, device_interval_seconds=60)
    services = Services(clock=Hurried())
    with pytest.raises(FatalError, match=said) as caught:
        await sign_in(as_person(cloud), services, tell=lambda _: None, ask=lambda _: "")
    assert (caught.value.code, await services.tokens.load()) == ("sign-in-refused", None)


async def test_a_person_has_to_sign_in_first_and_again_when_the_sign_in_is_worn(cloud: Cloud) -> None:
    settings = as_person(cloud)
    worn = Tokens(
        access_token="a",
        refresh_token="worn",
        expires_at=datetime.now(UTC) - timedelta(1),
        client_id=settings.client_id,
    )
    for store, code in ((MemoryTokenStore(), "sign-in-needed"), (MemoryTokenStore(worn), "sign-in-expired")):
        async with make_connector(settings, Services(tokens=store)) as connector:
            with pytest.raises(FatalError) as caught:
                await walked(connector)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"client_secret": "wrong"}, "AADSTS7000215"),
        ({"client_id": "00000000-0000-0000-0000-000000000009"}, "AADSTS700016"),
        ({"tenant_id": "00000000-0000-0000-0000-000000000009"}, "AADSTS90002"),
    ],
)
async def test_microsofts_refusals_arrive_with_their_number(cloud: Cloud, changes: dict[str, str], number: str) -> None:
    async with make_connector(settings_of(cloud, **changes), Services()) as connector:
        report = await connector.test()
    (finding,) = report.findings
    assert (report.usable, finding.code) == (False, "sign-in-refused")
    assert number in finding.message
    assert "wrong" not in finding.message.split(number)[1]
    assert finding.fix


async def test_a_sign_in_that_is_out_of_reach_or_not_trusted_is_told_apart(cloud: Cloud) -> None:
    nowhere = settings_of(cloud, login_url=f"https://127.0.0.1:{free_ports(1)[0]}")
    async with make_connector(nowhere, Services(clock=Hurried())) as connector:
        with pytest.raises(RetryableError) as lost:
            await walked(connector)
    async with make_connector(settings_of(cloud, ca_file=None), Services()) as connector:
        with pytest.raises(FatalError) as untrusted:
            await walked(connector)
    assert (lost.value.code, untrusted.value.code) == ("unreachable", "untrusted-host")
    cloud.faults([{"route": "/token$", "fault": "503", "retry_after": None}])
    async with make_connector(settings_of(cloud), Services()) as connector:
        with pytest.raises(RetryableError) as busy:
            await walked(connector)
    assert (busy.value.code, busy.value.fix) == (
        "unreachable",
        "Look at Microsoft's service health, and run again later.",
    )


@pytest.mark.parametrize(
    ("number", "for_a_person", "code", "said"),
    [
        (7000215, False, "sign-in-refused", "secret's value, not its ID"),
        (7000222, False, "sign-in-refused", "new secret"),
        (700027, False, "sign-in-refused", "Upload the certificate"),
        (700016, False, "sign-in-refused", "client ID"),
        (65001, False, "sign-in-refused", "Grant admin consent"),
        (90002, False, "sign-in-refused", "tenant ID, and the cloud"),
        (900023, False, "sign-in-refused", "directory"),
        (7000218, True, "sign-in-refused", "public client flows"),
        (50105, True, "sign-in-refused", "Assign the person"),
        (53003, True, "sign-in-refused", "administrator"),
        (50076, True, "sign-in-refused", "second factor"),
        (700082, True, "sign-in-expired", "sitehaul connect"),
        (50173, True, "sign-in-expired", "sitehaul connect"),
        (1234567, False, "sign-in-refused", "error"),
    ],
)
def test_what_to_do_about_each_refused_sign_in(number: int, for_a_person: bool, code: str, said: str) -> None:
    description = f"AADSTS{number}: Microsoft's words.\r\nTrace ID: 1"
    error = sign_in_refusal({"error": "invalid", "error_description": description}, for_a_person=for_a_person)
    assert (type(error), error.code) == (FatalError, code)
    assert f"AADSTS{number}: Microsoft's words" in error.message
    assert said in (error.fix or "")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"client_secret": None}, "either client_secret or certificate_file"),
        ({"certificate_file": "app.pem"}, "either client_secret or certificate_file"),
        ({"sign_in": "device-code"}, "without the app's secret"),
        ({"private_key_file": "app.key"}, "belongs to certificate_file"),
        ({"client_secret": ""}, "client_secret is empty"),
        ({"where": "http://contoso.sharepoint.com/sites/a"}, "must begin with https://"),
        ({"where": f"{SITE}/Shared%20Documents/Forms/AllItems.aspx"}, "the site's own address"),
        ({"where": "sites/riverside"}, "a site's address"),
        ({"where": "ada@contoso.com", "library": "Drawings"}, "only a site has libraries"),
        ({"folder": "a/../b"}, "a path of names"),
        ({"login_url": "http://elsewhere.example.com"}, "must begin with https://"),
        ({"cloud": "moon"}, "global"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], said: str) -> None:
    values = {"tenant_id": "contoso.com", "client_id": "1", "client_secret": "kept-to-ourselves", "where": SITE}
    with pytest.raises(ValidationError) as caught:
        SharePointSettings.model_validate(values | changes)
    assert said in problems_of(caught.value)
    assert "kept-to-ourselves" not in problems_of(caught.value)


@pytest.mark.parametrize(
    ("cloud_name", "api", "login"),
    [
        ("global", "https://graph.microsoft.com", "https://login.microsoftonline.com"),
        ("us-gov", "https://graph.microsoft.us", "https://login.microsoftonline.us"),
        ("us-gov-dod", "https://dod-graph.microsoft.us", "https://login.microsoftonline.us"),
        ("china", "https://microsoftgraph.chinacloudapi.cn", "https://login.chinacloudapi.cn"),
    ],
)
def test_each_cloud_of_microsoft_has_its_own_addresses(cloud_name: str, api: str, login: str) -> None:
    values = {"tenant_id": "t", "client_id": "c", "client_secret": "s", "where": SITE, "cloud": cloud_name}
    settings = SharePointSettings.model_validate(values)
    assert (settings.graph_url, settings.authority, settings.scope) == (
        f"{api}/v1.0", f"{login}/t", f"{api}/.default",
    )  # fmt: skip


def test_two_people_do_not_share_a_sign_in_and_an_app_keeps_none() -> None:
    values = {"tenant_id": "t", "client_id": "c", "sign_in": "device-code"}
    ada, bob = (SharePointSettings.model_validate(values | {"where": f"{name}@contoso.com"}) for name in ("ada", "bob"))
    app = SharePointSettings.model_validate(values | {"where": SITE, "sign_in": "app", "client_secret": "s"})
    assert len({ada.token_key, bob.token_key, None}) == 3
    assert (app.token_key, app.acts_for_a_person, ada.acts_for_a_person) == (None, False, True)
