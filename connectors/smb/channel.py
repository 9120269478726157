"""One connection to the share: signed in, and ready to carry chains of messages. Everything here blocks.

smbprotocol negotiates, authenticates, signs and encrypts. Guests are refused, links are not followed, and every answer
is waited for only so long.
"""

import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from smbprotocol.exceptions import SMBAuthenticationError, SMBException, SMBResponseException  # type: ignore[import-untyped]
from smbprotocol.session import Session  # type: ignore[import-untyped]
from smbprotocol.tree import TreeConnect  # type: ignore[import-untyped]

from connectors.smb.connection import CheckedConnection
from connectors.smb.errors import (
    SESSION_LOST,
    connection_lost,
    share_error,
    sign_in_error,
    sign_in_refused,
    unreachable,
)
from connectors.smb.messages import Message
from connectors.smb.settings import SmbSettings
from migration.errors import FatalError, RetryableError, SiteHaulError

CHUNK_BYTES = 1024 * 1024
"""Of a large file's bytes so many go in one message, if the server takes so many; smaller ones take twice the time."""
WORKERS = 8
"""How many chains of one connection are on their way at the same time."""
_CREDIT_BYTES = 65536
_CREDITS_PER_CHAIN = 20
"""What a chain costs at most: one message of CHUNK_BYTES and a few small ones."""
_CREDITS_ASKED = 512
_CONNECT_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one message: its status and its bytes without the header."""

    status: int
    data: bytes


class Channel:
    """A connection with a session and the share. `exchange` may be called by several threads at once."""

    def __init__(self, settings: SmbSettings) -> None:
        """Connects. RetryableError `unreachable`; FatalError `sign-in-refused`, `root-missing`, `permission-denied`,
        `untrusted-host`, `encryption-unavailable`."""
        self._settings = settings
        self._connection = CheckedConnection(
            uuid.uuid4(), settings.server, settings.port, require_signing=settings.signing == "required"
        )
        try:
            with _connecting(settings), self._cut_off():
                self._connection.connect(timeout=_CONNECT_SECONDS)
                self._session = self._signed_in()
                self._tree = self._share()
                self._slots, self._chunk_bytes = self._room()
        except BaseException:
            self.close()
            raise

    @property
    def is_alive(self) -> bool:
        """Whether nobody has noticed that it is gone."""
        return bool(self._connection.transport.connected)

    @property
    def slots(self) -> int:
        """How many chains the server's credits allow at the same time."""
        return self._slots

    @property
    def chunk_bytes(self) -> int:
        """How many bytes one message may carry."""
        return self._chunk_bytes

    @property
    def protection(self) -> str:
        """The dialect, and how messages are protected, for people."""
        dialect = self._connection.dialect
        version = f"{dialect >> 8}.{dialect >> 4 & 15}" + (f".{dialect & 15}" if dialect & 15 else "")
        if self._session.encrypt_data or self._tree.encrypt_data:
            return f"SMB {version}, encrypted"
        return f"SMB {version}, {'signed' if self._session.signing_required else 'neither signed nor encrypted'}"

    def exchange(self, *chain: Message) -> list[Answer]:
        """Send messages that belong together as one, and give the answer to each. RetryableError `connection-lost`
        when they do not all come; what was done then is unknown."""
        try:
            requests = self._connection.send_chain(chain, self._session, self._tree)
            answers = [self._answer(request) for request in requests]
        except Exception as error:
            # Whatever the library could not read or send, the two sides no longer agree on what comes next.
            self.close()
            raise connection_lost(self._settings.server, _text(error) or "no answer came") from error
        if any(answer.status in SESSION_LOST for answer in answers):
            self.close()
            raise connection_lost(self._settings.server, "the server ended the session")
        return answers

    def close(self) -> None:
        """Close it without asking; whoever waits for an answer gets an error."""
        transport = self._connection.transport
        if transport is not None:
            with suppress(OSError, SMBException):
                self._connection.disconnect(close=False)
            # The library tells those who wait, but gives up half way when they come and go meanwhile.
            for request in list(self._connection.outstanding_requests.values()):
                request.response_event.set()

    def sign_out(self) -> None:
        """Close it in good order, so that the server need not find out by itself."""
        with suppress(SMBException, OSError, ValueError):
            self._connection.disconnect(close=True, timeout=2)
        self.close()

    @contextmanager
    def _cut_off(self) -> Iterator[None]:
        """End a sign-in that takes too long; the library would wait for the server's answers without end."""
        timer = threading.Timer(self._settings.timeout_seconds, self.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _answer(self, request: object) -> Answer:
        try:
            header = self._connection.receive(request, timeout=self._settings.timeout_seconds, resolve_symlinks=False)
        except SMBResponseException as refused:
            return Answer(refused.status, bytes(refused.header["data"].get_value()))
        return Answer(0, bytes(header["data"].get_value()))

    def _signed_in(self) -> Session:
        settings = self._settings
        must_encrypt = settings.encryption == "required"
        if must_encrypt and not self._connection.supports_encryption:
            raise FatalError(
                "encryption-unavailable",
                f"{settings.server} cannot encrypt connections, which the connection requires.",
                fix="Turn SMB 3 encryption on at the server, or set encryption of the connection to if-required.",
            )
        session = Session(
            self._connection, settings.username, settings.password.get_secret_value(), require_encryption=must_encrypt
        )
        try:
            session.connect()
        except SMBResponseException as refused:
            raise sign_in_error(refused.status, settings.server, settings.username) from refused
        except SMBAuthenticationError as error:
            raise sign_in_refused(settings.server, settings.username, _text(error)) from error
        except SMBException:
            if session.full_session_key is not None and session.signing_key is None:
                raise self._guest() from None
            raise
        if session.signing_key is None:
            raise self._guest()
        return session

    def _guest(self) -> FatalError:
        return sign_in_refused(
            self._settings.server, self._settings.username, "it would only let the user in as a guest, unprotected"
        )

    def _share(self) -> TreeConnect:
        tree = TreeConnect(self._session, f"\\\\{self._settings.server}\\{self._settings.share}")
        signing_required = self._session.signing_required
        # [MS-SMB2] 3.2.4.1.1: this message is signed or encrypted whatever was agreed on.
        self._session.signing_required = not self._session.encrypt_data
        try:
            tree.connect()
        except SMBResponseException as refused:
            raise share_error(refused.status, tree.share_name, self._settings.username) from refused
        finally:
            self._session.signing_required = signing_required
        # Paths are those of this server; what a DFS namespace keeps elsewhere is refused by name.
        tree.is_dfs_share = False
        return tree

    def _room(self) -> tuple[int, int]:
        """How many chains at once, and how many bytes in a message: as the server's credits allow."""
        connection = self._connection
        connection.echo(sid=self._session.session_id, timeout=_CONNECT_SECONDS, credit_request=_CREDITS_ASKED)
        window = connection.sequence_window
        granted = max(1, window["high"] - window["low"])
        largest = min(CHUNK_BYTES, connection.max_write_size, connection.max_read_size)
        if not connection.supports_multi_credit:
            largest = min(largest, _CREDIT_BYTES)
        slots = max(1, min(WORKERS, granted // _CREDITS_PER_CHAIN))
        affordable = max(1, granted // slots - 6) * _CREDIT_BYTES
        return slots, min(largest, affordable)


@contextmanager
def _connecting(settings: SmbSettings) -> Iterator[None]:
    """What else can go wrong before the share can be used."""
    try:
        yield
    except SiteHaulError:
        raise
    except (OSError, ValueError) as error:
        raise unreachable(settings.server, _reason(error)) from error
    except SMBException as error:
        raise RetryableError(
            "unreachable",
            f"No connection to {settings.server} came about: {_text(error)}.",
            fix="Check that the server speaks SMB 2 or 3, that port and firewall let it through, and its log.",
        ) from error


def _reason(error: Exception) -> str:
    cause = error.__cause__
    if isinstance(cause, socket.gaierror):
        return "its name is not known"
    return _text(cause if isinstance(cause, OSError) and cause.strerror else error)


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).rstrip(".").replace("\n", " ")
