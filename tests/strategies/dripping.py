"""A server that never comes to its end: it says a beginning at once, and then the same few bytes again and again."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from strategies.doors_wire import serving


class Drip(NamedTuple):
    """What it says."""

    first: bytes
    """At once."""
    again: bytes
    """For ever, a hundred times a second."""


class _Dripping(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self, drip: Drip) -> None:
        self.is_over = threading.Event()
        over = self.is_over

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):  # the client hung up
                    self.request.recv(65_536)
                    self.request.sendall(drip.first)
                    while not over.wait(0.01):
                        self.request.sendall(drip.again)

        super().__init__(("127.0.0.1", 0), Handler)


@contextmanager
def dripping(drip: Drip) -> Iterator[str]:
    """The address of such a server."""
    server = _Dripping(drip)
    with serving(server) as port:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.is_over.set()
