"""What is fuzzed. Each target takes bytes, and may only return, or raise one of the typed errors that it names.

:func:`forged` is the deep one. The bytes choose entries of an honest proof file and change their statements; these are signed again by the
right keys and put into a tree with a checkpoint of its own, so that what lies behind signatures and proofs is reached too.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import orjson

from proofroom.domain import merkle, recount
from proofroom.domain.checkpoint import Checkpoint, parse_note, sign_checkpoint
from proofroom.domain.entry import encode_signatures, entry_bytes, parse_entry
from proofroom.domain.envelope import Signature, parse_envelope, verify
from proofroom.domain.errors import ProofroomError
from proofroom.domain.merkle import SHA256
from proofroom.domain.policy import checkpoint_of, parse_policy
from proofroom.domain.signing import pae
from proofroom.domain.tiles import read_bundle, read_tile
from proofroom.domain.verifier import BadTrust, Report, Verdict
from proofroom.domain.verifier.entry import parse_entry as read_entry
from proofroom.domain.verifier.verdict import Fault
from strategies.forging import forge, proven_history
from strategies.histories import ORIGIN, key, key_of

VALUES: tuple[Any, ...] = (
    None, True, 0, 1, -1, 2**53 - 1, "", "0", "1", "blake3:" + "0" * 64, "ed25519:" + "0" * 64, "AA==", "dragon-1", "2026-03-01T09:00:00Z",
    [], {}, [{}], {"a": []}, ["x"], 0.5, "é", [[]], {"context": 1},
)  # fmt: skip


@cache
def seeds() -> list[bytes]:
    """One honest file of each kind, with the number of its target in front."""
    prover, activities = forge(), [e for e in proven_history().entries if e.statement.kind == "activity"]
    name = orjson.loads(activities[3].verified.envelope.payload)["record_id"]
    files = [
        prover.entry(5),
        prover.receipt(5).to_tlog_proof().encode(),
        prover.record(name),
        prover.payout(name),
        prover.era("dragon-1", 1),
    ]
    others = {
        notes: prover.note.encode(),
        policies: b"log a+b+c\nwitness x y\ngroup g 1 x\nquorum g\n",
        entries: prover._bytes(54),
        envelopes: proven_history().entries[54].verified.envelope.to_json(),
        bundles: b"\x00\x01a\x00\x02bc",
        forged: bytes(range(64)),
    }
    return [bytes([0]) + file for file in files] + [bytes([TARGETS.index(t)]) + data for t, data in others.items()]


def files(data: bytes) -> None:
    """Proof files of every kind."""
    with suppress(BadTrust):
        assert isinstance(recount.verify(data), Report)
        checkpoint_of(data)


def notes(data: bytes) -> None:
    """Signed notes."""
    with suppress(ProofroomError):
        parse_note(data.decode(errors="surrogateescape"))


def policies(data: bytes) -> None:
    """Trust policies."""
    with suppress(BadTrust):
        parse_policy(data.decode(errors="replace"))


def entries(data: bytes) -> None:
    """Entries, as the domain and as the verifier reads them."""
    with suppress(ProofroomError):
        verify(parse_entry(data)[2])
    with suppress(Fault):
        read_entry(data)


def envelopes(data: bytes) -> None:
    """Envelopes, as they travel."""
    with suppress(ProofroomError):
        verify(parse_envelope(data))


def bundles(data: bytes) -> None:
    """Tiles and entry bundles."""
    for read in (read_bundle, read_tile):
        with suppress(ProofroomError):
            read(data[1:], data[0] if data else 0)


def forged(data: bytes) -> None:
    """Files by a host that holds all keys and writes what it likes."""
    report = recount.verify(forge_file(data))
    assert report.verdict in Verdict


def forge_file(data: bytes) -> bytes:
    """An honest file, changed as the bytes say: which file, then for each change an entry, a field and a value."""
    value = orjson.loads(seeds()[2 + (data[0] if data else 0) % 3][1:])
    items = [item["entry"] for item in value["entries"]] + value.get("run", {}).get("entries", [])
    raw = {int.from_bytes(base64.b64decode(item)[:8], "big"): base64.b64decode(item) for item in items}
    order = sorted(raw)
    for at in range(1, min(len(data) - 3, 33), 4):
        index = order[data[at] % len(order)]
        raw[index] = resigned(raw[index], data[at + 1], data[at + 2], data[at + 3])
    return rebuilt(value, raw)


def resigned(entry: bytes, field: int, choice: int, extra: int) -> bytes:
    """The entry with one field of its statement changed, signed by the same keys."""
    index, time, envelope = parse_entry(entry)
    body = orjson.loads(envelope.payload)
    places = list(_places(body))
    holder, name = places[field % len(places)] if places else (body, "a")
    if choice < 160:
        holder[name] = VALUES[choice % len(VALUES)]
    elif name not in holder if isinstance(holder, dict) else False:
        pass
    elif choice < 200 and isinstance(holder, dict):
        del holder[name]
    elif isinstance(holder[name], int) and not isinstance(holder[name], bool):
        holder[name] += extra - 128
    elif isinstance(holder[name], str):
        holder[name] = holder[name][: extra % (len(holder[name]) + 1)]
    payload = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    signers = [key_of(s.keyid) for s in envelope.signatures]
    signatures = tuple(sorted(Signature(s.keyid, s.sign(pae(envelope.payload_type, payload))) for s in signers))
    return entry_bytes(index, time, envelope.payload_type, payload, encode_signatures(signatures))


def _places(value: Any) -> Any:
    for name, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, name
        if isinstance(part, dict | list):
            yield from _places(part)


def rebuilt(value: Any, raw: dict[int, bytes]) -> bytes:
    """The file with these entries, in a tree and under a checkpoint of their own."""
    size, nodes = forge().size, dict(honest_nodes())
    for index, data in raw.items():
        nodes[0, index] = SHA256.leaf(data)
    for height in range(1, size.bit_length()):
        for k in {index >> height for index in raw}:
            if (k + 1) << height <= size:
                nodes[height, k] = SHA256.node(nodes[height - 1, 2 * k], nodes[height - 1, 2 * k + 1])
    tree = merkle.Tree(size, tuple(nodes[peak] for peak in merkle.peaks_of(size)))

    def node(height: int, k: int) -> bytes:
        return nodes[height, k]

    value["checkpoint"] = sign_checkpoint(Checkpoint(ORIGIN, tree.size, merkle.root(tree)), key("checkpoint"))
    for item in value["entries"]:
        index = int.from_bytes(base64.b64decode(item["entry"])[:8], "big")
        item.update(entry=raw[index], path=merkle.inclusion_path(index, tree.size, node))
    if run := value.get("run"):
        first = run["first"]
        run["entries"] = [raw[first + i] for i in range(len(run["entries"]))]
        run["around"] = merkle.run_path(first, first + len(run["entries"]), tree.size, node)
    return orjson.dumps(value, default=lambda b: base64.b64encode(b).decode())


@cache
def honest_nodes() -> dict[tuple[int, int], bytes]:
    """The tree of the honest history."""
    nodes: dict[tuple[int, int], bytes] = {}
    tree, history = merkle.Tree(), forge()
    for index in range(history.size):
        tree, completed = merkle.append(tree, history.store.node(0, index))
        nodes |= {(height, index >> height): hash for height, hash in enumerate(completed)}
    return nodes


TARGETS: list[Callable[[bytes], None]] = [files, notes, policies, entries, envelopes, bundles, forged]


def one_input(data: bytes) -> None:
    """The first byte chooses the target."""
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])
