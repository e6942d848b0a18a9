"""``python -m mutants [NAME..]``: mutate modules in a copy of the checkout, run their tests, and write down who survives.

Resumable: each text of a module has a session of its own in ``build/mutants/``, and a run goes on where the last one stopped (Ctrl-C is
fine). Tests may change at any time.
"""

from __future__ import annotations

import argparse
import difflib
import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from mutants.explained import Listed, listed, to_list
from mutants.forked import SEED, SHARED
from mutants.source import Source

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "mutants"
PAGE = ROOT / "docs" / "mutants.md"
FOLDERS = ("adapters", "docs", "domain", "mutants", "projections", "src", "tests", "pyproject.toml")

VERIFIER = (
    "tests/domain/test_verifier.py",
    "tests/domain/test_verifier_twins.py",
    "tests/domain/test_verifier_notes.py",
    "tests/domain/test_verifier_entries.py",
    "tests/domain/test_verifier_files.py",
    "tests/domain/test_verifier_bounds.py",
    "tests/domain/test_verifier_changes.py",
    "tests/domain/test_verifier_consent.py",
    "tests/domain/test_verifier_record.py",
    "tests/domain/test_verifier_rooted.py",
    "tests/domain/test_verifier_strays.py",
    "tests/domain/test_carried_proofs.py",
    "tests/domain/test_doubted_proofs.py",
    "tests/domain/test_recount.py",
    "tests/domain/test_recount_bounds.py",
    "tests/domain/test_recount_lines.py",
    "tests/domain/test_recount_payments.py",
    "tests/domain/test_policy.py",
    "tests/domain/test_interop.py",
)
TREE = (
    "tests/domain/test_merkle.py",
    "tests/domain/test_merkle_proofs.py",
    "tests/domain/test_recount_bounds.py",
    "tests/domain/test_interop.py",
)
REFUSALS = "tests/properties/test_refusals.py"
SETTLEMENT = (
    "tests/domain/test_carry.py",
    "tests/domain/test_charging.py",
    "tests/domain/test_completeness.py",
    "tests/domain/test_counting.py",
    "tests/domain/test_doubt.py",
    "tests/domain/test_lines.py",
    "tests/domain/test_marketplace.py",
    "tests/domain/test_payouts.py",
    "tests/domain/test_settlement.py",
    "tests/domain/test_tally.py",
    "tests/properties/test_eras.py",
    REFUSALS,
)
ATTESTATION = (
    "tests/domain/test_committee.py",
    "tests/domain/test_doubt.py",
    "tests/domain/test_escalation.py",
    "tests/domain/test_escalation_vectors.py",
    "tests/domain/test_rounds.py",
    "tests/domain/test_rounds_together.py",
    "tests/domain/test_tally.py",
    "tests/domain/test_voting.py",
    "tests/properties/test_message_orders.py",
    REFUSALS,
    "tests/domain/test_judges.py",
)
CONSENT = (
    "tests/domain/test_activity.py",
    "tests/domain/test_consent.py",
    "tests/domain/test_consent_order.py",
    "tests/domain/test_delegation.py",
    "tests/properties/test_consent_machine.py",
    REFUSALS,
)
ENVELOPE = (
    "tests/domain/test_canonical.py",
    "tests/domain/test_canonical_edges.py",
    "tests/domain/test_entry.py",
    "tests/domain/test_envelope.py",
    "tests/domain/test_envelope_edges.py",
    "tests/domain/test_envelope_refusals.py",
    "tests/domain/test_rooted.py",
    "tests/domain/test_signing.py",
)
MODULES: dict[str, tuple[str, ...]] = {
    "domain/verifier/tree.py": VERIFIER,
    "domain/verifier/keys.py": VERIFIER,
    "domain/verifier/note.py": VERIFIER,
    "domain/verifier/entry.py": VERIFIER,
    "domain/verifier/proof.py": VERIFIER,
    "domain/verifier/record.py": VERIFIER,
    "domain/verifier/verdict.py": VERIFIER,
    "domain/recount.py": VERIFIER,
    "domain/recount_lines.py": VERIFIER,
    "domain/policy.py": VERIFIER,
    "domain/merkle.py": TREE,
    **dict.fromkeys(
        [f"domain/{name}.py" for name in ("settlement", "charging", "counting", "lines", "payouts", "completeness")],
        SETTLEMENT,
    ),
    **dict.fromkeys(
        [f"domain/{name}.py" for name in ("voting", "rounds", "committee", "verdicts", "escalation")], ATTESTATION
    ),
    **dict.fromkeys([f"domain/{name}.py" for name in ("consent", "delegation", "authorisation")], CONSENT),
    **dict.fromkeys(
        [f"domain/{name}.py" for name in ("envelope", "canonical", "signatures", "signing", "rooted", "entry")],
        ENVELOPE,
    ),
}
"""Module -> the tests that must notice. Another module needs only its line here."""


def session_of(module: str) -> Path:
    """Where the outcomes of a module, as it stands, are kept."""
    text = hashlib.sha256((ROOT / module).read_bytes()).hexdigest()[:8]
    return BUILD / f"{module.removesuffix('.py').replace('/', '-')}-{text}.sqlite"


