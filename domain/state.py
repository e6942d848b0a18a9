"""What the ledger knows after some entries: immutable values, nothing else.

Maps are persistent (``immutables.Map``): a new state shares all that did not change with the old one, so that a transition costs what it
changes, a refused statement leaves nothing behind, and any number of states live beside each other. Memory is bounded by what is open:
records leave the state when their era is paid, record ids soon after. What grows for ever is one small value for
each party, vault, key, delegation, erasure and deposit.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable
from typing import Literal, NamedTuple

from immutables import Map

from proofroom.domain.claims import Claim, Debt, Line, ListingFacts, MarketFacts, Openings, Repaying, Terms, Unlocking
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.keyring import Keyring
from proofroom.domain.merkle import Tree
from proofroom.domain.permits import AgentKeyFacts, GrantVersion, PayerFacts, Spent
from proofroom.domain.standing import Penalty, ValidatorFacts
from proofroom.domain.values import cheap_to_replace

RULES = 1
"""The rules version that this release writes."""


class Founding(NamedTuple):
    """What genesis fixed."""

    ledger: Digest
    origin: str
    rules: int
    ledger_key: KeyId
    checkpoint_key: KeyId
    bank_keys: tuple[KeyId, ...]
    unit: str


class UsageSum(NamedTuple):
    """Usage, summed: integers only."""

    cpu_ms: int = 0
    gpu_micro: int = 0
    byte_seconds: int = 0
    bytes_streamed: int = 0
    puts: int = 0
    gets: int = 0

    def plus(self, other: UsageSum) -> UsageSum:
        """The sum of both."""
        a, b, c, d, e, f = self
        u, v, w, x, y, z = other
        return UsageSum(a + u, b + v, c + w, d + x, e + y, f + z)


def sum_usage(usages: Iterable[UsageSum]) -> UsageSum:
    """The sum of all."""
    return UsageSum(*map(sum, zip(UsageSum(), *usages, strict=True)))


class Lot(NamedTuple):
    """Some records: how many, and their usage, summed."""

    records: int = 0
    usage: UsageSum = UsageSum()

    def plus(self, other: Lot) -> Lot:
        """Both together."""
        return Lot(self.records + other.records, self.usage.plus(other.usage))


Counts = tuple[int, ...]
"""A lot, flat: how many records, then the fields of their usage. Plain, since one is made for each record."""

Parties = tuple[KeyId, KeyId, str, Digest]
"""Agent, customer and node of a record, and the listing that it is sold under: empty where it is under none."""


Majority = Literal["unanimous", "two-thirds"]


class Parameters(NamedTuple):
    """The parameters of a cluster as integers: amounts in base units, ratios in 10^18ths."""

    cpu_second: int
    gpu_unit: int
    mib_streamed: int
    mib_stored_month: int
    put: int
    get: int
    treasury_share: int
    reserve_share: int
    validators_share: int
    committee: int
    escalations: int
    beacon_ms: int
    commit_ms: int
    reveal_ms: int
    cpu_tolerance: int
    gpu_tolerance: int
    bytes_tolerance: int
    cluster_bond: int
    validator_bond: int
    slash_floor: int
    slash_multiple: int
    suspend_after: int
    """0 when the cluster does not suspend."""
    era_seconds: int
    carries_late: bool = False
    """Whether what misses the seal goes to the next era."""


class NodeFacts(NamedTuple):
    """A node of a cluster. It is kept when it has left, so that its name and runtime key never serve another."""

    provider: KeyId
    runtime_key: KeyId
    status: Literal["admitted", "validated", "left", "removed"] = "validated"
    """Only a validated node works and gives its provider a seat."""
    offences: tuple[int, ...] = ()
    """Eras, of the last ten, in which it misreported."""


class Proposal(NamedTuple):
    """A proposal that is not decided, or passed and is not enacted."""

    proposer: KeyId
    change: bytes
    """As canonical JSON."""
    majority: Majority
    """In force when it was proposed."""
    deadline_ms: int
    votes: Map[KeyId, tuple[bool, str]] = Map()
    """Voter -> aye, and when it was signed."""
    passed_ms: int = -1
    """When it was decided to pass."""
    outcome: str = ""
    """Once an era's opening has taken it up: ``enacted``, or the code of the error why it lapsed."""
    terms: bytes = b""
    """The parameters after it, when it changed some."""


class Pending(NamedTuple):
    """A record on its way to a verdict."""

    log_index: int
    id: bytes
    """Statement id."""
    agent: KeyId
    customer: KeyId
    node: str
    usage: UsageSum
    terms: Terms | None = None
    """Of the listing that it is sold under."""
    signers: tuple[KeyId, ...] = ()
    """Who signed the record itself."""
    relied: tuple[tuple[KeyId, int], ...] = ()
    """What it relied on beside: who signed a grant, delegation, certificate, payer statement or listing, and at which index."""
    capped: bool = False
    """Whether a payer's cap applies."""


