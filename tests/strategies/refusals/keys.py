"""What is refused of keys that change."""

from __future__ import annotations

from typing import Any

from proofroom.adapters.cast import Work
from proofroom.domain import errors
from proofroom.domain.envelope import Envelope
from proofroom.domain.ids import from_ms
from proofroom.domain.statements.consent import Limits
from proofroom.testing.histories import START_MS, History, resign
from proofroom.testing.keys import key
from strategies.consenting import compromise, erase, rotate, set_recovery
from strategies.refusals.cases import refused


@refused(errors.NamedByLaterKey, keyid=key("wallet-b").keyid, identity=key("wallet").keyid)
def _party_named_by_its_second_key(h: History) -> Envelope:
    h.write(rotate(h.cast, h.cast.user, key("wallet-b")))
    h.cast.user = key("wallet-b")
    return h.cast.grant()


@refused(errors.MissingRole, kind="grant", role="wallet", keyid=key("wallet-b").keyid)
def _grant_by_a_key_no_longer_in_force(h: History) -> Envelope:
    h.write(rotate(h.cast, h.cast.user, key("wallet-b")))
    return h.cast.grant()


@refused(errors.AlreadyRecorded, what="key", key=key("recovery").keyid)
def _recovery_key_put_to_daily_use(h: History) -> Envelope:
    h.write(set_recovery(h.cast, h.cast.user, key("recovery")))
    return rotate(h.cast, h.cast.user, key("recovery"))


@refused(errors.NamedByLaterKey, keyid=key("agent-b").keyid, identity=key("agent-service").keyid)
def _key_of_another_party(h: History) -> Envelope:
    h.write(rotate(h.cast, h.cast.agent, key("agent-b")))
    return rotate(h.cast, h.cast.user, key("agent-b"))


@refused(errors.NoRecoveryKey, identity=key("wallet").keyid)
def _compromise_without_a_recovery_key(h: History) -> Envelope:
    return compromise(h.cast, h.cast.user, 0, key("wallet-b"), key("recovery"))


@refused(errors.BeyondTheLog, lambda h: {"index": h.state.size + 1, "size": h.state.size})
def _compromise_of_what_is_not_recorded(h: History) -> Envelope:
    h.write(set_recovery(h.cast, h.cast.user, key("recovery")))
    return compromise(h.cast, h.cast.user, h.state.size + 1, key("wallet-b"), key("recovery"))


def grant_index(h: History) -> int:
    """Where the wallet's newest version stands."""
    return h.state.grants[h.cast.user.keyid, h.cast.agent.keyid].log_index


@refused(
    errors.Distrusted,
    lambda h: {"what": f"grant {h.grant}", "index": grant_index(h), "identity": h.cast.user.keyid},
)
def _record_under_a_grant_in_doubt(h: History) -> Envelope:
    h.write(set_recovery(h.cast, h.cast.user, key("recovery")))
    h.write(compromise(h.cast, h.cast.user, grant_index(h), key("wallet-b"), key("recovery")))
    return h.cast.activity(h.grant, 0)


@refused(errors.NotPayer, customer=key("sponsor").keyid)
def _payer_in_doubt(h: History) -> Envelope:
    sponsor = key("sponsor")
    since = h.write(h.cast.payer(sponsor, 10**9)).index
    h.write(set_recovery(h.cast, sponsor, key("recovery")))
    h.write(compromise(h.cast, sponsor, since, key("sponsor-b"), key("recovery")))
    return h.cast.activity(h.grant, 0, customer=sponsor.keyid)


def limited(h: History, **limits: Any) -> None:
    """The wallet renews its grant with limits."""
    h.write(h.cast.grant(limits=Limits(**limits)))


@refused(errors.OverLimit, limit="operations", allowed="read, write", asked="read + inference")
def _operation_that_is_not_allowed(h: History) -> Envelope:
    limited(h, operations=["read", "write"])
    return h.cast.activity(h.grant, 0)


@refused(errors.OverLimit, limit="cpu_ms", allowed="1000", asked="1001")
def _one_ms_too_much(h: History) -> Envelope:
    limited(h, cpu_ms=1000)
    h.work(0, Work(600))
    return h.cast.activity(h.grant, 0, Work(401))


@refused(errors.OverLimit, limit="gpu_units in millionths", allowed="500000", asked="500001")
def _one_millionth_too_much(h: History) -> Envelope:
    limited(h, gpu_units=0.5)
    h.work(0, Work(0, 0.4))
    return h.cast.activity(h.grant, 0, Work(0, 0.100001))


@refused(errors.NotOwner, lambda h: {"vault": "v-7c21", "owner": h.cast.user.keyid})
def _erasure_in_a_foreign_vault(h: History) -> Envelope:
    statement = erase(h.cast, "epoch 0")
    stranger = key("stranger")
    return resign(statement, user_pub_key=stranger.keyid, without=[h.cast.user.keyid], extra=[stranger])


@refused(errors.AlreadyRecorded, what="erasure of", key="v-7c21 / calendar: epoch 7")
def _epoch_erased_twice(h: History) -> Envelope:
    h.write(erase(h.cast, "epoch 7"), erase(h.cast, "epoch 6"))
    h.sleep(1)
    return erase(h.cast, "epoch 7")


@refused(errors.AlreadyRecorded, lambda h: {"what": "agent key", "key": h.cast.derived.keyid})
def _key_certified_twice(h: History) -> Envelope:
    return h.cast.certify()


@refused(errors.TimesOutOfOrder, what="expires_at 2026-03-01T09:00:02Z is not after created_at 2026-03-01T09:00:02Z")
def _certificate_that_never_is(h: History) -> Envelope:
    return resign(
        h.cast.certify(expires_at=h.cast.now()),
        key=key("fresh").keyid,
        extra=[key("fresh")],
        without=[h.cast.derived.keyid],
    )


@refused(
    errors.KeyNotInForce,
    lambda h: {
        "keyid": h.cast.derived.keyid,
        "role": f"derived key of {h.cast.agent.keyid} for v-7c21 / mail",
    },
)
def _derived_key_of_another_scope(h: History) -> Envelope:
    return h.cast.activity(h.grant, 0, vault_scope="v-7c21 / mail")


@refused(errors.StaleVersion, what="the payer statement", created_at=from_ms(START_MS), newest=from_ms(START_MS))
def _payer_of_the_same_moment(h: History) -> Envelope:
    promise = resign(h.cast.payer(key("sponsor"), 1), created_at=from_ms(START_MS))
    h.write(promise)
    return resign(promise, cap_per_era="2")


@refused(errors.NotPayer, customer=key("sponsor").keyid)
def _customer_who_signed_nothing(h: History) -> Envelope:
    return h.cast.activity(h.grant, 0, customer=key("sponsor").keyid)
