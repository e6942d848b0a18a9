"""Signed envelopes of statements of every kind."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st

from proofroom.domain.envelope import Envelope, Verified, sign, verify
from proofroom.domain.statements import GRANT_WIRE, KINDS
from strategies.keys import distinct_signers, signer
from strategies.statements import example_statement, statements


def payload_types() -> st.SearchStrategy[str]:
    """The payload type of any kind that travels in DSSE."""
    return st.sampled_from([payload_type for payload_type in KINDS if payload_type != GRANT_WIRE])


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    """A statement of any kind but the wallet's, signed by one or more keys."""
    statement = draw(statements(draw(payload_types())))
    return sign(statement, *draw(distinct_signers()))


@cache
def example_envelope(kind: str = "activity", count: int = 3) -> Envelope:
    """One envelope that is always the same, by this many signers."""
    return sign(example_statement(kind), *map(signer, range(1, count + 1)))


@cache
def example_verified(kind: str = "activity", count: int = 3) -> Verified:
    """The same, verified."""
    return verify(example_envelope(kind, count))
