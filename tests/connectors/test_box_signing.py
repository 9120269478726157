"""Signing in to Box: https://developer.box.com/guides/authentication/."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import ValidationError

from connectors.box.connector import BoxConnector
from connectors.box.settings import BoxSettings
from connectors.box.signing import authorization_url, sign_in
from connectors.shared.services import Services
from connectors.tokens import MemoryTokenStore, Tokens
from migration.errors import ConfigurationError, FatalError, SiteHaulError
from simulator.clouds.base import Cloud
from tests.contract.places.box import key_file
from tests.contract.steps import entries

APP = {"client_id": "id", "client_secret": "s3cr3t"}


def settings_of(cloud: Cloud, **values: Any) -> BoxSettings:
    known = cloud.credentials
    urls = {"api_url": cloud.urls["api"], "upload_url": cloud.urls["upload"], "sign_in_url": cloud.urls["account"]}
    return BoxSettings(client_id=known["client_id"], client_secret=known["client_secret"], **urls, **values)


async def works(settings: BoxSettings, services: Services | None = None) -> None:
    async with BoxConnector(settings, services or Services()) as connector:
        await entries(connector)


async def refused(settings: BoxSettings, services: Services | None = None) -> SiteHaulError:
    with pytest.raises((ConfigurationError, FatalError)) as caught:
        await works(settings, services)
    assert caught.value.fix
    if settings.client_secret is not None:
        assert settings.client_secret.get_secret_value() not in caught.value.message
    return caught.value


class SavingStore(MemoryTokenStore):
    """Remembers what was saved, in order."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        super().__init__(tokens)
        self.saved: list[Tokens] = []

    async def save(self, tokens: Tokens) -> None:
        self.saved.append(tokens)
        await super().save(tokens)


async def person(cloud: Cloud) -> tuple[BoxSettings, SavingStore]:
    settings, store = settings_of(cloud, grant="person"), SavingStore()
    said: list[str] = []

    def ask(question: str) -> str:
        assert question
        return httpx.get(said[-1]).headers["location"]  # where the browser ends

    await sign_in(settings, Services(tokens=store), tell=said.append, ask=ask)
    return settings, store


@pytest.mark.parametrize("subject", ["enterprise_id", "user_id"])
async def test_an_app_signs_in_by_its_secret_or_its_key(box_cloud: Cloud, tmp_path: Path, subject: str) -> None:
    known = box_cloud.credentials
    await works(settings_of(box_cloud, **{subject: known[subject]}))
    key = {"grant": "key", "key_file": key_file(box_cloud, tmp_path)}
    await works(settings_of(box_cloud, **key, **{subject: known[subject]}))
    urls = {f"{host}_url": box_cloud.urls[host] for host in ("api", "upload")}
    await works(BoxSettings(**key, **urls))


async def test_a_key_file_that_is_none_says_so(box_cloud: Cloud, tmp_path: Path) -> None:
    file = key_file(box_cloud, tmp_path)
    values = json.loads(file.read_text("utf-8"))
    settings = settings_of(box_cloud, grant="key", key_file=file)
    file.write_text("{}", "utf-8")
    assert (await refused(settings)).code == "key-file-unreadable"
    values["boxAppSettings"]["appAuth"]["passphrase"] = "wrong"
    file.write_text(json.dumps(values), "utf-8")
    assert (await refused(settings)).code == "key-file-unreadable"
    file.unlink()
    assert (await refused(settings)).code == "key-file-unreadable"


async def test_a_key_that_box_does_not_know_is_told_in_box_s_words(box_cloud: Cloud, tmp_path: Path) -> None:
    file = key_file(box_cloud, tmp_path)
    file.write_text(file.read_text("utf-8").replace(box_cloud.credentials["jwt_key_id"], "other"), "utf-8")
    error = await refused(settings_of(box_cloud, grant="key", key_file=file))
    assert error.code == "sign-in-refused"
    assert "kid" in error.message


async def test_a_person_signs_in_with_the_address_the_browser_ends_at(box_cloud: Cloud) -> None:
    settings, store = await person(box_cloud)
    await works(settings, Services(tokens=store))
    assert len(store.saved) == 1
    asked = parse_qs(urlsplit(authorization_url(settings)).query)
    assert asked["redirect_uri"] == ["http://localhost/"]
    assert "client_secret" not in asked


async def test_renewed_tokens_are_kept_as_a_refresh_token_works_once(box_cloud: Cloud) -> None:
    settings, store = await person(box_cloud)
    for renewals in (2, 3):
        box_cloud.expire_tokens()
        async with BoxConnector(settings, Services(tokens=store)) as one:
            await asyncio.gather(*(one.stat((f"{number}",)) for number in range(20)))
        assert len(store.saved) == renewals
    assert len({tokens.refresh_token for tokens in store.saved}) == 3
    await works(settings, Services(tokens=SavingStore(store.saved[-1])))
    box_cloud.expire_tokens()
    error = await refused(settings, Services(tokens=SavingStore(store.saved[0])))
    assert error.code == "sign-in-expired"


async def test_nobody_has_signed_in(box_cloud: Cloud) -> None:
    error = await refused(settings_of(box_cloud, grant="person"))
    assert error.code == "sign-in-needed"


async def test_a_code_that_is_wrong_is_refused(box_cloud: Cloud) -> None:
    with pytest.raises(FatalError) as caught:
        await sign_in(settings_of(box_cloud, grant="person"), Services(), tell=print, ask=lambda _: "wrong")
    assert caught.value.code == "sign-in-refused"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "client_id and client_secret"),
        (APP, "either enterprise_id"),
        ({**APP, "enterprise_id": "1", "user_id": "2"}, "either enterprise_id"),
        ({"grant": "key"}, "key_file"),
        ({**APP, "enterprise_id": "1", "folder": "a/../b"}, "path of names"),
        ({**APP, "enterprise_id": "1", "folder_id": "abc"}, "pattern"),
        ({**APP, "enterprise_id": "1", "api_url": "http://box.example.com"}, "https"),
    ],
)
def test_settings_that_make_no_sense_say_why(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        BoxSettings(**values)


def test_only_persons_have_tokens_to_keep_and_no_secret_is_shown() -> None:
    app = BoxSettings(**APP, enterprise_id="1", folder="/Projects/")
    someone = BoxSettings(**APP, grant="person")
    assert (app.token_key, app.acts_for_a_person, app.folder_names) == (None, False, ("Projects",))
    assert someone.token_key is not None
    assert someone.token_key.startswith("box-")
    assert someone.acts_for_a_person
    assert "s3cr3t" not in repr(app) + app.summary + someone.summary
