"""The keys that one party has had, and since which entry it is in doubt what they signed."""

from __future__ import annotations

from typing import NamedTuple

from proofroom.domain.ids import KeyId


class Keyring(NamedTuple):
    """The keys of an identity, which is named by its first key for ever. Each acts from its own index only."""

    keys: tuple[tuple[int, KeyId], ...]
    """(index, key), rising: in force after the entry with this index. The first is the identity's name, at -1."""
    recoveries: tuple[tuple[int, KeyId], ...] = ()
    """(index, recovery key), rising; the last counts."""
    compromised: tuple[tuple[int, int], ...] = ()
    """(first, end): what was signed at these indexes, ``end`` not among them, was declared compromised by the entry ``end``."""

    @property
    def key(self) -> KeyId:
        """The key in force."""
        return self.keys[-1][1]

    @property
    def recovery(self) -> KeyId | None:
        """The recovery key, when one was set."""
        return self.recoveries[-1][1] if self.recoveries else None

    @property
    def changes(self) -> tuple[int, ...]:
        """The entries that made this keyring what it is, rising; -1 and 0 stand for what genesis fixed."""
        return tuple(sorted({index for index, _ in (*self.keys, *self.recoveries)}))

    def key_at(self, size: int) -> KeyId:
        """The key in force after the first ``size`` entries."""
        return next(key for index, key in reversed(self.keys) if index < size or index < 0)

    def trusts(self, index: int) -> bool:
        """Whether what was signed at this index is not in doubt."""
        return not any(first <= index < end for first, end in self.compromised)
