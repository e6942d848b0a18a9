"""The verifier's files: their limits and order, the log's key, checkpoints kept elsewhere, witnesses, and what qualifies a verdict."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import orjson
import pytest

from proofroom.adapters import proving
from proofroom.adapters.proving import Prover
from proofroom.domain import merkle, recount
from proofroom.domain.checkpoint import Checkpoint, sign_checkpoint, verifier_key
from proofroom.domain.errors import ProofImpossible
from proofroom.domain.verifier import BadTrust, Report, Trust, Verdict, proof, verify
from proofroom.domain.verifier import entry as v_entry
from proofroom.domain.verifier import note as v_note
from proofroom.domain.verifier import tree as v_tree
from proofroom.domain.verifier.verdict import Fault
from proofroom.testing.histories import ORIGIN
from proofroom.testing.keys import key
from strategies.forging import become, body_at, forge, indexes, proven_history, set_to

LOG = v_note.parse_key(verifier_key(ORIGIN, key("checkpoint").keyid))
MINE = Trust(keys=(LOG,))
SIZE = len(proven_history().entries)
LOG_KEYID = key("checkpoint").keyid
WORK = indexes("activity")[3]


@cache
def prover() -> Prover:
    """The honest history."""
    return forge()


@cache
def record_file() -> bytes:
    """A record, proven."""
    return prover().record(body_at(WORK)["record_id"])


@cache
def receipt() -> str:
    """Of one entry."""
    return prover().receipt(5).to_tlog_proof()


def check(trust: Trust | None = None, **changes: Any) -> Report:
    """The report on the record's file with other parts."""
    return recount.verify(orjson.dumps(orjson.loads(record_file()) | changes), trust)


def b64(raw: bytes) -> str:
    """As files write bytes."""
    return base64.b64encode(raw).decode()


# --- the file


@pytest.mark.parametrize(
    "changes", [{"format": "proofroom.proof.v0"}, {"format": "zzz"}, {"format": 1}, {"format": None}, {"more": 1}]
)
def test_format(changes: dict[str, Any]) -> None:
    """Exactly this one, with no key besides."""
    assert "not of the format" in check(**changes).why
    assert verify(b" \n" + record_file()).verdict is Verdict.VALID
    more: dict[str, Any] = dict.fromkeys(proof.KEYS - orjson.loads(record_file()).keys(), 0)
    assert check(**more).verdict is Verdict.VALID


@pytest.mark.parametrize("claim", ["a", "zzz", "payout"])
def test_claims(claim: str) -> None:
    """The verifier of receipts knows two, and no payment."""
    file = orjson.dumps(orjson.loads(record_file()) | {"claim": claim})
    assert verify(file).why == "the file makes a claim that this verifier does not know"


def test_one_entry() -> None:
    """A receipt is of one entry, not of several."""
    entries = orjson.loads(record_file())["entries"]
    assert check(claim="entry", entries=entries[:1]).verdict is Verdict.VALID
    for several in (entries[:2], entries[:3]):
        assert "more than one entry" in check(claim="entry", entries=several).why


def test_length_of_a_path() -> None:
    """128 hashes are too many for this tree, 129 for any; in either form of file."""
    assert (proof.MAX_PATH, proof.MAX_FILE) == (128, 67_108_864)
    entries = orjson.loads(record_file())["entries"]
    for count, why in ((128, "the path is too long"), (129, "longer than any tree is high")):
        entries[0]["path"] = [b64(bytes(32))] * count
        assert why in check(entries=entries).why
    head, middle, rest = receipt().partition("index 5\n")
    note = rest[rest.index("\n\n") :]
    for count, why in ((128, "the path is too long"), (129, "not a tlog-proof")):
        file = head + middle + "\n".join([b64(bytes(32))] * count) + note
        assert why in verify(file.encode(), MINE).why


def test_index_of_a_receipt() -> None:
    """What stands in the file is what the entry says."""
    for index in (4, 6, 50, 0):
        assert "the index is not that" in verify(receipt().replace("index 5\n", f"index {index}\n").encode(), MINE).why


