"""Files, links and names on SSH servers, and what servers do that others do not."""

import os
import struct
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncssh
import pytest

from connectors.sftp import messages as sftp
from connectors.sftp.messages import Answer, Found, NotSftp
from migration.entries import EntryKind
from migration.errors import FatalError, ItemError, PreconditionFailed, RetryableError
from tests.connectors.sftp_support import connector
from tests.contract.steps import content_of, entries, put, read, walked
from tests.servers.ssh import OpenSsh
from tests.servers.ssh_in_process import InProcessSsh

MIB = 1024 * 1024
NAME_OF_BYTES = b"caf\xe9.txt".decode("utf-8", "surrogateescape")


@pytest.fixture
def plain_ssh(in_process_ssh: InProcessSsh, monkeypatch: pytest.MonkeyPatch) -> Iterator[InProcessSsh]:
    """A server that knows the protocol only, none of OpenSSH's extensions."""
    monkeypatch.setattr(asyncssh.sftp.SFTPServerHandler, "_extensions", [])
    yield in_process_ssh


async def test_links_and_pipes_are_told_of_and_never_followed(ssh_server: OpenSsh) -> None:
    place = ssh_server.files.below("links")
    outside = ssh_server.files.below("outside")
    outside.plant(("secret",), b"secret")
    place.plant(("file",), b"content")
    (place.root / "to-folder").symlink_to(outside.root)
    (place.root / "to-file").symlink_to(outside.root / "secret")
    (place.root / "nowhere").symlink_to("nothing")
    os.mkfifo(place.root / "pipe")
    async with connector(ssh_server, folder=f"{ssh_server.folder}/links") as both:
        (page,) = await walked(both)
        assert {entry.path for entry in page.entries} == {("file",)}
        codes = {problem.path[-1]: (problem.code, problem.hides_entries) for problem in page.problems}
        assert codes == {
            "to-folder": ("symlink", False),
            "to-file": ("symlink", False),
            "nowhere": ("symlink", False),
            "pipe": ("special-file", False),
        }
        assert await both.stat(("to-folder", "secret")) is None
        for path in (("to-folder", "new"), ("to-folder", "deep", "new")):
            with pytest.raises(ItemError) as caught:
                await put(both, path, b"content")
            assert caught.value.code == "not-a-folder"
        with pytest.raises(ItemError):
            await both.make_folder(("to-folder", "new"))
        for name in ("to-file", "to-folder", "nowhere", "pipe"):
            with pytest.raises(PreconditionFailed):
                await put(both, (name,), b"content")
    assert outside.everything() == {("secret",)}
    assert outside.content(("secret",)) == b"secret"
    ssh_server.files.remove(("links",))
    ssh_server.files.remove(("outside",))


async def test_names_that_are_no_text_are_kept_byte_for_byte(ssh_server: OpenSsh) -> None:
    place = ssh_server.files.below("bytes")
    place.plant((NAME_OF_BYTES,), b"content")
    async with connector(ssh_server, folder=f"{ssh_server.folder}/bytes") as both:
        found = await entries(both)
        assert await read(both, found[(NAME_OF_BYTES,)]) == b"content"
        await both.make_folder((f"in-{NAME_OF_BYTES}",))
        await put(both, (f"in-{NAME_OF_BYTES}", NAME_OF_BYTES), b"other")
    assert (place.root / f"in-{NAME_OF_BYTES}" / NAME_OF_BYTES).read_bytes() == b"other"
    async with connector(ssh_server, folder=f"{ssh_server.folder}/bytes", names="windows") as both:
        (page,) = await walked(both)
        assert not page.entries
        assert {problem.code for problem in page.problems} == {"name-undecodable"}
    ssh_server.files.remove(("bytes",))


async def test_a_small_file_takes_few_requests(in_process_ssh: InProcessSsh) -> None:
    async with connector(in_process_ssh) as destination:
        await destination.make_folder(("folder",))
        in_process_ssh.clear_operations()
        stored = await put(destination, ("folder", "file"), content_of(20_000))
        assert [name for name, _ in in_process_ssh.operations()] == [
            "open", "write", "close", "setstat", "lstat", "link", "remove"
        ]  # fmt: skip
        in_process_ssh.clear_operations()
        entry = await destination.stat(("folder", "file"))
        assert entry is not None
        assert entry.ref == stored.ref
        in_process_ssh.clear_operations()
        await read(destination, entry)
        assert [name for name, _ in in_process_ssh.operations()] == ["open", "read", "fstat", "close"]


