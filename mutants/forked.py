"""``python -m mutants.forked MODULE SESSION TEST..``: run the tests on each pending mutant of a session, in a copy of the checkout.

Everything that does not depend on the mutated module is imported, and the honest histories are made, once; each mutant is a fork that loads
the rest anew. So a mutant costs about a second of processor time, most of it for pytest to collect.
"""

from __future__ import annotations

import ast
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import cosmic_ray.plugins
from cosmic_ray.mutating import mutate_code
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

TIMEOUT_SECONDS = 120
CPU_SECONDS, SINGLE_CPU_SECONDS = 60, 10
"""After which a mutant hangs: with whole files, and with single tests."""
AGAIN = ("proofroom.domain.verifier", "proofroom.domain.recount", "proofroom.domain.policy")
"""Modules that a fork loads anew besides the mutated one: those that are tested here, and import each other."""


def prepare() -> None:
    """Import and make what all mutants share."""
    sys.path[:0] = ["tests"]
    import hypothesis
    import pytest

    from strategies.forging import forge, proven_history

    assert hypothesis
    assert pytest
    assert len(proven_history().entries) == forge().size


def annotations(source: str) -> Iterator[tuple[int, int, int, int]]:
    """Where annotations stand: nothing evaluates them, so a mutant in one is no mutant."""
    for node in ast.walk(ast.parse(source)):
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(part, ast.expr):
                yield part.lineno, part.col_offset, part.end_lineno or 0, part.end_col_offset or 0


def is_in(spec: MutationSpec, places: list[tuple[int, int, int, int]]) -> bool:
    """Whether a mutation lies in one of these places."""
    return any((a, b) <= spec.start_pos and spec.end_pos <= (c, d) for a, b, c, d in places)


def try_mutant(path: Path, spec: MutationSpec, tests: list[str]) -> WorkResult:
    """The outcome of the tests with one mutation in the file, which is then put back."""
    source = path.read_text()
    mutated = mutate_code(source, cosmic_ray.plugins.get_operator(spec.operator_name)(), spec.occurrence)
    if mutated is None:
        return WorkResult(worker_outcome=WorkerOutcome.NO_TEST)
    path.write_text(mutated)
    try:
        status = run_tests(path, tests)
    finally:
        path.write_text(source)
    outcome = TestOutcome.SURVIVED if status == 0 else TestOutcome.KILLED
    return WorkResult(worker_outcome=WorkerOutcome.NORMAL, test_outcome=outcome, output=str(status))


def run_tests(path: Path, tests: list[str]) -> int:
    """The status of the tests over the module as it stands now: single tests, which are named as such, before whole files."""
    single = [test for test in tests if "::" in test]
    whole = [test for test in tests if test not in single]
    for some, seconds in ((single, SINGLE_CPU_SECONDS), (whole, CPU_SECONDS)):
        if some:
            child = os.fork()
            if child == 0:
                _run(path, some, seconds)
            if (status := _wait(child)) != 0:
                return status
    return 0


def _run(path: Path, tests: list[str], cpu_seconds: int) -> None:
    """In the fork: load the mutant, run the tests, and end with their status."""
    status = 1
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        mutated = "proofroom." + path.with_suffix("").as_posix().replace("/", ".")
        for name in [n for n in sys.modules if n == mutated or n.startswith(AGAIN)]:
            del sys.modules[name]
        import pytest

        status = int(pytest.main(["-q", "-x", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]))
    finally:
        os._exit(status)


def _wait(child: int) -> int:
    """Its exit status; what hangs is ended."""

    def end(number: int, frame: FrameType | None) -> None:
        os.killpg(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, end)
    signal.alarm(TIMEOUT_SECONDS)
    try:
        _, status = os.waitpid(child, 0)
    finally:
        signal.alarm(0)
    return status


def main(module: str, session: str, tests: list[str]) -> None:
    """Try what is pending, and keep each outcome at once."""
    prepare()
    path = Path(module)
    places = list(annotations(path.read_text()))
    if (status := run_tests(path, tests)) != 0:
        sys.exit(f"{module}: the tests fail without any mutation, with status {status}")
    with use_db(session, WorkDB.Mode.open) as db:
        pending = list(db.pending_work_items)
        for done, item in enumerate(pending, 1):
            (spec,) = item.mutations
            if is_in(spec, places):
                result = WorkResult(worker_outcome=WorkerOutcome.SKIPPED, output="in an annotation")
            else:
                result = try_mutant(path, spec, tests)
            db.set_result(item.job_id, result)
            if result.test_outcome is TestOutcome.SURVIVED:
                print(
                    f"survived: {module} line {spec.start_pos[0]}: {spec.operator_name} {spec.occurrence}", flush=True
                )
            if done % 25 == 0:
                print(f"{module}: {done} of {len(pending)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
