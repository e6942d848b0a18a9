"""The tamper lab: every attack of the threat model, tried one at a time on a copy of a ledger, and which check caught it.

>>> from proofroom.adapters.lab.run import run_lab
>>> all(result.caught for result in run_lab())  # doctest: +SKIP
True

A host adds attacks of its own with :func:`proofroom.adapters.lab.attack.attack`.
"""
