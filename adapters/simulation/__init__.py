"""A simulator of attestation: whole worlds of honest and other parties, on a real ledger, each replayed from its seed.

>>> from proofroom.adapters.simulation.scenario import Scenario
>>> from proofroom.adapters.simulation.world import simulate
>>> report = simulate(Scenario(seed=7, batches=3, colluding=7))
>>> report.rounds
3
"""
