"""Keys that change: each acts from its own index only, and what they sign for keeps its first name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.adapters.cast import Work
from proofroom.domain.envelope import sign
from proofroom.domain.errors import (
    Distrusted,
    ExtraSignature,
    KeyNotInForce,
    MissingRole,
)
from proofroom.domain.identity import checkpoint_key, key_in_force, keyring
from proofroom.domain.keyring import Keyring
from proofroom.testing.histories import resign
from proofroom.testing.keys import key
from strategies.consenting import compromise, rotate, set_recovery, started


def test_the_new_key_signs_for_the_old_name() -> None:
    """After a rotation the old key is refused and the new one speaks for the same vaults, grants and limits."""
    history = started()
    cast, old, new = history.cast, history.cast.user, key("wallet-b")
    renewal = cast.grant()
    history.write(rotate(cast, old, new))
    history.sleep(1)
    with pytest.raises(MissingRole) as refused:
        history.record(renewal)
    assert refused.value.keyid == new.keyid
    history.work(0, Work(1))  # under the grant that the old key signed
    history.write(resign(renewal, without=[old.keyid], extra=[new]))
    assert history.state.grants[old.keyid, cast.agent.keyid].version == 2
    history.work(0, Work(1))


def test_every_party_may_rotate() -> None:
    """Manager, orchestrator, runtime, validator, bank, derived key and the ledger itself: records name them as before."""
    history = started()
    cast = history.cast
    parties = [cast.manager, cast.orchestrator, cast.runtimes[0], cast.derived, cast.bank, key("ledger")]
    parties += cast.validators
    successors = {party.keyid: key(f"second {party.keyid}") for party in parties}
    history.write(*[rotate(cast, party, successors[party.keyid]) for party in parties])
    envelope = cast.activity(history.grant, 0)
    with pytest.raises(MissingRole):
        history.record(envelope)
    named = [cast.derived.keyid, cast.orchestrator.keyid, cast.runtimes[0].keyid]
    history.record(resign(envelope, without=named, extra=[successors[k] for k in named]))
    history.sleep(25 * 3_600_000)
    due = history.due()
    assert due is not None
    with pytest.raises(MissingRole):
        history.record(sign(due, key("ledger")))
    history.record(sign(due, successors[key("ledger").keyid]))


def test_a_thief_cannot_replace_the_recovery_key() -> None:
    """Once one is set, another needs its signature too, besides that of the key in force."""
    history = started()
    cast, user, first = history.cast, history.cast.user, key("recovery")
    history.write(set_recovery(cast, user, first))
    with pytest.raises(MissingRole) as refused:
        history.record(set_recovery(cast, user, key("thief")))
    assert (refused.value.role, refused.value.keyid) == ("former recovery key", first.keyid)
    history.write(set_recovery(cast, user, key("recovery-2"), first))
    with pytest.raises(MissingRole):
        history.record(compromise(cast, user, 0, key("wallet-b"), first))
    with pytest.raises(ExtraSignature):
        history.record(resign(compromise(cast, user, 0, key("wallet-b"), key("recovery-2")), extra=[user]))


def test_a_compromise_takes_back_what_the_thief_signed() -> None:
    """Grants since the index that it names serve nobody any more; those before it do, and the new key goes on from there."""
    history = started()
    cast, user, recovery = history.cast, history.cast.user, key("recovery")
    history.write(set_recovery(cast, user, recovery))
    honest = history.grant
    history.sleep(1)
    stolen = history.write(cast.grant([("v-7c21", "calendar"), ("v-7c21", "health")], replace=True))
    history.write(rotate(cast, user, key("thief")))
    history.work(0, Work(1))
    history.write(compromise(cast, user, stolen.index, key("wallet-b"), recovery))
    assert key_in_force(history.state, user.keyid) == key("wallet-b").keyid
    with pytest.raises(Distrusted) as refused:
        history.work(0, Work(1))
    assert (refused.value.index, refused.value.identity) == (stolen.index, user.keyid)
    history.sleep(1)
    history.write(resign(cast.grant(), without=[user.keyid], extra=[key("wallet-b")]))
    assert history.grant not in {honest, stolen.verified.digest}
    history.work(0, Work(1))


def test_a_certificate_in_doubt() -> None:
    """What the agent service's thief certified is no key of the agent's."""
    history = started()
    cast, recovery = history.cast, key("recovery")
    history.write(set_recovery(cast, cast.agent, recovery))
    index = next(e.index for e in history.entries if e.statement.kind == "agent-key")
    history.write(compromise(cast, cast.agent, index + 1, key("service-b"), recovery))
    history.work(0, Work(1))
    history.write(compromise(cast, cast.agent, index, key("service-c"), recovery))
    with pytest.raises(KeyNotInForce):
        history.work(0, Work(1))


CHANGES = st.lists(st.integers(1, 20), unique=True, max_size=5).map(sorted)


@given(CHANGES, st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=3), st.integers(0, 22))
def test_a_keyring_is_what_its_words_say(changes: list[int], windows: list[tuple[int, int]], at: int) -> None:
    """The key after so many entries, and whether what was signed at an index is in doubt, by counting."""
    names = [key("first").keyid, *(key(f"later {i}").keyid for i in changes)]
    ring = Keyring(tuple(zip([-1, *changes], names, strict=True)), (), tuple(windows))
    assert ring.key_at(at) == names[sum(index <= at - 1 for index in changes)]
    assert ring.key == ring.key_at(23) == names[-1]
    assert ring.trusts(at) == all(at not in range(*window) for window in windows)
    assert ring.changes == (-1, *changes)


def test_the_checkpoint_key_of_a_size() -> None:
    """A checkpoint of size n is signed by the key in force after entry n - 1: the rotation's own checkpoint by the new key."""
    history = started()
    old, new = key("checkpoint"), key("checkpoint-2")
    index = history.write(rotate(history.cast, old, new)).index
    history.tick()
    assert checkpoint_key(history.state, index) == old.keyid
    assert checkpoint_key(history.state, index + 1) == checkpoint_key(history.state) == new.keyid
    assert keyring(history.state, old.keyid).recovery == key("checkpoint-recovery").keyid
