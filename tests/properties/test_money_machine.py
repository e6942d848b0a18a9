"""Money as a machine: whatever is done, over eras of two clusters, nothing appears, vanishes or is promised twice.

Clusters differ in shares, prices, penalties and in what becomes of late records; work is sold under three listings in two marketplaces.

The plain books of this test read only what the ledger stated, transfer by transfer; the ledger's own balances must be theirs after each
entry.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from immutables import Map

from proofroom.adapters.cast import DAY_MS, PARAMETERS, Cast, Work
from proofroom.domain.carry import get_recorded
from proofroom.domain.errors import ProofroomError
from proofroom.domain.ids import Digest
from proofroom.domain.statements.governance import Parameters
from proofroom.domain.voting import make_vote
from proofroom.testing.books import Books
from proofroom.testing.histories import History, resign, with_parameters
from proofroom.testing.keys import deterministic_randomness, key
from strategies.accusing import accuse
from strategies.disputes import NO_ROUND
from strategies.rooms import soak
from strategies.selling import TENTH, list_work, open_market
from strategies.spending import withdraw

ONE = 10**18
DEAR = str(ONE - 1)
NEVER = "2099-01-01T00:00:00Z"
CLUSTERS = ("dragon-1", "dragon-2")
SHARES = [
    (0, 0, 0),
    (0, 0, ONE),
    (ONE, 0, 0),
    (6 * TENTH, 3 * TENTH, TENTH),
    (1, 1, 1),
    (5 * 10**16, 10**16, 4 * 10**16),
]
TERMS = st.fixed_dictionaries(
    {
        "shares": st.sampled_from(SHARES),
        "dear": st.booleans(),
        "late": st.sampled_from(["refused", "next-era"]),
        "penalty": st.sampled_from([(0, 0), (1_000, 3), (10**12 + 1, 0), (0, 10**6)]),
    }
)
"""Of a cluster: also prices at the limit, and slashes that take more than the whole bond."""
AMOUNTS = st.sampled_from([0, 1, 999_999, 10**12, 10**36 - 1]) | st.integers(0, 10**8)
WORKS = st.builds(
    Work,
    st.sampled_from([0, 1, 999, 10**12]) | st.integers(0, 10**5),
    st.sampled_from([0, 0.000001, 10**9]),
    st.sampled_from([0, 2**53 - 1]),
    st.sampled_from([0, 1, 2**53 - 1]),
    st.integers(0, 10),
    st.integers(0, 10),
)


class Plan(NamedTuple):
    """An era."""

    paid: int
    """Into the wallet's deposit, before it begins."""
    works: list[tuple[Work, int | None, bool]]
    """What is done, under which listing, and whether the sponsor pays."""
    agree: int
    """Of five."""
    late: int
    """Records that miss the seal."""
    close: bool


PLANS = st.builds(
    Plan,
    paid=AMOUNTS,
    works=st.lists(st.tuples(WORKS, st.sampled_from([None, 0, 1, 2]), st.booleans()), min_size=1, max_size=3),
    agree=st.sampled_from([5, 4, 3, 0]),
    late=st.integers(0, 2),
    close=st.booleans(),
)


def parameters_of(
    shares: tuple[int, int, int], dear: bool, late: Literal["refused", "next-era"], penalty: tuple[int, int]
) -> Parameters:
    """The parameters of a cluster."""
    named = dict(zip(("treasury", "reserve", "validators"), map(str, shares), strict=True))
    prices = dict.fromkeys(PARAMETERS.prices.to_json(), DEAR) if dear else {}
    bonds = {"slash_floor": str(penalty[0]), "slash_multiple": penalty[1]}
    return with_parameters(shares=named, prices=prices, bonds=bonds, top={"late_records": late})


