"""``python -m mutants.forked MODULE SESSION TEST..``: run the tests on each pending mutant of a session, in a copy of the checkout.

The tests are collected once, and run once with a note of which functions of the module each calls. A mutant is then a fork of that process:
the functions of the module get the mutated code, and the tests that call the mutated one are run, the quickest first, until one fails. What
stands in no function (a constant, a default, a decorator) is mutated in the file, and a new interpreter runs all the tests.
"""

from __future__ import annotations

import ast
import functools
import gc
import inspect
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple

import cosmic_ray.plugins
import pytest
from _pytest.runner import runtestprotocol
from cosmic_ray.mutating import mutate_code
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

CPU_SECONDS = 60
"""After which a mutant hangs."""
QUIET = ("-q", "-x", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist")
SURVIVED = "survived"
Function = tuple[str, int]
"""Its qualified name and first line."""


class Place(NamedTuple):
    """Where something stands in a module: lines from 1, columns from 0."""

    start: tuple[int, int]
    end: tuple[int, int]

    def holds(self, spec: MutationSpec) -> bool:
        """Whether a mutation lies in it."""
        return self.start <= spec.start_pos and spec.end_pos <= self.end


def _place(first: Any, last: Any) -> Place:
    return Place((first.lineno, first.col_offset), (last.end_lineno, last.end_col_offset))


class Source:
    """A module as it is: what of it no mutant is counted in, and which function each line belongs to."""

    def __init__(self, path: Path) -> None:
        self.path, self.text = path, path.read_text()
        self.name = "proofroom." + path.with_suffix("").as_posix().replace("/", ".")
        self.annotations: list[Place] = []
        self.bodies: list[tuple[Place, int]] = []
        for node in ast.walk(ast.parse(self.text)):
            for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
                if isinstance(part, ast.expr):
                    self.annotations.append(_place(part, part))
            if isinstance(node, ast.FunctionDef):
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                self.bodies.append((_place(node.body[0], node.body[-1]), first))

    def is_annotation(self, spec: MutationSpec) -> bool:
        """Nothing evaluates it, so that a mutant in it is none."""
        return any(place.holds(spec) for place in self.annotations)

    def function_of(self, spec: MutationSpec) -> int | None:
        """The first line of the innermost function in whose body it stands."""
        return max((first for place, first in self.bodies if place.holds(spec)), default=None)


def codes_of(code: CodeType) -> Iterator[tuple[Function, CodeType]]:
    """All code of a module."""
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield (part.co_qualname, part.co_firstlineno), part
            yield from codes_of(part)


def holders_of(file: str) -> list[FunctionType]:
    """The functions of a module, wherever they are held."""
    return [held for held in gc.get_objects() if isinstance(held, FunctionType) and held.__code__.co_filename == file]


def forget(file: str) -> None:
    """Empty what functions of a module remember of their calls."""
    for held in gc.get_objects():
        if isinstance(held, functools._lru_cache_wrapper):
            code = getattr(held.__wrapped__, "__code__", None)
            if code is not None and code.co_filename == file:
                held.cache_clear()


class Forking:
    """A pytest plugin: instead of running the tests once, run them on each mutant."""

    def __init__(self, source: Source, keep: Callable[[Any, WorkResult], None], pending: Sequence[Any]) -> None:
        self.source, self.keep, self.pending = source, keep, pending
        self.file = ""
        self.killed: Counter[str] = Counter()
        """By each test."""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of pytest's own loop."""
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        self.file = str(sys.modules[self.source.name].__file__)
        make_shared()
        seen: dict[str, tuple[float, list[int]]] = json.loads(_in_fork(lambda: self.run_noted(session.items)))
        if failed := {item.nodeid for item in session.items} - seen.keys():
            raise session.Interrupted(f"without any mutation, these fail: {sorted(failed)}")
        forget(self.file)
        holders = holders_of(self.file)
        for done, work in enumerate(self.pending, 1):
            (spec,) = work.mutations
            calling = [item for item in session.items if self.source.function_of(spec) in seen[item.nodeid][1]]
            calling.sort(key=lambda item: seen[item.nodeid][0] / (1 + self.killed[item.nodeid]))
            self.keep(work, self.try_mutant(spec, holders, calling))
            if done % 50 == 0:
                print(f"{self.source.path}: {done} of {len(self.pending)}", flush=True)
        return True

    def run_noted(self, items: Sequence[pytest.Item]) -> bytes:
        """In a fork, the tests as they are: for each that passes, its seconds and the first lines of the functions it calls."""
        noted: dict[str, tuple[float, list[int]]] = {}
        for item in items:
            called: set[int] = set()

            def note(frame: FrameType, event: str, arg: object, called: set[int] = called) -> None:
                if frame.f_code.co_filename == self.file:
                    called.add(frame.f_code.co_firstlineno)

            began = time.perf_counter()
            sys.settrace(note)
            passed = passes(item)
            sys.settrace(None)
            if passed:
                noted[item.nodeid] = (time.perf_counter() - began, sorted(called))
        return json.dumps(noted).encode()

    def try_mutant(
        self, spec: MutationSpec, holders: Sequence[FunctionType], items: Sequence[pytest.Item]
    ) -> WorkResult:
        """The outcome of these tests on a mutant."""
        mutated = mutate_code(self.source.text, cosmic_ray.plugins.get_operator(spec.operator_name)(), spec.occurrence)
        if mutated is None:
            return WorkResult(worker_outcome=WorkerOutcome.NO_TEST)

        def run() -> bytes:
            codes = dict(codes_of(compile(mutated, self.file, "exec", dont_inherit=True)))
            for held in holders:
                held.__code__ = codes[held.__code__.co_qualname, held.__code__.co_firstlineno]
            return next((item.nodeid for item in items if not passes(item)), SURVIVED).encode()

        by = _in_fork(run).decode()
        if by != SURVIVED:
            self.killed[by] += 1
        return outcome(survived=by == SURVIVED)


def make_shared() -> None:
    """What the tests make once a process, by code that no mutant is in yet: their cached functions without parameters."""
    for module in [
        m for m in sys.modules.values() if str(getattr(m, "__file__", "")).startswith(str(Path("tests").resolve()))
    ]:
        for held in list(vars(module).values()):
            if isinstance(held, functools._lru_cache_wrapper) and not inspect.signature(held).parameters:
                held()


def passes(item: pytest.Item) -> bool:
    """Whether a test passes or skips itself."""
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


def outcome(*, survived: bool) -> WorkResult:
    """What is kept of a mutant that was tried."""
    return WorkResult(
        worker_outcome=WorkerOutcome.NORMAL, test_outcome=TestOutcome.SURVIVED if survived else TestOutcome.KILLED
    )


def _in_fork(work: Callable[[], bytes]) -> bytes:
    """What the work gives in a process that ends with it; nothing, when it raises or takes too long."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nowhere, stream)
            os.write(writing, work())
        finally:
            os._exit(0)
    os.close(writing)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
    signal.alarm(2 * CPU_SECONDS)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    signal.alarm(0)
    return told


def try_anew(source: Source, spec: MutationSpec, tests: Sequence[str]) -> WorkResult:
    """The outcome of all the tests with one mutation in the file, which is then put back."""
    mutated = mutate_code(source.text, cosmic_ray.plugins.get_operator(spec.operator_name)(), spec.occurrence)
    if mutated is None:
        return WorkResult(worker_outcome=WorkerOutcome.NO_TEST)
    source.path.write_text(mutated)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *QUIET, *tests],
            capture_output=True,
            timeout=10 * CPU_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return outcome(survived=False)
    finally:
        source.path.write_text(source.text)
    return outcome(survived=done.returncode == 0)


def main(module: str, session: str, tests: list[str]) -> None:
    """Try what is pending, and keep each outcome at once."""
    source = Source(Path(module))
    with use_db(session, WorkDB.Mode.open) as db:

        def keep(work: Any, result: WorkResult) -> None:
            (spec,) = work.mutations
            db.set_result(work.job_id, result)
            if result.test_outcome is TestOutcome.SURVIVED:
                print(f"survived: {module} line {spec.start_pos[0]}: {spec.operator_name}", flush=True)

        inside, outside = [], []
        for work in db.pending_work_items:
            (spec,) = work.mutations
            if source.is_annotation(spec):
                keep(work, WorkResult(worker_outcome=WorkerOutcome.SKIPPED, output="in an annotation"))
            else:
                (outside if source.function_of(spec) is None else inside).append(work)
        if inside and (status := pytest.main([*QUIET, "-s", *tests], plugins=[Forking(source, keep, inside)])):
            sys.exit(f"{module}: pytest ended with status {status}")
        for work in outside:
            keep(work, try_anew(source, work.mutations[0], tests))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
