"""Signing in, what protects the connection, and connections that come and go."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
from pydantic import ValidationError

from connectors.registry import KINDS, settings_of
from connectors.smb.settings import SmbSettings
from migration.errors import FatalError, RetryableError, SiteHaulError
from tests.contract.places.smb import SmbPlace, Wire
from tests.contract.steps import content_of, entries, put, read, walked
from tests.servers import samba
from tests.servers.fixtures import running_or_skipped

MIB = 1024 * 1024
NAME = ("folder", "file")


@pytest.fixture
async def wire(samba_server: samba.Samba) -> AsyncIterator[Wire]:
    async with Wire(samba_server).open() as wire:
        yield wire


@pytest.fixture
def place(samba_server: samba.Samba, wire: Wire) -> SmbPlace:
    return SmbPlace(samba_server, samba_server.share, wire)


async def refusal(place: SmbPlace, **changes: object) -> SiteHaulError:
    async with place.connector(**changes) as connector:
        with pytest.raises(SiteHaulError) as caught:
            await walked(connector)
        report = await connector.test()
    assert [finding.code for finding in report.findings] == [caught.value.code]
    assert caught.value.fix
    return caught.value


async def test_a_wrong_password_is_tried_once_however_many_ask(place: SmbPlace, wire: Wire) -> None:
    async with place.connector(password="secret-but-wrong") as connector:
        for _ in range(2):
            results = await asyncio.gather(*(connector.stat((f"{n}",)) for n in range(40)), return_exceptions=True)
            assert {getattr(result, "code", result) for result in results} == {"sign-in-refused"}
            assert not any("secret-but-wrong" in str(result) for result in results)
    assert wire.connections == 1


async def test_who_is_disabled_is_told_so(place: SmbPlace) -> None:
    error = await refusal(place, username=place.server.locked_username)
    assert error.code == "sign-in-refused"
    assert place.server.locked_username in error.message
    assert "disabled" in error.message


async def test_a_share_for_others_and_one_that_is_not_there_are_named(place: SmbPlace) -> None:
    denied = await refusal(place, share=place.server.private_share)
    assert (denied.code, type(denied)) == ("permission-denied", FatalError)
    assert f"\\{place.server.private_share}" in denied.message
    missing = await refusal(place, share="nothing")
    assert (missing.code, "\\nothing" in missing.message) == ("root-missing", True)
    no_folder = await refusal(place, folder="no\\folder")
    assert (no_folder.code, "\\no\\folder" in no_folder.message) == ("root-missing", True)


async def test_a_server_that_is_not_there_is_named(place: SmbPlace) -> None:
    error = await refusal(place, server="no-such-server.invalid")
    assert (error.code, type(error)) == ("unreachable", RetryableError)
    assert "no-such-server.invalid" in error.message


async def test_what_protects_the_connection_is_told(place: SmbPlace) -> None:
    for changes, said, codes in [
        ({}, "SMB 3.1.1, signed", set()),
        ({"signing": "if-required"}, "neither signed nor encrypted", {"unprotected"}),
        ({"encryption": "required"}, "SMB 3.1.1, encrypted", set()),
        ({"share": place.server.encrypted_share}, "SMB 3.1.1, encrypted", set()),
    ]:
        async with place.connector(**changes) as connector:
            report = await connector.test()
            await put(connector, ("file",), content_of(20_000))
        assert said in report.findings[0].message
        assert {finding.code for finding in report.findings if finding.level == "warning"} == codes
        await place.remove(("file",))


@pytest.mark.parametrize("how", [{"signing": "mandatory"}, {"encryption_required": True}])
async def test_a_server_that_insists_is_obeyed(
    tmp_path_factory: pytest.TempPathFactory, how: dict[str, object]
) -> None:
    for server in running_or_skipped(samba.running, tmp_path_factory.mktemp("strict"), **how):
        async with place_on(server).connector(signing="if-required") as connector:
            await put(connector, ("file",), content_of(2 * MIB))
            report = await connector.test()
        assert "neither" not in report.findings[0].message


@pytest.mark.parametrize("signing", ["required", "if-required"])
async def test_nobody_is_let_in_as_a_guest(tmp_path_factory: pytest.TempPathFactory, signing: str) -> None:
    for server in running_or_skipped(samba.running, tmp_path_factory.mktemp("guests")):
        settings = server.log.with_name("smb.conf")
        settings.write_text(settings.read_text().replace("map to guest = never", "map to guest = bad user"))
        os.kill(server.pid, signal.SIGHUP)
        while (
            "as a guest"
            not in (error := await refusal(place_on(server), username="nobody-knows", signing=signing)).message
        ):
            assert "wrong" in error.message
        assert error.code == "sign-in-refused"


def place_on(server: samba.Samba) -> SmbPlace:
    return SmbPlace(server, server.share, None)


def is_read(frame: bytes) -> bool:
    """Whether a frame is the answer to a reading."""
    return frame[4:8] == b"\xfeSMB" and b"the content" in frame


def with_other_content(frame: bytes) -> bytes:
    return frame.replace(b"the content", b"a different") if is_read(frame) else frame


def unsigned(frame: bytes) -> bytes:
    if not is_read(frame):
        return frame
    changed, at = bytearray(with_other_content(frame)), 4
    while True:
        following = int.from_bytes(frame[at + 20 : at + 24], "little")
        changed[at + 16] &= ~0x08
        changed[at + 48 : at + 64] = bytes(16)
        if not following:
            return bytes(changed)
        at += following


@pytest.mark.parametrize("change", [with_other_content, unsigned])
async def test_answers_that_somebody_changed_on_the_way_are_not_believed(
    place: SmbPlace, wire: Wire, change: object
) -> None:
    await place.plant(NAME, b"the content")
    async with place.connector() as connector:
        entry = (await entries(connector))[NAME]
        wire.change = change  # type: ignore[assignment]
        with pytest.raises(RetryableError) as caught:
            await read(connector, entry)
        assert caught.value.code == "connection-lost"
        assert "signed" in caught.value.message
        wire.change = None
        assert await read(connector, entry) == b"the content"


async def test_a_connection_that_ended_meanwhile_is_opened_anew(place: SmbPlace, wire: Wire) -> None:
    async with place.connector(connections=1) as connector:
        await put(connector, ("first",), b"1")
        wire.cut()
        await put(connector, ("second",), b"2")
    assert wire.connections == 2
    assert await place.everything() == {("first",), ("second",)}


async def test_a_server_that_takes_few_connections_is_worked_with_over_those(place: SmbPlace, wire: Wire) -> None:
    wire.connections_max = 2
    async with place.connector() as connector:
        await asyncio.gather(*(put(connector, (f"{n}",), content_of(3 * MIB), staging_key=f"{n}") for n in range(12)))
    assert len(await place.everything()) == 12


def test_settings_say_what_is_wrong_with_them() -> None:
    good = {"server": "files.example.com", "share": "projects", "username": "DOMAIN\\hauler", "password": "x"}
    settings = SmbSettings.model_validate(good | {"folder": "/2024/site a\\"})
    assert settings.folder == "2024\\site a"
    assert settings.summary == "\\\\files.example.com\\projects\\2024\\site a as DOMAIN\\hauler"
    assert (settings.signing, settings.port) == ("required", 445)
    assert "password" not in repr(settings).lower() or "x" not in settings.password.__repr__()
    for wrong in (
        {"server": "\\\\files"},
        {"server": "smb://files"},
        {"share": "projects\\2024"},
        {"folder": "a\\..\\..\\b"},
        {"folder": "a:b"},
        {"connections": 0},
        {"username": ""},
    ):
        with pytest.raises(ValidationError):
            SmbSettings.model_validate(good | wrong)
    assert KINDS["smb"].settings is SmbSettings
    with pytest.raises(ValueError, match="server"):
        settings_of('{"kind": "smb", "share": "a", "username": "b", "password": "c"}')
