"""``python -m mutants.forked [--shared] TEST.. -- N (MODULE SESSION)..``: run the tests on pending mutants, in a copy of the checkout.

The tests are collected once, and run once with a note of which lines of the modules each runs. A mutant is then a fork of that process:
the functions of the module get the mutated code, and the tests that run the mutated statement are run, the quickest and deadliest first,
until one fails. A constant of the module gets its mutated value in the fork, and all tests run. What else stands in no function (a
default, a decorator, a class) is mutated in the file, and a new interpreter runs all the tests. ``--shared`` lets all mutants have what the
tests cache: histories and files that are made without these modules.

Mutants are tried in an order that is drawn from :data:`SEED`, so that what was tried of an unfinished module is a random sample of it.
What is no mutant is in :meth:`mutants.source.Source.is_none`.
"""

from __future__ import annotations

import functools
import gc
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple

import nacl.bindings
import pytest
from _pytest.runner import runtestprotocol
from cosmic_ray.ast import get_ast
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

from mutants.source import Source

SEED = 6
CPU_SECONDS = 60
"""After which a mutant hangs."""
MEMORY = 4 * 1024**3
"""What a mutant may take."""
QUIET = ("-q", "-x", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist")
SHARED = "--shared"
SURVIVED = "survived"
NO_MUTANT = "does not compile"
Function = tuple[str, int]
"""Its qualified name and first line."""
Ran = set[tuple[str, int]]
"""Which lines of which files."""


def codes_of(code: CodeType) -> Iterator[tuple[Function, CodeType]]:
    """All code of a module."""
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield (part.co_qualname, part.co_firstlineno), part
            yield from codes_of(part)


def holders_of(file: str) -> list[FunctionType]:
    """The functions of a module, wherever they are held."""
    return [held for held in gc.get_objects() if isinstance(held, FunctionType) and held.__code__.co_filename == file]


def caches_of(files: Iterable[str]) -> list[Any]:
    """What functions of these files, or folders, remember of their calls."""
    held = [held for held in gc.get_objects() if isinstance(held, functools._lru_cache_wrapper)]
    codes = [getattr(one.__wrapped__, "__code__", None) for one in held]
    files = tuple(files)
    return [
        one for one, code in zip(held, codes, strict=True) if code is not None and code.co_filename.startswith(files)
    ]


def remember_signatures() -> None:
    """Sign and verify each message once: it is most of the time that tests take, and always comes out the same."""
    for name in ("crypto_sign", "crypto_sign_open"):
        setattr(nacl.bindings, name, functools.cache(getattr(nacl.bindings, name)))


class Job(NamedTuple):
    """What is pending of one module."""

    source: Source
    keep: Callable[[Any, WorkResult], None]
    inside: list[Any]
    """Mutants in functions and constants."""
    outside: list[Any]


class Forking:
    """A pytest plugin: instead of running the tests once, run them on each mutant."""

    def __init__(self, jobs: Sequence[Job], *, shared: bool) -> None:
        self.jobs, self.shared = jobs, shared
        self.holders: dict[str, list[FunctionType]] = {}
        """The functions of each file."""
        self.killed: Counter[str] = Counter()
        """By each test."""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of pytest's own loop."""
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        files = {job.source.file() for job in self.jobs}
        seen = run_noted(session.items, files)
        if failed := {item.nodeid for item in session.items} - seen.keys():
            raise session.Interrupted(f"without any mutation, these fail: {sorted(failed)}")
        for cache in caches_of(files if self.shared else [str(Path.cwd())]):
            cache.cache_clear()
        self.holders = {file: holders_of(file) for file in files}
        gc.freeze()  # and no longer in gc.get_objects()
        for job in self.jobs:
            self.run_job(job, [(item, seconds, ran) for item in session.items for seconds, ran in [seen[item.nodeid]]])
        return True

    def run_job(self, job: Job, items: Sequence[tuple[pytest.Item, float, Ran]]) -> None:
        """Try the mutants of one module."""
        tree = get_ast(job.source.text)
        for done, work in enumerate(job.inside, 1):
            (spec,) = work.mutations
            place = {(job.source.file(), line) for line in job.source.lines_of(spec)}
            everywhere = bool(job.source.assigned_by(spec))
            calling = [(item, seconds) for item, seconds, ran in items if everywhere or not place.isdisjoint(ran)]
            calling.sort(key=lambda one: one[1] / (1 + self.killed[one[0].nodeid]))
            by = try_mutant(job.source, tree, spec, self.holders[job.source.file()], calling)
            if by not in (SURVIVED, NO_MUTANT):
                self.killed[by] += 1
            job.keep(work, outcome(by))
            if done % 50 == 0:
                print(f"{job.source.path}: {done} of {len(job.inside)}", flush=True)


def run_noted(items: Sequence[pytest.Item], files: Collection[str]) -> dict[str, tuple[float, Ran]]:
    """The tests as they are: for each that passes, its seconds and the lines that it runs, with nothing remembered of those before it."""
    noted: dict[str, tuple[float, Ran]] = {}
    caches = caches_of(files)
    for item in items:
        for cache in caches:
            cache.cache_clear()
        began, ran = time.perf_counter(), Ran()
        sys.settrace(noting(ran, files))
        passed = passes(item)
        sys.settrace(None)
        if passed:
            noted[item.nodeid] = time.perf_counter() - began, ran
    return noted


def noting(ran: Ran, files: Container[str]) -> Callable[[FrameType, str, Any], Any]:
    """A trace function that adds the lines of these files."""

    def note(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        ran.add((frame.f_code.co_filename, frame.f_lineno))
        return note

    return note


def try_mutant(
    source: Source,
    tree: Any,
    spec: MutationSpec,
    holders: Sequence[FunctionType],
    items: Sequence[tuple[pytest.Item, float]],
) -> str:
    """Which of these tests kills a mutant; each may take some times the seconds that it takes without it."""

    def run() -> bytes:
        code = source.compile(source.mutate(spec.operator_name, spec.occurrence, tree), source.file())
        if code is None:
            return NO_MUTANT.encode()
        if names := source.assigned_by(spec):
            assign(source, code, names)
        codes = dict(codes_of(code))
        for held in holders if not names else ():
            held.__code__ = codes[held.__code__.co_qualname, held.__code__.co_firstlineno]
        for item, seconds in items:
            signal.setitimer(signal.ITIMER_PROF, 3 + 10 * seconds)  # ends this process
            if not passes(item):
                return item.nodeid.encode()
        return SURVIVED.encode()

    return _in_fork(run).decode() or "the limit of a test's time, or of memory"


def assign(source: Source, code: CodeType, names: Sequence[str]) -> None:
    """Give these names, wherever they were imported, the values that they have in mutated code."""
    fresh = {"__name__": source.name, "__file__": source.file()}
    exec(code, fresh)  # noqa: S102 -- what is tried
    for name in names:
        before = getattr(sys.modules[source.name], name)
        for module in list(sys.modules.values()):
            if vars(module).get(name) is before:
                setattr(module, name, fresh[name])


def passes(item: pytest.Item) -> bool:
    """Whether a test passes or skips itself."""
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


def outcome(by: str) -> WorkResult:
    """What is kept of a mutant that was tried."""
    if by == NO_MUTANT:
        return WorkResult(worker_outcome=WorkerOutcome.SKIPPED, output=by)
    found = TestOutcome.SURVIVED if by == SURVIVED else TestOutcome.KILLED
    return WorkResult(worker_outcome=WorkerOutcome.NORMAL, test_outcome=found, output=by)


def _in_fork(work: Callable[[], bytes]) -> bytes:
    """What the work gives in a process that ends with it; nothing, when it raises or takes too long."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
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


def try_anew(source: Source, spec: MutationSpec, tests: Sequence[str]) -> str:
    """What kills a mutant in the file, in a new interpreter; the file is then put back."""
    mutated = source.mutate(spec.operator_name, spec.occurrence)
    if source.compile(mutated, str(source.path)) is None:
        return NO_MUTANT
    source.path.write_text(mutated)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *QUIET, *tests],
            capture_output=True,
            timeout=10 * CPU_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "the limit of time"
    finally:
        source.path.write_text(source.text)
    return SURVIVED if done.returncode == 0 else "a new interpreter"


def job_of(module: str, db: WorkDB, first: int) -> Job:
    """What is pending of the first mutants of a module, in the order of their trial; what is no mutant is put aside at once."""
    job = Job(Source(Path(module)), keep_in(db, module), [], [])
    pending = {work.job_id for work in db.pending_work_items}
    order = sorted(db.work_items, key=lambda work: str(work.mutations))
    random.Random(SEED).shuffle(order)
    for work in order:
        (spec,) = work.mutations
        if why := job.source.is_none(spec):
            if work.job_id in pending:
                job.keep(work, WorkResult(worker_outcome=WorkerOutcome.SKIPPED, output=why))
            continue
        first -= 1
        if first >= 0 and work.job_id in pending:
            in_fork = job.source.is_inside(spec) or job.source.assigned_by(spec)
            (job.inside if in_fork else job.outside).append(work)
    return job


def keep_in(db: WorkDB, module: str) -> Callable[[Any, WorkResult], None]:
    """Writes an outcome down at once."""

    def keep(work: Any, result: WorkResult) -> None:
        (spec,) = work.mutations
        db.set_result(work.job_id, result)
        if result.test_outcome is TestOutcome.SURVIVED:
            print(f"survived: {module} line {spec.start_pos[0]}: {spec.operator_name}", flush=True)

    return keep


def main(arguments: list[str]) -> None:
    """Try what is pending, and keep each outcome at once."""
    split, shared = arguments.index("--"), arguments[0] == SHARED
    tests, first, pairs = arguments[shared:split], arguments[split + 1], arguments[split + 2 :]
    with ExitStack() as stack:
        dbs = [stack.enter_context(use_db(session, WorkDB.Mode.open)) for session in pairs[1::2]]
        jobs = [job_of(module, db, int(first or sys.maxsize)) for module, db in zip(pairs[::2], dbs, strict=True)]
        inside = [job for job in jobs if job.inside]
        remember_signatures()
        if inside and (status := pytest.main([*QUIET, "-s", *tests], plugins=[Forking(inside, shared=shared)])):
            sys.exit(f"pytest ended with status {status}")
        for job in jobs:
            for work in job.outside:
                job.keep(work, outcome(try_anew(job.source, work.mutations[0], tests)))


if __name__ == "__main__":
    main(sys.argv[1:])
