"""Cross-checking a record against what others observed: the one judgement a validator makes (protocol 5).

A record claims what a run burned. An observation is what a gateway, node or storage meter saw of the same run, taken without asking the
runtime. The comparison is a pure function, so that two validators with the same observation cannot differ, and anyone with a vote's reason
and the observation can check it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from proofroom.domain.activity import usage_of
from proofroom.domain.ids import Digest
from proofroom.domain.money import RATIO_ONE
from proofroom.domain.state import Parameters, UsageSum
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.attestation import Reason


class Tolerances(NamedTuple):
    """How far a claim may lie above an observation, in 10^18ths of it."""

    cpu: int
    gpu: int
    bytes: int


class Claim(NamedTuple):
    """What a record says of its run."""

    usage: UsageSum
    vault_scope: str
    result_hash: Digest


class Observation(NamedTuple):
    """What one independent meter saw of a run. None stands for what it has no meter for, never for zero."""

    cpu_ms: int | None = None
    gpu_micro: int | None = None
    byte_seconds: int | None = None
    bytes_streamed: int | None = None
    puts: int | None = None
    gets: int | None = None
    scopes: tuple[str, ...] | None = None
    """All vault scopes that were touched."""
    result_hash: Digest | None = None


def claim_of(record: Activity) -> Claim:
    """What a record says of its run."""
    return Claim(usage_of(record), record.vault_scope, record.result_hash)


def tolerances_of(parameters: Parameters) -> Tolerances:
    """The tolerances of an era."""
    return Tolerances(parameters.cpu_tolerance, parameters.gpu_tolerance, parameters.bytes_tolerance)


def is_overclaimed(claimed: int, observed: int | None, tolerance: int) -> bool:
    """Whether ``claimed > observed * (1 + tolerance)``, exactly; what was not observed shows nothing."""
    return observed is not None and claimed * RATIO_ONE > observed * (RATIO_ONE + tolerance)


def cross_check(claim: Claim, observation: Observation | None, tolerances: Tolerances) -> Reason | None:
    """The reason for which an observation speaks against a claim, or None when it bears it out.

    The first that applies, of: ``out-of-scope``, ``result-mismatch``, ``overclaimed-cpu``, ``overclaimed-gpu``, ``overclaimed-bytes``.
    Claiming less than was observed is the claimant's loss and no reason. ``unobserved`` stands last: something is claimed that this
    observation has no meter for, so it bears nothing out; a claim of zero needs no meter (protocol 5).
    """
    if observation is None:
        return "unobserved"
    used, seen = claim.usage, observation
    if seen.scopes is not None and set(seen.scopes) - {claim.vault_scope}:
        return "out-of-scope"
    if seen.result_hash is not None and seen.result_hash != claim.result_hash:
        return "result-mismatch"
    if is_overclaimed(used.cpu_ms, seen.cpu_ms, tolerances.cpu):
        return "overclaimed-cpu"
    if is_overclaimed(used.gpu_micro, seen.gpu_micro, tolerances.gpu):
        return "overclaimed-gpu"
    traffic = _traffic(used, seen)
    if any(is_overclaimed(claimed, observed, tolerances.bytes) for claimed, observed in traffic):
        return "overclaimed-bytes"
    measured = [(used.cpu_ms, seen.cpu_ms), (used.gpu_micro, seen.gpu_micro), *traffic]
    blind = any(claimed and observed is None for claimed, observed in measured)
    return "unobserved" if blind or seen.result_hash is None or seen.scopes is None else None


def _traffic(used: UsageSum, seen: Observation) -> list[tuple[int, int | None]]:
    """Claimed and observed storage traffic: bytes and operations share one tolerance."""
    return [
        (used.byte_seconds, seen.byte_seconds),
        (used.bytes_streamed, seen.bytes_streamed),
        (used.puts, seen.puts),
        (used.gets, seen.gets),
    ]


def cross_check_all(claim: Claim, observations: Iterable[Observation], tolerances: Tolerances) -> Reason | None:
    """The judgement over several observations: theirs where those that can tell agree, ``observation-conflict`` where not (protocol 5)."""
    reasons = {cross_check(claim, observation, tolerances) for observation in observations} - {"unobserved"}
    if not reasons:
        return "unobserved"
    return reasons.pop() if len(reasons) == 1 else "observation-conflict"
