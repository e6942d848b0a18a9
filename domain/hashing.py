"""Digests: BLAKE3 in key-derivation mode, one context string for each use, so that no digest stands for two things.

SHA-256 appears only where C2SP fixes it (the log tree and note key ids, see :mod:`proofroom.domain.merkle`).
"""

from __future__ import annotations

from blake3 import blake3

from proofroom.domain.ids import Digest

STATEMENT_ID = "proofroom 2026 v1 statement id"
BEACON = "proofroom 2026 v1 beacon chain"
BEACON_SECRET = "proofroom 2026 v1 beacon secret"
COMMITTEE = "proofroom 2026 v1 committee seed"
DRAW = "proofroom 2026 v1 committee draw"
VOTE = "proofroom 2026 v1 vote commitment"
SALT = "proofroom 2026 v1 vote salt"
INPUT = "proofroom 2026 v1 input commitment"
OUTPUT = "proofroom 2026 v1 result commitment"
RUN = "proofroom 2026 v1 run commitment"
RESULT = "proofroom 2026 v1 result"
BLOB = "proofroom 2026 v1 blob"
AGENT_KEY = "proofroom 2026 v1 agent derived key"
SNAPSHOT = "proofroom 2026 v1 state snapshot"
AUDIT_PROGRESS = "proofroom 2026 v1 audit progress"
PROJECTION = "proofroom 2026 v1 projection"
QUERY_RESULT = "proofroom 2026 v1 query result"
INNER_LEAF = "proofroom 2026 v1 inner tree leaf"
INNER_NODE = "proofroom 2026 v1 inner tree node"
ROOTED_LEAF = "proofroom 2026 v1 rooted signature leaf"
ROOTED_NODE = "proofroom 2026 v1 rooted signature node"


def digest(context: str, *parts: bytes) -> bytes:
    """The 32-byte digest of the parts, joined, under one context. Parts that vary in length need a length before them."""
    return blake3(b"".join(parts), derive_key_context=context).digest()


def tagged(raw: bytes) -> Digest:
    """``blake3:`` and the hex digits of a digest of ours."""
    return Digest("blake3:" + raw.hex())


def untagged(text: str) -> bytes:
    """The bytes behind a tagged digest."""
    return bytes.fromhex(text.partition(":")[2])
