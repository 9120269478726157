"""A real server (or stand-in) for a kind of connection: how `sitehaul connect` reaches it, and how others look into it.

Everything a proof compares with comes from a reader that uses none of SiteHaul's code: rclone where it speaks to such
a system, `sha256sum` for a folder, the stand-in's own store for the content clouds.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from simulator.clouds.base import Cloud

RCLONE = str(Path(sys.executable).parent / "rclone")
RelativePath = tuple[str, ...]
NAME = "store"
"""What rclone calls the system."""


class Reader(Protocol):
    """Looks into a folder of a system without SiteHaul."""

    @property
    def name(self) -> str:
        """How it reads."""

    def hashes(self, folder: str) -> dict[RelativePath, str]:
        """The SHA-256 of every file below the folder, read from the system."""

    def times(self, folder: str) -> dict[RelativePath, datetime] | None:
        """When every file below the folder was modified; None where the reader cannot say."""


@dataclass(frozen=True)
class Options:
    """What a person says to connect a system: the fields of its settings, secrets apart."""

    folder: Path
    """Where secrets are put into files."""
    secrets: Mapping[str, str]
    values: Mapping[str, object]

    @property
    def words(self) -> tuple[str, ...]:
        """The options of `sitehaul connect KIND NAME`."""
        words = [word for name, value in self.values.items() for word in (_option(name), str(value))]
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, secret in self.secrets.items():
            file = self.folder / name
            file.write_text(secret, "utf-8")
            file.chmod(0o600)
            words += [f"{_option(name)}-file", str(file)]
        return tuple(words)


def options(folder: Path, secrets: Mapping[str, str] | None = None, /, **values: object) -> Options:
    """The settings with these fields; `folder` is where their secrets are put into files."""
    return Options(folder, secrets or {}, values)


@dataclass(frozen=True, kw_only=True)
class Store:
    """A running system, empty."""

    kind: str
    options: Options
    reader: Reader
    everything: Callable[[], set[RelativePath]]
    """Every file of the whole system, staged ones included, seen behind its back."""
    unfinished: Callable[[], int] = lambda: 0
    """Upload sessions that are open."""
    time_seconds: float | None = None
    """The precision in which it keeps the times of files; None = it dates files itself."""
    rclone: Mapping[str, str] = field(default_factory=dict)
    """The environment in which rclone knows the system as `store:`."""
    rclone_root: str = ""
    """Where the connection begins, in rclone's words after `store:`."""
    rewritten_suffixes: frozenset[str] = frozenset()
    """Files with these names are changed by the system after they arrived."""

    @property
    def settings(self) -> dict[str, object]:
        """The connection's settings, secrets included, for JSON."""
        values = {name: str(value) if isinstance(value, Path) else value for name, value in self.options.values.items()}
        return {"kind": self.kind, **values, **self.options.secrets}


@dataclass(frozen=True)
class FolderReader:
    """A folder of this machine, by `sha256sum`."""

    root: Path
    name: str = "sha256sum"

    def hashes(self, folder: str) -> dict[RelativePath, str]:
        found = sorted(path for path in (self.root / folder).rglob("*") if path.is_file())
        given = b"\0".join(os.fsencode(path) for path in found)
        done = subprocess.run(
            ["xargs", "-0", "-r", "sha256sum", "-z", "--"], input=given, capture_output=True, check=True
        )
        lines = [line for line in done.stdout.split(b"\0") if line]
        return {self._parts(folder, os.fsdecode(line[66:])): line[:64].decode() for line in lines}

    def times(self, folder: str) -> dict[RelativePath, datetime] | None:
        found = [path for path in (self.root / folder).rglob("*") if path.is_file()]
        return {self._parts(folder, str(path)): _moment(path.stat().st_mtime_ns) for path in found}

    def _parts(self, folder: str, path: str) -> RelativePath:
        return Path(path).relative_to(self.root / folder).parts


@dataclass(frozen=True)
class RcloneReader:
    """Any system rclone speaks to. Names are taken as the system has them, not as rclone would rather show them."""

    environment: Mapping[str, str]
    root: str
    name: str = "rclone hashsum --download"

    def hashes(self, folder: str) -> dict[RelativePath, str]:
        lines = self._told("hashsum", "sha256", "--download", self._place(folder), "--checkers", "8").splitlines()
        return {tuple(line[66:].split("/")): line[:64] for line in lines}

    def times(self, folder: str) -> dict[RelativePath, datetime] | None:
        found = json.loads(self._told("lsjson", "-R", "--files-only", "--no-mimetype", self._place(folder)))
        return {tuple(one["Path"].split("/")): datetime.fromisoformat(one["ModTime"]) for one in found}

    def _place(self, folder: str) -> str:
        return f"{NAME}:{self.root}{folder}"

    def _told(self, *words: str) -> str:
        done = subprocess.run(
            [RCLONE, "--config", "", *words], capture_output=True, check=False, env={**os.environ, **self.environment}
        )
        if done.returncode != 0:
            raise RuntimeError(f"rclone {words[0]} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
        return done.stdout.decode()


@dataclass(frozen=True)
class CloudReader:
    """A stand-in of a content cloud, by what it keeps itself, past its API."""

    cloud: Cloud
    modified_at: Callable[[Any, RelativePath], datetime] | None = None
    """When the file at a path of a service was modified, asked in the service's own loop."""
    name: str = "the stand-in's own store"

    def hashes(self, folder: str) -> dict[RelativePath, str]:
        return {path[1:]: self._hash(path) for path in self._paths(folder)}

    def times(self, folder: str) -> dict[RelativePath, datetime] | None:
        if self.modified_at is None:
            return None
        ask, service = self.modified_at, self.cloud.service
        return {path[1:]: self.cloud.do(partial(ask, service, path)) for path in self._paths(folder)}

    def _paths(self, folder: str) -> list[RelativePath]:
        return [path for path in self.cloud.everything() if path[0] == folder]

    def _hash(self, path: RelativePath) -> str:
        return hashlib.sha256(self.cloud.content(path) or b"").hexdigest()


def rclone_environment(kind: str, *, password: str | None = None, **values: object) -> dict[str, str]:
    """The variables that make rclone know a system of this kind as `store:`."""
    made = {"TYPE": kind, **{name.upper(): str(value) for name, value in values.items()}}
    if password is not None:
        done = subprocess.run([RCLONE, "obscure", "-"], input=password, capture_output=True, text=True, check=True)
        made["PASS"] = done.stdout.strip()
    return {f"RCLONE_CONFIG_{NAME.upper()}_{name}": value for name, value in made.items()}


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 10**9, UTC) + timedelta(microseconds=ns % 10**9 // 1000)