class Queue(NamedTuple):
    """The unsealed records of an orchestrator, oldest first: keys ``head`` to ``tail - 1`` of ``records``."""

    head: int = 0
    tail: int = 0
    records: Map[int, Pending] = Map()


@cheap_to_replace
class Cluster(NamedTuple):
    """A cluster between its eras."""

    manager: KeyId
    nodes: Map[str, NodeFacts]
    orchestrators: tuple[KeyId, ...]
    parameters: Parameters
    terms: bytes
    """The parameters as canonical JSON, which changes are made to."""
    majority: Majority = "unanimous"
    """Of the parameters: what a proposal that is made now needs."""
    opened: int = -1
    """The newest era that was opened; -1 before the first."""
    open: bool = False
    """Whether that era still takes records."""
    last_end: int = 0
    """End, in seconds, of the newest era that was sealed."""
    rounds: int = 0
    """Rounds so far; the next round has this number."""
    unpaid: tuple[int, ...] = ()
    """Eras that were opened and are not paid."""
    recent: Map[bytes, int] = Map()
    """Record ids of paid eras that are young enough to be tried again in a later one -> their index."""
    carried: Map[KeyId, Queue] = Map()
    """By orchestrator: late records that wait for the next era."""
    proposed: int = 0
    """Proposals so far; the next has this number."""
    proposals: Map[int, Proposal] = Map()
    """Those that are not yet decided or not yet enacted."""


class Ballot(NamedTuple):
    """A revealed vote: sets of batch positions as integers, bit ``i`` for position ``i``."""

    agree: int
    reject: int
    log_index: int = -1
    """Where it was revealed."""


class Judged(NamedTuple):
    """A round that is final, kept until its era is paid, since a compromise may yet take back what it decided."""

    records: tuple[Pending, ...]
    attested: int
    """Positions."""
    rejected: int
    """Positions."""
    least: int
    """Votes that it took."""
    votes: Map[KeyId, Ballot]
    heard: Map[KeyId, Ballot] = Map()
    """Those of earlier committees, who are paid where they said the same."""


@cheap_to_replace
class Era(NamedTuple):
    """An era that is not paid yet."""

    parameters: Parameters
    """In force when it opened."""
    first_index: int
    start: int
    """In seconds."""
    end: int
    """In seconds; planned while it is open."""
    ids: Map[bytes, int] = Map()
    """Record ids of this era -> their index."""
    queues: Map[KeyId, Queue] = Map()
    batches: int = 0
    open_rounds: int = 0
    sealed: bool = False
    attested: int = 0
    rejected: int = 0
    carried: int = 0
    """Records that came from the era before."""
    late: int = 0
    counted: Map[Parties, Counts] = Map()
    """The records that have left their queue: sealed in a batch, or refused as late."""
    unattested: Map[Parties, Counts] = Map()
    """Those of them that are final, and that no round attested."""
    terms: Map[Digest, Terms] = Map()
    """Of each listing in ``counted``."""
    inspected: Map[KeyId, int] = Map()
    """Records a validator judged as the round did."""
    misreported: Map[str, Lot] = Map()
    """By node: finally rejected records."""
    forfeited: Map[KeyId, int] = Map()
    """Validators that withheld a beacon value, with the round, or were removed (-1): they earn nothing in this era."""
    capped: Map[tuple[KeyId, KeyId], UsageSum] = Map()
    """Recorded usage by (customer, agent) where a payer's cap applies."""
    capped_fees: Map[tuple[KeyId, KeyId], int] = Map()
    """The most that listings' fees for it can come to."""
    judged: Map[int, Judged] = Map()
    """Rounds that decided anything, by number."""
    lines: tuple[Line, ...] = ()
    """The settlement, once computed."""
    stated: Tree = Tree()
    """Inner tree over the statement ids of the lines already stated."""


@cheap_to_replace
class Round(NamedTuple):
    """An attestation round that is not final."""

    era: int
    batch: int
    root: bytes
    records: tuple[Pending, ...]
    """All of the batch."""
    judged: int
    """The positions that this round judges."""
    eligible: tuple[KeyId, ...]
    """In key order, fixed at the seal; less those who sat on an earlier committee."""
    size: int
    """Of the committee to draw."""
    colluding: int
    """Assumed to collude: a third of those eligible at the seal, rounded down."""
    level: int = 0
    """How many committees came before."""
    heard: Map[KeyId, Ballot] = Map()
    """The votes of those committees."""
    reveals: Map[KeyId, bytes] = Map()
    digest: bytes = b""
    """Statement id of ``round-opened``; empty while the beacon is awaited."""
    committee: tuple[KeyId, ...] = ()
    missing: int = 0
    commit_until: int = 0
    reveal_until: int = 0
    commits: Map[KeyId, bytes] = Map()
    votes: Map[KeyId, Ballot] = Map()


