"""A connector in a folder of its own, and mounts that fail in known ways."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.filesystem.connector import FilesystemConnector
from connectors.filesystem.settings import FilesystemSettings
from connectors.shared.services import Services

NOBODY = 65534


def connector_at(folder: Path, **settings: Any) -> FilesystemConnector:
    page_entries = settings.pop("page_entries", 5_000)
    return FilesystemConnector(FilesystemSettings(folder=folder, **settings), Services(), page_entries=page_entries)


def files_below(folder: Path) -> set[str]:
    """Everything that is no folder, links included, as text relative to the folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}


@contextmanager
def mounted(kind: str, folder: Path, options: str, source: str = "none") -> Iterator[Path]:
    """A mount for as long as the context lasts; skips the test where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", kind, "-o", options, source, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a {kind} here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Change the options of what is mounted there."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's power to pass over permissions; skips where this process has no such power to give up."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
