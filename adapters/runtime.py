"""The agent runtime: a real function or program over a granted scope, in processes of its own (protocol 4).

What it measures is the runtime's own claim. What a gateway or storage measures of the same run is theirs
(:mod:`proofroom.adapters.gateway`), and only validators bring the two together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from proofroom.adapters.keys import Key
from proofroom.adapters.stores import now_ms
from proofroom.adapters.supervisor import Agent, Limits, Watch, run_agent
from proofroom.adapters.vault import Vault, seal
from proofroom.domain.commitment import Opening
from proofroom.domain.ids import Digest
from proofroom.domain.statements.fields import Usage

GpuMeter = Callable[[], int]
"""The host's reading of what its GPUs burned so far, in millionths of a unit; a run is the difference of two readings."""


class Run(NamedTuple):
    """One run, as the runtime claims it; nothing of it is on the ledger yet."""

    agent: str
    vault_scope: str
    cpu_ms: int
    gpu_micro: int
    usage: Usage
    started_at_ms: int
    ended_at_ms: int
    result_hash: Digest
    """Over the result as it was sealed to the wallet; also its address in the vault."""
    input_commitment: Digest
    opening: Opening
    """What the commitment commits to, with the salt: without it the commitment tells nothing. Kept off the ledger."""

    @property
    def confinement(self) -> Mapping[str, str]:
        """For each limit what held: ``kernel``, ``supervisor`` (by samples), or ``none``."""
        return self.opening.confinement


class AgentRuntime:
    """Runs agents over what a vault holds.

    Args:
        vault: where input comes from and the sealed result goes.
        limits: of every run.
        paths: folders from which functions are imported, besides the installed packages.
        readable: more files or folders that an agent may read, such as where a program is installed.
        messages: where an agent's stderr goes; nowhere unless said, since it may quote the data.
        permit: asked with the vault scope before anything is opened; raises what the consent registry refuses, such as
            ``lambda scope: authorise(ledger.state, agent.keyid, scope, "read", now_ms())``.
        gpu: the host's meter; without one, ``gpu_micro`` is 0.
        clock: time in ms UTC.
    """

    def __init__(
        self,
        vault: Vault,
        *,
        limits: Limits = Limits(),  # noqa: B008 -- an immutable value
        paths: Sequence[Path] = (),
        readable: Sequence[Path] = (),
        messages: IO[bytes] | None = None,
        permit: Callable[[str], object] = lambda _: None,
        gpu: GpuMeter | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.vault, self.limits, self.clock = vault, limits, clock
        self._paths, self._readable = ([str(path.absolute()) for path in given] for given in (paths, readable))
        self._messages, self._permit, self._gpu = messages, permit, gpu or (lambda: 0)

    def run(self, agent: Agent | str, vault_scope: str, name: str, key: Key, *, watch: Watch = lambda _: None) -> Run:
        """Open a blob with the agent's derived key, run the agent over it, seal what it gives to the wallet.

        Args:
            agent: what to run; a text is ``"module:function"``.
            vault_scope: the scope.
            name: of the blob.
            key: the agent's derived key for the scope; the agent itself never has it.
            watch: another meter, which looks at the same processes by itself.

        Raises:
            Refused: what ``permit`` refuses. Nothing was opened.
            VaultUnavailable: the key does not open the blob.
            AgentFailed: a crash, a limit or no result. Nothing was kept.
        """
        self._permit(vault_scope)
        agent = Agent(agent) if isinstance(agent, str) else agent
        before, gpu_before, kept_before = self.vault.meter, self._gpu(), self.vault.byte_ms(vault_scope)
        data = self.vault.get(vault_scope, name, key)
        started_at_ms = self.clock()
        finished = run_agent(
            agent,
            data,
            self.limits,
            paths=self._paths,
            readable=self._readable,
            messages=self._messages,
            watch=watch,
        )
        ended_at_ms, gpu_micro = max(started_at_ms, self.clock()), max(0, self._gpu() - gpu_before)
        opening = Opening.of(os.urandom(32), str(agent), finished.confinement, data, finished.output)
        result_hash = self.vault.put_result(vault_scope, seal(self.vault.owner, finished.output))
        return Run(
            agent=str(agent),
            vault_scope=vault_scope,
            cpu_ms=finished.cpu_ms,
            gpu_micro=gpu_micro,
            usage=self.vault.meter.minus(before).usage((self.vault.byte_ms(vault_scope) - kept_before) // 1000),
            started_at_ms=started_at_ms,
            ended_at_ms=ended_at_ms,
            result_hash=result_hash,
            input_commitment=opening.commitment(),
            opening=opening,
        )
