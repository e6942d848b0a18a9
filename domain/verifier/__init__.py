"""The verifier: the program to read before trusting this project. It needs Python, PyNaCl and blake3, and nothing else of proofroom.

It takes the bytes of one file and what its reader trusts, and gives one of the verdicts of :mod:`.verdict`. It reads no other file, no
clock and no network. It shares no line with the code that writes ledgers: what both must agree on is written here a second time, and tests
hold the two against each other. ``docs/verify.md`` explains each check, and what it does not prove.

Read :mod:`.verdict`, :mod:`.tree`, :mod:`.note`, :mod:`.entry`, :mod:`.keys`, then :mod:`.proof`, which calls :mod:`.record`.
"""

from proofroom.domain.verifier.note import BadTrust, Trust
from proofroom.domain.verifier.proof import verify
from proofroom.domain.verifier.verdict import Report, Verdict

__all__ = ["BadTrust", "Report", "Trust", "Verdict", "verify"]
