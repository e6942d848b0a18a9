"""The verifier's rules of consent, each by itself on entries of its own: just within the rule, and just beyond."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from proofroom.domain.verifier import Verdict, record
from proofroom.domain.verifier.entry import Entry
from proofroom.domain.verifier.verdict import Fault
from strategies.bare import (
    ENDED,
    certificate,
    entry,
    grant,
    granted,
    link,
    made_at,
    refused,
    why,
)

TIMES = ("started_at", "ended_at")

# --- consent


def test_when_a_grant_is_in_force() -> None:
    """From its index to the end of its time, that moment included, and until a version replaces or revokes it."""
    late = "expired, revoked, or not yet made"
    assert granted(grant(3), certificate()) == granted(grant(299), certificate()) == []
    assert granted(grant(3, expires_at=ENDED), certificate()) == []
    for one in (grant(3, expires_at="2026-03-01T10:00:00.499Z"), grant(301), grant(3, revoked=True)):
        assert refused(one, certificate()) == (f"the grant at entry {one.index} was {late}", Verdict.REVOKED_GRANT)
    for revoked in (True, False):
        for index in (4, 299):
            why, verdict = refused(grant(3), grant(index, "H", revoked=revoked), certificate())
            assert (why, verdict) == (
                f"the grant at entry 3 was replaced or revoked at entry {index}",
                Verdict.REVOKED_GRANT,
            )
        assert granted(grant(3), grant(2, "F", revoked=revoked), certificate()) == []
    several = [grant(3), *(grant(i, f"H{i}") for i in (4, 5, 6))]
    assert refused(*several, certificate())[0] == "the grant at entry 3 was replaced or revoked at entry 6"
    later = [grant(3), grant(301, "H"), grant(302, "I", revoked=True), grant(303, "J", revoked=True)]
    assert granted(*later, certificate()) == ["the grant was revoked later, at entry 302"]
    assert granted(grant(3), grant(302, "H", agent_service_pub_key="other", revoked=True), certificate()) == []


def test_scopes() -> None:
    """Any of those in the grant, exactly; whatever else stands there covers nothing."""
    two: list[Any] = [{"context": {"vaultId": v, "scopeId": s}} for v, s in (("v", "t"), ("v", "s"))]
    assert granted(grant(3, metadata={"scopes": [5, {"context": 5}, *two]}), certificate()) == []
    others: list[Any] = [[], two[:1], [{"context": {"vaultId": "v / s", "scopeId": ""}}], [5], [{}]]
    for scopes in others:
        said, _ = refused(grant(3, metadata={"scopes": scopes}), certificate())
        assert said == "the grant is for another agent, scope or operation, or may not be passed on"


def test_operations() -> None:
    """Any, where a grant names none; else one of those that it names, and each link above it."""

    def allowing(limits: Any) -> Any:
        return grant(3).body["metadata"] | {"limits": limits}

    unlimited: list[Any] = [None, {}, {"operations": []}, {"operations": ["read", "write"]}, {"per": "era"}]
    for limits in unlimited:
        assert granted(grant(3, metadata=allowing(limits)), certificate(), operation="write") == []
    others: list[Any] = [["read"], ["writes"], "write", {"write": 1}]
    for operations in others:
        one = grant(3, metadata=allowing({"operations": operations}))
        said, verdict = refused(one, certificate(), operation="write")
        assert (said.startswith("the grant is for another agent, scope or operation"), verdict) == (
            True,
            Verdict.INVALID,
        )
        chain = one, link(4, "L1", "agent", "s1", "G"), certificate(agent="s1")
        assert "operation" in refused(*chain, relies="L1", agent="s1", operation="write")[0]


def test_limits() -> None:
    """Of the grant and of each link: one record uses no more than all may together, to the millionth of a GPU unit."""
    used: dict[str, Any] = {"compute": {"cpu_ms": 300, "gpu_units": Decimal("1.5")}}

    def said(limits: dict[str, Any], *below: Entry, **given: Any) -> str:
        allowed = grant(3, metadata=grant(3).body["metadata"] | {"limits": limits})
        return why(lambda: granted(allowed, *below, **used | given))

    for limits in ({"cpu_ms": 300}, {"cpu_ms": 301}, {"gpu_units": 2}, {"gpu_units": Decimal("1.500000")}):
        assert said(limits, certificate()) == ""
    for limits in (
        {"cpu_ms": 299},
        {"cpu_ms": 0},
        {"gpu_units": 1},
        {"gpu_units": Decimal("1.499999")},
        {"gpu_units": 0},
    ):
        assert said(limits, certificate()) == "it used more than the grant at entry 3 allows"
        chain = link(4, "L1", "agent", "s1", "G"), certificate(agent="s1")
        assert said(limits, *chain, relies="L1", agent="s1") == "it used more than the grant at entry 3 allows"
    assert said({"gpu_units": Decimal("2.5")}, certificate(), compute={"cpu_ms": 0, "gpu_units": 2}) == ""
    assert said({"cpu_ms": "300"}, certificate()) == "the grant has no int metadata.limits.cpu_ms"


def test_when_a_grant_was_made() -> None:
    """Five minutes after the work began at most, by the clocks of those who say so; so each link."""
    for made, holds in (("10:05:00.500", True), ("10:05:00.501", False)):
        late = {"created_at": f"2026-03-01T{made}Z"}
        given: dict[str, Any] = {"relies": "L1", "agent": "s1"}
        chains = [(grant(3, **late),), (grant(3, **late), link(4, "L1", "agent", "s1", "G"))]
        chains.append((grant(3), link(4, "L1", "agent", "s1", "G", **late)))
        for chain in chains:
            more, last = (given, certificate(agent="s1")) if len(chain) == 2 else ({}, certificate())
            if holds:
                assert granted(*chain, last, **more) == []
            else:
                assert "or not yet made" in refused(*chain, last, **more)[0]


def test_a_version_that_is_recorded_again() -> None:
    """What a newer one, by the wallet's own time, has replaced does not come back behind it."""
    newer = grant(5, id="N", revoked=True)
    said, verdict = refused(newer, grant(6, created_at=made_at(4)), certificate())
    assert (said, verdict) == ("the grant at entry 6 was replaced or revoked at entry 5", Verdict.REVOKED_GRANT)
    assert granted(grant(4, id="N"), grant(5), certificate()) == []
    assert granted(grant(5), grant(301, id="N", created_at=made_at(6)), certificate()) == []


