"""What is fuzzed. Each target takes bytes, and may only return, or raise one of the typed errors that it names.

Where a rule is written twice, in the domain and in the verifier, the two must also say the same. :func:`claims` is the deep one: the bytes
change statements of an honest proof, as a host could who holds every key, and the checks behind signatures and tree see them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from proofroom.domain import merkle, recount
from proofroom.domain.checkpoint import parse_note
from proofroom.domain.cosigning import parse_request
from proofroom.domain.entry import parse_entry
from proofroom.domain.envelope import parse_envelope, verify
from proofroom.domain.errors import ProofroomError
from proofroom.domain.policy import checkpoint_of, parse_policy
from proofroom.domain.tiles import read_bundle, read_tile
from proofroom.domain.verifier import BadTrust, Report, Trust
from proofroom.domain.verifier import entry as v_entry
from proofroom.domain.verifier import note as v_note
from proofroom.domain.verifier import proof as v_proof
from proofroom.domain.verifier import tree as v_tree
from proofroom.domain.verifier.verdict import Fault

SEEDS = Path(os.environ.get("FUZZ_SEEDS", "build/fuzz/seeds"))

VALUES: tuple[Any, ...] = (
    None, True, 0, 1, -1, 2**53 - 1, "", "0", "1", "blake3:" + "0" * 64, "ed25519:" + "0" * 64, "AA==", "dragon-1", "2026-03-01T09:00:00Z",
    [], {}, [{}], {"a": []}, ["x"], "é", [[]], {"context": 1},
)  # fmt: skip


def notes(data: bytes) -> None:
    """Signed notes: both parsers take the same ones, and read the same."""
    text, ours, theirs = data.decode(errors="surrogateescape"), None, None
    with suppress(ProofroomError):
        head, lines = parse_note(text)
        ours = (*head, lines)
    with suppress(Fault):
        mine = v_note.parse_note(text)
        theirs = (mine.origin, mine.size, mine.root, [(name, id + blob) for name, id, blob in mine.signatures])
    assert ours == theirs, (ours, theirs)


def policies(data: bytes) -> None:
    """Trust policies."""
    with suppress(BadTrust):
        parse_policy(data.decode(errors="replace"))


def proofs(data: bytes) -> None:
    """Inclusion and consistency proofs of any index, size and path, in both implementations; hashes that are mostly those of a tree."""
    index, size = (*data[:2], 0, 0)[:2]
    with suppress(ProofroomError):
        path = merkle.inclusion_path(index, size, _node)
        if data[2:3] == b"\xff":
            path = merkle.consistency_path(index, size, _node)
        for i, byte in enumerate(data[3:40]):  # 0 leaves a hash as it is, others drop, double or change it
            if byte == 1 and i < len(path):
                del path[i]
            elif byte:
                path.insert(i, bytes([byte]) * 32)
        _both_ways(index, size, path)
        _both_ways(index, size, [data[i : i + 32] for i in range(2, len(data), 32)])


def _both_ways(index: int, size: int, path: list[bytes]) -> None:
    """Each proof, as the domain and as the verifier checks it."""
    checks: list[tuple[Callable[[], object], Callable[[], object]]] = [
        (
            lambda: merkle.verify_inclusion(_node(0, index), index, size, path, _root(size)),
            lambda: v_tree.check_inclusion(_node(0, index), index, size, path, _root(size)),
        )
    ]
    if 0 < index < size:
        checks.append(
            (
                lambda: merkle.verify_consistency(index, size, path, _root(index), _root(size)),
                lambda: v_tree.check_consistency(index, size, path, _root(index), _root(size)),
            )
        )
    for ours, theirs in checks:
        assert _holds(ours, ProofroomError) is _holds(theirs, Fault)


def _holds(check: Callable[[], object], refusal: type[Exception]) -> bool:
    try:
        check()
    except refusal:
        return False
    return True


@cache
def _node(height: int, k: int) -> bytes:
    if height == 0:
        return merkle.SHA256.leaf(b"%d" % k)
    return merkle.SHA256.node(_node(height - 1, 2 * k), _node(height - 1, 2 * k + 1))


@cache
def _root(size: int) -> bytes:
    return merkle.root(merkle.Tree(size, tuple(_node(*peak) for peak in merkle.peaks_of(size))))


def receipts(data: bytes) -> None:
    """C2SP tlog-proofs, under a key that the reader knows."""
    _any_signature(lambda: _report(b"c2sp.org/" + data.removeprefix(b"c2sp.org/"), Trust(keys=(_log(),))))


def files(data: bytes) -> None:
    """Proof files in JSON."""
    _any_signature(lambda: _report(data, None))


def _report(data: bytes, trust: Trust | None) -> None:
    with suppress(BadTrust):
        assert isinstance(recount.verify(data, trust), Report)
    with suppress(BadTrust):
        checkpoint_of(data)


@cache
def _log() -> v_note.Key:
    """The key of the honest log, as its files name it."""
    log = v_proof.parse((SEEDS / "files" / "seed-0").read_bytes()).log
    assert log is not None
    return log


def _any_signature(run: Callable[[], object]) -> None:
    """With every signature taken as good, so that what lies behind one is reached too. Checking one is libsodium's."""
    real = v_note.is_signed

    def taken(public: bytes, message: bytes, signature: bytes) -> bool:
        return len(signature) == 64

    for module in (v_note, v_entry):
        vars(module)["is_signed"] = taken
    try:
        run()
    finally:
        for module in (v_note, v_entry):
            vars(module)["is_signed"] = real


