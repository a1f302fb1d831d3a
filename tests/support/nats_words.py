"""To speak with nats-server in the protocol's own words, so that what is refused is the server's doing alone."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

WAIT_SECONDS = 60.0


@contextlib.contextmanager
def talking(
    address: tuple[str, int], context: ssl.SSLContext, host: str = "127.0.0.1"
) -> Iterator[Callable[[bytes], bytes]]:
    """A connection: gives a function that sends a line and a ping. ``host`` is what the certificate must stand for.

    It returns what the server says up to its answer to the ping, or until it hangs up.
    """
    with (
        socket.create_connection(address, WAIT_SECONDS) as raw,
        context.wrap_socket(raw, server_hostname=host) as connection,
    ):

        def ask(line: bytes) -> bytes:
            connection.sendall(line + b"\r\nPING\r\n")
            said = b""
            while b"PONG\r\n" not in said and (more := connection.recv(65536)):
                said += more
            return said

        connection.sendall(b'CONNECT {"verbose":false,"pedantic":false,"protocol":1}\r\n')
        yield ask