def entries_of(*places: tuple[int, int]) -> list[v_entry.Entry]:
    """Entries at these indexes and times."""
    return [v_entry.Entry(index, time, "tick", "", frozenset(), {}) for index, time in places]


def test_order() -> None:
    """Indexes rise; times stay or rise."""
    proof.check_order(entries_of((0, 5), (1, 5), (9, 6)))
    for places in (((1, 5), (1, 5)), ((2, 5), (1, 5)), ((0, 5), (1, 4)), ((300, 5), (300, 5))):
        with pytest.raises(Fault, match="out of order"):
            proof.check_order(entries_of(*places))


# --- the log


def test_which_of_several_keys() -> None:
    """Of several trusted keys of one log, the one that signed; if none did, the file is not of that log."""
    others = tuple(v_note.parse_key(verifier_key(ORIGIN, key(name).keyid)) for name in ("a", "b"))
    away = tuple(v_note.parse_key(verifier_key(name, LOG_KEYID)) for name in ("a.example", "zzz.example"))
    file = receipt().encode()
    for keys in ((LOG,), (*others, LOG), (LOG, *others), (*away, LOG), (LOG, *away), (*away, *others, LOG)):
        assert verify(file, Trust(keys=keys)).verdict is Verdict.VALID
        assert verify(record_file(), Trust(keys=keys)).verdict is Verdict.VALID
    assert "is not signed by" in verify(file, Trust(keys=others)).why
    for keys in (others, away):
        assert "a log that you do not trust" in verify(record_file(), Trust(keys=keys)).why
    assert "a log that you do not trust" in verify(file, Trust(keys=away)).why


def test_genesis_is_the_first_entry() -> None:
    """Of its kind, and at index 0."""
    entries = orjson.loads(record_file())["entries"]
    assert "does not begin with genesis" in check(entries=entries[1:]).why
    signers = [key("ledger"), key("checkpoint")]
    second = forge({1: become(body_at(0))}, signers={1: signers}, kinds={1: "genesis"})
    for forged, first in ((forge(kinds={0: "tick"}), 0), (second, 1)):
        file = forged._write("record", {first, WORK}, {"batch": {"position": 0, "path": []}})
        assert recount.verify(file).why == "the file does not begin with genesis"


@pytest.mark.parametrize("digest", ["blake3:" + "0" * 64, "blake3:" + "f" * 64])
def test_statements_of_another_ledger(digest: str) -> None:
    """Whichever way it compares, and wherever it stands in the file."""
    for index in (indexes("grant")[0], indexes("batch-sealed")[1], indexes("round-tallied")[1]):
        report = verify(forge({index: set_to("ledger", digest)}).record(body_at(WORK)["record_id"]))
        assert (report.at, report.why) == (index, "it was signed for another ledger")


def founded(genesis: str, *more: v_entry.Entry) -> list[v_entry.Entry]:
    """What is left of entries below a first one of this kind."""
    body = {"ledger_key": "l", "checkpoint_key": LOG_KEYID, "ledger_recovery_key": "m", "checkpoint_recovery_key": "d"}
    first = v_entry.Entry(0, 0, genesis, "g", frozenset(("l", LOG_KEYID)), body | {"origin": ORIGIN})
    return proof.check_genesis(proof.File("", LOG, v_note.parse_note(prover().note), [], {}), [first, *more])


def test_kinds_of_a_ledger() -> None:
    """The first entry is a genesis; all others name it, except a wallet's grant in its wire form."""
    wire = v_entry.Entry(1, 0, b"grant-wire".decode(), "", frozenset(), {})
    assert len(founded("genesis", wire)) == 2
    for kind in ("aaa", "zzz"):
        with pytest.raises(Fault, match="does not begin with genesis"):
            founded(kind)
        with pytest.raises(Fault, match="has no str ledger"):
            founded("genesis", wire, v_entry.Entry(2, 0, kind, "", frozenset(), {}))


