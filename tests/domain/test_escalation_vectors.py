"""Published vectors of the draw after a dispute: what real rounds drew, and what the format page alone gives.

``python tests/domain/test_escalation_vectors.py`` writes them.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from proofroom.domain.statements.attestation import RoundOpened
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import History
from strategies.disputes import UNSEEN, doubt, sealed

VECTORS = Path(__file__).parent.parent / "vectors" / "escalation.json"


def rounds_of(history: History) -> dict[str, Any]:
    """All rounds of a history's batch, as the ledger opened them."""
    opened = [e for e in history.entries if isinstance(e.statement, RoundOpened)]
    rounds = [
        history.states[e.index + 1].rounds[e.statement.cluster, e.statement.round]
        for e in opened
        if isinstance(e.statement, RoundOpened)
    ]
    left = [
        sorted(set(before.eligible) - set(before.committee) - set(after.eligible))
        for before, after in itertools.pairwise(rounds)
    ]
    return {
        "batch_root": rounds[0].root.hex(),
        "eligible": list(rounds[0].eligible),
        "size": rounds[0].size,
        "rounds": [
            {
                "left": gone,
                "reveals": {key: value.hex() for key, value in sorted(round.reveals.items())},
                "committee": list(round.committee),
            }
            for gone, round in zip([[], *left], rounds, strict=True)
        ],
    }


def vectors() -> list[dict[str, Any]]:
    """A dispute that goes one committee further, one that goes two, and one in which somebody leaves and others withhold."""
    made = []
    for validators, escalations in ((16, 1), (39, 2)):
        history = sealed(validators, escalations)
        for round in range(escalations + 1):
            doubt(history, round, 0)
        made.append(rounds_of(history))
    history = sealed(18, 1)
    members = history.reveal_beacons(0)
    leaver, *_, first, second = (i for i in range(18) if i not in members)
    history.write(history.cast.leave(leaver))
    history.vote(0, dict.fromkeys(members, make_vote(1, {0: UNSEEN})))
    still = [i for i in range(18) if i not in (*members, leaver, first, second)]
    history.reveal_beacons(1, still)
    history.tick(60_000)
    made.append(rounds_of(history))
    return made


def test_published_vectors_have_not_drifted() -> None:
    """What other languages are held against is what the ledger does."""
    assert json.loads(VECTORS.read_text()) == vectors()


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text()) if VECTORS.exists() else [])
def test_vectors_follow_from_their_format_page(vector: dict[str, Any]) -> None:
    """Who is left, how many are drawn, and who, with nothing of ours but the page."""
    eligible, size = list(vector["eligible"]), vector["size"]
    assert len(vector["rounds"]) > 1
    for round in vector["rounds"]:
        eligible = [key for key in eligible if key not in round["left"]]
        assert round["reveals"].keys() <= set(eligible)
        values = b"".join(bytes.fromhex(round["reveals"][key]) for key in sorted(round["reveals"]))
        root = bytes.fromhex(vector["batch_root"])
        seed = blake3(root + values, derive_key_context="proofroom 2026 v1 committee seed").digest()
        stream = blake3(seed, derive_key_context="proofroom 2026 v1 committee draw").digest(length=8_192)
        words = iter(int.from_bytes(stream[i : i + 8], "big") for i in range(0, 8_192, 8))
        pool = list(eligible)
        for i in range(size):
            left = len(pool) - i
            j = i + next(w for w in words if w < 2**64 - 2**64 % left) % left
            pool[i], pool[j] = pool[j], pool[i]
        assert round["committee"] == pool[:size]
        eligible, size = [key for key in eligible if key not in round["committee"]], 2 * size + 1


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")
