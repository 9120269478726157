"""smbprotocol's connection, with what it leaves open closed and its most frequent paths shortened.

* Answers that are not signed or not encrypted although they have to be end the connection ([MS-SMB2] 3.2.5.1,
  https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/). The library believes unsigned ones.
* Chains that are signed by AES-GMAC or encrypted by AES-GCM (SMB 3.1.1 with today's Windows and Samba), or neither, are
  put together here: the library needs twice the processor time for a small file, and copies the bytes of a large one
  eight times. Every other kind of protection is left to it.
"""

import hmac
import os
import struct
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from smbprotocol import Dialects  # type: ignore[import-untyped]
from smbprotocol.connection import Ciphers, Connection, Request, SigningAlgorithms  # type: ignore[import-untyped]
from smbprotocol.exceptions import SMBException  # type: ignore[import-untyped]
from smbprotocol.header import Commands, NtStatus, Smb2Flags, SMB2HeaderResponse  # type: ignore[import-untyped]
from smbprotocol.session import Session  # type: ignore[import-untyped]
from smbprotocol.tree import TreeConnect  # type: ignore[import-untyped]

from connectors.smb.messages import HEADER_BYTES, Message, Number

_HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
_UNSIGNED = bytes(16)
_RELATED = 0x00000004
_SIGNED = 0x00000008
_CREDIT_BYTES = 65536
_UNSOLICITED = 0xFFFFFFFFFFFFFFFF
_PREFIX_BYTES = 4


class _Sent:
    """What the library wants to know of a message that was sent, while its answer is awaited."""

    __slots__ = ("_command", "_id")

    def __init__(self, command: int, message_id: int) -> None:
        self._command = Number(command)
        self._id = Number(message_id)

    def __getitem__(self, field: str) -> Number:
        return self._id if field == "message_id" else self._command if field == "command" else Number(0)


