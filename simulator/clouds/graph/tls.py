"""TLS for the sign-in host, because MSAL takes https addresses only."""

import asyncio
import contextlib
import functools
import ipaddress
import ssl
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class AppCertificate:
    """The certificate that the simulated app registration knows, with its key."""

    certificate_pem: str
    private_key_pem: str
    thumbprint: str
    """SHA-1 in upper-case hexadecimal, as the portal shows it."""
    thumbprint_sha256: str


@functools.cache
def app_certificate() -> AppCertificate:
    """An RSA certificate, made once for the process."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    certificate = _self_signed("SiteHaul migration app", key, None)
    return AppCertificate(
        certificate.public_bytes(serialization.Encoding.PEM).decode(), _key_pem(key).decode(),
        certificate.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - the name Entra gives a certificate
        certificate.fingerprint(hashes.SHA256()).hex().upper(),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A self-signed certificate of 127.0.0.1 on disk."""

    context: ssl.SSLContext
    ca_file: Path


@functools.cache
def _server_pem() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost"),
    ])  # fmt: skip
    certificate = _self_signed("127.0.0.1", key, names)
    return certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key)


def server_certificate(folder: Path) -> ServerCertificate:
    """Put the certificate into a folder, where a client can trust it from, and load it for a server."""
    certificate, key = _server_pem()
    ca_file = folder / "sign-in-ca.pem"
    ca_file.write_bytes(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(dir=folder) as key_file:
        key_file.write(key)
        key_file.flush()
        context.load_cert_chain(ca_file, key_file.name)
    return ServerCertificate(context, ca_file)


class Front:
    """A listener on 127.0.0.1 that ends TLS and passes everything on to another port."""

    def __init__(self, certificate: ServerCertificate, port: int) -> None:
        self._certificate = certificate
        self._port = port
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """Begin to listen; the address."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._certificate.context)
        return f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """End the listener and every connection."""
        if self._server is not None:
            self._server.close()
        open_ones = list(self._connections)
        for connection in open_ones:
            connection.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        assert own is not None
        self._connections.add(own)
        try:
            with contextlib.suppress(asyncio.CancelledError):  # only `close` cancels, and waits for the end
                await self._passing_on(reader, writer)
        finally:
            self._connections.discard(own)
            writer.transport.abort()

    async def _passing_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _connection(self._port) as (from_server, to_server), asyncio.TaskGroup() as both:
            up = both.create_task(_pass_on(reader, to_server))
            await _pass_on(from_server, writer)
            up.cancel()


@contextlib.asynccontextmanager
async def _connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()


def _self_signed(
    name: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, names: x509.SubjectAlternativeName | None
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    public, now = key.public_key(), datetime.now(UTC)
    usage = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(True, None), True).add_extension(usage, True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False)
    )  # fmt: skip
    if names is not None:
        builder = builder.add_extension(names, False)
    return builder.sign(key, hashes.SHA256())


def _key_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
