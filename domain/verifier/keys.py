"""Keys change, names do not: a party is named by its first key, and ``key-rotated`` and ``compromise`` say which key signs for it now.

A recovery key, set by ``identity`` (for the ledger and its checkpoints by genesis), signs a compromise and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from proofroom.domain.verifier.entry import Entry


def name_signers(entries: Sequence[Entry], genesis: Entry) -> tuple[list[Entry], dict[str, str]]:
    """The entries with the identities that signed in place of the keys, each key at its time; and whom each later key names in the end."""
    names, named = dict[str, str](), []
    recovery = {genesis.get(f"{k}_key", str): genesis.get(f"{k}_recovery_key", str) for k in ("ledger", "checkpoint")}
    for keyed in entries:
        entry = replace(keyed, signers=frozenset(names.get(key, key) for key in keyed.signers))
        named.append(entry)
        if entry.kind not in ("identity", "key-rotated", "compromise"):
            continue
        identity = entry.get("identity", str)
        if entry.kind == "identity":
            chosen = entry.get("recovery_key", str)
            entry.signed_by(*{identity, chosen, recovery.get(identity, chosen)})
            recovery[identity] = chosen
            continue
        new = entry.get("new_key", str)
        entry.need(new not in names and new != identity, "the new key is one that was used before")
        entry.signed_by(identity if entry.kind == "key-rotated" else recovery.get(identity, ""), new)
        for key in [identity, *(key for key, name in names.items() if name == identity)]:
            names[key] = f"a key that {identity} no longer uses"
        names[new] = identity
    return named, names
