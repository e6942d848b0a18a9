"""Print the JSON schema of every kind of statement into ``schemas.json``: ``PYTHONPATH=tests python -m vectors.schemas``."""

from __future__ import annotations

import json
from pathlib import Path

from proofroom.domain.statements import BESIDE, KINDS

FILE = Path(__file__).with_name("schemas.json")


def schemas() -> str:
    """The schemas by payload type, as the file holds them."""
    by_type = {payload_type: statement.model_json_schema() for payload_type, statement in (KINDS | BESIDE).items()}
    return json.dumps(by_type, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(schemas(), encoding="utf-8")
