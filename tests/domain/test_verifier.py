"""The verifier on files: their form, the log's key, the tree, genesis, checkpoints kept elsewhere, and that it stands alone."""

from __future__ import annotations

import ast
import base64
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

import proofroom.domain.verifier
from proofroom.adapters.proving import Prover
from proofroom.domain import merkle, recount
from proofroom.domain.checkpoint import Checkpoint, sign_checkpoint, verifier_key
from proofroom.domain.policy import checkpoint_of
from proofroom.domain.verifier import BadTrust, Report, Trust, Verdict, verify
from proofroom.domain.verifier import note as v_note
from proofroom.testing.histories import ORIGIN
from proofroom.testing.keys import key
from strategies.forging import forge, indexes, proven_history, prover, root_at, set_to

PACKAGE = Path(proofroom.domain.verifier.__file__).parent
LOG = v_note.parse_key(verifier_key(ORIGIN, key("checkpoint").keyid))
MINE = Trust(keys=(LOG,))
SIZE = len(proven_history().entries)
WORK, BATCH = indexes("activity")[3], indexes("batch-sealed")[1]


@cache
def record_file() -> bytes:
    """A record, proven."""
    name = orjson.loads(prover().store.read(WORK, 1)[0].state)["record_id"]
    return prover().record(name)


def check(value: Any, trust: Trust | None = None) -> Report:
    """The report on a file of JSON."""
    return recount.verify(orjson.dumps(value), trust)


def fresh() -> Any:
    """A record file, to change."""
    return orjson.loads(record_file())


def b64(raw: bytes) -> str:
    """As files write bytes."""
    return base64.b64encode(raw).decode()


# --- it stands alone


def test_needs_nothing_else() -> None:
    """With every other package blocked it imports and verifies; of proofroom it loads itself and the recount."""
    program = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("proofroom", "nacl", "_cffi_backend", "cffi", "blake3"):
            return None
        raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
for name in [n for n in sys.modules if n.partition(".")[0] in ("pydantic", "duckdb", "eventsourcing", "orjson", "immutables")]:
    raise SystemExit(f"{name} was loaded before")
from proofroom.domain import policy, recount
print(recount.verify(sys.stdin.buffer.read()).verdict.name)
print(sorted(n for n in sys.modules if n.startswith("proofroom")))
"""
    done = subprocess.run([sys.executable, "-c", program], input=record_file(), capture_output=True, check=True)
    verdict, modules = done.stdout.decode().splitlines()
    assert verdict == "VALID"
    own = {"proofroom", "proofroom.domain", "proofroom.domain.policy", "proofroom.domain.recount"}
    own.add("proofroom.domain.recount_lines")
    parts = {
        f"proofroom.domain.verifier{part}"
        for part in ("", ".entry", ".keys", ".note", ".proof", ".record", ".tree", ".verdict")
    }
    assert set(ast.literal_eval(modules)) == own | parts


def test_is_small() -> None:
    """Lines of code, blank lines, comments and docstrings not counted: the verifier of receipts, and with what records and money claim."""
    sizes = {file.name: len(code_lines(file)) for file in [*PACKAGE.glob("*.py"), *PACKAGE.parent.glob("recount*.py")]}
    assert 300 < sum(size for name, size in sizes.items() if not name.startswith("rec")) < 600
    assert sum(sizes.values()) < 1_200


def code_lines(file: Path) -> set[int]:
    """The lines of a file that hold code."""
    tree = ast.parse(file.read_text())
    docs = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    text = file.read_text().splitlines()
    return {i for i, line in enumerate(text, 1) if line.strip() and not line.strip().startswith("#") and i not in docs}


def test_every_verdict_has_a_meaning() -> None:
    """One table: exit status and title; docs/verify.md has them all."""
    page = (Path(__file__).parents[2] / "docs" / "verify.md").read_text()
    assert all(f"| `{v.title}` | {v.value} |" in page for v in Verdict)
    assert [v.value for v in Verdict] == [0, 10, 11, 12, 13, 14, 15, 16]
    assert Verdict.REVOKED_GRANT.title == "REVOKED-GRANT"
    assert Report(Verdict.INVALID, "why", 3, ("note",)).sentence() == "INVALID at 3: why; note"


# --- the file


def test_tlog_proof() -> None:
    """A C2SP tlog-proof is a receipt by itself, once the log's key is known; each line has one form."""
    text = prover().receipt(5).to_tlog_proof()
    report = verify(text.encode(), MINE)
    assert report == Report(
        Verdict.VALID, f"entry 5, of kind validator-registered, is in the log of {SIZE} entries", None, report.notes
    )
    assert [note.partition(":")[0] for note in report.notes] == ["UNWITNESSED"]
    with pytest.raises(BadTrust, match="names no key"):
        verify(text.encode())
    head, _, rest = text.partition("index 5\n")
    for changed in (
        text.replace("@v1", "@v2"),
        text.replace("index 5", "index 05"),
        text.replace("index 5", "index 6"),
        text.replace("extra ", "extra  "),
        text.replace("\nextra", "\n\nextra"),
        head + "index 5\n" + rest.partition("\n")[2],
        text.replace("extra AAAA", "extra AAA="),
        text + "\n",
        text[:-1],
        head + "index 5\n" + rest.partition("\n")[0] + "\n" + rest,
    ):
        assert verify(changed.encode(), MINE).verdict is Verdict.INVALID, changed


