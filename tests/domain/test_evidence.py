"""Evidence convicts whoever signed twice or falsely, by those signatures alone; and it can convict nobody else."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from proofroom.adapters.cast import Work
from proofroom.domain.canonical import MAX_PAYLOAD
from proofroom.domain.envelope import Envelope, sign, sign_rooted
from proofroom.domain.errors import (
    BadSignature,
    KeyNotInForce,
    NoOffence,
    OtherLedger,
    ProofroomError,
    Unregistered,
)
from proofroom.domain.evidence import is_own_key
from proofroom.domain.keyring import Keyring
from proofroom.domain.rounds import MAX_BEACON_STEPS
from proofroom.domain.statements.attestation import BeaconRevealed, VoteCommitted, VoteRevealed
from proofroom.domain.statements.offences import Equivocation, Slashed
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import History, resign
from proofroom.testing.keys import key
from strategies.accusing import accuse, accuse_beacon
from strategies.disputes import disputed_history, sealed, statements
from strategies.whole import whole_history

CLUSTER = "dragon-1"


def committed_twice(history: History) -> tuple[int, Envelope, Envelope]:
    """The first member of round 0 and two commitments of it."""
    member = history.reveal_beacons(0)[0]
    first = history.cast.commit(history.state, 0, member, make_vote(1))
    return member, first, resign(first, commitment="blake3:" + "0" * 64)


def test_equivocation_costs_bond_and_place() -> None:
    """All of the bond goes to the treasury, also from who left; nothing more is taken from it, and it earns nothing in this era."""
    history = sealed(7, 0, works=2)
    cast = history.cast
    member, first, second = committed_twice(history)
    validator = cast.validators[member].keyid
    account = f"bond:{CLUSTER}:{validator}"
    bond = history.state.balances[account]
    history.write(first, cast.leave(member), accuse(history, first, second, member))
    (slashed,) = statements(history, Slashed)
    evidence = next(e for e in history.entries if isinstance(e.statement, Equivocation))
    assert (slashed.debit, slashed.credit, slashed.amount) == (account, "treasury", str(bond))
    assert (slashed.basis.validator, slashed.basis.evidence) == (validator, evidence.verified.digest)
    assert account not in history.state.balances
    assert history.state.validators[CLUSTER][validator].status == "removed"
    others = [i for i in cast.members(history.state, 0) if i != member]
    history.write(*(cast.commit(history.state, 0, i, make_vote(2)) for i in others))
    with pytest.raises(KeyNotInForce):
        history.record(cast.reveal(0, member, make_vote(2)))
    with pytest.raises(NoOffence):
        history.record(accuse(history, first, second, member))
    history.write(*(cast.reveal(0, i, make_vote(2)) for i in others))
    history.tick(120_000)
    history.write(cast.close_era(0))
    paid = {s.basis.validator for e in history.entries if (s := e.statement).kind == "payout" and s.role == "validator"}  # type: ignore[attr-defined]  # of a kind that has it
    assert paid == {cast.validators[i].keyid for i in others}


def test_what_the_removed_signs_is_refused() -> None:
    """Beacon values and commitments too; what it signed before it was removed stands."""
    history = sealed(8, 0)
    cast = history.cast
    member, first, second = committed_twice(history)
    history.work(0, Work())
    round = history.seal(0)
    history.write(accuse(history, first, second, member))
    for envelope in (cast.reveal_beacon(round, member), first):
        with pytest.raises(KeyNotInForce):
            history.record(envelope)
    history.work(0, Work())
    third = history.seal(0)
    assert cast.validators[member].keyid not in history.state.rounds[CLUSTER, third].eligible


def test_two_reveals_are_equivocation() -> None:
    """Also when the ledger took neither, and also under a signature of a root."""
    history = sealed(7, 0)
    cast = history.cast
    member = history.reveal_beacons(0)[0]
    plain = cast.reveal(0, member, make_vote(1))
    other = resign(plain, vote=make_vote(1, {0: "unobserved"}))
    statements_ = [VoteRevealed.model_validate_json(e.payload) for e in (plain, other)]
    rooted = sign_rooted(statements_, cast.validators[member])
    assert rooted[0].signatures[0].rooted is not None
    history.write(accuse(history, rooted[0], other, member, of="vote-revealed"))
    assert statements(history, Slashed)[0].offence == "equivocation"


def test_what_is_no_equivocation() -> None:
    """One statement twice; two rounds; another's signature; another kind, cluster or ledger; an unknown validator."""
    history = sealed(7, 0)
    cast = history.cast
    member, first, second = committed_twice(history)
    other = next(i for i in range(7) if i != member)
    another = cast.validators[other]
    foreign = resign(second, ledger="blake3:" + "1" * 64)
    swapped = resign(second, without=[cast.validators[member].keyid], extra=[another])
    forged = (second.signatures[0]._replace(value=first.signatures[0].value),)
    cases: list[tuple[Envelope, type[ProofroomError]]] = [
        (accuse(history, first, first, member), NoOffence),
        (accuse(history, first, resign(first, round=1), member), NoOffence),
        (accuse(history, first, resign(second, cluster="c-2"), member), NoOffence),
        (accuse(history, first, resign(second, validator=another.keyid), member), NoOffence),
        (accuse(history, first, foreign, member), OtherLedger),
        (accuse(history, first, swapped, member), KeyNotInForce),
        (accuse(history, first, second, other), KeyNotInForce),
        (accuse(history, first, second._replace(signatures=forged), member), BadSignature),
        (accuse(history, first, second, member, of="vote-revealed"), ProofroomError),
        (resign(accuse(history, first, second, member), validator=key("nobody").keyid), Unregistered),
        (resign(accuse(history, first, second, member), cluster="c-2"), Unregistered),
    ]
    before = history.state
    for envelope, error in cases:
        with pytest.raises(error):
            history.record(envelope)
    assert history.state is before


