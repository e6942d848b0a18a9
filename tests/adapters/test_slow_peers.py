"""Servers and clients that are slow, or mean to be: each answer and each request has a time, and an end."""

from __future__ import annotations

import itertools
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import SimpleNamespace

import pytest

from proofroom.adapters.anchors import HttpAnchor
from proofroom.adapters.audited_tiles import audit_published
from proofroom.adapters.monitor import Monitor
from proofroom.adapters.published import PublishedLog
from proofroom.adapters.publishing import publish
from proofroom.adapters.witness import Witness, make_server
from proofroom.adapters.witnessing import WitnessAddress, collect
from proofroom.domain.cosigning import witness_key
from proofroom.domain.errors import AnchorFailed, NotPublished, NoWitness, ProofroomError
from proofroom.domain.ids import KeyId
from proofroom.domain.verifier import note as notes
from proofroom.testing.keys import key
from strategies.doors_wire import serving
from strategies.dripping import Drip, dripping
from strategies.followed import small
from strategies.serving import serve

SECONDS = 0.1
"""For an answer that never ends; nothing here depends on how long it is."""

ANSWER = b"HTTP/1.1 200 OK\r\n"
ANYWHERE = {
    "silence": Drip(b"", b""),
    "the first line": Drip(b"HTTP/1.1 2", b"0"),
    "a please wait": Drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a header": Drip(ANSWER + b"X: ", b"x"),
}
BODIES = {
    "the body": Drip(ANSWER + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "its chunks": Drip(ANSWER + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}
REFUSAL = {
    "what it refuses with": Drip(b"HTTP/1.1 409 Conflict\r\nContent-Length: 1000000\r\n\r\n", b"1"),
}


def read(url: str, folder: Path) -> None:
    """The audit of a published log."""
    audit_published(PublishedLog(url, seconds=SECONDS))


def look(url: str, folder: Path) -> None:
    """One look of a monitor."""
    Monitor(PublishedLog(url, seconds=SECONDS), folder / "seen").look()


def anchor(url: str, folder: Path) -> None:
    """A checkpoint that is anchored."""
    HttpAnchor(url, seconds=SECONDS).keep("name", b"data")


def cosign(url: str, folder: Path) -> None:
    """A cosignature that is asked for."""
    witness = WitnessAddress(url, notes.parse_key(witness_key("w", key("witness").keyid)))
    raise collect(small(), [witness], seconds=SECONDS)[1][0]


CLIENTS: tuple[tuple[Callable[[str, Path], None], type[ProofroomError], dict[str, Drip]], ...] = (
    (read, NotPublished, {**ANYWHERE, **BODIES}),
    (look, NotPublished, {"the body": BODIES["the body"]}),
    (anchor, AnchorFailed, {"a header": ANYWHERE["a header"]}),
    (cosign, NoWitness, {"a header": ANYWHERE["a header"], **REFUSAL}),
)
CASES = [
    pytest.param(client, error, drips[where], id=f"{client.__name__}-{where}")
    for client, error, drips in CLIENTS
    for where in drips
]


@pytest.mark.parametrize(("client", "error", "drip"), CASES)
def test_an_answer_that_has_no_end(
    tmp_path: Path, client: Callable[[str, Path], None], error: type[ProofroomError], drip: Drip
) -> None:
    """The typed error says that it was too slow, and what to do; a monitor raises no alarm of it."""
    with dripping(drip) as url, pytest.raises(error) as told:
        client(url, tmp_path)
    assert "time" in str(told.value)
    assert "slow" in told.value.advice


def test_a_redirection_is_followed_without_its_text(tmp_path: Path) -> None:
    """Which may have no end."""
    publish(small(), tmp_path)
    with serve(tmp_path) as there:
        place = f"HTTP/1.1 302 Found\r\nLocation: {there}/checkpoint\r\nContent-Length: 1000000\r\n\r\n".encode()
        with dripping(Drip(place, b"x")) as url:
            assert PublishedLog(url).note() == (tmp_path / "checkpoint").read_text()


@pytest.mark.parametrize("scheme", ["file", "ftp"])
def test_no_redirection_leads_elsewhere(tmp_path: Path, scheme: str) -> None:
    """To a file of ours, say."""
    place = f"HTTP/1.1 302 Found\r\nLocation: {scheme}://localhost{tmp_path}/x\r\n\r\n".encode()
    with dripping(Drip(place, b"")) as url, pytest.raises(NotPublished, match=r"not allowed|unknown url type"):
        PublishedLog(url).note()


def test_all_redirections_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes a second forward at each look, few of them fit into six."""
    monkeypatch.setattr("proofroom.adapters.web.time", SimpleNamespace(monotonic=itertools.count().__next__))
    again = Drip(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", b"")
    with dripping(again) as url, pytest.raises(NotPublished, match="time"):
        PublishedLog(url, seconds=6).note()


WORDS = {
    "nothing": b"",
    "the first line": b"POST /",
    "a header": b"POST /add-checkpoint HTTP/1.1\r\nX: ",
    "the body": b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 60000\r\n\r\n",
}


@pytest.mark.parametrize(("words", "is_second"), [*((words, False) for words in WORDS), ("the body", True)])
def test_a_request_that_has_no_end(tmp_path: Path, words: str, is_second: bool) -> None:
    """The witness hangs up on who sends it, also behind a good one, and answers others."""
    logs: dict[str, KeyId] = {}
    server = make_server(Witness(tmp_path / "w.db", "w", key("witness"), logs), seconds=SECONDS)
    with serving(server) as port:
        with _asked(port) if is_second else _connected(port) as connection:
            assert _drip(connection, WORDS[words]) == b""
        _asked(port).close()


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def _asked(port: int) -> socket.socket:
    """A connection on which one request was answered, whatever else this machine has to do."""
    for _ in range(1_000):
        client = HTTPConnection("127.0.0.1", port, timeout=60)
        with suppress(ConnectionError, HTTPException):
            client.request("POST", "/add-checkpoint", b"nothing")
            with client.getresponse() as answer:
                assert (answer.status, answer.read()[-1:]) == (HTTPStatus.BAD_REQUEST, b"\n")
            return client.sock
        client.close()
    raise AssertionError("no request was answered")


def _drip(connection: socket.socket, first: bytes) -> bytes:
    """Send a beginning and then a byte a hundredth of a second, until the other side hangs up; what it said."""
    try:
        connection.sendall(first)
        for _ in range(60_000):
            if select.select([connection], [], [], 0.01)[0]:
                return connection.recv(65_536)
            connection.sendall(b"x" * (first != b""))
    except ConnectionError:  # it hung up between two of ours
        return b""
    raise AssertionError("it listens for ever")
