"""Files on a share: what others do with them meanwhile, large ones, and what is listed as a problem."""

import asyncio
import struct
import threading
from collections.abc import Iterator

import pytest

from connectors.smb import messages as smb
from connectors.smb.channel import Channel
from connectors.smb.connector import SmbConnector
from connectors.smb.errors import error_of, sign_in_error
from connectors.smb.settings import SmbSettings
from migration.errors import FatalError, ItemError, RetryableError
from tests.contract.places.smb import SmbPlace
from tests.contract.steps import content_of, entries, put, read, walked
from tests.servers.samba import Samba

MIB = 1024 * 1024
NAME = ("folder", "file")
IS_DEDUPLICATED = 0x80000013
IS_SYMBOLIC_LINK = 0xA000000C
IS_JUNCTION = 0xA0000003
IS_NFS_LINK = 0x80000014


@pytest.fixture
def place(samba_server: Samba) -> SmbPlace:
    return SmbPlace(samba_server, samba_server.share, None)


@pytest.fixture
def somebody(place: SmbPlace) -> Iterator[Channel]:
    """Another program on the share."""
    server = place.server
    channel = Channel(
        SmbSettings.model_validate(
            {
                "server": server.host, "port": server.port, "share": place.share,
                "username": server.username, "password": server.password,
            }
        )
    )  # fmt: skip
    yield channel
    channel.sign_out()


def opened_alone(channel: Channel, place: SmbPlace) -> bytes:
    name = "\\".join((place.folder, *NAME))
    [answer] = channel.exchange(smb.create(name, smb.READ_DATA, smb.OPEN, smb.IS_FILE, shared=False))
    assert answer.status == 0
    return smb.created(answer.data)[0]


async def test_a_file_that_somebody_has_open_is_named_and_tried_again(place: SmbPlace, somebody: Channel) -> None:
    await place.plant(NAME, b"theirs")
    async with place.connector() as connector:
        entry = (await entries(connector))[NAME]
        handle = opened_alone(somebody, place)
        for attempt in (read(connector, entry), put(connector, NAME, b"ours", expected=entry)):
            with pytest.raises(RetryableError) as caught:
                await attempt
            assert caught.value.code == "locked"
            assert "folder\\file" in caught.value.message
            assert caught.value.fix and "Open Files" in caught.value.fix
        assert await place.everything() == {NAME}
        somebody.exchange(smb.close(handle))
        await put(connector, NAME, b"ours", expected=entry)
    assert await place.content(NAME) == b"ours"


async def test_a_file_that_is_being_deleted_is_waited_for(place: SmbPlace, somebody: Channel) -> None:
    await place.plant(("folder", ".sitehaul-key-1.part"), b"a leftover")
    name = f"{place.folder}\\folder\\.sitehaul-key-1.part"
    [opened] = somebody.exchange(smb.create(name, smb.DELETE, smb.OPEN, smb.IS_FILE))
    handle = smb.created(opened.data)[0]
    somebody.exchange(smb.delete(handle))
    closing = threading.Timer(0.1, somebody.exchange, [smb.close(handle)])
    closing.start()
    async with place.connector() as connector:
        await put(connector, NAME, b"content")
    closing.join()
    assert await place.everything() == {NAME}


async def test_a_folder_that_is_closed_to_the_user_is_a_problem_of_the_walk(place: SmbPlace) -> None:
    await place.plant(("open", "file"), b"1")
    await place.plant(("closed", "file"), b"2")
    place.files.root.joinpath("closed").chmod(0)
    async with place.connector() as connector:
        [page] = await walked(connector)
        assert {entry.path for entry in page.entries} == {("closed",), ("open",), ("open", "file")}
        assert [(problem.path, problem.code) for problem in page.problems] == [(("closed",), "permission-denied")]
        with pytest.raises(ItemError) as caught:
            await put(connector, ("closed", "new"), b"3")
        assert caught.value.code == "permission-denied"
        await put(connector, ("open", "new"), b"3")


async def test_a_connection_folder_that_may_not_be_written_to_ends_the_run(place: SmbPlace) -> None:
    await place.plant(NAME, b"1")
    place.files.root.chmod(0o555)
    async with place.connector() as connector:
        with pytest.raises(FatalError) as caught:
            await put(connector, ("new",), b"2")
        assert caught.value.code == "read-only"
        report = await connector.test()
        assert report.usable
        assert "read-only" in {finding.code for finding in report.findings}


@pytest.mark.parametrize("size_bytes", [None, 40 * MIB + 5])
async def test_a_large_file_goes_over_several_connections(place: SmbPlace, size_bytes: int | None) -> None:
    content = content_of(40 * MIB + 5)
    async with place.connector() as connector:
        await put(connector, ("large",), content, size_bytes=size_bytes)
        entry = (await entries(connector))[("large",)]
        assert await place.content(("large",)) == content
        assert await read(connector, entry) == content
        assert await read(connector, entry, 3 * MIB + 1, 20 * MIB) == content[3 * MIB + 1 :][: 20 * MIB]


