"""How the run of an agent ends without a result. Nothing is recorded or charged then."""

from __future__ import annotations

from proofroom.domain.errors.base import Unavailable


class AgentFailed(
    Unavailable,
    code="agent-failed",
    message="the agent gave no result: {why}",
    advice="nothing was recorded or charged; AgentRuntime(messages=...) shows what the agent says of itself",
):
    """The agent's process gave no result; no record was made."""

    why: str


class AgentCrashed(AgentFailed, code="agent-crashed"):
    """The agent's process was killed, or ended with a status that is not success."""


class AgentOverTime(
    AgentFailed, code="agent-over-time", advice="nothing was recorded or charged; allow more seconds, or give less"
):
    """The agent took more time on the clock than it may."""


class AgentOverCpu(
    AgentFailed, code="agent-over-cpu", advice="nothing was recorded or charged; allow more cpu_seconds, or give less"
):
    """The agent and what it started took more processor time than they may."""


class AgentOverMemory(
    AgentFailed, code="agent-over-memory", advice="nothing was recorded or charged; allow more memory, or give less"
):
    """The agent and what it started took more memory than they may."""


class AgentOverProcesses(
    AgentFailed, code="agent-over-processes", advice="nothing was recorded or charged; allow more processes"
):
    """The agent started more processes than it may."""


class AgentOverOutput(
    AgentFailed, code="agent-over-output", advice="nothing was recorded or charged; allow more output_bytes"
):
    """The agent gave more bytes than it may."""