@pytest.mark.parametrize("name", ["origin", "checkpoint_key"])
@pytest.mark.parametrize("lower", [True, False])
def test_genesis_of_another_log(name: str, lower: bool) -> None:
    """Another origin or key, whichever way it compares."""
    other = ("aaa" if lower else "zzz") if name == "origin" else _key_beside(LOG_KEYID, lower=lower).keyid
    signers = [key("ledger"), key("checkpoint") if name == "origin" else _key_beside(LOG_KEYID, lower=lower)]
    file = forge({0: set_to(name, other)}, signers={0: signers}).record(body_at(WORK)["record_id"])
    assert "genesis names another log, or another key" in verify(file).why


def _key_beside(keyid: str, *, lower: bool) -> Any:
    """A key whose name stands before this one in order, or behind it."""
    return next(k for i in range(100) if ((k := key(f"beside {i}")).keyid < keyid) is lower)


# --- what the reader kept


def kept(size: int, root: bytes | None = None) -> Trust:
    """A checkpoint of the log, of the honest root unless another is given."""
    node = prover().store.node
    root = root or merkle.root(merkle.Tree(size, tuple(node(*peak) for peak in merkle.peaks_of(size))))
    return Trust(known=v_note.parse_note(sign_checkpoint(Checkpoint(ORIGIN, size, root), key("checkpoint"))))


def test_another_tree_of_the_same_size() -> None:
    """Is a fork, whichever way its root compares."""
    for root in (bytes(31) + b"\1", b"\xff" * 32):
        report = verify(record_file(), kept(SIZE, root))
        assert (report.verdict, report.why) == (Verdict.FORKED, f"the log signed two trees of {SIZE} entries")


@pytest.mark.parametrize("size", [SIZE + 1, SIZE + 300])
def test_a_longer_log(size: int) -> None:
    """The file must be as new as what was kept."""
    report = verify(record_file(), kept(size, bytes(31) + b"\1"))
    assert (report.verdict, "ask for a newer one" in report.why) == (Verdict.INCOMPLETE, True)


def test_a_shorter_log() -> None:
    """A proof from exactly the size that was kept, and from one leaf on; a checkpoint over nothing needs none."""
    for size in (1, 2, 70, SIZE - 1):
        file = Prover(prover().store, LOG_KEYID, size).entry(WORK)
        report = verify(file, kept(size))
        assert (report.verdict, report.notes[-1]) == (
            Verdict.VALID,
            f"it extends the checkpoint of {size} entries that was kept",
        )
        for other in (size - 1, size + 1):
            if 0 < other < SIZE:
                report = verify(file, kept(other))
                assert (report.verdict, "no proof that its log extends" in report.why) == (Verdict.INCOMPLETE, True)
        for root in (bytes(31) + b"\1", b"\xff" * 32):
            report = verify(file, kept(size, root))
            assert (report.verdict, "does not extend" in report.why) == (Verdict.FORKED, True)
    assert verify(record_file(), kept(0)).verdict is Verdict.VALID


def test_sizes_are_compared_as_numbers() -> None:
    """Also those beyond what Python keeps once."""

    def joined(known: int, own: int, root: bytes = bytes(32)) -> list[str]:
        head = sign_checkpoint(Checkpoint(ORIGIN, own, root), key("checkpoint"))
        value = {"consistency": {"size": int(str(known)), "path": []}}
        file = proof.File("", LOG, v_note.parse_note(head), [], value)
        known_head = v_note.parse_note(sign_checkpoint(Checkpoint(ORIGIN, known, bytes(32)), key("checkpoint")))
        return proof._check_known(file, Trust(known=known_head), LOG)

    assert joined(300, 300) == ["it extends the checkpoint of 300 entries that was kept"]
    for known, own in ((300, 300), (300, 301), (256, 300)):
        with pytest.raises(Fault) as raised:
            joined(known, own, b"\1" * 32)
        assert raised.value.verdict is Verdict.FORKED


# --- who else saw it


def witness(name: str) -> v_note.Key:
    """A witness's key."""
    public = bytes.fromhex(key(name).keyid[8:])
    return v_note.Key(name, v_note.key_id(name, 4, public), 4, public)


