"""The connection test: what the folder allows, tried in a folder of its own that is removed again."""

import os
import pwd
import shutil
import socket
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.filesystem import kernel
from connectors.filesystem.failures import Translator
from connectors.filesystem.root import LIST, Root, look
from connectors.shared.paths import STAGED_PREFIX, STAGED_SUFFIX
from migration.contract import ConnectionReport, Finding
from migration.errors import SiteHaulError

_UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6))
_ODD_TIME_NS = 1_234_567_891_234_567_000
"""A time that every coarser clock has to round."""


def probe(root: Root, names: str) -> ConnectionReport:
    """Try what can be tried; `names` are the rules the connection is set to. Whatever fails is a finding."""
    try:
        with root.listed_folder(()) as fd:
            os.scandir(fd).close()
            findings = [_space(root, fd), *_writing(root, fd, names)]
    except SiteHaulError as error:
        return _unusable(error)
    except OSError as error:
        return _unusable(root.translate.meaning(error, "list", ()))
    return ConnectionReport(usable=True, who=_who(), findings=tuple(findings))


def _unusable(error: SiteHaulError) -> ConnectionReport:
    finding = Finding("problem", error.code, error.message, error.fix)
    return ConnectionReport(usable=False, who=_who(), findings=(finding,))


def _who() -> str:
    user = os.geteuid()
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = f"user {user}"
    return f"{name} on {socket.gethostname()}"


def _space(root: Root, fd: int) -> Finding:
    status = os.fstatvfs(fd)
    free, size = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    where = root.translate.text(())
    return Finding("info", "space", f"{where}: {_readable_size(free)} of {_readable_size(size)} are free.")


def _readable_size(size_bytes: int) -> str:
    unit, divisor = next((one for one in _UNITS if size_bytes >= one[1]), _UNITS[-1])
    return f"{size_bytes / divisor:,.1f} {unit}"


def _writing(root: Root, fd: int, names: str) -> list[Finding]:
    try:
        with _own_folder(fd) as own:
            return [
                Finding("info", "writable", "Files can be written."),
                *_name_findings(own, names),
                *_time_findings(own),
                *_publish_findings(own),
            ]
    except OSError as error:
        return [_not_writable(root.translate, error)]


def _not_writable(translate: Translator, error: OSError) -> Finding:
    meaning = translate.meaning(error, "write in", ())
    message = f"{meaning.message} The connection can be a source, not a destination."
    return Finding("warning", meaning.code, message, meaning.fix)


@contextmanager
def _own_folder(fd: int) -> Iterator[int]:
    name = f"{STAGED_PREFIX}test-{os.getpid()}-{threading.get_ident()}{STAGED_SUFFIX}"
    os.mkdir(name, 0o700, dir_fd=fd)
    try:
        own = os.open(name, LIST | os.O_NOFOLLOW, dir_fd=fd)
        try:
            yield own
        finally:
            os.close(own)
    finally:
        shutil.rmtree(name, ignore_errors=True, dir_fd=fd)


def _name_findings(own: int, names: str) -> Iterator[Finding]:
    if names != "posix":
        return
    fix = "Connect it with `names` set to windows, so that such names are kept apart."
    if _is_one_name("sitehaul", "SITEHAUL", own):
        yield Finding(
            "warning", "names-differ-by-case", "This file system takes names that differ only in case for one.", fix
        )
    composed = unicodedata.normalize("NFC", "é")
    if _is_one_name(composed, unicodedata.normalize("NFD", composed), own):
        yield Finding(
            "warning",
            "names-are-normalised",
            "This file system takes composed and decomposed accents for the same name.",
            "Connect it with `names` set to portable, so that such names are kept apart.",
        )
    if not _is_possible('a:b*c?"d', own):
        yield Finding(
            "warning", "names-are-restricted", 'This file system refuses names with characters such as : * ? ".', fix
        )


def _time_findings(own: int) -> Iterator[Finding]:
    _make("time", own)
    os.utime("time", ns=(_ODD_TIME_NS, _ODD_TIME_NS), dir_fd=own)
    difference = abs(os.stat("time", dir_fd=own).st_mtime_ns - _ODD_TIME_NS)
    if difference >= 1_000:
        yield Finding(
            "warning",
            "times-are-coarse",
            f"This file system rounds modification times (by {difference / 1e9:g} s in the test).",
        )


def _publish_findings(own: int) -> Iterator[Finding]:
    _make("staged", own)
    if not kernel.is_exclusive("staged", "published", own):
        yield Finding(
            "warning",
            "publish-in-two-steps",
            "This file system cannot refuse a taken name by itself: a file that another program puts under the same "
            "name in the same instant would be replaced.",
            "Let no other program write into the destination during a run.",
        )


def _is_one_name(name: str, other: str, own: int) -> bool:
    _make(name, own)
    return look(other, own) is not None


def _is_possible(name: str, own: int) -> bool:
    try:
        _make(name, own)
    except OSError:
        return False
    return True


def _make(name: str, own: int) -> None:
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=own))