def test_as_far_as_a_run_of_the_log_shows() -> None:
    """The links that stand there hold; those of before are not asked for, nor what they passed on."""
    work = entry(300, "activity", {"grant": "L1", "agent": "s1", "vault_scope": "v / s"} | dict.fromkeys(TIMES, ENDED))
    below = link(4, "L1", "agent", "s1", "G")

    def said(*entries: Entry) -> str:
        return why(lambda: record.check_links(record.grants_of(entries), work, whole=False))

    assert said() == said(grant(3)) == said(below) == said(below, grant(3)) == ""
    assert said(below, link(299, "L2", "agent", "s1", "G")).startswith("the grant at entry 4 was replaced")
    assert said(below, grant(299, id="H")) == ""
    assert said(grant(3), below, grant(299, id="H")).startswith("the grant at entry 3 was replaced")
    with pytest.raises(Fault, match="or one above it"):
        record.check_links(record.grants_of([below]), work)


def test_links_in_a_row() -> None:
    """At most three below the wallet's grant, each older than what rests on it and given by who holds the one above."""
    chain = [
        grant(3),
        link(4, "L1", "agent", "s1", "G"),
        link(5, "L2", "s1", "s2", "L1"),
        link(6, "L3", "s2", "s3", "L2"),
    ]
    for length, agent in ((1, "s1"), (2, "s2"), (3, "s3")):
        given: dict[str, Any] = {"relies": f"L{length}", "agent": agent}
        assert granted(*chain, certificate(agent=agent), **given) == []
        assert refused(*chain[1:], certificate(agent=agent), **given)[0].startswith("the file does not hold the grant")
    fourth = link(7, "L4", "s3", "s4", "L3")
    assert refused(*chain, fourth, certificate(agent="s4"), relies="L4", agent="s4")[0].startswith("more delegations")
    over = grant(5), link(4, "L1", "agent", "s1", "G")
    said, verdict = refused(*over, certificate(agent="s1"), relies="L1", agent="s1")
    assert (said, verdict) == ("the grant at entry 5 was expired, revoked, or not yet made", Verdict.REVOKED_GRANT)
    assert granted(grant(4), over[1], certificate(agent="s1"), relies="L1", agent="s1") == []


def test_what_a_record_relies_on() -> None:
    """The links themselves and not what they replaced, its certificate, and a payer statement and listing where it needs them."""
    chain = grant(3, id="F"), grant(5), link(6, "L1", "agent", "s1", "G")
    payer = entry(7, "payer", {"agent": "s1", "cluster": "c", "revoked": False, "expires_at": None}, "sponsor")
    certified, later = certificate(8, agent="s1"), grant(301, id="H")
    body = {"agent": "s1", "grant": "L1", "vault_scope": "v / s", "cluster": "c", "signers": {"agent-derived-key": "k"}}
    for customer, more in (("user", []), ("sponsor", [payer])):
        work = entry(300, "activity", body | dict.fromkeys(TIMES, ENDED) | {"customer": customer})
        relied, user, _ = record._check_grant([*chain, payer, certified, later], work)
        assert (relied, user) == ([chain[2], chain[1], certified, *more], "user")


def test_when_a_certificate_is_in_force() -> None:
    """From its index to the end of its time, that moment included."""
    assert granted(grant(3), certificate(299)) == []
    for one in (certificate(300), certificate(301), certificate(4, "2026-03-01T10:00:00.499Z")):
        assert refused(grant(3), one)[0] == "the certificate was not in force"


