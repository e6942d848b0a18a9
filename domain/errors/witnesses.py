"""What witnesses and anchors say to a log, and those who read it from outside."""

from __future__ import annotations

from proofroom.domain.errors.base import Conflict, Malformed, Refused, Unavailable


class BadRequest(
    Malformed,
    code="bad-request",
    message="not a request to a witness: {why}",
    advice="send an old size, a consistency proof, an empty line and a signed checkpoint",
):
    """The body of ``add-checkpoint`` is not of its form."""

    why: str


class UnknownLog(
    Refused,
    code="unknown-log",
    message="the witness does not watch {origin}",
    advice="ask its operator to watch the log, with its checkpoint key",
):
    """The witness was not told of this log."""

    origin: str


class UnknownLogKey(
    Refused,
    code="unknown-log-key",
    message="the checkpoint of {origin} is not signed by the key that the witness knows",
    advice="sign with the log's checkpoint key, or tell the witness of its new one",
):
    """The checkpoint is not signed by the log's own key."""

    origin: str


class HeadMoved(
    Conflict,
    code="head-moved",
    message="the newest head that the witness cosigned has size {size}, and is not the one named",
    advice="prove consistency from that size; if the log has no such head, it was forked or rolled back",
):
    """The witness knows another head of the log."""

    size: int


class NoWitness(
    Unavailable,
    code="no-witness",
    message="the witness at {url} gave no cosignature: {why}",
    advice="look at what it says; where it is slow, ask again; where it knows another head than the log has, find out why",
):
    """A witness could not be reached, or would not cosign."""

    url: str
    why: str


class AnchorFailed(
    Unavailable,
    code="anchor-failed",
    message="the anchor {anchor} did not keep it: {why}",
    advice="look there, and where it is slow, anchor again; other bytes under the name are of another log, or this one was changed",
):
    """An anchor did not take a checkpoint."""

    anchor: str
    why: str


class NotPublished(
    Unavailable,
    code="not-published",
    message="{place} cannot be read: {why}",
    advice="give the folder or address that holds the checkpoint file; if it is slow, try again; if it was there before, ask its keeper",
):
    """A file of a published log is not there, or its server does not answer. That proves nothing against the log."""

    place: str
    why: str
