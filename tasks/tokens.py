"""Tokens kept in Prefect's encrypted blocks, shared by everything that uses the same client on the same server."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from pydantic import SecretStr

from connectors.shared.settings import ConnectionSettings
from connectors.tokens import MemoryTokenStore, Tokens, TokenStore
from migration.errors import ConfigurationError, FatalError
from tasks.asking import answered_async
from tasks.prefect_settings import OWN_SERVER_VARIABLE

_LEASE_SECONDS = 60.0
_WAIT_SECONDS_MAX = 300.0
_POLL_SECONDS = 0.05


class PrefectTokenStore:
    """`connectors.tokens.TokenStore` on the Prefect server that this process uses.

    SiteHaul's own server serves one machine, whose locks decide who is alone and are freed by the system. Another
    server may serve several: there it is a limit of one slot, which a holder that died frees after about a minute.
    """

    def __init__(self, client: str) -> None:
        self._client = client

    @classmethod
    def of(cls, settings: ConnectionSettings) -> TokenStore:
        """The tokens of the sign-in of these settings; nothing is read yet. In memory where nothing has to be kept."""
        return MemoryTokenStore() if settings.token_key is None else cls(settings.token_key)

    async def load(self) -> Tokens | None:
        from tasks.blocks import SiteHaulTokens

        try:
            block: SiteHaulTokens = await answered_async(lambda: SiteHaulTokens.aload(self._client))
        except ValueError as error:
            if "Unable to find block document" in str(error):
                return None
            raise self._unreadable() from None
        except (httpx.HTTPError, RuntimeError) as error:
            raise FatalError(
                "server-gone",
                f"The Prefect server, which keeps the sign-in, does not answer ({type(error).__name__}).",
                fix="Run the same command again when it does; what is done is recorded.",
            ) from error
        try:
            return Tokens.from_json(block.tokens.get_secret_value())
        except ValueError:
            raise self._unreadable() from None

    async def save(self, tokens: Tokens) -> None:
        from tasks.blocks import SiteHaulTokens

        block = SiteHaulTokens(client=self._client, tokens=SecretStr(tokens.to_json()))
        try:
            await answered_async(lambda: block.asave(self._client, overwrite=True))
        except (httpx.HTTPError, RuntimeError) as error:
            raise FatalError(
                "tokens-not-saved",
                f"The new sign-in could not be stored on the Prefect server ({type(error).__name__}).",
                fix="Look at `sitehaul status`; if a person signed in, they may have to sign in again.",
            ) from error

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        if os.environ.get(OWN_SERVER_VARIABLE) == os.environ.get("PREFECT_API_URL"):
            alone = _alone_on_this_machine(Path(os.environ["PREFECT_HOME"]) / f"tokens-{self._client}.lock")
        else:
            alone = _alone_on_this_server(f"sitehaul-tokens-{self._client}")
        async with alone:
            yield

    def _unreadable(self) -> ConfigurationError:
        return ConfigurationError(
            "tokens-unreadable",
            f"The stored sign-in 'sitehaul-tokens/{self._client}' on the Prefect server cannot be read.",
            fix=f"Delete it (prefect block delete sitehaul-tokens/{self._client}); a person signs in again then.",
        )


@asynccontextmanager
async def _alone_on_this_machine(path: Path) -> AsyncIterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _locked(descriptor):  # noqa: ASYNC110 - another process frees it: there is nothing to await
            await asyncio.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def _alone_on_this_server(limit: str) -> AsyncIterator[None]:
    from prefect.concurrency.asyncio import AcquireConcurrencySlotTimeoutError, concurrency

    from migration.clock import SystemClock
    from tasks.limits import Limits

    async with Limits.opened(SystemClock()) as limits:
        await limits.ensure(limit, 1)
    slot = concurrency(limit, timeout_seconds=_WAIT_SECONDS_MAX, lease_duration=_LEASE_SECONDS, strict=True)
    try:
        await slot.__aenter__()
    except AcquireConcurrencySlotTimeoutError as error:
        raise FatalError(
            "tokens-locked",
            f"Another run has been renewing this client's sign-in for {_WAIT_SECONDS_MAX:.0f} seconds.",
            fix=f"If none is running, free its lock: prefect gcl update {limit} --active-slots 0",
        ) from error
    try:
        yield
    finally:
        await slot.__aexit__(None, None, None)