def test_a_false_beacon_value_convicts() -> None:
    """For a round to come and for one that was, whatever was revealed meanwhile."""
    for round in (0, 5):
        history = sealed(8, 0)
        wrong = resign(history.cast.reveal_beacon(round, 7), value="00" * 32)
        history.reveal_beacons(0)
        history.write(accuse_beacon(history, wrong, 7))
        (slashed,) = statements(history, Slashed)
        assert (slashed.offence, slashed.basis.validator) == ("false-beacon", history.cast.validators[7].keyid)


def test_true_values_convict_nobody() -> None:
    """Values of all rounds, before and after the last one that is known; and nothing is said of rounds out of reach."""
    history = sealed(8, 0)
    history.reveal_beacons(0)
    for round in range(6):
        with pytest.raises(NoOffence):
            history.record(accuse_beacon(history, history.cast.reveal_beacon(round, 7), 7))
    far = resign(history.cast.reveal_beacon(0, 7), round=1 + MAX_BEACON_STEPS)
    with pytest.raises(NoOffence) as refused:
        history.record(accuse_beacon(history, far, 7))
    assert "too far" in refused.value.why


@pytest.mark.parametrize("whole", [whole_history, disputed_history])
def test_what_honest_validators_sign_convicts_none_of_them(whole: object) -> None:
    """Every pair of their statements, and every beacon value: none is evidence."""
    assert callable(whole)
    history: History = whole()
    signed: dict[tuple[str, str], list[Envelope]] = {}
    for entry in history.entries:
        s = entry.statement
        if isinstance(s, BeaconRevealed | VoteCommitted | VoteRevealed):
            signed.setdefault((s.validator, s.kind), []).append(entry.verified.envelope)
    for i, validator in enumerate(history.cast.validators):
        for envelope in signed.get((validator.keyid, "beacon-revealed"), []):
            with pytest.raises(NoOffence):
                history.record(accuse_beacon(history, envelope, i))
        for kind in ("vote-committed", "vote-revealed"):
            envelopes = signed.get((validator.keyid, kind), [])
            for first, second in [*combinations(envelopes, 2), *product(envelopes[:1], envelopes[:1])]:
                with pytest.raises(NoOffence):
                    history.record(accuse(history, first, second, i, of=kind))


def test_keys_that_changed_still_convict() -> None:
    """What an earlier key signed counts, but nothing that any key signed at a time that was declared compromised."""
    name, other = key("validator-0").keyid, key("later").keyid
    plain = Keyring(((-1, name), (7, other)))
    assert is_own_key(plain, name)
    assert is_own_key(plain, other)
    assert not is_own_key(plain, key("stranger").keyid)
    stolen = plain._replace(compromised=((3, 7),))
    assert not is_own_key(stolen, name)
    assert is_own_key(stolen, other)
    assert is_own_key(plain._replace(compromised=((7, 9),)), name)
    assert not is_own_key(plain._replace(compromised=((7, 9),)), other)


def test_the_largest_evidence_fits_into_a_statement() -> None:
    """Two votes on 10,000 records with a bitmap for every reason, each under the deepest root."""
    history = sealed(7, 0)
    validator = history.cast.validators[0]
    reasons = [
        "overclaimed-cpu",
        "overclaimed-gpu",
        "overclaimed-bytes",
        "out-of-scope",
        "result-mismatch",
        "unobserved",
    ]
    vote = make_vote(10_000, dict(enumerate([*reasons, "observation-conflict"])))
    largest = VoteRevealed(
        ledger=history.state.ledger,
        cluster=CLUSTER,
        round=2**53 - 1,
        validator=validator.keyid,
        salt="0" * 64,
        vote=vote,
    )
    (envelope,) = [sign(largest, validator)]
    evidence = accuse(history, envelope, envelope, 0, of="vote-revealed").payload
    path = 2 * len(',"rooted":{"path":"","position":65535,"size":65536}') + 2 * 16 * 64
    assert len(evidence) + path <= MAX_PAYLOAD
