"""The servers and stand-ins that stand for each kind of connection, and the words that connect them."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.stores import (
    CloudReader,
    FolderReader,
    RcloneReader,
    RelativePath,
    Store,
    options,
    rclone_environment,
)
from simulator.clouds import box, drive, dropbox, egnyte, graph
from tests.servers import azurite, gcs, s3, samba, ssh, webdav

Start = Callable[[Path], AbstractContextManager[Store]]
_EXACT_SECONDS = 1e-6


@contextlib.contextmanager
def _filesystem(folder: Path) -> Iterator[Store]:
    root = folder / "files"
    root.mkdir(parents=True)
    yield Store(
        kind="filesystem", options=options(folder, folder=root), reader=FolderReader(root), time_seconds=_EXACT_SECONDS,
        everything=lambda: {path.relative_to(root).parts for path in root.rglob("*") if not path.is_dir()},
        rclone=rclone_environment("local", encoding="None"), rclone_root=f"{root}/",
    )  # fmt: skip


@contextlib.contextmanager
def _smb(folder: Path) -> Iterator[Store]:
    with samba.running(folder) as server:
        told = options(
            folder, {"password": server.password}, server=server.host, port=server.port, share=server.share,
            names="linux", username=server.username,
        )  # fmt: skip
        rclone = rclone_environment(
            "smb", host=server.host, port=server.port, user=server.username, password=server.password, encoding="None"
        )
        yield Store(
            kind="smb", options=told, reader=RcloneReader(rclone, f"{server.share}/"), rclone=rclone,
            rclone_root=f"{server.share}/", everything=server.files.everything, time_seconds=_EXACT_SECONDS,
        )  # fmt: skip


@contextlib.contextmanager
def _sftp(folder: Path) -> Iterator[Store]:
    with ssh.running(folder) as server:
        told = options(
            folder, {"password": server.password}, host=server.host, port=server.port, folder=server.folder,
            username=server.username, host_key=server.keys.host_fingerprint,
        )  # fmt: skip
        rclone = rclone_environment(
            "sftp", host=server.host, port=server.port, user=server.username, password=server.password,
            encoding="None", known_hosts_file=server.known_hosts, shell_type="none",
        )  # fmt: skip
        root = f"{server.folder}/"
        yield Store(
            kind="sftp", options=told, reader=RcloneReader(rclone, root), rclone=rclone, rclone_root=root,
            everything=server.files.everything, time_seconds=1.0,
        )  # fmt: skip


def _webdav(kind: webdav.Kind) -> Start:
    @contextlib.contextmanager
    def running(folder: Path) -> Iterator[Store]:
        with webdav.running(folder, kind=kind) as server:
            told = options(
                folder, {"password": server.password}, url=server.url, username=server.username,
                vendor="generic" if kind == "apache" else kind,
            )  # fmt: skip
            rclone = rclone_environment(
                "webdav", url=server.url, vendor="other", user=server.username, password=server.password,
                encoding="None",
            )  # fmt: skip
            yield Store(
                kind="webdav", options=told, reader=RcloneReader(rclone, ""), rclone=rclone,
                everything=server.files.everything, time_seconds=1.0 if server.keeps_times else None,
            )  # fmt: skip

    return running


@contextlib.contextmanager
def _s3(folder: Path) -> Iterator[Store]:
    with s3.running(folder) as server:
        told = options(
            folder, {"secret_access_key": server.secret_key}, bucket=server.bucket, region=server.region,
            endpoint_url=server.url, access_key_id=server.access_key,
        )  # fmt: skip
        rclone = rclone_environment(
            "s3", provider="SeaweedFS", endpoint=server.url, region=server.region, access_key_id=server.access_key,
            secret_access_key=server.secret_key, encoding="None",
        )  # fmt: skip
        root = f"{server.bucket}/"
        yield Store(
            kind="s3", options=told, reader=RcloneReader(rclone, root), rclone=rclone, rclone_root=root,
            everything=server.files.everything, unfinished=lambda: len(server.files.unfinished()),
            time_seconds=_EXACT_SECONDS,
        )  # fmt: skip


@contextlib.contextmanager
def _azure(folder: Path) -> Iterator[Store]:
    with azurite.running(folder) as server:
        told = options(
            folder, {"account_key": server.key}, account=server.account, container=server.container,
            endpoint_url=server.url,
        )  # fmt: skip
        rclone = rclone_environment(
            "azureblob", account=server.account, key=server.key, endpoint=server.url, encoding="None"
        )
        root = f"{server.container}/"
        yield Store(
            kind="azure", options=told, reader=RcloneReader(rclone, root), rclone=rclone, rclone_root=root,
            everything=server.files.everything, unfinished=lambda: len(server.files.unfinished()),
            time_seconds=_EXACT_SECONDS,
        )  # fmt: skip


@contextlib.contextmanager
def _gcs(folder: Path) -> Iterator[Store]:
    with gcs.running(folder) as server:
        told = options(folder, bucket=server.bucket, key_file=server.key_file, api_url=server.url)
        rclone = rclone_environment(
            "google cloud storage", service_account_file=server.key_file, endpoint=f"{server.url}/storage/v1/",
            no_check_bucket="true", bucket_policy_only="true", encoding="None",
        )  # fmt: skip
        root = f"{server.bucket}/"
        yield Store(
            kind="gcs", options=told, reader=RcloneReader(rclone, root), rclone=rclone, rclone_root=root,
            everything=server.files.everything, unfinished=lambda: len(server.files.unfinished()),
            time_seconds=_EXACT_SECONDS,
        )  # fmt: skip


@contextlib.contextmanager
def _box(folder: Path) -> Iterator[Store]:
    with box.running() as cloud:
        given = cloud.credentials
        told = options(
            folder, {"client_secret": given["client_secret"]}, client_id=given["client_id"],
            enterprise_id=given["enterprise_id"], api_url=cloud.urls["api"], upload_url=cloud.urls["upload"],
            sign_in_url=cloud.urls["account"],
        )  # fmt: skip

        def modified_at(service: Any, path: RelativePath) -> datetime:
            return datetime.fromtimestamp(service.world.at(path).content_modified_at, UTC)

        yield Store(
            kind="box", options=told, reader=CloudReader(cloud, modified_at), everything=cloud.everything,
            unfinished=cloud.unfinished, time_seconds=1.0,
        )  # fmt: skip


@contextlib.contextmanager
def _dropbox(folder: Path) -> Iterator[Store]:
    with dropbox.running() as cloud:
        given = cloud.credentials
        told = options(
            folder, {"app_secret": given["app_secret"], "refresh_token": given["refresh_token"]},
            app_key=given["app_key"], api_url=cloud.urls["api"], content_url=cloud.urls["content"],
            www_url=cloud.urls["www"],
        )  # fmt: skip

        def modified_at(service: Any, path: RelativePath) -> datetime:
            at: datetime = service.world.at(service.home, list(path)).current.client_modified
            return at.replace(tzinfo=UTC)

        yield Store(
            kind="dropbox", options=told, reader=CloudReader(cloud, modified_at), everything=cloud.everything,
            unfinished=cloud.unfinished, time_seconds=1.0,
        )  # fmt: skip


@contextlib.contextmanager
def _google_drive(folder: Path) -> Iterator[Store]:
    with drive.running() as cloud:
        given = cloud.credentials
        told = options(
            folder, {"client_secret": given["client_secret"], "refresh_token": given["refresh_token"]},
            client_id=given["client_id"], api_url=cloud.urls["api"], upload_url=cloud.urls["upload"],
            token_url=cloud.urls["token"],
        )  # fmt: skip

        def modified_at(service: Any, path: RelativePath) -> datetime:
            return datetime.fromtimestamp(service.at(path).modified_ms / 1000, UTC)

        yield Store(
            kind="google-drive", options=told, reader=CloudReader(cloud, modified_at), everything=cloud.everything,
            unfinished=cloud.unfinished, time_seconds=0.001,
        )  # fmt: skip


@contextlib.contextmanager
def _egnyte(folder: Path) -> Iterator[Store]:
    with egnyte.running() as cloud:
        given = cloud.credentials
        told = options(
            folder, {"client_secret": given["client_secret"], "password": given["password"]},
            client_id=given["client_id"], username=given["username"], url=cloud.url, folder=given["root"],
            calls_per_second=100_000,
        )  # fmt: skip

        def modified_at(service: Any, path: RelativePath) -> datetime:
            entry = service.home
            for name in path:
                entry = next(child for child in entry.children.values() if child.name == name)
            return datetime.fromtimestamp(entry.current.modified_at, UTC)

        yield Store(
            kind="egnyte", options=told, reader=CloudReader(cloud, modified_at), everything=cloud.everything,
            unfinished=cloud.unfinished, time_seconds=1.0,
        )  # fmt: skip


def _sharepoint(*, rewrites: bool) -> Start:
    @contextlib.contextmanager
    def running(folder: Path) -> Iterator[Store]:
        with graph.running(office_rewrite=rewrites) as cloud:
            given = cloud.credentials
            told = options(
                folder, {"client_secret": given["client_secret"]}, tenant_id=given["tenant_id"],
                client_id=given["client_id"], where=f"https://{given['site_hostname']}{given['site_path']}",
                api_url=cloud.url, login_url=cloud.urls["login"], ca_file=given["ca_file"],
            )  # fmt: skip

            def modified_at(service: Any, path: RelativePath) -> datetime:
                at: datetime = service.tree.at(path).modified_at
                return at

            yield Store(
                kind="sharepoint", options=told, reader=CloudReader(cloud, modified_at), everything=cloud.everything,
                unfinished=cloud.unfinished, time_seconds=1.0,
                rewritten_suffixes=frozenset({".docx", ".xlsx", ".pptx"} if rewrites else ()),
            )  # fmt: skip

    return running


STORES: Mapping[str, Start] = {
    "filesystem": _filesystem,
    "smb": _smb,
    "sftp": _sftp,
    "webdav": _webdav("wsgidav"),
    "webdav-apache": _webdav("apache"),
    "s3": _s3,
    "azure": _azure,
    "gcs": _gcs,
    "sharepoint": _sharepoint(rewrites=False),
    "sharepoint-rewriting": _sharepoint(rewrites=True),
    "box": _box,
    "dropbox": _dropbox,
    "google-drive": _google_drive,
    "egnyte": _egnyte,
}
"""The kinds there are, and variants of their servers."""
