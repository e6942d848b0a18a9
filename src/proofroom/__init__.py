"""A chain of evidence for agent work: consent, activity, attestation and settlement in one signed, auditable log.

The names below are the public ones. Each is loaded when it is first asked for (PEP 562), so that a host that only verifies
envelopes does not load DuckDB, and one that only reads does not load the event library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proofroom.adapters.audit import audit
    from proofroom.adapters.ledger import Ledger
    from proofroom.domain.envelope import sign, sign_rooted, verify
    from proofroom.domain.errors import ProofroomError
    from proofroom.domain.receipt import Receipt, verify_receipt

    __version__: str

__all__ = [
    "Ledger",
    "ProofroomError",
    "Receipt",
    "__version__",
    "audit",
    "sign",
    "sign_rooted",
    "verify",
    "verify_receipt",
]

# To add a public name: here, in `__all__`, and in the block for type checkers. tests/test_packaging.py holds the three together.
_HOMES = {
    "Ledger": "proofroom.adapters.ledger",
    "ProofroomError": "proofroom.domain.errors",
    "Receipt": "proofroom.domain.receipt",
    "audit": "proofroom.adapters.audit",
    "sign": "proofroom.domain.envelope",
    "sign_rooted": "proofroom.domain.envelope",
    "verify": "proofroom.domain.envelope",
    "verify_receipt": "proofroom.domain.receipt",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("proofroom")
    elif name in _HOMES:
        from importlib import import_module

        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
