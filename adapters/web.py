"""Asking servers elsewhere over HTTP, and all the ways in which there is no answer; and how long whoever asks us may take.

The timeout of a socket is for one read: who sends a byte a minute would be listened to for ever. Here it is for all that is to come.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from functools import cache, partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import (
    AbstractHTTPHandler,
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ANSWER_SECONDS = 120.0
"""For one answer, of which the largest are the bundles of a log, with up to 16 MiB."""

NO_ANSWER = (OSError, ValueError, HTTPException)
"""What :func:`urlopen` and reading from it raise: not reached, hung up or too slow, no address, bytes that are no HTTP."""


def why_none(error: Exception) -> str:
    """What one of these says, for a person: without the number, the path and the brackets that the library puts around it."""
    if isinstance(error, URLError) and not isinstance(error, HTTPError):
        return why_none(error.reason) if isinstance(error.reason, Exception) else str(error.reason)
    return getattr(error, "strerror", None) or str(error)


def urlopen(request: str | Request, seconds: float = ANSWER_SECONDS) -> HTTPResponse:
    """As :func:`urllib.request.urlopen`, for ``http`` and ``https`` alone, and with a time for the whole answer, all redirections included.

    Raises:
        TimeoutError: from here or from reading what it gives: the time is over.
        OSError, ValueError, HTTPException: there is no answer for another reason.
    """
    response: HTTPResponse = _opener().open(request, timeout=seconds)
    return response


class TimedReader(io.RawIOBase):
    """What the other side of a connection says, until a moment.

    Args:
        connection: the socket.
        raw: what reads it.
        until: when the time is over, by :func:`time.monotonic`; whoever reads may set it anew.
    """

    def __init__(self, connection: socket.socket, raw: io.RawIOBase, until: float) -> None:
        self._connection, self._raw, self.until = connection, raw, until

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Raises TimeoutError: the time is over."""
        left = self.until - time.monotonic()
        try:
            if left > 0:
                self._connection.settimeout(left)
                return self._raw.readinto(buffer)
        except TimeoutError:
            pass
        raise TimeoutError("not all was said in the time that there is for it")

    def close(self) -> None:
        """And what reads it."""
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """An answer, of which the first line is timed as its last, and of which a part is none."""

    def __init__(self, connection: socket.socket, *args: Any, until: float, **more: Any) -> None:
        super().__init__(connection, *args, **more)
        self.fp = io.BufferedReader(TimedReader(connection, self.fp.detach(), until))

    def read(self, amt: int | None = None) -> bytes:
        """The library takes what came before the other side hung up for all of it."""
        data = super().read(amt)
        if amt is not None and len(data) < amt and self.length:
            raise ConnectionError(f"it was cut off, {self.length:,} bytes before its end")
        return data


class _Timed(AbstractHTTPHandler):
    """The request's time is for connecting, asking, and the whole answer."""

    def do_open(self, http_class: Callable[..., HTTPConnection], req: Request, **args: Any) -> HTTPResponse:
        """One request, and the first lines of its answer."""
        assert req.timeout is not None
        until = time.monotonic() + req.timeout

        def connection(*args: Any, **more: Any) -> HTTPConnection:
            made = http_class(*args, **more)
            made.response_class = partial(_TimedResponse, until=until)  # type: ignore[assignment]  # it is only called
            return made

        response = super().do_open(connection, req, **args)
        req.timeout = max(until - time.monotonic(), 0.001)  # for where a redirection leads
        if 300 <= response.status < 400:
            response.close()  # the text beside an address may have no end, and would be read to it
        return response


class _Http(_Timed, HTTPHandler):
    """In plain."""


class _Https(_Timed, HTTPSHandler):
    """Over TLS, where a socket's timeout is for a whole handshake, and for each 16 KiB that are sent."""


@cache
def _opener() -> OpenerDirector:
    """The usual one without files, FTP and addresses that are data: no redirection leads there."""
    opener = OpenerDirector()
    asking, answers = (ProxyHandler, UnknownHandler, _Http, _Https), (HTTPDefaultErrorHandler, HTTPRedirectHandler)
    for handler in (*asking, *answers, HTTPErrorProcessor):
        opener.add_handler(handler())
    return opener