def test_when_another_pays() -> None:
    """The customer said so before the record, for this agent and cluster, and did not take it back there."""

    def payer(index: int, **fields: Any) -> Entry:
        body = {"agent": "agent", "cluster": "c", "revoked": False, "expires_at": None}
        return entry(index, "payer", body | fields, "sponsor")

    assert granted(grant(3), certificate(), payer(299), customer="sponsor") == []
    for expires_at in (ENDED, "2026-03-01T10:00:00.501Z"):
        assert granted(grant(3), certificate(), payer(299, expires_at=expires_at), customer="sponsor") == []
    for customer in ("a", "zzz"):
        assert refused(grant(3), certificate(), customer=customer)[0].startswith(
            "the file has 0 entries of the kind payer"
        )
    for one in (
        payer(300),
        payer(301),
        *(payer(5, **f) for f in ({"agent": "x"}, {"cluster": "x"}, {"revoked": True})),
        payer(5, expires_at="2026-03-01T10:00:00.499Z"),
    ):
        assert refused(grant(3), certificate(), one, customer="sponsor")[0] == "it pays for something else"


def test_what_is_sold_is_paid_under_a_cap() -> None:
    """The wallet itself signs a payer statement for it, as it would for another; the price is the agent service's word."""
    body = {"agent": "agent", "cluster": "c", "revoked": False, "expires_at": None}
    payer, sold = entry(5, "payer", body, "user"), {"agent": "agent", "cluster": None, "withdrawn": False}
    for cluster in (None, "c"):
        one = entry(299, "listing", sold | {"cluster": cluster}, "agent", id="L")
        assert granted(grant(3), certificate(), payer, one, listing="L") == []
    for missing, given in (("payer", ()), ("listing", (payer,))):
        said = refused(grant(3), certificate(), *given, listing="L")[0]
        assert said.startswith(f"the file has 0 entries of the kind {missing}")
    for other in (
        entry(299, "listing", sold, "agent", id="K"),
        entry(299, "listing", sold, "agent", id="M"),
        entry(299, "listing", sold | {"agent": "other"}, "agent", id="L"),
        *(entry(299, "listing", sold | {"cluster": name}, "agent", id="L") for name in ("b", "d", "")),
        entry(299, "listing", sold | {"withdrawn": True}, "agent", id="L"),
        entry(300, "listing", sold, "agent", id="L"),
        entry(301, "listing", sold, "agent", id="L"),
    ):
        said = refused(grant(3), certificate(), payer, other, listing="L")[0]
        assert said == "the record was sold under another listing"
    stranger = entry(299, "listing", sold, "other", id="L")
    assert "is not signed" in refused(grant(3), certificate(), payer, stranger, listing="L")[0]


def test_what_was_destroyed() -> None:
    """The record's own input or result, by the wallet's word alone, about the scope in which it lay."""
    work = entry(
        300, "activity", {"input_commitment": "i", "result_hash": "r", "record_id": "dac-1", "vault_scope": "v / s"}
    )

    def said(what: str = "r of dac-1", scope: str = "v / s", kind: str = "erased", by: str = "u") -> list[str]:
        return record._erased([entry(301, kind, {"what": what, "vault_scope": scope}, *by)], work, "u")

    for what in ("i of dac-1", "r of dac-1"):
        assert said(what) == [f"ERASED at entry 301: {what}"]
    strays: list[dict[str, Any]] = [{"what": what} for what in ("r of dac-2", "x of dac-1", "epoch 0")]
    strays += [{"scope": "v / r"}, {"scope": "v / t"}, {"by": "x"}, {"by": "ux"}, {"by": ""}]
    for one in (*strays, {"kind": "compromise"}, {"kind": "tick"}):
        assert said(**one) == []


# --- times of the work


def test_when_the_work_was_done() -> None:
    """It ended not before it began, and was recorded not before it ended, but for five minutes."""
    signers = dict(zip(record.ROLES, "abc", strict=True))

    def said(started_at: str, ended_at: str) -> str:
        body = {
            "signers": signers,
            "started_at": f"1970-01-01T00:{started_at}Z",
            "ended_at": f"1970-01-01T00:{ended_at}Z",
        }
        return why(record.check_source, entry(39, "activity", body, *"abc"))

    assert said("00:00", "00:00") == said("00:00", "00:01") == said("05:00.039", "05:00.039") == ""
    for times in (("00:00.001", "00:00"), ("00:00", "05:00.040"), ("05:00.040", "05:00.040")):
        assert said(*times) == "its times contradict each other, or it was recorded before it ended"


def test_in_which_era_the_work_was_done() -> None:
    """It ended at most five minutes before its era began. Late work is older than the era that counts it."""

    def said(ended_at: str, **place: Any) -> str:
        work = entry(7, "activity", {"cluster": "c", "era": 1, "ended_at": ended_at} | place)
        paid = entry(9, "era-paid", {"cluster": "c", "era": 1, "start": "1970-01-02T00:00:00Z"})
        return why(record.check_in_era, work, paid)

    assert said("1970-01-01T23:55:00Z") == ""
    assert said("1970-01-01T23:54:59.999Z") == "it ended before its era began"
    assert said("1970-01-01T23:54:59.999Z", era=0) == ""
