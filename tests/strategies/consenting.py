"""What wallets and agent services sign beyond a plain grant, for tests: erasures."""

from __future__ import annotations

from typing import Any

from proofroom.adapters.cast import Cast
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.statements.consent import Erased


def erase(cast: Cast, what: str, **changes: Any) -> Envelope:
    """The wallet states that it had an epoch's key, or a payload of a record, destroyed."""
    fields: dict[str, Any] = {
        "ledger": cast.ledger,
        "user_pub_key": cast.user.keyid,
        "vault_scope": cast.vault_scope,
        "what": what,
        "created_at": cast.now(),
    }
    return sign(Erased(**fields | changes), cast.user)
