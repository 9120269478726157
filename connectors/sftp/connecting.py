"""Opening a connection: whom to trust, how to sign in.

asyncssh reads the user's own SSH files and agent unless it is told otherwise; here it is told otherwise. A host key
that was not named ends the connection before anything secret is sent.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncssh

from connectors.sftp.channel import WINDOW_BYTES, Channel
from connectors.sftp.errors import (
    agent_unreachable,
    connecting_error,
    key_file_unreadable,
    known_hosts_unreadable,
    untrusted,
)
from connectors.sftp.settings import SftpSettings
from migration.errors import SiteHaulError

_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""First those that cost the least processor time; the others follow in asyncssh's order."""
_HOST_KEY_KINDS = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256",
)  # fmt: skip
_KEEPALIVE_SECONDS = 15
_KEEPALIVES_LOST = 3


class Opener:
    """Opens connections to one server."""

    def __init__(self, settings: SftpSettings) -> None:
        self._settings = settings
        self._key: asyncssh.SSHKey | None = None
        self.server = settings.host if settings.port == 22 else f"{settings.host}:{settings.port}"
        """What the server is called in messages."""

    async def open(self) -> Channel:
        """A connection that is ready. RetryableError `unreachable`; FatalError `untrusted-host`, `sign-in-refused`,
        `no-common-algorithm`, `not-sftp`; ConfigurationError for files that cannot be used."""
        judge = _Judge(self._settings)
        judge.listed = await asyncio.to_thread(_listed, self._settings)
        key = await self._private_key()
        opened: list[asyncssh.SSHClientConnection] = []
        try:
            async with asyncio.timeout(self._settings.connect_timeout_seconds), self._agent_keys() as agent_keys:
                keys: list[asyncssh.SSHKey | asyncssh.SSHKeyPair] = [] if key is None else [key]
                keys += agent_keys
                opened.append(await self._connect(judge, keys))
                return await self._channel(opened[0])
        except BaseException as error:
            for connection in opened:
                connection.abort()
            if isinstance(error, asyncssh.Error | OSError):
                raise self._meaning(error, judge) from error
            raise

    async def _connect(self, judge: "_Judge", keys: Sequence[asyncssh.SSHKey | asyncssh.SSHKeyPair]) -> Any:
        settings = self._settings
        password = settings.password
        how: dict[str, Any] = {
            "config": None,
            "known_hosts": judge.known,
            "client_factory": lambda: judge,
            "username": settings.username,
            "password": None if password is None else password.get_secret_value(),
            "client_keys": keys or None,  # an empty list would mean those in ~/.ssh
            "agent_path": None,
            "x509_trusted_certs": None,
            "gss_host": None,
            "host_based_auth": False,
            "disable_trivial_auth": True,
            "encryption_algs": _CIPHERS,
            "compression_algs": None,
            "keepalive_interval": _KEEPALIVE_SECONDS,
            "keepalive_count_max": _KEEPALIVES_LOST,
            "login_timeout": settings.connect_timeout_seconds,
        }
        if judge.listed is None and judge.kinds:
            # Others are accepted as well, so that what the server shows instead can be told.
            how["server_host_key_algs"] = sorted(_HOST_KEY_KINDS, key=lambda kind: kind not in judge.kinds)
        return await asyncssh.connect(settings.host, settings.port, **how)

    async def _channel(self, connection: asyncssh.SSHClientConnection) -> Channel:
        channel = Channel(connection, self.server, self._settings.timeout_seconds)
        await connection.create_session(lambda: channel, subsystem="sftp", encoding=None, window=WINDOW_BYTES)
        await channel.start()
        return channel

    async def _private_key(self) -> asyncssh.SSHKey | None:
        """The private key, read once and off the loop: opening one with a passphrase takes its time."""
        path, passphrase = self._settings.private_key_file, self._settings.passphrase
        if path is not None and self._key is None:
            secret = None if passphrase is None else passphrase.get_secret_value()
            try:
                self._key = await asyncio.to_thread(asyncssh.read_private_key, path, secret)
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                raise key_file_unreadable(path, reason.rstrip(".").lower()) from error
        return self._key

    @asynccontextmanager
    async def _agent_keys(self) -> AsyncIterator[Sequence[asyncssh.SSHKeyPair]]:
        """The keys of the running agent, which signs with them while the block lasts; none unless it may be asked."""
        if not self._settings.use_agent:
            yield []
            return
        try:
            agent = await asyncssh.connect_agent()
        except (OSError, asyncssh.ChannelOpenError) as error:
            raise agent_unreachable() from error
        async with agent:
            yield list(await agent.get_keys())

    def _meaning(self, error: Exception, judge: "_Judge") -> SiteHaulError:
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return untrusted(self.server, judge.seen, is_new=not judge.knows_any)
        if isinstance(error, asyncssh.KeyExchangeFailed) and "host key" in error.reason and judge.knows_any:
            return untrusted(self.server, None, is_new=False)
        return connecting_error(error, self.server, self._settings.username)


class _Judge(asyncssh.SSHClient):
    """Knows the host keys that are known, is asked about all others, and remembers what was seen."""

    def __init__(self, settings: SftpSettings) -> None:
        self._fingerprints = settings.fingerprints
        self._given = [asyncssh.import_public_key(line) for line in settings.public_keys]
        self.listed: asyncssh.SSHKnownHosts | None = None
        self.knows_any = settings.host_key is not None
        self.seen: asyncssh.SSHKey | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """Of what kinds the given keys are, as they sign."""
        kinds = {key.get_algorithm() for key in self._given}
        return frozenset(kinds | ({"rsa-sha2-512", "rsa-sha2-256"} if "ssh-rsa" in kinds else set()))

    def known(self, host: str, addr: str, port: int | None) -> tuple[Sequence[object], ...]:
        """What is known about the host: trusted keys, authorities and so on, in asyncssh's order."""
        if self.listed is None:
            return self._given, [], []
        trusted, authorities, *others = self.listed.match(host, addr, port)
        self.knows_any = self.knows_any or bool(trusted or authorities)
        return [*self._given, *trusted], authorities, *others

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        self.seen = key
        return key.get_fingerprint() in self._fingerprints


def _listed(settings: SftpSettings) -> asyncssh.SSHKnownHosts | None:
    if settings.known_hosts_file is None:
        return None
    try:
        return asyncssh.read_known_hosts(str(settings.known_hosts_file))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise known_hosts_unreadable(settings.known_hosts_file, reason.rstrip(".").lower()) from error