BROKEN: dict[str, tuple[str, Callable[[Any], object]]] = {
    "format": ("not of the format", lambda f: f.update(format="proofroom.proof.v2")),
    "claim": ("a claim that this verifier does not know", lambda f: f.update(claim="everything")),
    "no claim": ("claim is missing", lambda f: f.pop("claim")),
    "log": ("verifier key", lambda f: f.update(log=f["log"].replace("+", "++", 1))),
    "key hash": ("verifier key", lambda f: f.update(log=_other_hash(f["log"]))),
    "no entries": ("the file has no entry", lambda f: f.update(entries=[])),
    "entries": ("entries is missing", lambda f: f.update(entries={})),
    "entry": ("entry is missing", lambda f: f["entries"][0].update(entry=None)),
    "not base64": ("not base64", lambda f: f["entries"][0].update(entry="A")),
    "other base64": ("not base64", lambda f: f["entries"][3]["path"].append(f["entries"][3]["path"].pop()[:-2] + "h=")),
    "short hash": ("not base64 of its length", lambda f: f["entries"][0]["path"].append(b64(bytes(31)))),
    "long path": ("longer than any tree", lambda f: f["entries"][0].update(path=[b64(bytes(32))] * 129)),
    "path too long": ("the path is too long", lambda f: f["entries"][0]["path"].append(b64(bytes(32)))),
    "path too short": ("the path is too short", lambda f: f["entries"][0]["path"].pop()),
    "path of another": ("the path leads to another root", lambda f: f["entries"][0]["path"].reverse()),
    "batch": ("batch is missing", lambda f: f.pop("batch")),
    "position": ("position is missing", lambda f: f["batch"].update(position="0")),
    "position beyond": ("there is no leaf 9", lambda f: f["batch"].update(position=9)),
    "order": ("an entry is out of order", lambda f: f["entries"].append(f["entries"].pop(1))),
    "entry twice": ("an entry is out of order", lambda f: f["entries"].insert(1, f["entries"][1])),
    "no genesis": ("does not begin with genesis", lambda f: f["entries"].pop(0)),
    "checkpoint": ("not three lines", lambda f: f.update(checkpoint=f["checkpoint"].replace("\n", "\n\n", 1))),
    "origin": ("a log that you do not trust", lambda f: f.update(checkpoint="x" + f["checkpoint"])),
    "size": (
        "does not verify",
        lambda f: f.update(checkpoint=f["checkpoint"].replace(f"\n{SIZE}\n", f"\n{SIZE + 1}\n")),
    ),
    "no signature of the log": (
        "is not signed by",
        lambda f: f.update(checkpoint=f["checkpoint"].replace("— ", "— x")),
    ),
}


