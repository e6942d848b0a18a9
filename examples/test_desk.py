"""The desk held against the rules by ``proofroom.testing``, as any host can be."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import invariant

from desk import Desk
from proofroom import Ledger, audit
from proofroom.adapters.cast import Cast
from proofroom.domain.checkpoint import verifier_key
from proofroom.domain.ids import KeyId
from proofroom.domain.verifier import Trust, Verdict, verify
from proofroom.domain.verifier.note import parse_key
from proofroom.testing.clocks import Clock
from proofroom.testing.consent_machine import AGENTS, SCOPES, WALLETS
from proofroom.testing.histories import ORIGIN
from proofroom.testing.hosting import HostMachine, ledger_in
from proofroom.testing.keys import key

LOG_KEY = Trust(keys=(parse_key(verifier_key(ORIGIN, key("checkpoint").keyid)),))


class DeskHost:
    """The desk as the machine speaks to it: through its front door."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.desk = Desk(ledger_in(folder / "room", clock), folder / "elsewhere")
        self.ledger = self.desk.ledger

    def submit(self, envelope: bytes) -> int | str:
        answer = self.desk.post(envelope)
        if answer.status >= 300:
            code: str = answer.body["error"]["code"]
            return code
        receipt = verify(answer.body["receipt"].encode(), LOG_KEY)
        assert receipt.verdict is Verdict.VALID, receipt.sentence()
        index: int = answer.body["index"]
        return index

    def close(self) -> None:
        self.desk.close()


class DeskMachine(HostMachine):
    def make_host(self, folder: Path, clock: Clock) -> DeskHost:
        self.desk_host = DeskHost(folder, clock)
        return self.desk_host

    # What this host promises besides. The five lines above are enough for a host that promises nothing.

    @invariant()
    def it_says_who_may_do_what(self) -> None:
        for agent in AGENTS[:2]:
            for name in SCOPES[:2]:
                assert self.desk_host.desk.may(agent.keyid, *name.split(" / ")) == self.expected(agent.keyid, name)

    def expected(self, agent: KeyId, name: str) -> bool:
        wallet = WALLETS[0].keyid
        version = self.model.newest(wallet, agent)
        if version is None or self.model.ended(wallet, agent, version.id, self.history.clock):
            return False
        return name in version.scopes and (not version.operations or "read" in version.operations)

    def teardown(self) -> None:
        if hasattr(self, "desk_host"):
            report = audit(self.desk_host.ledger.store, against=self.desk_host.desk.kept())
            assert (report.verdict, report.witnessed) == (Verdict.VALID, True), report.sentence()
        super().teardown()


TestDesk = DeskMachine.TestCase
TestDesk.settings = settings(max_examples=3, stateful_step_count=15)


def test_a_grant_opens_the_door_and_a_revocation_shuts_it(
    proofroom_ledger: Ledger, proofroom_cast: Cast, tmp_path: Path
) -> None:
    """With the fixtures, for what a reader should see."""
    desk, cast = Desk(proofroom_ledger, tmp_path / "elsewhere"), proofroom_cast
    assert desk.post(cast.open_vault().to_json()).status == 201
    grant = cast.grant().to_json()
    assert [desk.post(grant).status, desk.post(grant).status] == [201, 200]
    assert desk.may(cast.agent.keyid, cast.vault, cast.scope)
    refused = desk.post(cast.grant(revoked=True, created_at=cast.now()).to_json())
    assert (refused.status, refused.body["error"]["code"]) == (422, "stale-version")
    desk.post(cast.grant(revoked=True, created_at=cast.now(1)).to_json())
    assert not desk.may(cast.agent.keyid, cast.vault, cast.scope)
