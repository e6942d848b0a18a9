"""How the keys of a party change (protocol 2).

``key-rotated`` hands over from the key in force to a new one. ``identity`` sets a recovery key, kept elsewhere, that does one thing:
it signs ``compromise``, which puts a new key in force and names the index since which the old ones are not to be trusted. All three
act from their own index on: what was recorded stays recorded, and what was paid stays paid.
"""

from __future__ import annotations

from proofroom.domain.consent import check_not_ahead
from proofroom.domain.entry import Entry
from proofroom.domain.errors import AlreadyRecorded, BeyondTheLog
from proofroom.domain.identity import keyring
from proofroom.domain.ids import KeyId
from proofroom.domain.keyring import Keyring
from proofroom.domain.state import State
from proofroom.domain.statements.identity import Compromise, Identity, KeyRotated


def apply_key_rotated(state: State, entry: Entry, s: KeyRotated) -> State:
    """The new key is in force from the next entry on.

    Raises:
        AlreadyRecorded: the new key is or was a key of an identity.
    """
    check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    ring = keyring(state, s.identity)
    return _with_key(state, s.identity, s.new_key, ring._replace(keys=(*ring.keys, (entry.index, s.new_key))))


def apply_identity(state: State, entry: Entry, s: Identity) -> State:
    """The recovery key counts from the next entry on. Who holds only the key in force cannot replace one that is set.

    Raises:
        AlreadyRecorded: the recovery key is or was a key of an identity.
    """
    check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    ring = keyring(state, s.identity)
    ring = ring._replace(recoveries=(*ring.recoveries, (entry.index, s.recovery_key)))
    return _with_key(state, s.identity, s.recovery_key, ring)


def apply_compromise(state: State, entry: Entry, s: Compromise) -> State:
    """What this identity signed from an index on is in doubt, and the new key is in force from the next entry on.

    Raises:
        BeyondTheLog: the index lies behind this entry.
        AlreadyRecorded: the new key is or was a key of an identity.
    """
    check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    if s.since_index > entry.index:
        raise BeyondTheLog(index=s.since_index, size=entry.index)
    ring = keyring(state, s.identity)
    ring = ring._replace(
        keys=(*ring.keys, (entry.index, s.new_key)), compromised=(*ring.compromised, (s.since_index, entry.index))
    )
    state = state._replace(last_compromise=entry.index)
    return _with_key(state, s.identity, s.new_key, ring)


def _with_key(state: State, identity: KeyId, key: KeyId, ring: Keyring) -> State:
    if key == identity or key in state.keyrings or key in state.later_keys:
        raise AlreadyRecorded(what="key", key=key)
    return state._replace(keyrings=state.keyrings.set(identity, ring), later_keys=state.later_keys.set(key, identity))
