"""The notebooks run, and what is committed of them can be read without running them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from strategies.rooms import soak

HERE = Path(__file__).parents[1]
NOTEBOOKS = sorted((HERE / "notebooks").glob("*.ipynb"))


def test_all_of_them_run() -> None:
    """Against a small world by default; against that of which the outputs are committed, and with the same words, in a soak."""
    entries = soak(3_600, 100_000)
    command = [sys.executable, "-m", "notebooks", "--entries", str(entries)] + ["--same"] * (entries == 100_000)
    ran = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert [line.split(":")[0] for line in ran.stdout.splitlines()] == [
        "consent",
        "compute",
        "attestation",
        "settlement",
        "suspicious-era",
    ]


def outputs_of(notebook: Any) -> list[Any]:
    return [output for cell in notebook["cells"] if cell["cell_type"] == "code" for output in cell["outputs"]]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_has_outputs_and_nothing_of_a_machine(path: Path) -> None:
    """Pictures are there; paths, times of execution and counters are not."""
    text = path.read_text()
    notebook = json.loads(text)
    assert sum("image/png" in output.get("data", {}) for output in outputs_of(notebook)) >= 2
    assert all(output["output_type"] != "error" for output in outputs_of(notebook))
    assert not re.search(r"/(tmp|home|root|Users|work)/|iopub|execution\": \{", text)
    assert all(not cell["metadata"] and cell.get("execution_count") is None for cell in notebook["cells"])


def test_all_are_of_one_world() -> None:
    """Each begins with the head of the log, which is the same in all: some 100,000 entries."""
    heads = {"".join(outputs_of(json.loads(path.read_text()))[0]["text"]) for path in NOTEBOOKS}
    assert len(NOTEBOOKS) == 5
    (head,) = heads
    assert 95_000 < int(head.splitlines()[1]) < 105_000
