"""A witness: it remembers the newest head of each log that it is told to watch, and cosigns only what extends it (C2SP tlog-witness).

What it cosigns is on disk before the cosignature is given out, and looking at the old head and storing the new one is one transaction, so
that no crash and no second process can make it sign two histories.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from proofroom.adapters.web import TimedReader
from proofroom.domain.checkpoint import Checkpoint, parse_note, verify_checkpoint
from proofroom.domain.cosigning import MAX_REQUEST, check_extends, cosign, parse_request, witness_key
from proofroom.domain.errors import (
    BadInput,
    BadNote,
    BadProof,
    BadRequest,
    HeadMoved,
    ProofroomError,
    StoreUnavailable,
    UnknownLog,
    UnknownLogKey,
)
from proofroom.domain.ids import KeyId
from proofroom.domain.merkle import SHA256
from proofroom.domain.signing import Signer
from proofroom.domain.verifier.note import parse_key
from proofroom.domain.verifier.verdict import Fault

log = logging.getLogger(__name__)

REQUEST_SECONDS = 30.0
"""For a client to say what it asks."""


class Witness:
    """One witness.

    Args:
        path: the file in which it remembers heads; made when it is not there. Whoever loses it must not go on under the same key.
        name: its name, a schema-less URL such as ``witness.example.org/w1``.
        signer: its key, which signs nothing but cosignatures.
        logs: the logs that it watches: origin -> the checkpoint key.
        clock: time in seconds UTC.

    Raises:
        BadInput: the name is none that a note can hold.
        StoreUnavailable: the file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        signer: Signer,
        logs: Mapping[str, KeyId],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path, self.name, self.signer, self.logs, self.clock = path, name, signer, dict(logs), clock
        try:
            parse_key(self.key)
        except Fault:
            raise BadInput(path=name, why="no name of a witness: it has no blanks and no +, and is not empty") from None
        with self._transaction() as c:
            c.execute("CREATE TABLE IF NOT EXISTS heads (origin TEXT PRIMARY KEY, size INTEGER, root BLOB, note TEXT)")

    @property
    def key(self) -> str:
        """Its verifier key, for policies."""
        return witness_key(self.name, self.signer.keyid)

    def add_checkpoint(self, body: bytes) -> str:
        """The ``add-checkpoint`` call: the signature line, once the new head is on disk.

        Raises:
            BadRequest: the body is not of its form (HTTP 400).
            UnknownLog: the origin is none that it watches (404).
            UnknownLogKey: the log's key did not sign (403).
            HeadMoved: it knows another head than the request says (409).
            BadProof: the new head does not extend the old one (422).
            StoreUnavailable: the new head cannot be stored (500). Nothing is cosigned.
        """
        request = parse_request(body)
        head = self._signed(request.note)
        with self._transaction() as c:
            row = c.execute("SELECT size, root FROM heads WHERE origin = ?", [head.origin]).fetchone()
            check_extends(None if row is None else self._remembered(head.origin, *row), request, head)
            c.execute("INSERT OR REPLACE INTO heads VALUES (?, ?, ?, ?)", [*head, request.note])
        return cosign(head, self.name, self.signer, int(self.clock()))

    def heads(self) -> dict[str, Checkpoint]:
        """The newest head of each log that it cosigned."""
        with self._transaction() as c:
            rows = c.execute("SELECT origin, size, root FROM heads ORDER BY origin").fetchall()
        return {origin: self._remembered(origin, size, root) for origin, size, root in rows}

    def _remembered(self, origin: str, size: object, root: object) -> Checkpoint:
        """A head as the file holds it. One that it did not write is not taken for a smaller one: nothing is cosigned then."""
        if not isinstance(size, int) or size < 0 or not isinstance(root, bytes) or len(root) != len(SHA256.empty):
            raise StoreUnavailable(path=str(self.path), why=f"what it remembers of {origin} cannot be read")
        return Checkpoint(origin, size, root)

    def _signed(self, note: str) -> Checkpoint:
        try:
            origin = parse_note(note)[0].origin
        except BadNote as e:
            raise BadRequest(why=str(e)) from None
        if origin not in self.logs:
            raise UnknownLog(origin=origin)
        try:
            return verify_checkpoint(note, origin, self.logs[origin])
        except BadNote:
            raise UnknownLogKey(origin=origin) from None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Holds the write lock from its first moment; durable when it ends."""
        try:
            with contextlib.closing(sqlite3.connect(self.path, isolation_level=None, timeout=30)) as connection:
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
        except UnicodeDecodeError:  # what SQLite says of an odd schema, with a piece of it
            raise StoreUnavailable(path=str(self.path), why="SQLite cannot read its schema") from None
        except sqlite3.Error as e:
            raise StoreUnavailable(path=str(self.path), why=str(e)) from None


class Answer(NamedTuple):
    """What goes back over HTTP."""

    status: HTTPStatus
    type: str
    body: str


_STATUS: dict[type[ProofroomError], HTTPStatus] = {
    BadRequest: HTTPStatus.BAD_REQUEST,
    UnknownLogKey: HTTPStatus.FORBIDDEN,
    UnknownLog: HTTPStatus.NOT_FOUND,
    BadProof: HTTPStatus.UNPROCESSABLE_ENTITY,
}


def answer(witness: Witness, body: bytes) -> Answer:
    """The answer to ``POST add-checkpoint``."""
    try:
        return Answer(HTTPStatus.OK, "text/plain; charset=utf-8", witness.add_checkpoint(body))
    except HeadMoved as e:
        return Answer(HTTPStatus.CONFLICT, "text/x.tlog.size", f"{e.size}\n")
    except ProofroomError as e:
        status = _STATUS.get(type(e), HTTPStatus.INTERNAL_SERVER_ERROR)
        return Answer(status, "text/plain; charset=utf-8", f"{e}\n")


def make_server(
    witness: Witness, host: str = "127.0.0.1", port: int = 0, *, seconds: float = REQUEST_SECONDS
) -> ThreadingHTTPServer:
    """An HTTP server for one witness. Run it with ``serve_forever``.

    It speaks plain HTTP: behind a proxy that ends TLS where others are to reach it, and that says how many may.

    Args:
        witness: what answers.
        host: the address at which it listens.
        port: 0 takes a free one.
        seconds: for each request of a connection, from its beginning, or the answer before it, to its last byte; who takes longer is hung
            up on.

    Raises:
        BadInput: it cannot listen there.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self._timed = TimedReader(self.connection, self.rfile.detach(), 0)
            self.rfile = io.BufferedReader(self._timed)

        def handle_one_request(self) -> None:
            self._timed.until = time.monotonic() + seconds
            super().handle_one_request()

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not self.path.endswith("/add-checkpoint"):
                self._send(Answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", "no such call\n"), close=True)
            elif not (length.isascii() and length.isdecimal() and len(length) < 10 and int(length) <= MAX_REQUEST):
                self._send(
                    Answer(HTTPStatus.BAD_REQUEST, "text/plain; charset=utf-8", "no length, or too long\n"), close=True
                )
            else:
                self._send(answer(witness, self.rfile.read(int(length))))

        def _send(self, given: Answer, *, close: bool = False) -> None:
            data = given.body.encode()
            self.send_response(given.status)
            self.send_header("Content-Type", given.type)
            self.send_header("Content-Length", str(len(data)))
            if close:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            log.info("%s %s", self.address_string(), format % args)

    try:
        return _Server((host, port), Handler)
    except (OSError, ValueError) as e:
        raise BadInput(path=f"{host}:{port}", why=f"cannot listen there: {getattr(e, 'strerror', None) or e}") from None


class _Server(ThreadingHTTPServer):
    """One whose clients may hang up: that is a line in the log, and no traceback. A fault of ours keeps its own."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handle_error(request, client_address)
        log.warning("%s: %r", client_address[0], error)
