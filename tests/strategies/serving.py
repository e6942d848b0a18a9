"""A folder served over HTTP, as any web server would."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Quiet(SimpleHTTPRequestHandler):
    cut = ""

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """What is to be cut off ends one byte before its end, as when a connection is lost."""
        data = source.read()
        outputfile.write(data[:-1] if self.cut and self.cut in self.path else data)


@contextmanager
def serve(folder: Path, *, cut: str = "") -> Iterator[str]:
    """The address under which the folder is served; files with ``cut`` in their names are cut off on the way."""
    handler = type("Handler", (_Quiet,), {"cut": cut})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
