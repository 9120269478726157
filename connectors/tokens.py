"""Where access tokens are kept between calls, tasks, processes and machines.

A refresh token works once. So whoever refreshes is alone (`exclusive`), and stores the new pair durably (`save`) before
anybody uses it.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from migration.errors import ConfigurationError, FatalError

_LOCK_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """An access token and what renews it. Its repr holds no secret.

    `refresh_token` is None where the grant has none (client credentials); `expires_at` is by this side's clock.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime
    client_id: str

    def to_json(self) -> str:
        """As JSON text; secrets included."""
        values = {
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "expires_at": self.expires_at.isoformat(),
            "client_id": self.client_id,
        }
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Tokens":
        """The inverse of `to_json`. Raises ValueError for anything else."""
        try:
            values = json.loads(text)
            expires_at = datetime.fromisoformat(values["expires_at"])
            texts = {name: values[name] for name in ("access_token", "client_id")}
            refresh_token = values["refresh_token"]
        except (KeyError, TypeError, ValueError):
            raise ValueError("not stored tokens") from None
        if not all(isinstance(text, str) and text for text in texts.values()) or expires_at.tzinfo is None:
            raise ValueError("not stored tokens")
        return cls(refresh_token=refresh_token, expires_at=expires_at, **texts)


class TokenStore(Protocol):
    """One connection's tokens. Shared by everything that uses the connection."""

    async def load(self) -> Tokens | None:
        """What was saved last, by anybody; None if nothing was. ConfigurationError `tokens-unreadable`."""
        ...

    async def save(self, tokens: Tokens) -> None:
        """Replace what is stored; durable on return. FatalError `tokens-not-saved`."""
        ...

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Entered by one holder at a time over all tasks, processes and machines; a holder that died frees it."""
        ...


class MemoryTokenStore:
    """For one process, for as long as it lives: tests, and connections that are tried before they are saved."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self._tokens = tokens
        self._lock = asyncio.Lock()

    async def load(self) -> Tokens | None:
        return self._tokens

    async def save(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        return self._lock


class FileTokenStore:
    """One file `tokens.json` in a folder, readable by its owner only; the file system's locks decide who is alone.

    Reads and writes are small and done at once; waiting for another holder leaves the event loop free.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "tokens.json"

    async def load(self) -> Tokens | None:
        try:
            return Tokens.from_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                "tokens-unreadable",
                f"The stored sign-in {self._path} cannot be read: {error}.",
                fix="Delete the file; a person who signed in has to sign in again.",
            ) from error

    async def save(self, tokens: Tokens) -> None:
        try:
            self._write(tokens.to_json().encode())
        except OSError as error:
            raise FatalError(
                "tokens-not-saved",
                f"The new sign-in could not be stored as {self._path}: {error.strerror}.",
                fix="Make the folder writable and the disk free; if a person signed in, let them sign in again.",
            ) from error

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._folder / "tokens.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _try_lock(descriptor):  # noqa: ASYNC110 - another process frees it: there is nothing to await
                await asyncio.sleep(_LOCK_POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)

    def _write(self, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        staged = self._folder / f"tokens.{os.getpid()}.new"
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(staged, self._path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