async def test_readers_that_leave_early_let_go_of_the_file(place: SmbPlace) -> None:
    await place.plant(("large",), content_of(40 * MIB))
    async with place.connector() as connector:
        entry = (await entries(connector))[("large",)]

        async def glance() -> None:
            async with connector.open(entry) as body:
                await anext(aiter(body))

        await asyncio.gather(*(glance() for _ in range(8)))
        await put(connector, ("large",), b"new", expected=entry)
        assert await place.content(("large",)) == b"new"


async def test_hidden_and_system_files_are_files(place: SmbPlace) -> None:
    await place.plant(NAME, b"content")
    place.server.smbclient(f'setmode "{place.folder}\\folder\\file" +hs')
    async with place.connector() as connector:
        assert NAME in await entries(connector)


async def test_what_a_killed_run_left_is_swept(place: SmbPlace) -> None:
    await place.plant((".sitehaul-a.part",), b"1")
    await place.plant(("folder", ".sitehaul-b.part"), b"2")
    await place.plant(NAME, b"3")
    async with place.connector() as connector:
        assert set(await entries(connector)) == {NAME[:1], NAME}
        assert await connector.sweep_staged(("folder",)) == 1
        assert await connector.sweep_staged(()) == 1
    assert await place.everything() == {NAME}


async def test_ten_thousand_names_are_listed_in_few_calls(place: SmbPlace) -> None:
    place.files.plant_folder(("many",))
    for number in range(10_000):
        place.files.root.joinpath("many", f"a file with a number {number}.pdf").touch()
    async with place.connector(page_entries=100_000) as connector:
        [page] = await walked(connector)
    assert len(page.entries) == 10_001
    assert page.calls < 20


def listing(*names: tuple[str, int, int]) -> bytes:
    """A server's answer with these names, attributes and reparse tags ([MS-FSCC] 2.4.17)."""
    output = b""
    for number, (name, attributes, tag) in enumerate(names):
        encoded = name.encode("utf-16-le", "surrogatepass")
        length = 104 + len(encoded)
        following = 0 if number == len(names) - 1 else length + -length % 8
        fixed = struct.pack(
            "<IIQQQQQQIIIBB24sHQ", following, 0, 1, 1, 1, 1, 5, 8, attributes, len(encoded), tag, 0, 0, b"", 0, 7
        )
        output += (fixed + encoded).ljust(following, b"\0")
    return struct.pack("<HHI", 9, 72, len(output)) + output


def test_links_are_told_from_files_that_are_only_stored_in_another_way() -> None:
    reparse, folder = smb.REPARSE_ATTRIBUTE, smb.FOLDER_ATTRIBUTE
    answer = listing(
        (".", folder, 0), ("..", folder, 0), ("plain", 0x20, 99), ("deduplicated", 0x20 | reparse, IS_DEDUPLICATED),
        ("link", 0x20 | reparse, IS_SYMBOLIC_LINK), ("junction", folder | reparse, IS_JUNCTION),
        ("nfs", 0x20 | reparse, IS_NFS_LINK),
    )  # fmt: skip
    found = dict(smb.listed(answer))
    assert list(found) == ["plain", "deduplicated", "link", "junction", "nfs"]
    assert [name for name, one in found.items() if one.is_link] == ["link", "junction", "nfs"]
    assert found["deduplicated"].size_bytes == 5


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (0xC0000257, ItemError, "dfs-path"),
        (0xC0000043, RetryableError, "locked"),
        (0xC0000044, FatalError, "disk-full"),
        (0xC000007F, FatalError, "disk-full"),
        (0xC0000033, ItemError, "name-refused"),
        (0xC00000A2, FatalError, "read-only"),
        (0xC0000203, RetryableError, "connection-lost"),
        (0xC0DEDEAD, ItemError, "server-refused"),
    ],
)
def test_statuses_are_one_sentence_and_what_to_do(status: int, error: type[Exception], code: str) -> None:
    meant = error_of(status, "\\\\server\\share\\file")
    assert (type(meant), meant.code) == (error, code)
    assert meant.message.startswith("\\\\server\\share\\file: ")
    assert meant.message.endswith(".")
    assert meant.fix and meant.fix.endswith(".")


def test_why_somebody_is_not_let_in_is_told() -> None:
    for status, word in [(0xC0000234, "locked out"), (0xC0000071, "expired"), (0xC0000072, "disabled")]:
        error = sign_in_error(status, "server", "hauler")
        assert (error.code, word in error.message) == ("sign-in-refused", True)


async def test_nothing_is_asked_of_the_server_before_it_is_needed(place: SmbPlace) -> None:
    async with place.connector(port=1) as connector:
        assert isinstance(connector, SmbConnector)
        assert connector.capabilities.atomic_publish
