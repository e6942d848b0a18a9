"""Doors of the wire: what is sent to a witness that we run, and what servers elsewhere answer to us."""

from __future__ import annotations

import io
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from http import HTTPStatus

from proofroom.adapters.anchors import HttpAnchor
from proofroom.adapters.audited_tiles import audit_published
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.published import PublishedLog
from proofroom.adapters.witness import answer, make_server
from proofroom.adapters.witnessing import WitnessAddress, ask
from proofroom.domain.cosigning import Request, write_request
from proofroom.domain.verifier.note import parse_key
from strategies.doors import check_same
from strategies.stage import WITNESS_KEY, Stage, witness_of


class _Answering(socketserver.TCPServer):
    """Answers every request by the same bytes, and hangs up."""

    allow_reuse_address = True

    def __init__(self, data: bytes) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    self.request.recv(65_536)
                    self.request.sendall(data)

        super().__init__(("127.0.0.1", 0), Handler)


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    """A server in a thread; its port."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def answered(client: Callable[[Stage, str], object], here: Stage, data: bytes) -> None:
    """What a server elsewhere says to us: the whole of its answer."""
    before = here.files()
    with serving(_Answering(data)) as port:
        try:
            client(here, f"http://127.0.0.1:{port}")
        finally:
            check_same(before, here.files())


def ask_witness(here: Stage, url: str) -> None:
    with Ledger.open(here.folder / "room", read_only=True) as ledger:
        ask(ledger.store, here.honest["room.checkpoint"].decode(), WitnessAddress(url, parse_key(WITNESS_KEY)))


def read_tiles(here: Stage, url: str) -> None:
    audit_published(PublishedLog(url))


def anchor(here: Stage, url: str) -> None:
    HttpAnchor(url).keep("name", b"data")


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


_may_hang_up = suppress(ConnectionError)
"""A server may answer, and go, before all was sent to it."""


def to_witness(here: Stage, data: bytes) -> None:
    """A whole request to a witness. It answers or hangs up, and cosigns what extends afterwards as before."""
    witness = witness_of(here.folder)
    before, told = here.files(), io.StringIO()
    said = bytearray()
    with redirect_stderr(told), serving(make_server(witness)) as port, _connected(port) as connection, _may_hang_up:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65_536):
            said += part
    assert "Traceback" not in told.getvalue(), told.getvalue()
    assert not said or b"HTTP/1." in said[:20] or b"Error response" in said, said  # HTTP/0.9 has no status line
    if b" 200 OK" not in said:
        check_same(before, here.files())
    again = write_request(Request(len(here.history.entries), (), here.honest["room.checkpoint"].decode()))
    assert answer(witness, again).status == HTTPStatus.OK


def requests(here: Stage) -> list[bytes]:
    body = write_request(Request(0, (), here.honest["room.checkpoint"].decode()))
    return [b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)]


def response(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
