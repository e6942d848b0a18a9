"""What hosts ask of consent: may this agent, and how did that come about; now, then, and at any place of the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proofroom.adapters.cli import main
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.stores import MemoryStore
from proofroom.domain.authorisation import Chain, authorise, chain_status
from proofroom.domain.errors import GrantAbsent, GrantRevoked, NoSuchEntry, Refused
from proofroom.domain.ids import KeyId, from_ms
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import START_MS, History, store_of
from proofroom.testing.keys import key
from strategies.consenting import compromise, delegate, rotate, set_recovery
from strategies.rooms import make_folder, make_room
from strategies.viewing import fresh_views

SUBS = [key("sub-1"), key("sub-2")]
CALENDAR = "v-7c21 / calendar"


def family() -> History:
    """A grant passed on twice, renewed, passed on again, with a compromise and a revocation at the end."""
    history = History(seed="family")
    history.found()
    cast = history.cast
    for round in range(2):
        history.sleep(1_000)
        history.write(cast.grant(delegable=True, expires_at=cast.now(90_000)))
        parent = history.grant
        for delegator, sub in ((cast.agent, SUBS[0]), (SUBS[0], SUBS[1])):
            envelope = delegate(
                cast, delegator, sub.keyid, parent, metadata={"delegable": True}, expires_at=cast.now(50_000 - round)
            )
            parent = history.write(envelope).verified.digest
    history.write(set_recovery(cast, SUBS[0], key("sub-recovery")))
    history.tick(10_000)
    history.write(compromise(cast, SUBS[0], history.state.size - 3, key("sub-1-b"), key("sub-recovery")))
    history.sleep(1_000)
    history.write(rotate(cast, cast.user, key("wallet-b")))
    history.write(delegate(cast, cast.agent, SUBS[0].keyid, history.grant, revoked=True))
    history.tick(60_000)
    return history


def test_the_answer_at_every_entry_and_moment() -> None:
    """What a host is told of the past is what the state said then: the same chain, or the same refusal of the same link."""
    history = family()
    clock = Clock(history.clock)
    store = store_of(history)
    store.clock = clock
    ledger = Ledger(store)
    agents = [history.cast.agent, *SUBS, key("nobody")]
    for entry, state in zip(history.entries, history.states[1:], strict=True):
        for agent in agents:
            expected = outcome(authorise, state, agent.keyid, CALENDAR, "read", entry.recorded_at_ms)
            assert outcome(ledger.authorise, agent.keyid, "v-7c21", "calendar", "read", index=entry.index) == expected
    for at in range(history.entries[0].recorded_at_ms - 1, history.clock + 2_000, 997):
        state = history.states[sum(e.recorded_at_ms <= at for e in history.entries)]
        for agent in agents:
            expected = outcome(authorise, state, agent.keyid, CALENDAR, "read", at)
            assert outcome(ledger.authorise, agent.keyid, "v-7c21", "calendar", "read", at_ms=at) == expected
    with pytest.raises(NoSuchEntry):
        ledger.authorise(agents[0].keyid, "v-7c21", "calendar", "read", index=10**6)


def outcome(ask: Callable[..., Chain], *args: Any, **at: int) -> object:
    """What was answered: the chain, or the refusal."""
    try:
        return [version.digest for version in ask(*args, **at)]
    except Refused as e:
        return e.to_json()


def test_status_by_sql_is_the_domains() -> None:
    """Each newest grant and delegation, at and around every moment at which something was recorded, and when things expire."""
    history = family()
    views = fresh_views()
    views.project(store_of(history))
    times = {e.recorded_at_ms + d for e in history.entries for d in (-1, 0, 1, 49_999, 50_000, 50_001, 90_001)}
    for at in sorted(times):
        state = history.states[sum(e.recorded_at_ms <= at for e in history.entries)]
        rows = views.sql(f"SELECT user_key, agent, grant_id, status FROM consent_status('{from_ms(at)}')").fetchall()
        versions = [(pair, version) for pair, version in state.grants.items()]
        versions += [(pair, v) for pair, by in state.delegations.items() for v in by.values()]
        assert len(rows) == len(versions)
        told = {grant: (user, agent, status) for user, agent, grant, status in rows}
        for (user, agent), version in versions:
            status = chain_status(state, user, agent, version.digest, at)
            own = "revoked" if version.revoked else told[version.digest][2]
            assert told[version.digest][:2] == (user, agent)
            assert (own == "active") == (status == "active"), (own, status)
            if own not in ("active", "ended above"):
                assert own == status
    (leaf,) = [v for pair, by in history.state.delegations.items() if pair[1] == SUBS[1].keyid for v in by.values()]
    chain = views.sql(f"SELECT depth, agent, delegator IS NULL FROM grant_chain('{leaf.digest}')").fetchall()
    assert chain == [
        (0, SUBS[1].keyid, False),
        (1, SUBS[0].keyid, False),
        (2, history.cast.agent.keyid, True),
    ]
    views.close()


def test_the_history_of_a_person_and_of_an_agent() -> None:
    """Every statement that names them, in the order of the log."""
    history = family()
    views = fresh_views()
    views.project(store_of(history))

    def events(where: str) -> list[str]:
        return [
            e for (e,) in views.sql(f"SELECT event FROM consent_history WHERE {where} ORDER BY entry_index").fetchall()
        ]

    user, sub = history.cast.user.keyid, SUBS[0].keyid
    mine = events(f"person = '{user}'")
    assert mine[:3] == ["opened a vault", "granted", "granted"]
    assert mine[-2:] == ["changed its key", "ended a delegation"]
    assert mine.count("delegated") == 4
    theirs = events(f"agent = '{sub}' OR other = '{sub}'")
    assert theirs.count("delegated") == 4
    assert [e for e in theirs if "key" in e] == ["set a recovery key", theirs[-2]]
    assert theirs[-2].startswith("declared its keys compromised since entry ")
    views.close()


def test_a_revocation_is_seen_at_once() -> None:
    """Another ledger on the same store learns of it with the next question."""
    store = MemoryStore(Clock(START_MS))
    room = make_room(store, store.clock)
    reader = Ledger(store)
    agent, user = room.cast.agent.keyid, room.cast.user.keyid
    (version,) = reader.authorise(agent, room.cast.vault, room.cast.scope, "read")
    assert version.digest == room.grant
    assert reader.grant_chain_status(user, agent, version.digest) == "active"
    room.ledger.append(room.cast.grant(created_at=room.cast.now(1), revoked=True))
    with pytest.raises(GrantRevoked):
        reader.authorise(agent, room.cast.vault, room.cast.scope, "read")
    assert reader.grant_chain_status(user, agent, version.digest) == "revoked"
    with pytest.raises(GrantAbsent):
        reader.authorise(KeyId(user), room.cast.vault, room.cast.scope, "read")


def test_by_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 0 with the chain, 3 with the link that fails; history of both parties as text and as JSON."""
    with make_folder(tmp_path).ledger as ledger:
        ((user, agent),) = ledger.state.grants

    def run(*args: str) -> tuple[int, str]:
        status = main([*args, "--room", str(tmp_path)])
        return status, capsys.readouterr().out

    asked = ("authorise", agent[8:16], "v-7c21", "calendar", "read")
    status, out = run(*asked, "--json")
    assert (status, [link["delegator"] for link in json.loads(out)["chain"]]) == (0, [None])
    status, out = run("authorise", agent, "v-7c21", "health", "read", "--json")
    assert (status, json.loads(out)["error"]["code"]) == (3, "out-of-scope")
    assert run(*asked, "--index", "0")[0] == 3
    assert run(*asked, "--index", "20")[1].startswith("authorised\n")
    assert run(*asked, "--at", "yesterday")[0] == 2
    assert run("authorise", "ffff", "v", "s", "read")[0] == 3
    for party, name in (("person", user), ("agent", agent)):
        assert "granted v-7c21 / calendar" in run("show", party, name)[1]
        told = json.loads(run("show", party, name[8:20], "--json")[1])
        assert told[party] == name
        assert [row["status"] for row in told["now"]] == ["active"]