class Money(RuleBasedStateMachine):
    """Two clusters, two customers, two marketplaces."""

    @initialize(terms=st.tuples(TERMS, TERMS), plans=st.tuples(PLANS, PLANS, PLANS))
    def begin(self, terms: tuple[dict[str, Any], dict[str, Any]], plans: tuple[Plan, Plan, Plan]) -> None:
        """Found both; one has had two eras, to the second of which the first may have left records, the other has had one."""
        self.history = History(validators=6)
        self.books = Books({cluster: chosen["penalty"] for cluster, chosen in zip(CLUSTERS, terms, strict=True)})
        self.read, self.casts = 0, {}
        for i, (cluster, chosen) in enumerate(zip(CLUSTERS, terms, strict=True)):
            self.casts[cluster] = Cast(
                self.history.state.ledger,
                lambda: self.history.clock,
                key,
                randomness=deterministic_randomness(cluster),
                cluster=cluster,
                vault=f"v-{i}",
                validators=6,
                parameters=parameters_of(**chosen),
            )
        self.listings: list[Digest] = []
        for cluster in CLUSTERS:
            cast = self.on(cluster)
            self.history.write(
                *cast.founding(), cast.payer(cast.user, 10**36 - 1), cast.payer(key("sponsor"), 10**36 - 1)
            )
        self.consent()
        for cluster, plan in zip((*CLUSTERS[:1], *CLUSTERS), plans, strict=True):
            self.era(self.on(cluster), plan)

    def consent(self) -> None:
        """One grant for both vaults, and what is for sale: at a price and a ratio, at the dearest price, at nothing."""
        for cluster in CLUSTERS:
            self.history.write(self.on(cluster).open_vault(), self.on(cluster).certify(expires_at=NEVER))
        cast = self.on(CLUSTERS[0])
        self.history.write(cast.grant([("v-0", "calendar"), ("v-1", "calendar")], expires_at=NEVER))
        self.history.write(open_market(cast), open_market(cast, "fair", share=ONE))
        ada, ben = key("ada").keyid, key("ben").keyid
        whole = {"marketplace": "fair", "marketplace_share": str(ONE)}
        self.listings = [
            list_work(self.history, price=3, ratio=TENTH, creators={ada: 2, ben: 1}),
            list_work(self.history, listing="b", price=ONE - 1, ratio=ONE, creators={ben: 1}, **whole),
            list_work(self.history, listing="c", price=0, ratio=1),
        ]

    def on(self, cluster: str) -> Cast:
        """The history plays on this cluster from now on."""
        self.history.cast = self.casts[cluster]
        return self.history.cast

    def attempt(self, *envelopes: Any) -> None:
        """Write; a refusal leaves everything as it was."""
        self.history.state_due()
        before = self.history.state
        try:
            self.history.write(*envelopes)
        except ProofroomError:
            assert self.history.state is before

    @rule(cluster=st.sampled_from(CLUSTERS), who=st.sampled_from(["user", "sponsor", "manager"]), amount=AMOUNTS)
    def deposit(self, cluster: str, who: str, amount: int) -> None:
        """Money comes in, or more than there can be."""
        cast = self.on(cluster)
        owner = {"user": cast.user, "sponsor": key("sponsor"), "manager": cast.manager}[who]
        account = "cluster-bond" if who == "manager" else "customer"
        self.attempt(cast.deposit(owner.keyid, amount, account=account))

    @rule(cluster=st.sampled_from(CLUSTERS), plans=st.lists(PLANS, min_size=1, max_size=3))
    def eras(self, cluster: str, plans: list[Plan]) -> None:
        """Some eras, one after the other."""
        for plan in plans:
            self.era(self.on(cluster), plan)

    def era(self, cast: Cast, plan: Plan) -> None:
        """An era with work, some of it late; attested when four of five agree, rejected when none does; closed or running out."""
        cluster, number = cast.cluster, self.history.state.clusters[cast.cluster].opened + 1
        self.history.sleep(1_000)
        if plan.paid:
            self.attempt(cast.deposit(cast.user.keyid, plan.paid))
        self.attempt(cast.open_era(number))
        if self.history.state.clusters[cluster].opened != number:
            return  # the manager asked for the cluster's bond back, or it was slashed
        for work, sold, sponsored in plan.works:
            customer = key("sponsor") if sponsored else cast.user
            listing = None if sold is None else self.listings[sold]
            self.history.work(number, work, customer=customer.keyid, listing=listing)
        queue = self.history.state.eras[cluster, number].queues[cast.orchestrator.keyid]
        if count := max(0, queue.tail - queue.head - plan.late):
            doubts = dict.fromkeys(range(count), "result-mismatch")
            self.history.attest(self.history.seal(number, count), *[doubts] * (5 - plan.agree))
        if plan.close:
            self.history.sleep(1_000)
            self.attempt(cast.close_era(number))
        self.history.tick(DAY_MS)

    @rule(cluster=st.sampled_from(CLUSTERS))
    def convict(self, cluster: str) -> None:
        """A validator, who may have asked for its bond back, is shown to have signed two votes for one round."""
        cast, state = self.on(cluster), self.history.state
        first = cast.commit(state._replace(rounds=Map({(cluster, 10**6): NO_ROUND})), 10**6, 5, make_vote(1))
        self.attempt(accuse(self.history, first, resign(first, commitment="blake3:" + "0" * 64), 5))

    @rule(
        cluster=st.sampled_from(CLUSTERS),
        who=st.sampled_from(
            ["user", "sponsor", "provider", "validator", "validator-bond", "cluster-bond", "creator", "marketplace"]
        ),
        part=st.sampled_from([1, 2, 3]),
    )
    def ask(self, cluster: str, who: str, part: int) -> None:
        """An owner asks for all, half, or a third of what it holds; or for what is being unlocked already."""
        cast = self.on(cluster)
        owner = {
            "user": cast.user,
            "sponsor": key("sponsor"),
            "provider": cast.providers[0],
            "validator": cast.validators[0],
            "validator-bond": cast.validators[5],
            "cluster-bond": cast.manager,
            "creator": key("ada"),
            "marketplace": key("bazaar"),
        }[who]
        account = "customer" if who in ("user", "sponsor") else who
        held = self.history.state.balances
        name = {
            "customer": f"customer:{cluster}:",
            "validator-bond": f"bond:{cluster}:",
            "cluster-bond": f"bond:{cluster}:",
        }
        amount = held.get(name.get(account, f"{account}:") + owner.keyid, 0) // part
        self.history.sleep(1)
        self.attempt(withdraw(cast, owner, max(amount, 1), account))

    @rule(days=st.sampled_from([1, 6, 7]))
    def wait(self, days: int) -> None:
        """Time passes, and what is unlocked leaves."""
        self.history.tick(days * DAY_MS)

    @invariant()
    def the_ledger_is_what_it_stated(self) -> None:
        """After each entry: the books balance, and are the ledger's."""
        for entry, state in zip(self.history.entries[self.read :], self.history.states[self.read + 1 :], strict=False):
            self.books.read(entry.index, entry.statement)
            assert {a: b for a, b in self.books.balances.items() if b} == dict(state.balances)
            assert sum(state.balances.values()) == 0
            assert all(abs(balance) < 10**36 for balance in state.balances.values())
        self.read = len(self.history.entries)

        self.check_promises()

    def check_promises(self) -> None:
        """What is being unlocked is there; who owes has nothing; every request has one answer or is open; debts are what was stated."""
        state = self.history.state
        open_requests = set()
        for account, facts in state.unlocking.items():
            assert sum(chunk.amount for chunk in facts.chunks) <= state.balances.get(account, 0)
            open_requests |= {chunk.request for chunk in facts.chunks}
        assert open_requests == set(self.books.asked)
        owed = {(c, str(k)): sum(debt.total for debt in debts) for (c, k), debts in state.debts.items()}
        assert owed == {party: amount for party, amount in self.books.owed.items() if amount}
        for (cluster, customer), debts in state.debts.items():
            assert f"customer:{cluster}:{customer}" not in state.balances
            assert all((cluster, debt.era) in state.claims for debt in debts)
        assert sum(claim.debts for claim in state.claims.values()) == sum(map(len, state.debts.values()))
        assert not state.repaying
        for name, between in state.clusters.items():
            left = sum(queue.tail - queue.head for queue in between.carried.values())
            left += sum(get_recorded(state.eras[name, number]) for number in between.unpaid)
            assert self.books.counted[name] == left  # each record counts in one era


TestMoney = Money.TestCase
TestMoney.settings = settings(max_examples=soak(8, 400), stateful_step_count=soak(10, 30), deadline=None)
