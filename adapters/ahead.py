"""Working ahead: one step of a stream in a thread of its own, a few items before the next step needs them."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar, cast

T = TypeVar("T")
_END = object()


def ahead(items: Iterable[T], most: int = 4) -> Iterator[T]:
    """The same items, made in another thread, at most so many before they are taken. An error is raised where it would have been.

    Worth it where both sides release Python's lock, as hashing, encryption and files do. The first two are
    made here, so that what is short starts no thread.
    """
    source = iter(items)
    yield from itertools.islice(source, 2)
    try:
        third = next(source)
    except StopIteration:
        return
    yield third
    made: queue.Queue[object] = queue.Queue(most)
    stopped = threading.Event()
    error: list[BaseException] = []

    def put(item: object) -> bool:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                made.put(item, timeout=0.1)
                return True
        return False

    def make() -> None:
        try:
            for item in source:
                if not put(item):
                    return
        except BaseException as e:  # noqa: BLE001 -- raised again where it belongs
            error.append(e)
        put(_END)

    thread = threading.Thread(target=make, name="proofroom-ahead", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not _END:
            yield cast(T, item)
    finally:
        stopped.set()
        thread.join()
    if error:
        raise error[0]
