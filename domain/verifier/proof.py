"""The file: what it may look like, and the order in which it is checked.

Either a C2SP ``.tlog-proof`` whose extra data is the entry, or JSON: ``docs/verify.md`` has its keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from proofroom.domain.verifier.entry import Entry, parse_entry, parse_json
from proofroom.domain.verifier.keys import name_signers
from proofroom.domain.verifier.note import (
    BadTrust,
    Checkpoint,
    Key,
    Trust,
    check_signed,
    parse_key,
    parse_note,
    unbase64,
    witnessed_by,
)
from proofroom.domain.verifier.record import check_record
from proofroom.domain.verifier.tree import check_consistency, check_inclusion, log_leaf
from proofroom.domain.verifier.verdict import Fault, Report, Verdict

FORMAT = "proofroom.proof.v1"
KEYS = {"format", "claim", "log", "checkpoint", "entries", "batch", "lines", "counted", "run", "consistency"}
MAX_FILE = 64 * 1024 * 1024
MAX_PATH = 128
NOTHING = Trust()
_TLOG_PROOF = re.compile(r"c2sp\.org/tlog-proof@v1\nextra (\S+)\nindex (\d{1,19})\n((?:\S+\n)*)\n(.*)", re.DOTALL)


class File(NamedTuple):
    """A file, taken apart; nothing of it is checked."""

    claim: str
    log: Key | None
    """The verifier key that the file names; none in a ``.tlog-proof``."""
    checkpoint: Checkpoint
    items: list[tuple[bytes, list[bytes]]]
    """Entries that stand alone, each with the path from its leaf to the root."""
    value: dict[str, Any]


Claim = Callable[[File, list[Entry]], tuple[str, list[str]]]
"""Checks what a file claims of its entries; says what it found, and what a reader should know besides."""


def verify(data: bytes, trust: Trust | None = None, claims: Mapping[str, Claim] | None = None) -> Report:
    """Check a file. Any bytes give a report.

    Raises:
        BadTrust: no key of the log is known, or the checkpoint to compare with is not of this log.
    """
    trust = trust or NOTHING
    try:
        file = parse(data)
        claim = (claims or CLAIMS).get(file.claim)
        if claim is None:
            raise Fault("the file makes a claim that this verifier does not know")
        key = _check_log(file, trust)
        why, notes = claim(file, check_entries(file))
        if not trust.keys:
            notes.append("the log's key is the file's own claim: compare it with one you know")
        return _conclude(why, notes + _check_known(file, trust, key), file, trust)
    except Fault as fault:
        return Report(fault.verdict, fault.why, fault.at)


def parse(data: bytes) -> File:
    """Take a file apart."""
    if len(data) > MAX_FILE:
        raise Fault(f"the file is larger than {MAX_FILE} bytes")
    if data[:9] == b"c2sp.org/":
        return _parse_tlog_proof(data.decode(errors="replace"))
    value = parse_json(data)
    if value.get("format") != FORMAT or not value.keys() <= KEYS:
        raise Fault(f"the file is not of the format {FORMAT}")
    items = [(unbase64(take(item, "entry", str), "an entry"), path_of(item)) for item in take(value, "entries", list)]
    if not items:
        raise Fault("the file has no entry")
    checkpoint, log = parse_note(take(value, "checkpoint", str)), parse_key(take(value, "log", str))
    return File(take(value, "claim", str), log, checkpoint, items, value)


def _parse_tlog_proof(text: str) -> File:
    match = _TLOG_PROOF.fullmatch(text)
    if match is None or len(match[3]) > MAX_PATH * 45:
        raise Fault("not a tlog-proof with the entry as its extra data")
    entry, path = unbase64(match[1], "the extra data"), match[3].split("\n")[:-1]
    if match[2] != str(int.from_bytes(entry[:8], "big")):
        raise Fault("the index is not that of the entry")
    return File("entry", None, parse_note(match[4]), [(entry, [unbase64(line, "a hash", 32) for line in path])], {})


def take(value: Any, name: str, kind: type[Any]) -> Any:
    """A part of the file, of exactly this type."""
    if type(value) is not dict or type(value.get(name)) is not kind:
        raise Fault(f"{name} is missing or not of its form")
    return value[name]


def path_of(value: Any, name: str = "path") -> list[bytes]:
    """A list of hashes."""
    path = take(value, name, list)
    if len(path) > MAX_PATH:
        raise Fault("a path is longer than any tree is high")
    return [unbase64(item, "a hash", 32) for item in path]


def _check_log(file: File, trust: Trust) -> Key:
    """The checkpoint is signed by the key of a log that the reader trusts, or else by the one that the file names."""
    named = () if file.log is None else (file.log,)
    keys = [key for key in trust.keys or named if key.name == file.checkpoint.origin and file.log in (None, key)]
    if not trust.keys and not named:
        raise BadTrust(f"the file names no key of its log, {file.checkpoint.origin}: give its verifier key")
    if not keys:
        other = " with another key" if any(key.name == file.checkpoint.origin for key in trust.keys) else ""
        raise Fault(f"it is of a log that you do not trust, {file.checkpoint.origin}{other}")
    key = _signer(file.checkpoint, keys)
    check_signed(file.checkpoint, key)
    return key


def check_entries(file: File) -> list[Entry]:
    """Every entry that stands alone is in the tree of the checkpoint, at its index, and its signatures hold."""
    entries = []
    for data, path in file.items:
        index = int.from_bytes(data[:8], "big")
        check_inclusion(log_leaf(data), index, file.checkpoint.size, path, file.checkpoint.root)
        entries.append(parse_entry(data))
    check_order(entries)
    return entries


def check_order(entries: list[Entry]) -> None:
    """Indexes rise, and times do not fall."""
    for before, entry in pairwise(entries):
        entry.need(before.index < entry.index and before.time_ms <= entry.time_ms, "an entry is out of order")


def check_genesis(file: File, entries: list[Entry]) -> list[Entry]:
    """The first entry is the genesis of this log, all others were signed for its ledger; their signers by name."""
    genesis, log = entries[0], file.log or Key("", b"", 0, b"")
    genesis.need(genesis.index == 0 and genesis.kind == "genesis", "the file does not begin with genesis")
    genesis.signed_by(genesis.get("ledger_key", str), genesis.get("checkpoint_key", str))
    entries, names = name_signers(entries, genesis)
    key = "ed25519:" + log.public.hex()
    named = (genesis.get("origin", str), genesis.get("checkpoint_key", str)) == (log.name, names.get(key, key))
    genesis.need(named, "genesis names another log, or another key")
    for entry in entries[1:]:
        same = entry.kind == "grant-wire" or entry.get("ledger", str) == genesis.id
        entry.need(same, "it was signed for another ledger")
    return entries


def _entry(file: File, entries: list[Entry]) -> tuple[str, list[str]]:
    if len(entries) > 1:
        raise Fault("the file has more than one entry")
    entry = entries[0]
    return f"entry {entry.index}, of kind {entry.kind}, is in the log of {file.checkpoint.size} entries", []


def _record(file: File, entries: list[Entry]) -> tuple[str, list[str]]:
    return check_record(check_genesis(file, entries), *place_of(file))


def place_of(file: File) -> tuple[int, list[bytes]]:
    """Where the record stands in its batch."""
    batch = take(file.value, "batch", dict)
    return take(batch, "position", int), path_of(batch)


CLAIMS: dict[str, Claim] = {"entry": _entry, "record": _record}
"""What a file may claim. What claims money is in :mod:`proofroom.domain.recount`."""


def _signer(checkpoint: Checkpoint, keys: Sequence[Key]) -> Key:
    """The first of the keys that signed a checkpoint; the first of all where none did."""
    ids = [id for _, id, _ in checkpoint.signatures]
    return next((key for key in keys if key.id in ids), keys[0])


def _check_known(file: File, trust: Trust, key: Key) -> list[str]:
    """The checkpoint that the reader kept, and the file's, are of one history."""
    known, own = trust.known, file.checkpoint
    if known is None:
        return []
    try:  # the log may have changed its key since
        check_signed(known, _signer(known, [key, *(other for other in trust.keys if other.name == key.name)]))
    except Fault as fault:
        raise BadTrust(f"the checkpoint to compare with is not of this log: {fault.why}") from None
    if known.size > own.size:
        why = f"it has {own.size} entries, the checkpoint kept {known.size}: ask for a newer one"
        raise Fault(why, verdict=Verdict.INCOMPLETE)
    if known.size == own.size and known.root != own.root:
        raise Fault(f"the log signed two trees of {own.size} entries", verdict=Verdict.FORKED)
    if 0 < known.size < own.size:
        proof = file.value.get("consistency")
        if proof is None or take(proof, "size", int) != known.size:
            why = f"it holds no proof that its log extends the {known.size} entries kept"
            raise Fault(why, verdict=Verdict.INCOMPLETE)
        try:
            check_consistency(known.size, own.size, path_of(proof), known.root, own.root)
        except Fault as fault:
            why = f"its log does not extend the {known.size} entries kept: {fault.why}"
            raise Fault(why, verdict=Verdict.FORKED) from None
    return [f"it extends the checkpoint of {known.size} entries that was kept"]


def _conclude(why: str, notes: list[str], file: File, trust: Trust) -> Report:
    """Who else saw this log, and what qualifies the verdict."""
    cosigned, enough = witnessed_by(file.checkpoint, trust)
    if not enough:
        why = f"{len(cosigned)} of {len(trust.witnesses)} trusted witnesses cosigned, which is no quorum"
        raise Fault(why, verdict=Verdict.UNWITNESSED)
    qualifier = Verdict.ERASED if any(note.startswith("ERASED") for note in notes) else Verdict.VALID
    if cosigned:
        notes = [*notes, f"cosigned by {', '.join(sorted(cosigned))}"]
    elif trust.known is None:
        notes, qualifier = [*notes, "UNWITNESSED: no witness that you trust saw this log"], Verdict.UNWITNESSED
    return Report(qualifier if trust.strict else Verdict.VALID, why, None, tuple(notes))
