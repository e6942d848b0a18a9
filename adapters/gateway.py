"""The gateway: it stands between an agent and the storage and meters each run on its own, never asking the runtime (protocol 5).

What it saw becomes an :class:`~proofroom.domain.crosscheck.Observation`, which validators compare with the record. Here gateway and runtime
share a machine, so both stand on the same kernel's accounts, read by different ways; a gateway elsewhere would have its own.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

from proofroom.adapters.storage import Meter, Storage
from proofroom.domain.crosscheck import Observation

_TICKS = os.sysconf("SC_CLK_TCK")


class RunMeter:
    """The meter of one run: made before it begins, read when it has ended.

    Args:
        storage: whose traffic is counted; runs beside each other on one storage object are not told apart.
        vault_scope: whose stored bytes are counted over the time of the run; without it they are unobserved.
        gpu: a meter of GPU units, other than the runtime's; without one they are unobserved.
    """

    def __init__(
        self, storage: Storage, vault_scope: str | None = None, *, gpu: Callable[[], int] | None = None
    ) -> None:
        self._storage, self._gpu = storage, gpu
        self._gpu_before = gpu() if gpu else 0
        self._before = storage.meters()
        self._kept_before: dict[str, int] = {}
        if vault_scope is not None:
            self._kept_before[vault_scope] = storage.byte_ms(vault_scope)
        self._children_ms = _children_ms()
        self._process_ms: int | None = None

    def watch(self, pid: int) -> None:
        """Read the child's account; the last reading, when it has ended and is not reaped, is final."""
        self._process_ms = process_ms(pid) or self._process_ms

    def observation(self, vault_scope: str) -> Observation:
        """What was seen of the run."""
        passed = {
            scope: meter.minus(self._before.get(scope, Meter())) for scope, meter in self._storage.meters().items()
        }
        touched = {scope: meter for scope, meter in passed.items() if meter != Meter()}
        total = Meter()
        for meter in touched.values():
            total = total.plus(meter)
        return Observation(
            cpu_ms=self._process_ms if self._process_ms is not None else _children_ms() - self._children_ms,
            gpu_micro=self._gpu() - self._gpu_before if self._gpu else None,
            byte_seconds=self._byte_seconds(vault_scope),
            bytes_streamed=total.bytes_streamed,
            puts=total.puts,
            gets=total.gets,
            scopes=tuple(sorted(touched)),
            result_hash=self._storage.last_put(vault_scope) if touched.get(vault_scope, Meter()).puts else None,
        )

    def _byte_seconds(self, vault_scope: str) -> int | None:
        before = self._kept_before.get(vault_scope)
        return None if before is None else (self._storage.byte_ms(vault_scope) - before) // 1000


def process_ms(pid: int) -> int | None:
    """Processor time of a process and its waited-for descendants from ``/proc``, in ms; None where that is not to be had.

    The kernel shows whole ticks, rounded down, of four accounts (its own and its children's); each is taken to be as large as it may be,
    also one that shows no tick yet, so that an honest claim never lies above.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum((int(ticks) + 1) * 1000 // _TICKS for ticks in fields[11:15])
    except (OSError, ValueError):
        return None


def _children_ms() -> int:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1000) + 1
