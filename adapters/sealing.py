"""How a blob is encrypted: in chunks of one libsodium secretstream (XChaCha20-Poly1305), bound to what it is (protocol 4).

::

    blob:   header 24 bytes | chunk | chunk | ... | last chunk
    chunk:  1 byte tag, encrypted | ciphertext | 16 bytes authenticator      of CHUNK bytes of plaintext, the last of 0 to CHUNK

The stream binds each chunk to its place and the last one to being last, so that reordering, leaving out, repeating, cutting off and adding
are all seen; every chunk also authenticates vault scope, epoch and name, so that no blob passes for another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nacl.bindings import (
    crypto_secretstream_xchacha20poly1305_ABYTES,
    crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    crypto_secretstream_xchacha20poly1305_init_pull,
    crypto_secretstream_xchacha20poly1305_init_push,
    crypto_secretstream_xchacha20poly1305_KEYBYTES,
    crypto_secretstream_xchacha20poly1305_pull,
    crypto_secretstream_xchacha20poly1305_push,
    crypto_secretstream_xchacha20poly1305_state,
    crypto_secretstream_xchacha20poly1305_TAG_FINAL,
    crypto_secretstream_xchacha20poly1305_TAG_MESSAGE,
)
from nacl.exceptions import CryptoError

CHUNK = 2**18
KEY = crypto_secretstream_xchacha20poly1305_KEYBYTES
OVERHEAD = crypto_secretstream_xchacha20poly1305_ABYTES
HEADER = crypto_secretstream_xchacha20poly1305_HEADERBYTES
_LAST, _MORE = crypto_secretstream_xchacha20poly1305_TAG_FINAL, crypto_secretstream_xchacha20poly1305_TAG_MESSAGE


class NotSealed(Exception):
    """The bytes are not a whole blob of this key and binding."""


def encrypt(parts: Iterable[bytes], key: bytes, bound: bytes) -> Iterator[bytes]:
    """The blob, piece by piece; memory does not grow with it."""
    state = crypto_secretstream_xchacha20poly1305_state()
    yield crypto_secretstream_xchacha20poly1305_init_push(state, key)
    waiting = b""
    for number, chunk in enumerate(cut(parts, CHUNK)):
        if number:
            yield crypto_secretstream_xchacha20poly1305_push(state, waiting, bound, _MORE)
        waiting = chunk
    yield crypto_secretstream_xchacha20poly1305_push(state, waiting, bound, _LAST)


def decrypt(parts: Iterable[bytes], key: bytes, bound: bytes) -> Iterator[bytes]:
    """The plaintext, chunk by chunk: each is genuine and in its place; that it was all is known when this ends without error.

    Raises:
        NotSealed: changed, cut off, added to, of another key or bound to something else.
    """
    pieces = cut(parts, CHUNK + OVERHEAD, first=HEADER)
    state, tag = crypto_secretstream_xchacha20poly1305_state(), _MORE
    try:
        crypto_secretstream_xchacha20poly1305_init_pull(state, next(pieces, b""), key)
        for piece in pieces:
            if tag != _MORE:
                raise NotSealed
            chunk, tag = crypto_secretstream_xchacha20poly1305_pull(state, piece, bound)
            yield chunk
    except (CryptoError, TypeError, ValueError):
        raise NotSealed from None
    if tag != _LAST:
        raise NotSealed


def cut(parts: Iterable[bytes], size: int, first: int = 0) -> Iterator[bytes]:
    """The same bytes in pieces of ``size``, after one of ``first``; the last piece is what remains."""
    rest, want = b"", first or size
    for part in parts:
        rest, at = rest + part if rest else part, 0
        while len(rest) - at >= want:
            yield rest[at : at + want]
            at, want = at + want, size
        rest = rest[at:]
    if rest:
        yield rest