def cosigned(*names: str) -> str:
    """The log's note with these cosignatures."""
    note = prover().note
    for name in names:
        signature = key(name).sign(b"cosignature/v1\ntime 5\n" + note.partition("\n\n")[0].encode() + b"\n")
        note += f"— {name} {b64(witness(name).id + (5).to_bytes(8, 'big') + signature)}\n"
    return note


def test_quorum() -> None:
    """Who cosigned is said by name; too few are UNWITNESSED."""
    trust = Trust(witnesses=tuple((n, witness(n)) for n in "abc"), groups=(("g", 2, ("a", "b", "c")),), quorum="g")
    report = check(trust, checkpoint=cosigned("b", "a"))
    assert (report.verdict, report.notes[-1]) == (Verdict.VALID, "cosigned by a, b")
    assert check(trust._replace(strict=True), checkpoint=cosigned("b", "a")).verdict is Verdict.VALID
    for names in ((), ("c",)):
        report = check(trust, checkpoint=cosigned(*names))
        assert report.verdict is Verdict.UNWITNESSED
        assert report.why == f"{len(names)} of 3 trusted witnesses cosigned, which is no quorum"
    one = trust._replace(groups=(), quorum="none")
    assert check(one, checkpoint=cosigned("c")).notes[-1] == "cosigned by c"


def test_what_a_strict_reader_is_told() -> None:
    """Without witnesses UNWITNESSED, unless a checkpoint was kept; ERASED in any case but that; otherwise both only in notes."""
    erased = forge(
        {indexes("erased")[0]: set_to("what", f"{body_at(WORK)['result_hash']} of {body_at(WORK)['record_id']}")}
    )
    gone = orjson.loads(erased.record(body_at(WORK)["record_id"]))
    assert any(v_entry.parse_entry(base64.b64decode(e["entry"])).kind == "erased" for e in gone["entries"])
    head = v_note.parse_note(gone["checkpoint"])
    for file, known, verdict in (
        (orjson.loads(record_file()), None, Verdict.UNWITNESSED),
        (orjson.loads(record_file()), kept(SIZE).known, Verdict.VALID),
        (gone, None, Verdict.UNWITNESSED),
        (gone, head, Verdict.ERASED),
    ):
        for strict in (True, False):
            report = recount.verify(orjson.dumps(file), Trust(known=known, strict=strict))
            assert report.verdict is (verdict if strict else Verdict.VALID), report.sentence()
            assert any(n.startswith("UNWITNESSED") for n in report.notes) is (known is None)
            assert any(n.startswith("ERASED") for n in report.notes) is (file is gone)


def test_a_file_that_no_verifier_would_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is not made."""
    assert proof.MAX_FILE == 64 * 2**20
    name, size = body_at(WORK)["record_id"], len(prover().record(body_at(WORK)["record_id"]))
    monkeypatch.setattr(proving, "MAX_FILE", size)
    assert len(prover().record(name)) == size
    monkeypatch.setattr(proving, "MAX_FILE", size - 1)
    with pytest.raises(ProofImpossible, match="audit the log instead"):
        prover().record(name)


def test_no_key_at_all() -> None:
    """A receipt names none: without one the reader is asked for it."""
    with pytest.raises(BadTrust, match="names no key of its log"):
        verify(receipt().encode())


# --- trees


def test_the_last_leaf_of_a_large_tree() -> None:
    """And all others, with numbers beyond a byte."""
    leaves = [bytes([i % 256, i // 256]) * 16 for i in range(700)]
    nodes: dict[tuple[int, int], bytes] = {}
    tree = merkle.Tree()
    for leaf in leaves:
        for height, completed in enumerate((found := merkle.append(tree, leaf))[1]):
            nodes[height, tree.size >> height] = completed
        tree = found[0]
    for index in (0, 255, 256, 257, 511, 512, 600, 699):
        path = merkle.inclusion_path(index, 700, lambda h, k: nodes[h, k])
        v_tree.check_inclusion(leaves[index], index, 700, path, merkle.root(tree))
