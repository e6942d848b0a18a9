"""The validators' judgement: exact at the edge of tolerance, blind where nothing was measured, never against an honest claim."""

from __future__ import annotations

from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain.crosscheck import (
    Claim,
    Observation,
    Tolerances,
    claim_of,
    cross_check,
    cross_check_all,
    is_overclaimed,
)
from proofroom.domain.ids import Digest
from proofroom.domain.money import RATIO_ONE
from proofroom.domain.state import UsageSum
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.attestation import ABSTAIN_REASONS, REJECT_REASONS, AbstainReason, RejectReason
from strategies.statements import example

RESULT, OTHER = Digest("blake3:" + "aa" * 32), Digest("blake3:" + "bb" * 32)
TENTH = Tolerances(RATIO_ONE // 10, RATIO_ONE // 10, 0)
CLAIM = Claim(UsageSum(412, 830_000, 0, 4096, 1, 3), "v-7 / calendar", RESULT)
SEEN = Observation(412, 830_000, 0, 4096, 1, 3, ("v-7 / calendar",), RESULT)

COUNTS = st.integers(0, 50) | st.integers(0, 10**15)
RATIOS = st.integers(0, RATIO_ONE)
TOLERANCES = st.builds(Tolerances, RATIOS, RATIOS, RATIOS)
USAGES = st.builds(UsageSum, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)


def seen_of(claim: Claim) -> Observation:
    """An observation that saw exactly what is claimed."""
    u = claim.usage
    return Observation(
        u.cpu_ms, u.gpu_micro, u.byte_seconds, u.bytes_streamed, u.puts, u.gets, (claim.vault_scope,), claim.result_hash
    )


@given(COUNTS, COUNTS, RATIOS)
def test_overclaim_is_exact(claimed: int, observed: int, tolerance: int) -> None:
    """The edge lies where exact fractions put it, for every size of number."""
    assert is_overclaimed(claimed, observed, tolerance) == (claimed > observed * (1 + Fraction(tolerance, RATIO_ONE)))


@given(USAGES, TOLERANCES)
def test_honest_claim_is_agreed(usage: UsageSum, tolerances: Tolerances) -> None:
    """Who claims what was observed is agreed with, whatever the tolerances."""
    claim = CLAIM._replace(usage=usage)
    assert cross_check(claim, seen_of(claim), tolerances) is None


@given(USAGES, USAGES, TOLERANCES)
def test_more_observed_never_hurts(usage: UsageSum, more: UsageSum, tolerances: Tolerances) -> None:
    """Claiming less than was observed is no offence."""
    claim = CLAIM._replace(usage=usage)
    assert cross_check(claim, seen_of(claim._replace(usage=usage.plus(more))), tolerances) is None


@given(USAGES, USAGES, TOLERANCES)
def test_agreement_means_within_tolerance(usage: UsageSum, observed: UsageSum, tolerances: Tolerances) -> None:
    """Agreement and each part within its tolerance are one and the same."""
    claim = CLAIM._replace(usage=usage)
    reason = cross_check(claim, seen_of(claim._replace(usage=observed)), tolerances)
    allowed = [tolerances.cpu, tolerances.gpu, *[tolerances.bytes] * 4]
    within = [c <= o * (1 + Fraction(t, RATIO_ONE)) for c, o, t in zip(usage, observed, allowed, strict=True)]
    expected = ["overclaimed-cpu", "overclaimed-gpu", *["overclaimed-bytes"] * 4]
    assert reason == next((e for e, ok in zip(expected, within, strict=True) if not ok), None)


@given(USAGES, st.sets(st.sampled_from(Observation._fields)))
def test_blind_meter_never_rejects(usage: UsageSum, blind: set[str]) -> None:
    """What has no meter gives no reason to reject; where something was claimed there, it is unobserved."""
    claim = CLAIM._replace(usage=usage)
    observation = seen_of(claim)._replace(**dict.fromkeys(blind))
    claimed = {**usage._asdict(), "scopes": 1, "result_hash": 1}
    assert cross_check(claim, observation, TENTH) == ("unobserved" if any(claimed[name] for name in blind) else None)


@pytest.mark.parametrize(
    ("observation", "reason"),
    [
        (SEEN, None),
        (SEEN._replace(cpu_ms=375), None),
        (SEEN._replace(cpu_ms=374), "overclaimed-cpu"),
        (SEEN._replace(cpu_ms=0), "overclaimed-cpu"),
        (SEEN._replace(gpu_micro=0), "overclaimed-gpu"),
        (SEEN._replace(gpu_micro=None), "unobserved"),
        (SEEN._replace(bytes_streamed=4095), "overclaimed-bytes"),
        (SEEN._replace(puts=0), "overclaimed-bytes"),
        (SEEN._replace(gets=2), "overclaimed-bytes"),
        (SEEN._replace(result_hash=OTHER), "result-mismatch"),
        (SEEN._replace(result_hash=None), "unobserved"),
        (SEEN._replace(scopes=("v-7 / calendar", "v-7 / health")), "out-of-scope"),
        (SEEN._replace(scopes=("v-7 / health",), cpu_ms=0, result_hash=OTHER), "out-of-scope"),
        (SEEN._replace(result_hash=OTHER, cpu_ms=0), "result-mismatch"),
        (SEEN._replace(cpu_ms=0, gpu_micro=None), "overclaimed-cpu"),
        (Observation(), "unobserved"),
        (None, "unobserved"),
    ],
)
def test_reason(observation: Observation | None, reason: str | None) -> None:
    """One reason each, at 10 % tolerance for time and none for bytes; the graver comes first."""
    assert cross_check(CLAIM, observation, TENTH) == reason


def test_claim_of_zero_needs_no_meter() -> None:
    """Who claims no GPU is not doubted for want of a GPU meter."""
    claim = CLAIM._replace(usage=CLAIM.usage._replace(gpu_micro=0))
    assert cross_check(claim, SEEN._replace(gpu_micro=None, byte_seconds=None), TENTH) is None


@pytest.mark.parametrize(
    ("observations", "reason"),
    [
        ([], "unobserved"),
        ([SEEN, SEEN], None),
        ([SEEN, Observation()], None),
        ([Observation(), Observation()], "unobserved"),
        ([SEEN._replace(cpu_ms=1), SEEN._replace(cpu_ms=2)], "overclaimed-cpu"),
        ([SEEN, SEEN._replace(cpu_ms=1)], "observation-conflict"),
        ([SEEN._replace(cpu_ms=1), SEEN._replace(gets=0)], "observation-conflict"),
    ],
)
def test_reason_of_several_observations(observations: list[Observation], reason: str | None) -> None:
    """Those that can tell must agree; a conflict abstains, it does not reject."""
    assert cross_check_all(CLAIM, observations, TENTH) == reason


def test_claim_is_what_the_record_says() -> None:
    """The claim is read off the record, GPU units in millionths."""
    claim = claim_of(Activity.model_validate(example("activity")))
    assert claim == Claim(UsageSum(1250, 1, 0, 4096, 1, 3), "vault-7 / calendar", Digest("blake2:" + "33" * 32))


def test_reasons_are_the_closed_list() -> None:
    """The two families of reasons are those of the schema."""
    assert (get_args(RejectReason), get_args(AbstainReason)) == (REJECT_REASONS, ABSTAIN_REASONS)