def _other_hash(text: str) -> str:
    name, hash, blob = text.split("+", 2)
    return f"{name}+{int(hash, 16) ^ 1:08x}+{blob}"


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file(name: str) -> None:
    """One thing in the file is wrong, and it is what the report names."""
    why, change = BROKEN[name]
    value = fresh()
    change(value)
    report = check(value, MINE)
    assert report.verdict is Verdict.INVALID
    assert why in report.why, report.sentence()


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"format":1,"format":2}', b"[" * 100_000, b'{"a":' * 50_000, b'{"n":1e999}', b'{"n":NaN}',
     b'{"n":' + b"9" * 5000 + b"}", b"c2sp.org/", b'{"format":"proofroom.proof.v1"}', b'{"a":"\\ud800"}'],
)  # fmt: skip
def test_what_is_no_file(data: bytes) -> None:
    """Anything else is INVALID too, and nothing but a report comes out."""
    assert recount.verify(data, MINE).verdict is Verdict.INVALID
    with pytest.raises(BadTrust):
        checkpoint_of(data)


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the limit is not parsed."""
    monkeypatch.setattr("proofroom.domain.verifier.proof.MAX_FILE", len(record_file()) - 1)
    assert "larger than" in verify(record_file()).why
    monkeypatch.setattr("proofroom.domain.verifier.proof.MAX_FILE", len(record_file()))
    assert verify(record_file()).verdict is Verdict.VALID


# --- the log's key, and genesis


def test_whose_word_the_key_is() -> None:
    """Without a key from elsewhere the report says so; with another log's the file is refused; any of several may fit."""
    assert any("the file's own claim" in note for note in verify(record_file()).notes)
    assert not any("own claim" in note for note in verify(record_file(), MINE).notes)
    other = v_note.parse_key(verifier_key(ORIGIN, key("stranger").keyid))
    assert f"a log that you do not trust, {ORIGIN} with another key" in verify(record_file(), Trust(keys=(other,))).why
    assert verify(record_file(), Trust(keys=(other, LOG))).verdict is Verdict.VALID
    receipt = prover().receipt(5).to_tlog_proof().encode()
    assert verify(receipt, Trust(keys=(other, LOG))).verdict is Verdict.VALID
    assert "is not signed by" in verify(receipt, Trust(keys=(other,))).why
    elsewhere = v_note.parse_key(verifier_key("example.org/other", key("checkpoint").keyid))
    assert verify(receipt, Trust(keys=(elsewhere,))).why.endswith(f"a log that you do not trust, {ORIGIN}")


def test_a_witness_key_is_no_log_key() -> None:
    """A key of type 4 cosigns; it does not make a log's checkpoint."""
    value = fresh()
    public = LOG.public
    id = v_note.key_id(ORIGIN, 4, public)
    value["log"] = f"{ORIGIN}+{id.hex()}+{b64(bytes([4]) + public)}"
    note = v_note.parse_note(value["checkpoint"])
    value["checkpoint"] = note.text.decode() + f"\n— {ORIGIN} {b64(id + note.signatures[0][2])}\n"
    assert "is not signed by" in check(value).why


FOUNDED = {
    "genesis by the ledger key alone": ("the genesis is not signed", {}, {0: [key("ledger")]}),
    "genesis of another origin": (
        "genesis names another log, or another key",
        {0: set_to("origin", "example.org/other")},
        {},
    ),
    "genesis with another checkpoint key": (
        "genesis names another log, or another key",
        {0: set_to("checkpoint_key", key("stranger").keyid)},
        {0: [key("ledger"), key("stranger")]},
    ),
    "statement for another ledger": (
        "signed for another ledger",
        {BATCH: set_to("ledger", "blake3:" + "0" * 64)},
        {},
    ),
}


@pytest.mark.parametrize("name", FOUNDED)
def test_genesis(name: str) -> None:
    """The file is of the ledger that its genesis founds."""
    why, changes, signers = FOUNDED[name]
    forged = forge(changes, signers=signers)
    record_id = orjson.loads(forged.store.read(WORK, 1)[0].state)["record_id"]
    report = verify(forged.record(record_id))
    assert (report.verdict, why in report.why) == (Verdict.INVALID, True), report.sentence()


def test_a_first_entry_that_is_no_genesis() -> None:
    """Genesis has index 0 and its kind."""
    value = fresh()
    del value["entries"][0]
    assert "does not begin with genesis" in check(value).why


def test_time_goes_back() -> None:
    """Recorded times do not fall."""
    forged = forge(times={WORK: 1})
    record_id = orjson.loads(forged.store.read(WORK, 1)[0].state)["record_id"]
    assert "an entry is out of order" in verify(forged.record(record_id)).why


def test_both_signatures_of_one_key_must_verify() -> None:
    """A note that carries a wrong signature of a known key is refused whole (signed-note)."""
    line = prover().note.splitlines()[-1]
    wrong = line[:-6] + ("AAAAA=" if not line.endswith("AAAAA=") else "BAAAA=")
    value = fresh()
    value["checkpoint"] = prover().note + wrong + "\n"
    assert check(value).verdict is Verdict.INVALID
    value["checkpoint"] = prover().note + line + "\n"
    assert check(value).verdict is Verdict.VALID


