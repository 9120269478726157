"""Ordinary Unix users for servers whose users are the machine's."""

import contextlib
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.servers.programs import need_root, program, run

_BUSY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class UnixUser:
    """A user of this machine. It has no home and no shell."""

    name: str
    password: str
    uid: int
    gid: int


@contextlib.contextmanager
def unix_user() -> Iterator[UnixUser]:
    """A user that exists until the block ends, with a password nobody else knows. Raises ServerMissing if not root."""
    need_root("make users")
    name, password = f"sitehaul-{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    _patiently([program("useradd", "Debian's passwd"), "--no-create-home", "--home-dir", "/nonexistent",
                "--shell", "/usr/sbin/nologin", "--no-log-init", name])  # fmt: skip
    try:
        run([program("chpasswd", "Debian's passwd"), "--crypt-method", "SHA256"], given=f"{name}:{password}\n")
        uid, gid = (int(run(["/usr/bin/id", kind, name])) for kind in ("-u", "-g"))
        yield UnixUser(name, password, uid, gid)
    finally:
        _patiently([program("userdel", "Debian's passwd"), name])


def _patiently(command: list[str]) -> None:
    """Run it again while another process changes the machine's users."""
    end = time.monotonic() + _BUSY_SECONDS
    while True:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
        if done.returncode == 0:
            return
        if "lock" not in done.stderr or time.monotonic() > end:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr}")
        time.sleep(0.05)
