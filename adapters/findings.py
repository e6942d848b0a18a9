"""What an audit found: one verdict, every finding behind it, and the same for a person and for a program."""

from __future__ import annotations

from typing import Any, NamedTuple

from proofroom.adapters.replay import Replay
from proofroom.domain import merkle
from proofroom.domain.errors import ProofroomError
from proofroom.domain.identity import keyring
from proofroom.domain.state import State
from proofroom.domain.verifier import Verdict

UNWITNESSED = (
    "UNWITNESSED: no checkpoint from elsewhere was given, so a removed tail or a log that was rewritten with the ledger's own keys "
    "would not be seen"
)

MOST = 1_000
"""Findings that are kept; more are counted."""


class Finding(NamedTuple):
    """One thing that does not hold."""

    entry: int | None
    """Its index; None where it is the log as a whole."""
    check: str
    """``index``, ``bytes`` (leaf and nodes), ``statement`` (form and signatures), ``key`` (in the store), ``rule``, ``checkpoint``,
    ``tail``, ``elsewhere`` (against a checkpoint that was kept)."""
    why: str
    code: str | None
    """Of the typed error behind it, where there is one."""
    follows: bool
    """It may be no fault of this entry: an earlier one could not be taken in as it stands."""


class Report(NamedTuple):
    """The outcome of an audit."""

    verdict: Verdict
    entries: int
    """Entries that were verified, from genesis."""
    first_bad: int | None
    """Index of the first entry that does not hold."""
    why: str
    error: dict[str, Any] | None
    """The typed error behind ``why``, where there is one."""
    root: bytes
    """Root of the tree over the verified entries."""
    ledger: str
    witnessed: bool
    """The log was compared with a checkpoint that was kept elsewhere."""
    erased: tuple[str, ...]
    """Payloads that their owners destroyed outside the ledger, as ``vault / scope: what``; all entries about them hold."""
    suspect: tuple[tuple[int, int], ...]
    """(first, end) of entries that were recorded while the ledger's or the checkpoint's key was in other hands, as declared since."""
    findings: tuple[Finding, ...] = ()
    """All that does not hold, in log order; the first is what ``why`` says."""
    left_off: int = 0
    """Findings beyond the :data:`MOST` that are kept."""
    earlier: int = 0
    """Of ``entries``, those that an earlier audit had read (``resume``): they were not read again."""

    def to_json(self) -> dict[str, Any]:
        """The report as plain values; ``docs/audit.md`` says what each means."""
        findings = [finding._asdict() for finding in self.findings]
        return {**self._asdict(), "verdict": self.verdict.name, "root": self.root.hex(), "findings": findings}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Report:
        """The report that :meth:`to_json` wrote."""
        return cls(
            **value
            | {
                "verdict": Verdict[value["verdict"]],
                "root": bytes.fromhex(value["root"]),
                "erased": tuple(value["erased"]),
                "suspect": tuple((first, end) for first, end in value["suspect"]),
                "findings": tuple(Finding(**finding) for finding in value["findings"]),
            }
        )

    def sentence(self) -> str:
        """The outcome for a person."""
        match self.verdict:
            case Verdict.VALID:
                against = "it extends the checkpoint given" if self.witnessed else UNWITNESSED
                return f"VALID: {self.entries} of {self.entries} verified{self._earlier()}; {against}{self._erasures()}{self._doubts()}"
            case Verdict.INVALID:
                return f"INVALID at {self.first_bad}: {self.why}; {self.entries} entries before it were verified{self._earlier()}"
            case Verdict.INCOMPLETE:
                return f"INCOMPLETE: {self.why}; {self.entries} entries were verified{self._earlier()}"
            case _:
                return f"FORKED: {self.why}"

    def _earlier(self) -> str:
        return f", {self.earlier} of them by an earlier audit" if self.earlier else ""

    def _erasures(self) -> str:
        count = len(self.erased)
        return f"; ERASED: {count} payload{'s'[: count > 1]}, by statement of the owner" if count else ""

    def _doubts(self) -> str:
        spans = ", ".join(f"{first} to {end - 1}" for first, end in self.suspect)
        return f"; SUSPECT: a key of the ledger was in other hands in entries {spans}" if spans else ""


def report(
    replay: Replay,
    verdict: Verdict,
    why: str,
    first_bad: int | None = None,
    error: Exception | None = None,
    check: str = "rule",
) -> Report:
    """The report on a log that was replayed so far, with its one finding where it is not VALID."""
    size = replay.tree.size
    typed = error.to_json() if isinstance(error, ProofroomError) else None
    finding = Finding(first_bad, check, why, typed["code"] if typed else None, follows=False)
    return Report(
        verdict=verdict,
        entries=size if first_bad is None else max(0, min(first_bad, size)),
        first_bad=first_bad,
        why=why,
        error=typed,
        root=merkle.root(replay.tree),
        ledger=replay.state.ledger,
        witnessed=False,
        erased=tuple(name for name, _ in sorted(replay.state.erased.items(), key=lambda item: item[1])),
        suspect=_suspect(replay.state),
        findings=() if verdict is Verdict.VALID else (finding,),
    )


def _suspect(state: State) -> tuple[tuple[int, int], ...]:
    """The entries for whose order and time the ledger's word is in doubt; empty spans are left out."""
    if state.founding is None:
        return ()
    rings = [keyring(state, key) for key in (state.founding.ledger_key, state.founding.checkpoint_key)]
    return tuple(sorted({span for ring in rings for span in ring.compromised if span[0] < span[1]}))
