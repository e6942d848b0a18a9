"""``python -m mutants [NAME..]``: mutate modules in a copy of the checkout, run their tests, and write down who survives.

Resumable: each module has a session in ``build/mutants/``, and a run goes on where the last one stopped (Ctrl-C is fine). When a module or
its tests change, delete its session. ``docs/mutants.md`` holds the committed summary, written by ``python -m mutants --summary``.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "mutants"
FOLDERS = ("adapters", "docs", "domain", "mutants", "projections", "src", "tests", "pyproject.toml")

VERIFIER = (
    "tests/domain/test_verifier.py",
    "tests/domain/test_verifier_changes.py",
    "tests/domain/test_verifier_record.py",
    "tests/domain/test_verifier_rooted.py",
    "tests/domain/test_carried_proofs.py",
    "tests/domain/test_recount.py",
    "tests/domain/test_interop.py",
)
TREE = ("tests/domain/test_merkle.py", "tests/domain/test_merkle_proofs.py", "tests/domain/test_interop.py")
MODULES: dict[str, tuple[str, ...]] = {
    "domain/merkle.py": TREE,
    "domain/verifier/tree.py": VERIFIER,
    "domain/verifier/keys.py": VERIFIER,
    "domain/verifier/note.py": VERIFIER,
    "domain/verifier/entry.py": VERIFIER,
    "domain/verifier/proof.py": VERIFIER,
    "domain/verifier/record.py": VERIFIER,
    "domain/verifier/verdict.py": VERIFIER,
    "domain/recount.py": VERIFIER,
    "domain/policy.py": ("tests/domain/test_policy.py", *VERIFIER),
}
"""Module -> the tests that must notice. Another module needs only its line here."""


def session_of(module: str) -> Path:
    """Where the outcomes of a module are kept."""
    return BUILD / (module.replace("/", "-").removesuffix(".py") + ".sqlite")


def run(module: str) -> None:
    """Go on with one module, in a copy of its own."""
    work, session = BUILD / "work", session_of(module)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for name in FOLDERS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, work / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, work / name)
    config = work / "mutants.toml"
    config.write_text(
        f'[cosmic-ray]\nmodule-path = "{module}"\ntimeout = 120.0\nexcluded-modules = []\n'
        'test-command = "true"\n'
        '[cosmic-ray.distributor]\nname = "local"\n'
    )
    env = os.environ | {"PYTHONPATH": str(work / "src"), "PROOFROOM_PROFILE": "mutants", "PYTHONDONTWRITEBYTECODE": "1"}
    cosmic = [sys.executable, "-m", "cosmic_ray.cli"]
    if not session.exists():
        subprocess.run([*cosmic, "init", str(config), str(session)], cwd=work, env=env, check=True)
    forked = [sys.executable, "-m", "mutants.forked", module, str(session), *MODULES[module]]
    subprocess.run(forked, cwd=work, env=env, check=True)


def outcomes(module: str) -> tuple[int, int, list[str]]:
    """How many mutants a module has, how many were tried, and where those stand that no test noticed."""
    session = session_of(module)
    if not session.exists():
        return 0, 0, []
    with closing(sqlite3.connect(session)) as connection:
        (total,) = connection.execute("SELECT count(*) FROM mutation_specs").fetchone()
        (tried,) = connection.execute("SELECT count(*) FROM work_results").fetchone()
        survivors = connection.execute(
            "SELECT s.start_pos_row, s.operator_name FROM mutation_specs s JOIN work_results r ON r.job_id = s.job_id"
            " WHERE r.test_outcome = 'SURVIVED' ORDER BY 1, 2"
        ).fetchall()
    return total, tried, [f"line {row}: {name.removeprefix('core/')}" for row, name in survivors]


def summary() -> None:
    """Print what ``docs/mutants.md`` keeps."""
    print("| module | mutants | tried | survived |\n|---|---|---|---|")
    survivors: list[str] = []
    for module in MODULES:
        total, tried, alive = outcomes(module)
        print(f"| `{module}` | {total} | {tried} | {len(alive)} |")
        survivors += [f"- `{module}` {where}" for where in alive]
    print("\n" + "\n".join(survivors))


def main(names: list[str]) -> None:
    """Go on with all modules, or with those named."""
    if names == ["--summary"]:
        summary()
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    for module in names or MODULES:
        print(f"mutating {module}", flush=True)
        run(module)
    summary()


if __name__ == "__main__":
    main(sys.argv[1:])