def run(modules: list[str], first: str) -> None:
    """Go on with modules that have the same tests, in a copy of their own; with so many mutants of each, where a number is given."""
    work = BUILD / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for name in FOLDERS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, work / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, work / name)
    env = os.environ | {"PYTHONPATH": str(work / "src"), "PROOFROOM_PROFILE": "mutants", "PYTHONDONTWRITEBYTECODE": "1"}
    for module in modules:
        config, session = work / "mutants.toml", session_of(module)
        config.write_text(
            f'[cosmic-ray]\nmodule-path = "{module}"\ntimeout = 120.0\nexcluded-modules = []\n'
            'test-command = "true"\n'
            '[cosmic-ray.distributor]\nname = "local"\n'
        )
        if not session.exists():
            cosmic = [sys.executable, "-m", "cosmic_ray.cli", "init", str(config), str(session)]
            subprocess.run(cosmic, cwd=work, env=env, check=True)
    pairs = [part for module in modules for part in (module, str(session_of(module)))]
    tests = MODULES[modules[0]]
    shared = [SHARED] if tests == VERIFIER else []
    forked = [sys.executable, "-m", "mutants.forked", *shared, *tests, "--", first, *pairs]
    subprocess.run(forked, cwd=work, env=env, check=True)


class Outcomes(NamedTuple):
    """How many mutants a module has, how many were tried, and who survived: line, operator and its occurrence."""

    total: int
    tried: int
    alive: list[tuple[int, str, int]]


def outcomes(module: str) -> Outcomes:
    """What is known of a module as it stands."""
    session = session_of(module)
    if not session.exists():
        return Outcomes(0, 0, [])
    with closing(sqlite3.connect(session)) as connection:
        (total,) = connection.execute(
            "SELECT count(*) FROM mutation_specs WHERE job_id NOT IN (SELECT job_id FROM work_results WHERE worker_outcome = 'SKIPPED')"
        ).fetchone()
        (tried,) = connection.execute("SELECT count(*) FROM work_results WHERE worker_outcome <> 'SKIPPED'").fetchone()
        survivors = connection.execute(
            "SELECT s.start_pos_row, s.operator_name, s.occurrence FROM mutation_specs s JOIN work_results r ON r.job_id = s.job_id"
            " WHERE r.test_outcome = 'SURVIVED' ORDER BY 1, 2, 3"
        ).fetchall()
    return Outcomes(total, tried, survivors)


def again(module: str) -> None:
    """Forget of those that survived for no reason in ``docs/mutants.md`` that they did."""
    with closing(sqlite3.connect(session_of(module))) as connection, connection:
        connection.executemany(
            "DELETE FROM work_results WHERE job_id IN (SELECT job_id FROM mutation_specs WHERE operator_name = ? AND occurrence = ?)",
            [(operator, occurrence) for operator, occurrence, _ in reasoned(module)[0]],
        )


def survivors(module: str) -> None:
    """Print each survivor as the line that it changes."""
    source = Source(ROOT / module)
    for row, operator, occurrence in outcomes(module).alive:
        changed = source.mutate(operator, occurrence).splitlines()
        lines = [line for line in difflib.ndiff(source.text.splitlines(), changed) if line[:2] in ("- ", "+ ")]
        print(
            f"{module}:{row} {operator.removeprefix('core/')}",
            *(f"  {line[0]} {line[1:].strip()}" for line in lines),
            sep="\n",
        )


def reasoned(module: str) -> tuple[list[tuple[str, int, Listed]], list[Listed]]:
    """Who survived for no reason that ``docs/mutants.md`` gives, by operator and occurrence; and whom it lists who did not survive."""
    source = Source(ROOT / module)
    page, left, used = [one for one in listed(PAGE) if one.module == module.removeprefix("domain/")], [], set[Listed]()
    for _, operator, occurrence in outcomes(module).alive:
        mutated = source.mutate(operator, occurrence)
        known = {one for one in page if one.gives(source.text, mutated)}
        used |= known
        if not known:
            left.append((operator, occurrence, to_list(module, source.text, mutated)))
    return left, [one for one in page if one not in used]


def unexplained(modules: list[str]) -> bool:
    """Print these, as the page lists them."""
    found = False
    for module in modules:
        left, rest = reasoned(module)
        found = found or bool(left)
        for what, ones in (("no reason", [one for *_, one in left]), ("no survivor", rest)):
            for one in ones:
                print(f"{what}:", one, sep="\n")
    return found


def summary(modules: list[str]) -> None:
    """Print the table that ``docs/mutants.md`` keeps."""
    print(f"order of trial: seed {SEED}\n\n| module | mutants | tried | killed | survived |\n|---|---|---|---|---|")
    for module in modules:
        total, tried, alive = outcomes(module)
        killed = tried - len(alive)
        print(f"| `{module}` | {total} | {tried} | {killed} ({killed / tried if tried else 0:.1%}) | {len(alive)} |")


def main() -> None:
    """Go on with all modules, or with those named."""
    parser = argparse.ArgumentParser("python -m mutants", description=__doc__)
    parser.add_argument(
        "modules", nargs="*", default=[], metavar="MODULE", choices=[*MODULES, []], help="all, if none is named"
    )
    parser.add_argument("--first", default="", metavar="N", help="of each module only the first N in their drawn order")
    parser.add_argument("--again", action="store_true", help="also try those again that survived without a reason")
    parser.add_argument("--survivors", action="store_true", help="only print who survived")
    parser.add_argument(
        "--unexplained", action="store_true", help="only print who survived without a reason in docs/mutants.md"
    )
    parser.add_argument("--summary", action="store_true", help="only print the table")
    given = parser.parse_args()
    modules = given.modules or list(MODULES)
    BUILD.mkdir(parents=True, exist_ok=True)
    if given.survivors:
        for module in modules:
            survivors(module)
        return
    if given.unexplained:
        sys.exit(unexplained(modules))
    if not given.summary:
        with (BUILD / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # one run at a time has the copy
            for module in modules if given.again else ():
                if session_of(module).exists():
                    again(module)
            for tests in dict.fromkeys(MODULES[module] for module in modules):
                run([module for module in modules if MODULES[module] == tests], given.first)
    summary(modules)


if __name__ == "__main__":
    main()
