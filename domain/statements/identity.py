"""Statements about the keys of a party, which every statement names by its first key."""

from __future__ import annotations

from typing import ClassVar

from proofroom.domain.statements.fields import Count, Key, LedgerStatement, Time


class KeyRotated(LedgerStatement):
    """A party puts a new key in the place of the one in force. Signed by both."""

    kind: ClassVar[str] = "key-rotated"

    identity: Key
    """The party's first key, which stays its name."""
    new_key: Key
    created_at: Time


class Identity(LedgerStatement):
    """A party sets the recovery key that may declare a compromise.

    Signed by the key in force, by the recovery key, and by the recovery key before it, if there is one.
    """

    kind: ClassVar[str] = "identity"

    identity: Key
    recovery_key: Key
    created_at: Time


class Compromise(LedgerStatement):
    """A party's keys are not to be trusted since an index; a new key takes their place. Signed by the recovery key and by the new key."""

    kind: ClassVar[str] = "compromise"

    identity: Key
    since_index: Count
    """The first entry that somebody else may have signed; the entry of this statement is the last that may be named."""
    new_key: Key
    created_at: Time
