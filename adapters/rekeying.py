"""Keys follow consent: a wallet looks at the ledger and hands out, or stops handing out, the keys of a scope (protocol 4)."""

from __future__ import annotations

from proofroom.adapters.keys import Key
from proofroom.adapters.vault import Vault
from proofroom.domain.readers import readers_in_force
from proofroom.domain.state import State


def follow_consent(vault: Vault, vault_scope: str, state: State, wallet: Key, at_ms: int) -> int:
    """Have a scope's readers be those whom the ledger allows: the number of its newest epoch.

    Where somebody holds the newest key who may not any more (revoked, expired, narrowed), a new epoch begins without them; what they read
    before they may have kept. Whoever may read and holds no wrap is given the keys of all epochs.

    Raises:
        OutOfScope: nobody opened the vault.
        VaultUnavailable: not the owner's key, or the vault cannot be written.
    """
    allowed, held = readers_in_force(state, vault_scope, at_ms), vault.readers(vault_scope) - {wallet.keyid}
    if not vault.epochs(vault_scope) or held - allowed or not vault.readers(vault_scope):
        vault.start_epoch(vault_scope, wallet, allowed)
    if allowed - held:
        vault.admit(vault_scope, wallet, allowed)
    return vault.epochs(vault_scope) - 1
