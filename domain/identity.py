"""Identities: statements name a party by its first key, for ever; which key signs for it may change (protocol 2).

What may change it is in :mod:`proofroom.domain.rotation`.
"""

from __future__ import annotations

from proofroom.domain.errors import NamedByLaterKey, NoRecoveryKey
from proofroom.domain.ids import KeyId
from proofroom.domain.keyring import Keyring
from proofroom.domain.state import State


def keyring(state: State, identity: KeyId) -> Keyring:
    """The keys of an identity; of one that never changed any, its name alone."""
    return state.keyrings.get(identity) or Keyring(((-1, identity),))


def key_in_force(state: State, identity: KeyId) -> KeyId:
    """The key that signs for an identity now.

    Raises:
        NamedByLaterKey: it is not the name of an identity but a later key of one.
    """
    rings = state.keyrings
    if identity in rings:
        return rings[identity].key
    named = state.later_keys.get(identity)
    if named is not None and identity != rings[named].recovery:
        raise NamedByLaterKey(keyid=identity, identity=named)
    return identity


def is_trusted(state: State, identity: KeyId, index: int) -> bool:
    """Whether what an identity signed at an index is not in doubt: no compromise that was declared since reaches back to it."""
    ring = state.keyrings.get(identity)
    return ring is None or ring.trusts(index)


def checkpoint_key(state: State, size: int | None = None) -> KeyId:
    """The key that signs the checkpoint of a size: the one in force after so many entries; without a size, after all."""
    assert state.founding is not None
    ring = keyring(state, state.founding.checkpoint_key)
    return ring.key if size is None else ring.key_at(size)


def ledger_key(state: State) -> KeyId:
    """The key that signs what the ledger states next."""
    assert state.founding is not None
    return keyring(state, state.founding.ledger_key).key


def recovery_key(state: State, identity: KeyId) -> KeyId:
    """The recovery key of an identity.

    Raises:
        NoRecoveryKey: none was set.
    """
    key = keyring(state, identity).recovery
    if key is None:
        raise NoRecoveryKey(identity=identity)
    return key