def entries(data: bytes) -> None:
    """Entries, as the domain and as the verifier reads them: whatever the domain verifies, the verifier takes, and reads alike."""
    known = None
    with suppress(ProofroomError):
        index, time_ms, envelope = parse_entry(data)
        known = index, time_ms, verify(envelope).digest
    try:
        mine = v_entry.parse_entry(data)
        assert known in (None, (mine.index, mine.time_ms, mine.id))
    except Fault:
        assert known is None
    _any_signature(lambda: _holds(lambda: v_entry.parse_entry(data), Fault))


def envelopes(data: bytes) -> None:
    """Envelopes, as they travel."""
    with suppress(ProofroomError):
        verify(parse_envelope(data))


def bundles(data: bytes) -> None:
    """Tiles and entry bundles."""
    for read in (read_bundle, read_tile):
        with suppress(ProofroomError):
            read(data[1:], data[0] if data else 0)


def requests(data: bytes) -> None:
    """What a log sends to a witness."""
    with suppress(ProofroomError):
        parse_request(data)


def claims(data: bytes) -> None:
    """Claims by a host that holds all keys: an honest record, payout or era whose statements were changed as the bytes say."""
    file, alone, run = _honest((data[0] if data else 0) % 3)
    mine = [*alone, *run]
    for at in range(1, min(len(data) - 3, 33), 4):
        i = data[at] % len(mine)
        mine[i] = replace(mine[i], body=_changed(mine[i].body, *data[at + 1 : at + 4]))
    with suppress(Fault):
        if run:
            recount.check_whole_era(file, mine[: len(alone)], mine[len(alone) :])
        else:
            recount.CLAIMS[file.claim](file, mine)


def _changed(body: dict[str, Any], field: int, choice: int, extra: int) -> dict[str, Any]:
    """A statement with one field changed, dropped, moved by a little or cut."""
    body = _copied(body)
    places = list(_places(body))
    if not places:  # all fields were dropped before
        return body
    holder, name = places[field % len(places)]
    if choice < 160:
        holder[name] = VALUES[choice % len(VALUES)]
    elif choice < 200 and isinstance(holder, dict):
        del holder[name]
    elif type(holder[name]) is int:
        holder[name] += extra - 128
    elif isinstance(holder[name], str):
        holder[name] = holder[name][: extra % (len(holder[name]) + 1)]
    return body


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for name, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, name
        if isinstance(part, dict | list):
            yield from _places(part)


@cache
def _honest(kind: int) -> tuple[v_proof.File, list[v_entry.Entry], list[v_entry.Entry]]:
    """An honest file, its entries that stand alone, and its run."""
    file = v_proof.parse((SEEDS / "honest" / f"seed-{kind}").read_bytes())
    return file, v_proof.check_entries(file), recount.run_of(file) if "run" in file.value else []


TARGETS: dict[str, tuple[Callable[[bytes], None], int]] = {
    "notes": (notes, 20),
    "proofs": (proofs, 25),
    "receipts": (receipts, 15),
    "files": (files, 10),
    "entries": (entries, 10),
    "claims": (claims, 10),
    "envelopes": (envelopes, 4),
    "policies": (policies, 2),
    "requests": (requests, 2),
    "bundles": (bundles, 2),
}
"""Target, and how many of a hundred executions it gets."""