# --- what the reader kept


def signed(size: int, root: bytes, origin: str = ORIGIN, by: str = "checkpoint") -> v_note.Checkpoint:
    """A checkpoint kept elsewhere."""
    return v_note.parse_note(sign_checkpoint(Checkpoint(origin, size, root), key(by)))


def test_kept_checkpoint_of_the_same_size() -> None:
    """The same head joins; another head of this size, by the same key, is a fork."""
    size = prover().size
    report = verify(record_file(), Trust(known=signed(size, root_at(size))))
    assert report.verdict is Verdict.VALID
    assert f"it extends the checkpoint of {SIZE} entries that was kept" in report.notes
    assert not any("UNWITNESSED" in note for note in report.notes)
    assert verify(record_file(), Trust(known=signed(size, bytes(32)))).verdict is Verdict.FORKED


def test_kept_checkpoint_of_a_longer_log() -> None:
    """A file under an older head than the one kept cannot be joined to it: INCOMPLETE."""
    report = verify(record_file(), Trust(known=signed(SIZE + 1, bytes(32))))
    assert report.verdict is Verdict.INCOMPLETE


def test_kept_checkpoint_of_a_shorter_log() -> None:
    """An older head needs a consistency proof in the file; a wrong root or path is a fork."""
    for size in (1, 64, 100, SIZE - 1):
        known = Trust(known=signed(size, root_at(size)))
        assert verify(record_file(), known).verdict is Verdict.INCOMPLETE
        since = Prover(prover().store, key("checkpoint").keyid, size)
        file = since.entry(WORK)
        assert verify(file, known).verdict is Verdict.VALID
        assert verify(file, Trust(known=signed(size, bytes(32)))).verdict is Verdict.FORKED
        assert (
            verify(file, Trust(known=signed(size + 1, root_at(size + 1)))).verdict is not Verdict.VALID
            or size == SIZE - 1
        )
        value = orjson.loads(file)
        value["consistency"]["path"].append(b64(bytes(32)))
        assert check(value, known).verdict is Verdict.FORKED
        value["consistency"]["path"] = []
        assert check(value, known).verdict is Verdict.FORKED
    assert verify(record_file(), Trust(known=signed(0, merkle.SHA256.empty))).verdict is Verdict.VALID


def test_kept_checkpoint_of_another_log() -> None:
    """That is a mistake of the reader, and no verdict on the file."""
    for known in (signed(SIZE, root_at(SIZE), by="stranger"), signed(SIZE, root_at(SIZE), origin="example.org/other")):
        with pytest.raises(BadTrust, match="not of this log"):
            verify(record_file(), Trust(known=known))


def test_kept_checkpoint_by_an_earlier_key() -> None:
    """The log changed its key since: the reader trusts both. A key of another log has no say, though it is trusted for its own."""
    now, before = (v_note.parse_key(verifier_key(ORIGIN, key(name).keyid)) for name in ("checkpoint", "stranger"))
    known = signed(SIZE, root_at(SIZE), by="stranger")
    assert verify(record_file(), Trust(keys=(now, before), known=known)).verdict is Verdict.VALID
    forked = signed(SIZE, bytes(32), by="stranger")
    assert verify(record_file(), Trust(keys=(now, before), known=forked)).verdict is Verdict.FORKED
    with pytest.raises(BadTrust, match="not of this log"):
        verify(record_file(), Trust(keys=(now,), known=known))
    for origin in ("example.org/other", "zoo.example/other"):  # names before and behind the log's
        other = v_note.parse_key(verifier_key(origin, key("stranger").keyid))
        with pytest.raises(BadTrust, match="not of this log"):
            verify(record_file(), Trust(keys=(now, other), known=signed(SIZE, root_at(SIZE), origin, "stranger")))
        assert verify(record_file(), Trust(keys=(other,))).why.endswith(f"do not trust, {ORIGIN}")
    assert verify(record_file(), Trust(keys=(before,))).why.endswith(f"do not trust, {ORIGIN} with another key")


def test_checkpoint_of_any_file() -> None:
    """A note, a proof file and a tlog-proof each give the head to compare with."""
    note = prover().note
    for data in (note.encode(), record_file(), prover().receipt(3).to_tlog_proof().encode()):
        assert checkpoint_of(data).note == note
