"""Proofs that cannot be made, and trees that are not signed."""

from __future__ import annotations

from proofroom.domain.errors.base import Refused, Unavailable


class ProofImpossible(
    Refused,
    code="proof-impossible",
    message="no proof of {what}: {why}",
    advice="wait until the log holds it, or ask for a proof of less: entry, record, payout, era",
):
    """The log does not hold what the proof would have to show."""

    what: str
    why: str


class WouldFork(
    Unavailable,
    code="would-fork",
    message="the checkpoint key signed a tree of {signed} entries; this log has {size} and {why}",
    advice="keep all files and restore the newest copy of the log; never delete the signer's state to go on",
):
    """What is to be signed does not extend the last tree that the checkpoint key signed: a restored backup, an edit, or a second writer."""

    signed: int
    size: int
    why: str


class PublishedOther(
    Unavailable,
    code="published-other",
    message="{path} holds another log, or a longer one: {why}",
    advice="publish to another folder, and find out which of the two logs is the right one",
):
    """A published log is only ever extended."""

    path: str
    why: str
