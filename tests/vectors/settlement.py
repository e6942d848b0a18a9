"""Print the vectors of the settlement's rules into ``settlement.json``: ``PYTHONPATH=tests python -m vectors.settlement``."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from proofroom.domain import charging, description, money

FILE = Path(__file__).with_name("settlement.json")
EXAMPLE = Path(description.__file__).parents[1] / "adapters" / "example-era.json"
ONE, MONTH, MIB = 10**18, charging.MONTH_SECONDS, 2**20

RULES: dict[str, tuple[Callable[..., Any], list[tuple[Any, ...]]]] = {
    "cpu_charge": (
        charging.cpu_charge,
        [(0, 7), (1, 999), (1, 1_000), (999, 1), (1_001, 1), (412, 2_000_000), (10**19, ONE - 1)],
    ),
    "gpu_charge": (charging.gpu_charge, [(1, 999_999), (1, 10**6), (830_000, 50_000_000), (10**22, ONE - 1)]),
    "streamed_charge": (charging.streamed_charge, [(1, MIB - 1), (1, MIB), (3 * MIB + 1, 1_000_000), (2**70, ONE - 1)]),
    "stored_charge": (
        charging.stored_charge,
        [
            (0, 5, 60),
            (59, 10**9, 60),
            (60 * MIB, 10**9, 60),
            (MIB * MONTH, 3, MONTH),
            (MIB * (MONTH // 2), 1, MONTH // 2),
            (MIB * (MONTH // 2), 3, MONTH // 2),
            (MIB * (MONTH + 1), 7, MONTH + 1),
            (2**50 * 86_400, 4_000_000, 86_400),
            (MIB * 366 * 86_400, 10**6, 366 * 86_400),
        ],
    ),
    "nearest_half_down": (money.nearest_half_down, [(0, 2), (1, 2), (3, 2), (5, 4), (6, 4), (7, 4), (ONE, 3)]),
    "share": (money.share, [(100, ONE), (100, 0), (10**36 - 1, 1), (ONE - 1, 1), (ONE, 1), (1_234_567, 5 * 10**16)]),
    "listing_fee": (
        charging.listing_fee,
        [(0, 0, 5, ONE), (3, 1_000, 7, 0), (3, 999, 0, ONE // 10), (1, 10**35, 0, ONE - 1)],
    ),
    "split": (
        money.split,
        [
            (10, [1, 1, 1]),
            (11, [1, 1, 1]),
            (0, [0, 5]),
            (7, [0, 1, 0, 2]),
            (100, [1, 10**35, 1]),
            (10**36 - 1, [3, 2, 2]),
        ],
    ),
}
"""Name of the function, and arguments to try."""


def eras() -> list[dict[str, Any]]:
    """Descriptions of eras: the example, and what is changed in it."""
    example = json.loads(EXAMPLE.read_text())

    def but(name: str, **changes: Any) -> dict[str, Any]:
        return {"name": name, "description": deepcopy(example) | changes}

    one = str(ONE)
    return [
        but("the example"),
        but("nobody has a balance", customers=[{"customer": c, "balance": "0"} for c in ("acme", "bolt")]),
        but("one unit each", customers=[{"customer": c, "balance": "1"} for c in ("acme", "bolt")]),
        but("the largest balance", customers=[{"customer": c, "balance": str(10**36 - 1)} for c in ("acme", "bolt")]),
        but(
            "shares of the whole",
            shares={"treasury": str(6 * ONE // 10), "reserve": str(3 * ONE // 10), "validators": str(ONE // 10)},
        ),
        but("the treasury takes all", shares={"treasury": one, "reserve": "0", "validators": "0"}),
        but("a share of one 10^18th", shares={"treasury": "1", "reserve": "1", "validators": "1"}),
        but("nobody judged", validators=[]),
        but("nothing was attested", usage=[]),
        but("longer than a month", end="2026-04-15T12:34:56Z"),
        but("the marketplace takes all", listings=[example["listings"][0] | {"marketplace_share": one}]),
    ]


def result_of(described: dict[str, Any]) -> dict[str, Any]:
    """What an era comes to, as ``proofroom settle --json`` prints it."""
    return description.settled_facts(description.settle(description.parse_description(json.dumps(described).encode())))


def vectors() -> str:
    """All of them, as the file holds them."""
    rules = [
        {"rule": name, "arguments": _plain(list(arguments)), "result": _plain(function(*arguments))}
        for name, (function, cases) in RULES.items()
        for arguments in cases
    ]
    settled = [era | {"result": result_of(era["description"])} for era in eras()]
    return json.dumps({"rules": rules, "eras": settled}, indent=1, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    """Integers as decimal strings."""
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else str(value)


if __name__ == "__main__":
    FILE.write_text(vectors(), encoding="utf-8")
