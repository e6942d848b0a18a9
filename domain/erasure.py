"""Erasure: what a wallet had destroyed outside the ledger, as a statement in it (protocol 4).

Nothing is taken out of the log. Inputs, prompts and results never were in it, only salted commitments and digests of ciphertext; once the
scope key or the salt is gone these say nothing, and every proof, tally and payout that was computed from the entries stays what it was.
"""

from __future__ import annotations

from proofroom.domain.authorisation import vault_owner
from proofroom.domain.consent import check_not_ahead
from proofroom.domain.entry import Entry
from proofroom.domain.errors import AlreadyRecorded, NotOwner
from proofroom.domain.state import State
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.consent import Erased


def apply_erased(state: State, entry: Entry, s: Erased) -> State:
    """The owner of a vault states an erasure in it, once for each epoch or payload.

    That a record holds the digest is not looked up, since records leave the state: a statement about nothing erases nothing.

    Raises:
        FromTheFuture: ``created_at`` is ahead of the clock.
        OutOfScope, NotOwner: nobody opened the vault, or another wallet did.
        AlreadyRecorded: it was stated before.
    """
    check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    owner = vault_owner(state, s.vault_scope)
    if owner != s.user_pub_key:
        raise NotOwner(vault=s.vault_scope.partition(" / ")[0], owner=owner)
    name = f"{s.vault_scope}: {s.what}"
    if name in state.erased:
        raise AlreadyRecorded(what="erasure of", key=name)
    return state._replace(erased=state.erased.set(name, entry.index))


def erased_of(state: State, record: Activity) -> dict[str, int]:
    """Which payloads of a record its owner had destroyed, ``input`` or ``result``, and the entries that say so."""
    payloads = {"input": record.input_commitment, "result": record.result_hash}
    names = {part: f"{record.vault_scope}: {digest} of {record.record_id}" for part, digest in payloads.items()}
    return {part: state.erased[name] for part, name in names.items() if name in state.erased}
