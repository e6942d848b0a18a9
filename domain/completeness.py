"""Completeness: an era's commitment to what each agent and each customer recorded, and how an omission is proven (protocol 6).

``era-paid`` names the root of an inner tree with one leaf a party: how many records, how many attested, and the sums of what was recorded.
Whoever holds receipts of records asks the ledger for the party's leaf and its path, or for all leaves. If the leaf counts less than the
receipts hold, or there is no leaf, the two together show that the ledger left work out: all of it is signed by the ledger itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from proofroom.domain import canonical, hashing, merkle
from proofroom.domain.activity import usage_of
from proofroom.domain.errors import BadProof
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.state import UsageSum, sum_usage
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.settlement import EraPaid

Party = Literal["agent", "customer"]


class Counted(NamedTuple):
    """A leaf: what the ledger counted for one party in one era."""

    party: Party
    key: KeyId
    recorded: int
    attested: int
    usage: UsageSum
    """Of all that was recorded."""


class LeafProof(NamedTuple):
    """A leaf and its place in the era's tree."""

    leaf: bytes
    position: int
    size: int
    path: tuple[bytes, ...]


def parse_leaf(leaf: bytes) -> Counted:
    """What a leaf says.

    Raises:
        BadProof: it is no leaf of a completeness tree.
    """
    try:
        value = canonical.decode(leaf)
        usage = UsageSum(*(int(value[name]) for name in UsageSum._fields))
        return Counted(value["party"], KeyId(value["key"]), value["recorded"], value["attested"], usage)
    except (KeyError, TypeError, ValueError):
        raise BadProof(why="not a leaf of a completeness tree") from None


def prove_leaf(leaves: Sequence[bytes], party: Party, key: KeyId) -> LeafProof | None:
    """The proof of a party's leaf, from all leaves of an era; None when the era counts nothing for it."""

    def node(height: int, k: int) -> bytes:
        return merkle.root_of(leaves[k << height : (k + 1) << height])

    for index, leaf in enumerate(leaves):
        if parse_leaf(leaf)[:2] == (party, key):
            path = merkle.inclusion_path(index, len(leaves), node, merkle.INNER)
            return LeafProof(leaf, index, len(leaves), tuple(path))
    return None


def verify_leaf(paid: EraPaid, proof: LeafProof) -> Counted:
    """What the era counted for a party, once the path leads from the leaf to the root that ``era-paid`` names.

    Raises:
        BadProof: it leads elsewhere, or this is no leaf.
    """
    root = hashing.untagged(paid.completeness_root)
    merkle.verify_inclusion(merkle.INNER.leaf(proof.leaf), proof.position, proof.size, proof.path, root, merkle.INNER)
    return parse_leaf(proof.leaf)


def verify_leaves(paid: EraPaid, leaves: Sequence[bytes], party: Party, key: KeyId) -> Counted | None:
    """What the era counted for a party, from all its leaves; None when there is none for it, which these then prove.

    Raises:
        BadProof: these are not the leaves that ``era-paid`` commits to.
    """
    if hashing.tagged(merkle.root_of(leaves)) != paid.completeness_root:
        raise BadProof(why="these are not all leaves of the era")
    return next((c for c in map(parse_leaf, leaves) if c[:2] == (party, key)), None)


def find_omission(
    paid: EraPaid, party: Party, key: KeyId, counted: Counted | None, records: Mapping[Digest, Activity]
) -> str | None:
    """What a party's records, of which somebody holds receipts, show to be missing in what the era counted; None when nothing is.

    Records are given by statement id. Those of another era or party say nothing and are passed over.
    """
    return find_omission_over([(paid, counted)], party, key, records)


def find_omission_over(
    eras: Sequence[tuple[EraPaid, Counted | None]], party: Party, key: KeyId, records: Mapping[Digest, Activity]
) -> str | None:
    """The same over consecutive eras of a cluster, each of which may have left late records to the next.

    So an era cannot hide what it left out behind the late records that it counts: those are counted once, in one of these, or are among
    what the last one left.

    Raises:
        ValueError: the eras do not follow each other.
    """
    numbers = [(paid.cluster, paid.era) for paid, _ in eras]
    if not eras or numbers != [(numbers[0][0], numbers[0][1] + i) for i in range(len(eras))]:
        raise ValueError("not consecutive eras of one cluster")
    mine = [r for r in records.values() if (r.cluster, r.era) in numbers and getattr(r, party) == key]
    leaves = [counted for _, counted in eras if counted is not None]
    recorded, carried = sum(leaf.recorded for leaf in leaves), eras[-1][0].carried
    what = "the era counts" if len(eras) == 1 else "the eras count"
    if len(mine) > recorded + carried:
        return f"{what} {recorded} records of {key}, the receipts hold {len(mine)}"
    if carried:
        return None  # any of them may be among those that the next era counts
    held, told = sum_usage(map(usage_of, mine)), sum_usage(leaf.usage for leaf in leaves)
    for name, of_receipts, of_eras in zip(UsageSum._fields, held, told, strict=True):
        if of_receipts > of_eras:
            return f"{what} {of_eras} {name} of {key}, the receipts hold {of_receipts}"
    return None