class Due(NamedTuple):
    """Something the ledger itself must state from ``at_ms`` on. Ordered by time, then by what it is about."""

    at_ms: int
    """0 for the settlement of an era, which nothing may come between; -1 for penalties, which come before even that."""
    subject: str
    """Such as ``"round"`` or ``"era"``: what derives it is in the table of ``transition.py``."""
    cluster: str
    number: int


@cheap_to_replace
class State(NamedTuple):
    """The state after ``size`` entries."""

    size: int = 0
    recorded_at_ms: int = 0
    founding: Founding | None = None
    keyrings: Map[KeyId, Keyring] = Map()
    """By identity, for those that ever changed a key or set a recovery key."""
    later_keys: Map[KeyId, KeyId] = Map()
    """Every other key of an identity -> the identity. A key is one's own for ever."""
    last_compromise: int = -1
    """Index of the newest compromise."""
    vaults: Map[str, KeyId] = Map()
    grants: Map[tuple[KeyId, KeyId], GrantVersion] = Map()
    """By (user, agent service)."""
    delegations: Map[tuple[KeyId, KeyId], Map[KeyId, GrantVersion]] = Map()
    """By (user, agent service), then by who passed it on."""
    delegated: Map[Digest, tuple[KeyId, KeyId, KeyId]] = Map()
    """Every version of a delegation -> user, agent service, delegator."""
    spent: Map[tuple[KeyId, KeyId, KeyId, str], Spent] = Map()
    """By (user, agent service, delegator, cluster), where limits count; no cluster when they are per grant, no delegator for a grant."""
    agent_keys: Map[KeyId, AgentKeyFacts] = Map()
    payers: Map[tuple[KeyId, KeyId, str], PayerFacts] = Map()
    """By (customer, agent service, cluster)."""
    erased: Map[str, int] = Map()
    """What was erased, as ``vault / scope: what`` -> index. Kept for ever."""
    clusters: Map[str, Cluster] = Map()
    validators: Map[str, Map[KeyId, ValidatorFacts]] = Map()
    """By cluster, then key."""
    eras: Map[tuple[str, int], Era] = Map()
    rounds: Map[tuple[str, int], Round] = Map()
    balances: Map[str, int] = Map()
    """By account; they sum to zero."""
    deposits: Map[tuple[KeyId, str], int] = Map()
    """(bank, reference) -> index. Kept for ever: a reference pays once."""
    marketplaces: Map[str, MarketFacts] = Map()
    listings: Map[tuple[KeyId, str], ListingFacts] = Map()
    """By (agent service, its name of the listing)."""
    offers: Map[Digest, Terms] = Map()
    """Versions of listings in force."""
    debts: Map[tuple[str, KeyId], tuple[Debt, ...]] = Map()
    """By (cluster, customer), the oldest era first."""
    claims: Map[tuple[str, int], Claim] = Map()
    """By (cluster, era), while anything is owed for it."""
    repaying: Map[tuple[str, int], Repaying] = Map()
    """By (cluster, index of the deposit)."""
    unlocking: Map[str, Unlocking] = Map()
    """By account, for those of which money was ever asked back."""
    openings: Map[int, Openings] = Map()
    """What is being unlocked, by how long it waits in ms."""
    penalties: tuple[Penalty, ...] = ()
    """Offences that are established and whose penalty is not stated yet."""
    agenda: tuple[Due, ...] = ()
    """What the ledger will have to state, soonest first."""

    @property
    def ledger(self) -> Digest:
        """The digest that statements for this ledger name; empty before genesis."""
        return self.founding.ledger if self.founding is not None else Digest("")


def schedule(agenda: tuple[Due, ...], due: Due) -> tuple[Due, ...]:
    """The agenda with one appointment for the subject of ``due``: this one."""
    rest = unschedule(agenda, due)
    at = bisect(rest, due)
    return (*rest[:at], due, *rest[at:])


def unschedule(agenda: tuple[Due, ...], due: Due) -> tuple[Due, ...]:
    """The agenda without any appointment for the subject of ``due``."""
    subject = due[1:]
    at = next((i for i, d in enumerate(agenda) if d[1:] == subject), len(agenda))
    return agenda[:at] + agenda[at + 1 :]
