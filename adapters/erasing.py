"""Erasing a person's payloads: first what is outside the ledger is destroyed, then the wallet states it in the ledger (protocol 4).

What stays in the ledger for ever: keys, ids, scope names, operations, times, amounts, digests of ciphertext and commitments that nobody can
open any more. Whoever was given a payload or a key before may still have it. A crash between the two steps is mended by erasing again.
"""

from __future__ import annotations

from collections.abc import Callable

from proofroom.adapters.ledger import Ledger
from proofroom.adapters.openings import Openings
from proofroom.adapters.vault import Vault
from proofroom.adapters.writer import Recorded
from proofroom.domain.authorisation import vault_owner
from proofroom.domain.envelope import sign
from proofroom.domain.errors import NotOwner
from proofroom.domain.ids import from_ms
from proofroom.domain.signing import Signer
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.consent import Erased


class Eraser:
    """Erases on behalf of a wallet.

    Args:
        ledger: where it is stated.
        wallet: the owner of the vault, or what signs for it.
    """

    def __init__(self, ledger: Ledger, wallet: Signer) -> None:
        self._ledger, self._wallet = ledger, wallet

    def erase_epoch(self, vault: Vault, vault_scope: str, epoch: int) -> Recorded:
        """Destroy every wrap of an epoch's key, with the blobs that nobody can open any more, and state it.

        Raises:
            NotOwner, OutOfScope: the vault is not this wallet's. Nothing was destroyed.
            AlreadyRecorded: it was stated before.
            VaultUnavailable: something could not be destroyed. Nothing was stated.
        """
        return self._erase(vault_scope, f"epoch {epoch}", lambda: vault.erase_epoch(vault_scope, epoch, self._wallet))

    def erase_input(self, openings: Openings, record: Activity) -> Recorded:
        """Destroy the salt of a record's commitment, so that nobody can show what its input and result were, and state it.

        Raises:
            NotOwner, OutOfScope, AlreadyRecorded, VaultUnavailable: as for :meth:`erase_epoch`.
        """
        commitment = record.input_commitment
        return self._erase(
            record.vault_scope, f"{commitment} of {record.record_id}", lambda: openings.erase(commitment)
        )

    def erase_result(self, vault: Vault, record: Activity) -> Recorded:
        """Destroy the encrypted result of a record, and state it.

        Raises:
            NotOwner, OutOfScope, AlreadyRecorded, VaultUnavailable: as for :meth:`erase_epoch`.
        """
        scope, address = record.vault_scope, record.result_hash
        return self._erase(scope, f"{address} of {record.record_id}", lambda: vault.storage.remove(scope, address))

    def _erase(self, vault_scope: str, what: str, destroy: Callable[[], None]) -> Recorded:
        self._ledger.refresh()
        if (owner := vault_owner(self._ledger.state, vault_scope)) != self._wallet.keyid:
            raise NotOwner(vault=vault_scope.partition(" / ")[0], owner=owner)
        destroy()
        statement = Erased(
            ledger=self._ledger.id,
            user_pub_key=self._wallet.keyid,
            vault_scope=vault_scope,
            what=what,
            created_at=from_ms(self._ledger.store.clock()),
        )
        return self._ledger.append(sign(statement, self._wallet))