class CheckedConnection(Connection):  # type: ignore[misc]  # the library has no types
    """One connection; `send_chain` may be called by several threads at once."""

    def send_chain(self, chain: Sequence[Message], session: Session, tree: TreeConnect) -> list[Any]:
        """Send messages that belong together; the requests whose answers `receive` waits for."""
        is_encrypted = bool(session.encrypt_data or tree.encrypt_data)
        is_signed = bool(session.signing_required) and not is_encrypted
        if (is_encrypted and not self._encrypts_by_gcm()) or (is_signed and not self._signs_by_gmac()):
            sent: list[Any] = self.send_compound(list(chain), session.session_id, tree.tree_connect_id, related=True)
            return sent
        cipher = AESGCM(session.signing_key) if is_signed else None
        charges = [self._charge(message) for message in chain]
        message_id = self._next_ids(charges)
        packet, requests = bytearray(_PREFIX_BYTES), []
        for place, (message, charge) in enumerate(zip(chain, charges, strict=True)):
            is_last = place == len(chain) - 1
            length = HEADER_BYTES + len(message)
            padding = 0 if is_last else -length % 8
            first = len(packet)
            packet += _HEADER.pack(
                b"\xfeSMB", HEADER_BYTES, charge, 0, message.COMMAND, max(charge, 1),
                (_RELATED if place else 0) | (_SIGNED if cipher else 0), 0 if is_last else length + padding,
                message_id, 0, tree.tree_connect_id, session.session_id, _UNSIGNED,
            )  # fmt: skip
            packet += message.fixed
            packet += message.content
            packet += bytes(padding)
            if cipher is not None:
                with memoryview(packet) as view:
                    packet_signature = cipher.encrypt(_nonce(message_id, 0), b"", view[first:])
                packet[first + 48 : first + 64] = packet_signature
            request = Request(_Sent(message.COMMAND, message_id), type(message), self, session_id=session.session_id)
            self.outstanding_requests[message_id] = request
            requests.append(request)
            message_id += max(charge, 1)
        if not self.transport.connected:
            raise SMBException("the connection was closed")
        self._send_packet(_encrypted(packet, session) if is_encrypted else packet)
        return requests

    def _send_packet(self, packet: bytearray) -> None:
        """Send it with its length in front ([MS-SMB2] 2.1). The library's own sending copies a large packet several
        times over, once for every piece that the socket takes."""
        packet[:_PREFIX_BYTES] = (len(packet) - _PREFIX_BYTES).to_bytes(_PREFIX_BYTES, "big")
        with self.transport._sock_lock:
            self.transport._sock.sendall(packet)

    def verify_signature(self, header: SMB2HeaderResponse, session_id: int, force: bool = False) -> None:
        """Raise SMBException for an answer that is less protected than it has to be, or wrongly signed. Asked by the
        library about every answer that came unencrypted."""
        session = self.session_table.get(session_id)
        if session is None or force or not _must_be_protected(header):
            super().verify_signature(header, session_id, force=force)
            return
        tree = session.tree_connect_table.get(header["tree_id"].get_value())
        if session.encrypt_data or (tree is not None and tree.encrypt_data):
            raise SMBException("an answer that had to be encrypted was not")
        if not header["flags"].has_flag(Smb2Flags.SMB2_FLAGS_SIGNED):
            if session.signing_required:
                raise SMBException("an answer that had to be signed was not")
        elif self._signs_by_gmac():
            _check_gmac(header, session.signing_key)
        else:
            super().verify_signature(header, session_id)

    def _signs_by_gmac(self) -> bool:
        return bool(self.signing_algorithm_id == SigningAlgorithms.AES_GMAC)

    def _encrypts_by_gcm(self) -> bool:
        return self.dialect >= Dialects.SMB_3_1_1 and self.cipher_id in (Ciphers.AES_128_GCM, Ciphers.AES_256_GCM)

    def _charge(self, message: Message) -> int:
        return (max(0, message.payload_bytes - 1) // _CREDIT_BYTES) + 1 if self.supports_multi_credit else 0

    def _next_ids(self, charges: Sequence[int]) -> int:
        """The first of the numbers that the messages get, each as many as it costs credits."""
        wanted = sum(max(charge, 1) for charge in charges)
        with self.sequence_lock:
            first: int = self.sequence_window["low"]
            if first + wanted > self.sequence_window["high"]:
                raise SMBException("the server grants too few requests at the same time")
            self.sequence_window["low"] += wanted
        return first


def _check_gmac(header: SMB2HeaderResponse, key: bytes) -> None:
    value = {name: header[name].get_value() for name in _SIGNED_FIELDS}
    unsigned = _HEADER.pack(b"\xfeSMB", *value.values(), _UNSIGNED) + header["data"].get_value()
    expected = AESGCM(key).encrypt(_nonce(value["message_id"], 1), b"", unsigned)
    if not hmac.compare_digest(expected, header["signature"].get_value()):
        raise SMBException("an answer was signed wrongly")


_SIGNED_FIELDS = (
    "structure_size", "credit_charge", "status", "command", "credit_response", "flags", "next_command", "message_id",
    "reserved", "tree_id", "session_id",
)  # fmt: skip


def _encrypted(packet: bytearray, session: Session) -> bytearray:
    """[MS-SMB2] 2.2.41: everything behind the signature of the header is proved, the packet is encrypted as well. Both
    packets begin with room for their length."""
    nonce = os.urandom(12)
    plain = memoryview(packet)[_PREFIX_BYTES:]
    rest = struct.pack("<16sIHHQ", nonce, len(plain), 0, 1, session.session_id)
    hidden = AESGCM(session.encryption_key).encrypt(nonce, plain, rest)
    return bytearray().join((bytes(_PREFIX_BYTES), b"\xfdSMB", hidden[-16:], rest, memoryview(hidden)[:-16]))


def _nonce(message_id: int, role: int) -> bytes:
    """[MS-SMB2] 3.1.4.1: the message's number, and whether the server sent it."""
    return struct.pack("<QI", message_id, role)


def _must_be_protected(header: SMB2HeaderResponse) -> bool:
    return bool(
        header["message_id"].get_value() != _UNSOLICITED
        and header["command"].get_value() != Commands.SMB2_SESSION_SETUP
        and header["status"].get_value() != NtStatus.STATUS_PENDING
    )