async def test_what_a_killed_process_left_is_replaced_or_swept(in_process_ssh: InProcessSsh) -> None:
    in_process_ssh.files.plant((".sitehaul-key-1.part",), b"half a file that is longer than the new one")
    in_process_ssh.files.plant((".sitehaul-key-2.part",), b"half")
    async with connector(in_process_ssh) as destination:
        await put(destination, ("file",), b"content", staging_key="key-1")
        assert set(await entries(destination)) == {("file",)}
        assert await destination.sweep_staged(()) == 1
    assert in_process_ssh.files.everything() == {("file",)}
    assert in_process_ssh.files.content(("file",)) == b"content"


@pytest.mark.parametrize("size", [20_000, 3 * MIB])
async def test_a_server_that_gives_less_than_it_is_asked_for_is_read_to_the_end(
    in_process_ssh: InProcessSsh, size: int
) -> None:
    in_process_ssh.files.plant(("file",), content_of(size))
    in_process_ssh.faults([{"fault": "short-read", "method": "read", "every": 2, "bytes": size // 7}])
    async with connector(in_process_ssh) as source:
        (entry,) = (await entries(source)).values()
        for _ in range(2):
            assert await read(source, entry) == content_of(size)
            assert await read(source, entry, 1_000, 15_000) == content_of(size)[1_000:16_000]


async def test_a_server_that_only_knows_the_protocol_will_do(plain_ssh: InProcessSsh) -> None:
    async with connector(plain_ssh) as destination:
        report = await destination.test()
        assert {finding.code: finding.level for finding in report.findings} == {
            "protection": "info",
            "space-unknown": "info",
            "creates-in-two-steps": "warning",
            "cannot-replace": "warning",
        }
        stored = await put(destination, ("file",), content_of(3 * MIB))
        assert plain_ssh.files.content(("file",)) == content_of(3 * MIB)
        entry = await destination.stat(("file",))
        assert entry is not None
        assert entry.ref == stored.ref
        assert await read(destination, entry) == content_of(3 * MIB)
        with pytest.raises(PreconditionFailed):
            await put(destination, ("file",), b"other")
        with pytest.raises(ItemError) as caught:
            await put(destination, ("file",), b"other", expected=entry)
        assert caught.value.code == "cannot-replace"
        assert caught.value.fix
    assert plain_ssh.files.everything() == {("file",)}
    assert plain_ssh.files.content(("file",)) == content_of(3 * MIB)


async def test_a_disk_without_second_names_is_renamed_on(in_process_ssh: InProcessSsh) -> None:
    in_process_ssh.faults([{"fault": "failure", "method": "link"}])
    async with connector(in_process_ssh) as destination:
        await put(destination, ("file",), b"content")
        with pytest.raises(PreconditionFailed):
            await put(destination, ("file",), b"other")
    assert in_process_ssh.files.everything() == {("file",)}
    assert in_process_ssh.files.content(("file",)) == b"content"


@pytest.mark.parametrize("operation", ["link", "posix_rename"])
async def test_an_answer_to_publishing_that_is_lost_is_found_out(in_process_ssh: InProcessSsh, operation: str) -> None:
    replacing = operation == "posix_rename"
    async with connector(in_process_ssh, connections=1) as destination:
        before = None
        if replacing:
            await put(destination, ("file",), b"older")
            before = await destination.stat(("file",))
        in_process_ssh.faults([{"fault": "cut", "method": operation, "count": 1}])
        with pytest.raises(RetryableError) as caught:
            await put(destination, ("file",), b"content", expected=before)
        assert caught.value.code == "unreachable"
        assert in_process_ssh.files.content(("file",)) == (b"older" if replacing else None)
        in_process_ssh.faults([{"fault": "lost-response", "method": operation, "count": 1}])
        if replacing:
            stored = await put(destination, ("file",), b"content", expected=before)
            found = await destination.stat(("file",))
            assert found is not None
            assert found.ref == stored.ref
        else:
            with pytest.raises(RetryableError) as caught:
                await put(destination, ("file",), b"content")
            assert caught.value.code == "publish-unknown"
    assert in_process_ssh.files.content(("file",)) == b"content"
    assert in_process_ssh.files.everything() == {("file",)}


async def test_a_failure_is_a_full_disk_only_if_there_is_no_room(in_process_ssh: InProcessSsh) -> None:
    async with connector(in_process_ssh) as destination:
        in_process_ssh.faults([{"fault": "failure", "method": "write", "count": 1}])
        with pytest.raises(RetryableError) as caught:
            await put(destination, ("file",), b"content")
        assert caught.value.code == "server-failure"
        in_process_ssh.switch(full=True)
        for attempt in (put(destination, ("file",), b"content"), destination.make_folder(("folder",))):
            with pytest.raises(FatalError) as fatal:
                await attempt
            assert fatal.value.code == "disk-full"
    assert in_process_ssh.files.everything() == set()


async def test_a_folder_that_may_not_be_entered_is_a_problem_and_not_the_end(ssh_server: OpenSsh) -> None:
    place = ssh_server.files.below("rights")
    place.plant(("open", "file"), b"content")
    place.plant(("closed", "file"), b"content")
    (place.root / "closed").chmod(0)
    async with connector(ssh_server, folder=f"{ssh_server.folder}/rights") as source:
        (page,) = await walked(source)
        assert {entry.path for entry in page.entries} == {("closed",), ("open",), ("open", "file")}
        assert [(problem.path, problem.code) for problem in page.problems] == [(("closed",), "permission-denied")]
    async with connector(ssh_server, folder=ssh_server.forbidden_folder) as source:
        with pytest.raises(FatalError) as caught:
            await walked(source)
        assert caught.value.code == "permission-denied"
    ssh_server.files.remove(("rights",))


async def test_large_folders_are_listed_whole(ssh_server: OpenSsh) -> None:
    place = ssh_server.files.below("many")
    for number in range(1_234):
        (place.root / f"{number}").touch()
    async with connector(ssh_server, folder=f"{ssh_server.folder}/many") as source:
        assert len(await entries(source)) == 1_234
    ssh_server.files.remove(("many",))


async def test_times_that_cannot_be_kept_are_the_nearest_possible(in_process_ssh: InProcessSsh) -> None:
    async with connector(in_process_ssh) as destination:
        for name, meant, kept in (
            ("old", datetime(1960, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)),
            ("far", datetime(2200, 1, 1, tzinfo=UTC), datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)),
        ):
            stored = await put(destination, (name,), b"content", modified_at=meant)
            assert stored.modified_at == kept


def attributes(flags: int, fields: bytes) -> Answer:
    return Answer(105, memoryview(struct.pack(">I", flags) + fields))


def test_attributes_are_read_whatever_comes_with_them() -> None:
    whole = struct.pack(">QIIIIII", 2**33, 1000, 1000, 0o100644, 1, 1_680_674_828, 1)
    extended = struct.pack(">I4sI3s", 4, b"name", 3, b"abc")
    assert sftp.found(attributes(0x8000000F, whole + extended)) == Found(2**33, 0o100644, 1_680_674_828)
    nothing = sftp.found(attributes(0, b""))
    assert (nothing, nothing.version, nothing.modified_at, nothing.is_file) == (
        Found(None, None, None),
        None,
        None,
        True,
    )


@pytest.mark.parametrize(
    ("line", "is_folder", "is_link"),
    [(b"drwxr-xr-x", True, False), (b"lrwxrwxrwx", False, True), (b"-rw", False, False)],
)
def test_what_a_name_is_is_told_from_the_line_for_people_if_need_be(
    line: bytes, is_folder: bool, is_link: bool
) -> None:
    name = struct.pack(f">II1sI{len(line)}sI", 1, 1, b"n", len(line), line, 0)
    ((found_name, found),) = sftp.names(Answer(104, memoryview(name)))
    assert (found_name, found.is_folder, found.is_link) == (b"n", is_folder, is_link)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(105, memoryview(b"\0\0")),
        Answer(105, memoryview(b"\0\0\0\x01\0\0")),
        Answer(104, memoryview(struct.pack(">II", 1, 50))),
        Answer(101, memoryview(struct.pack(">I", 0))),
    ],
)
def test_answers_that_are_cut_or_of_another_kind_are_refused(answer: Answer) -> None:
    with pytest.raises(NotSftp):
        sftp.found(answer)


async def test_the_connections_folder_itself_may_be_a_link(ssh_server: OpenSsh) -> None:
    ssh_server.files.below("real").plant(("file",), b"content")
    (ssh_server.files.root / "linked").symlink_to("real")
    async with connector(ssh_server, folder=f"{ssh_server.folder}/linked") as source:
        root = await source.stat(())
        assert root is not None
        assert root.kind is EntryKind.FOLDER
        assert set(await entries(source)) == {("file",)}
    (ssh_server.files.root / "linked").unlink()
    ssh_server.files.remove(("real",))
