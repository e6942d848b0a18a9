"""The README's examples run as they stand, one after the other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_embedding_example_runs() -> None:
    """The Python blocks, copied below each other into an empty script, end with everything verified."""
    example = "\n".join(re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "active" in done.stdout
    assert "VALID: 3 of 3 verified" in done.stdout
    assert r"b'bread\neggs\nmilk\n'" in done.stdout
    assert "second run: grant-revoked" in done.stdout
    assert "ERASED: 1 payload" in done.stdout
    assert re.search(r"^2 grant blake3:\w+ is revoked$", done.stdout, re.MULTILINE)
    assert "attested 824000" in done.stdout
    assert re.search(r"^VALID: record dac-\S+ was granted, and attested by two thirds", done.stdout, re.MULTILINE)
