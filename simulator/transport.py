"""The server's protocol class, which lets the application end a connection as scripted faults want it."""

import asyncio
import os
import socket
import struct

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 whose connection the application finds in `scope["state"]["transport"]`."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


def close_with_reset(transport: asyncio.Transport) -> None:
    """End a connection with RST instead of FIN; what was not yet sent is lost."""
    connection = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        with socket.socket(fileno=os.dup(connection.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
