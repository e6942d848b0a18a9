"""The verifier on signatures over the root of many statements: for each check an entry in which only that check fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from blake3 import blake3

from proofroom.domain import hashing
from proofroom.domain.entry import entry_bytes, parse_entry
from proofroom.domain.envelope import Envelope, join, sign, sign_rooted, verify
from proofroom.domain.errors import ProofroomError
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.rooted import RootedPath
from proofroom.domain.signatures import Signature, encode_signatures
from proofroom.domain.signing import Signer, pae
from proofroom.domain.verifier import entry as verifier
from proofroom.domain.verifier.verdict import Fault
from proofroom.testing.histories import History
from proofroom.testing.keys import key

HISTORY = History(seed="rooted")
CAST = HISTORY.cast
DIRECT, ROOTED = sorted((key("a"), key("b")), key=lambda k: k.keyid)
STATEMENTS = [CAST.record(Digest("blake3:" + "0" * 64), 0) for _ in range(5)]
ENVELOPES = sign_rooted(STATEMENTS, ROOTED)
SIGNED = join(sign(STATEMENTS[1], DIRECT), ENVELOPES[1])
"""A record that one key signed by itself, and another by the root over five."""


def bytes_of(*signatures: Signature) -> bytes:
    """The record's entry with these signatures."""
    return entry_bytes(7, 1_000, SIGNED.payload_type, SIGNED.payload, encode_signatures(signatures))


def changed(**fields: Any) -> bytes:
    """The entry with another place or path in the tree."""
    direct, rooted = SIGNED.signatures
    assert rooted.rooted is not None
    return bytes_of(direct, rooted._replace(rooted=rooted.rooted._replace(**fields)))


def path() -> bytes:
    """The honest path."""
    rooted = SIGNED.signatures[1].rooted
    assert rooted is not None
    return rooted.path


def of_a_larger_tree(size: int, height: int) -> bytes:
    """Signed as a tree of this size would be, with all other checks in its favour."""
    node = hashing.digest(hashing.ROOTED_LEAF, pae(SIGNED.payload_type, SIGNED.payload))
    siblings = [blake3(bytes([level])).digest() for level in range(height)]
    for sibling in siblings:
        node = hashing.digest(hashing.ROOTED_NODE, node, sibling)
    root = b'{"root":"blake3:%b","size":%d}' % (node.hex().encode(), size)
    value = ROOTED.sign(pae("application/vnd.proofroom.signed-root.v1+json", root))
    signature = Signature(KeyId(ROOTED.keyid), value, RootedPath(size, 0, b"".join(siblings)))
    return bytes_of(SIGNED.signatures[0], signature)


def honest() -> bytes:
    """The entry as it was signed."""
    return bytes_of(*SIGNED.signatures)


def with_other_value() -> bytes:
    direct, rooted = SIGNED.signatures
    return bytes_of(direct, rooted._replace(value=direct.value))


def _path_of(i: int) -> bytes:
    rooted = ENVELOPES[i].signatures[0].rooted
    assert rooted is not None
    return rooted.path


def _without_a_tree() -> bytes:
    """A direct signature that is marked as one of a root."""
    direct = encode_signatures(sign(STATEMENTS[1], ROOTED).signatures)
    return bytes_of(SIGNED.signatures[0]) + b"\1" + direct[1:]


def _tail() -> bytes:
    return encode_signatures(SIGNED.signatures[1:])


def _named(other: Signer) -> bytes:
    rooted = SIGNED.signatures[1]._replace(keyid=other.keyid)
    return bytes_of(*sorted((SIGNED.signatures[0], rooted)))


FORGED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "another place": ("does not verify", lambda: changed(position=0)),
    "a place beyond": ("there is no leaf 5", lambda: changed(position=5)),
    "a larger tree": ("the path", lambda: changed(size=9)),
    "a smaller tree": ("does not verify", lambda: changed(size=6)),
    "another hash": ("does not verify", lambda: changed(path=path()[:-1] + bytes([path()[-1] ^ 1]))),
    "a hash too many": ("the path is too long", lambda: changed(path=path() + bytes(32))),
    "a hash too few": ("the path is too short", lambda: changed(path=path()[:-32])),
    "the path of another": ("does not verify", lambda: changed(path=_path_of(2))),
    "a tree beyond the limit": ("the path is too long", lambda: of_a_larger_tree(2**17, 17)),
    "a signature of something else": ("does not verify", with_other_value),
    "a stranger's name": ("does not verify", lambda: _named(key("stranger"))),
    "no tree": ("cut short", _without_a_tree),
    "half a path": ("cut short", lambda: honest()[:-1]),
    "another form": ("of an unknown form", lambda: bytes_of(SIGNED.signatures[0]) + b"\2" + _tail()[1:]),
    "out of order": ("out of order", lambda: bytes_of(*reversed(SIGNED.signatures))),
    "twice": ("out of order", lambda: honest() + _tail()),
}


@pytest.mark.parametrize("name", FORGED)
def test_one_check_fails(name: str) -> None:
    """The verifier refuses it for the one reason, and the domain refuses it too."""
    why, make = FORGED[name]
    with pytest.raises(Fault, match=why):
        verifier.parse_entry(make())
    with pytest.raises(ProofroomError):
        verify(parse_entry(make())[2])


def test_the_honest_entry_holds() -> None:
    """Both keys signed, whatever form; so does the largest tree that is allowed."""
    for data in (honest(), of_a_larger_tree(2**16, 16)):
        mine = verifier.parse_entry(data)
        assert mine.signers == {DIRECT.keyid, ROOTED.keyid}
        verified = verify(parse_entry(data)[2])
        assert isinstance(verified.envelope, Envelope)
        assert (mine.id, mine.signers) == (verified.digest, verified.keys)
