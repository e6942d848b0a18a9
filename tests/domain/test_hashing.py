"""Digests: BLAKE3's key derivation, one context a use."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain import hashing

CONTEXTS = {name: value for name, value in vars(hashing).items() if name.isupper()}

FROZEN = {
    "STATEMENT_ID": "f3bc3c79121c79da",
    "BEACON": "b57d55fc04700ab5",
    "COMMITTEE": "ae169d7720a79fb7",
    "DRAW": "467a91fd9c3aaee1",
    "VOTE": "f5d6ae0ba319c217",
    "INPUT": "c982272a1d820306",
    "RESULT": "dea8fe6b533b415f",
    "BLOB": "2c71d5e9fc8678a8",
    "AGENT_KEY": "6ff22309ccf112bf",
    "SNAPSHOT": "2dba26518d9aeb2a",
    "INNER_LEAF": "b3063a10b97aa900",
    "INNER_NODE": "1e797f1896733e20",
}
"""How the digest of no bytes begins under each context."""


@given(st.binary(max_size=100), st.integers(0, 100))
def test_parts_are_joined(data: bytes, at: int) -> None:
    """Where the parts are cut does not matter: who needs it to matter puts a length before them."""
    whole = hashing.digest(hashing.BLOB, data)
    assert hashing.digest(hashing.BLOB, data[:at], data[at:]) == whole
    assert len(whole) == 32


@given(st.binary(max_size=100))
def test_contexts_keep_digests_apart(data: bytes) -> None:
    """The same bytes have another digest for each use."""
    assert len({hashing.digest(context, data) for context in CONTEXTS.values()}) == len(CONTEXTS)


@given(st.binary(min_size=32, max_size=32))
def test_tags_round_trip(raw: bytes) -> None:
    """A tagged digest gives its bytes back."""
    assert hashing.untagged(hashing.tagged(raw)) == raw
    assert hashing.tagged(raw) == "blake3:" + raw.hex()


def test_contexts_are_frozen() -> None:
    """Every ledger that was ever written depends on these contexts; none of them may change."""
    assert {name: hashing.digest(CONTEXTS[name]).hex()[:16] for name in FROZEN} == FROZEN
