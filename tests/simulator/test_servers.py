"""Every server tests can talk to starts, does what its module says, and is gone afterwards."""

import contextlib
import os
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncssh
import boto3  # type: ignore[import-untyped]
import httpx
import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from tests.servers import http_faults, proxy, webdav
from tests.servers.azurite import Azurite
from tests.servers.plain import MODIFIED
from tests.servers.programs import NotStarted, ServerMissing, program, started
from tests.servers.s3 import S3
from tests.servers.samba import Samba
from tests.servers.ssh import OpenSsh
from tests.servers.ssh_in_process import InProcessSsh

CONTENT = bytes(range(256)) * 400


def test_a_server_that_does_not_start_shows_its_log_and_is_gone(tmp_path: Path) -> None:
    with (
        pytest.raises(NotStarted, match="port 1 is mine"),
        started("broken", lambda _: ["/bin/sh", "-c", "echo port 1 is mine; exit 3"], folder=tmp_path,
                ready=lambda _: False),
    ):  # fmt: skip
        pass
    with pytest.raises(ServerMissing, match=r"no-such-program is not installed here; nothing brings it"):
        program("no-such-program", "nothing brings it")


def test_a_server_ends_with_its_block(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "trap '' TERM; sleep 100 & touch there; wait; wait"]
    there = tmp_path / "there"
    with started("stubborn", lambda _: command, folder=tmp_path, ready=lambda _: there.exists(), end_seconds=0.1) as it:
        os.kill(it.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(it.pid, 0)


def test_samba_serves_files_and_refuses_what_it_should(samba_server: Samba, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.write_bytes(CONTENT)
    samba_server.files.plant(("smoke", "given"), CONTENT, MODIFIED)
    samba_server.smbclient(f"cd smoke; put {local} put; get given {tmp_path}/got", samba_server.encrypted_share)
    assert samba_server.files.content(("smoke", "put")) == (tmp_path / "got").read_bytes() == CONTENT
    assert "Apr  5" in samba_server.smbclient("cd smoke; allinfo given")
    for share in (samba_server.readonly_share, samba_server.private_share):
        with pytest.raises(RuntimeError, match="ACCESS_DENIED"):
            samba_server.smbclient(f"cd smoke; put {local} refused", share)
    if samba_server.small is not None:
        local.write_bytes(bytes(30 * 2**20))
        with pytest.raises(RuntimeError, match="DISK_FULL"):
            samba_server.smbclient(f"put {local} big", samba_server.small_share)
        samba_server.small.remove(("big",))


def signed_in(server: OpenSsh | InProcessSsh, **how: Any) -> Any:
    return asyncssh.connect(server.host, server.port, username=server.username, known_hosts=str(server.known_hosts),
                            config=None, agent_path=None, **how)  # fmt: skip


async def test_openssh_serves_files_and_refuses_what_it_should(ssh_server: OpenSsh, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.write_bytes(CONTENT)
    ssh_server.files.plant(("smoke", "given"), CONTENT)
    ssh_server.sftp(f"put {local} smoke/put\nget smoke/given {tmp_path}/got\n")
    assert ssh_server.files.content(("smoke", "put")) == (tmp_path / "got").read_bytes() == CONTENT
    for commands, readonly in (
        (f"put {local} smoke/no", True),
        (f"put {local} {ssh_server.forbidden_folder}/no", False),
    ):
        with pytest.raises(RuntimeError, match="denied"):
            ssh_server.sftp(commands, readonly=readonly)
    async with signed_in(ssh_server, password=ssh_server.password, client_keys=None) as connection:
        sftp = await connection.start_sftp_client()
        assert await sftp.realpath(".") == ssh_server.folder
    keys = ssh_server.keys
    async with signed_in(ssh_server, client_keys=[str(keys.encrypted)], passphrase=keys.passphrase):
        pass
    for wrong in ({"password": "wrong", "client_keys": None}, {"client_keys": [str(keys.unknown)]}):
        with pytest.raises(asyncssh.PermissionDenied):
            await signed_in(ssh_server, **wrong)
    if ssh_server.small is not None:
        local.write_bytes(bytes(30 * 2**20))
        with pytest.raises(RuntimeError, match="Failure"):
            ssh_server.sftp(f"put {local} {ssh_server.small_folder}/big")
        ssh_server.small.remove(("big",))


async def test_the_ssh_server_in_this_process_fails_as_told(in_process_ssh: InProcessSsh) -> None:
    server = in_process_ssh
    server.files.plant(("a", "given"), CONTENT)
    with pytest.raises(asyncssh.PermissionDenied):
        await signed_in(server, password="wrong", client_keys=None)
    async with signed_in(server, client_keys=[str(server.keys.plain)]) as connection:
        sftp = await connection.start_sftp_client()
        async with sftp.open("/a/given", "rb") as file:
            server.faults([{"fault": "short-read", "bytes": 5, "count": 1}])
            assert await file.read(10) == CONTENT[:10]
        server.switch(full=True)
        with pytest.raises(asyncssh.SFTPFailure):
            await sftp.mkdir("/b")
        assert (await sftp.statvfs("/")).bavail == 0
        server.switch(full=False, readonly=True)
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await sftp.open("/a/new", "wb")
        server.switch(readonly=False)
        server.faults([{"fault": "lost-response", "method": "mkdir", "nth": 2}])
        await sftp.mkdir("/c")
        with pytest.raises((asyncssh.SFTPConnectionLost, asyncssh.ConnectionLost)):
            await sftp.mkdir("/d")
    assert server.files.folders() == {("a",), ("c",), ("d",)}
    assert ("mkdir", "/d") in server.operations() and server.connected == 1


@pytest.mark.parametrize("kind", ["webdav_server", "rclone_webdav_server", "apache_webdav_server"])
def test_webdav_serves_files_and_refuses_what_it_should(kind: str, request: pytest.FixtureRequest) -> None:
    server: webdav.WebDav = request.getfixturevalue(kind)
    server.files.plant(("smoke", "given"), CONTENT)
    with httpx.Client(auth=(server.username, server.password)) as client:
        put = client.put(f"{server.url}smoke/put", content=CONTENT, headers={"X-OC-Mtime": "1600000000"})
        assert put.is_success
        assert server.files.content(("smoke", "put")) == client.get(f"{server.url}smoke/given").content == CONTENT
        assert (server.files.modified_at(("smoke", "put")).timestamp() == 1_600_000_000) is server.keeps_times
        assert client.get(f"{server.url}smoke/given", auth=("hauler", "wrong")).status_code == 401
        if server.readonly_url is not None:
            assert client.put(f"{server.readonly_url}smoke/refused", content=b"").status_code == 403
            assert client.get(f"{server.readonly_url}smoke/given").content == CONTENT
        if server.small is not None:
            full = client.put(f"{server.small_url}big", content=bytes(30 * 2**20)).status_code
            assert full == {"wsgidav": 500, "rclone": 405, "apache": 507}[server.kind]
            server.small.remove(("big",))


@pytest.mark.parametrize("kind", ["wsgidav", "apache"])
def test_webdav_speaks_tls_and_digest(kind: webdav.Kind, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("apache_webdav_server" if kind == "apache" else "webdav_server")
    with webdav.running(tmp_path, kind=kind, tls=True, signing="digest") as server:
        server.files.plant(("given",), CONTENT)
        assert server.certificate is not None
        trusted = ssl.create_default_context(cafile=str(server.certificate))
        with httpx.Client(auth=httpx.DigestAuth(server.username, server.password), verify=trusted) as client:
            assert client.get(f"{server.url}given").content == CONTENT
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url)


def test_s3_keeps_objects_and_refuses_what_it_should(s3_server: S3) -> None:
    files, client = s3_server.files.below("smoke"), s3_server.files.client
    files.plant(("a", "given"), CONTENT)
    files.plant_folder(("empty",))
    started = client.create_multipart_upload(Bucket=files.name, Key=files.key(("a", "begun")))
    part = {"Bucket": files.name, "Key": started["Key"], "UploadId": started["UploadId"], "PartNumber": 1}
    client.upload_part(**part, Body=CONTENT)
    assert files.content(("a", "given")) == CONTENT and files.content(("a", "begun")) is None
    assert (files.everything(), files.folders(), files.unfinished()) == (
        {("a", "given")}, {("empty",)}, [("a", "begun")]
    )  # fmt: skip
    s3_server.versioned.plant(("v",), b"old")
    s3_server.versioned.plant(("v",), b"new")
    assert len(s3_server.versioned.versions(("v",))) == 2
    reader = s3_server.client(s3_server.readonly_access_key, s3_server.readonly_secret_key)
    assert reader.get_object(Bucket=files.name, Key=files.key(("a", "given")))["ContentLength"] == len(CONTENT)
    wanted = {"Bucket": files.name, "Key": files.key(("a", "given")), "Body": b"", "IfNoneMatch": "*"}
    for refused, code in (
        (reader, "AccessDenied"), (client, "PreconditionFailed"), (s3_server.client(secret_key="x"), "SignatureDoes"),
    ):  # fmt: skip
        with pytest.raises(ClientError, match=code):
            refused.put_object(**wanted)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        client.put_object(Bucket="nowhere", Key="x", Body=b"")
    client.abort_multipart_upload(Bucket=files.name, Key=started["Key"], UploadId=started["UploadId"])
    files.remove(("a", "given"))
    assert files.everything() == set() and files.unfinished() == []


def test_azurite_keeps_blobs_and_refuses_what_it_should(azurite_server: Azurite) -> None:
    files = azurite_server.files.below("smoke")
    files.plant(("a", "given"), CONTENT)
    files.plant_folder(("empty",))
    for name in ("begun", "given"):
        files.client.get_blob_client(files.key(("a", name))).stage_block("AAAA", CONTENT)
    assert files.content(("a", "given")) == CONTENT and files.content(("a", "begun")) is None
    assert (files.everything(), files.folders()) == ({("a", "given")}, {("empty",)})
    assert files.unfinished() == [("a", "begun"), ("a", "given")]
    for token, refused in (
        (azurite_server.readonly_sas, "PermissionMismatch"),
        (azurite_server.expired_sas, "Authori"),
    ):
        client = ContainerClient.from_container_url(f"{azurite_server.url}/files?{token}", retry_total=0)
        with pytest.raises(HttpResponseError, match=refused):
            client.upload_blob("refused", b"")
    files.remove(("a", "given"))
    assert files.everything() == set()


def test_a_proxy_is_slow_and_breaks_as_told(tmp_path: Path) -> None:
    with webdav.running(tmp_path) as server, proxy.running(urlsplit(server.url).port or 0) as line:
        server.files.plant(("big",), CONTENT * 20)
        url, auth = f"{line.url(server.url)}big", (server.username, server.password)

        def got() -> bool | None:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(url, auth=auth).content == CONTENT * 20
            return None

        assert got() is True
        line.slow(10)
        assert got() is True
        line.slow(0)
        line.faults([
            {"fault": "refuse", "nth": 1}, {"fault": "cut", "nth": 2}, {"fault": "cut", "nth": 3, "after_up_bytes": 10},
            {"fault": "cut", "nth": 4, "after_down_bytes": 100_000},
        ])  # fmt: skip
        assert [got() for _ in range(5)] == [None, None, None, None, True]
        assert line.connections == 7 and line.down_bytes > 3 * 20 * len(CONTENT)
        line.faults([{"fault": "stall", "after_down_bytes": 1000}])
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(url, auth=auth, timeout=0.1)


def test_calls_of_any_http_server_fail_as_told(webdav_server: webdav.WebDav, s3_server: S3) -> None:
    webdav_server.files.plant(("faults", "given"), CONTENT)
    with http_faults.running(webdav_server.url) as line:
        client = httpx.Client(auth=(webdav_server.username, webdav_server.password), base_url=line.url)
        assert client.put("faults/put", content=iter([CONTENT, CONTENT])).status_code == 201
        assert webdav_server.files.content(("faults", "put")) == CONTENT * 2
        assert client.get("faults/given").content == CONTENT
        line.faults([{"fault": "answer", "method": "PUT", "nth": 1, "status": 423, "headers": {"Retry-After": "3"}}])
        locked = client.put("faults/put", content=b"x")
        assert (locked.status_code, locked.headers["retry-after"]) == (423, "3")
        for fault, method in (("reset", "DELETE"), ("lost-response", "DELETE"), ("truncated", "GET")):
            line.faults([{"fault": fault}])
            path = "faults/given" if method == "GET" else "faults/put"
            with pytest.raises(httpx.TransportError):
                client.request(method, path)
            assert (webdav_server.files.content(("faults", "put")) is None) is (fault != "reset")
        line.faults([{"fault": "cut-upload", "after_bytes": 10}])
        with pytest.raises(httpx.TransportError):
            client.put("faults/cut", content=CONTENT)
        line.faults([{"fault": "corrupt", "after_bytes": 0}])
        assert client.get("faults/given").content[1:] == CONTENT[1:] != client.get("faults/given").content
        assert line.struck == 2 and [one.status for one in line.log()][:3] == [201, 200, 423]
        client.close()
    with http_faults.running(s3_server.url) as line:
        signed = boto3.client(
            "s3", endpoint_url=line.url, region_name=s3_server.region, aws_access_key_id=s3_server.access_key,
            aws_secret_access_key=s3_server.secret_key, config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip
        signed.put_object(Bucket=s3_server.bucket, Key="faults", Body=CONTENT * 20)
        assert signed.get_object(Bucket=s3_server.bucket, Key="faults")["Body"].read() == CONTENT * 20
        line.faults([{"fault": "answer", "status": 503, "body": "<Error><Code>SlowDown</Code></Error>"}])
        with pytest.raises(ClientError, match="SlowDown"):
            signed.put_object(Bucket=s3_server.bucket, Key="faults", Body=CONTENT)
