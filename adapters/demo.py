"""The main job, end to end, on a real calendar: what ``proofroom demo`` runs.

One process plays every party of cluster dragon-1, each with a key of its own. All else is real: the encryption, the agent's process, the
measurements, the signatures, the votes, the money of the ledger. One thing is staged and said: the first validator that is drawn has a
meter that reads a tenth of the processor time, so that its own cross-check rejects the record, as on the page (4 of 5).

A run that was cut off leaves at most an open era, which the next run finishes first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from proofroom.adapters import pages, telling
from proofroom.adapters.agents import SUMMARISE_CALENDAR
from proofroom.adapters.audit import Report, Verdict, audit
from proofroom.adapters.cast import DAY_MS, Cast, Work, ids_of
from proofroom.adapters.files import read_at_most, write_atomically
from proofroom.adapters.gateway import RunMeter
from proofroom.adapters.jury import Jury
from proofroom.adapters.keys import Key, load_or_create_key
from proofroom.adapters.ledger import KEYS, Ledger
from proofroom.adapters.openings import Openings
from proofroom.adapters.rekeying import follow_consent
from proofroom.adapters.runtime import AgentRuntime, Run
from proofroom.adapters.stores import now_ms
from proofroom.adapters.vault import Vault
from proofroom.adapters.writer import Recorded
from proofroom.domain.accounts import customer_account
from proofroom.domain.activity import unsealed
from proofroom.domain.consent import grant_status
from proofroom.domain.errors import BadInput, HistoryChanged, LedgerExists
from proofroom.domain.ids import Digest, from_ms
from proofroom.domain.state import Cluster, Era

Say = Callable[[str], None]
"""Takes a paragraph for the person who watches."""

MAX_CALENDAR = 16 * 2**20
"""Bytes of a calendar that the demo takes."""

DEPOSIT = 100 * 10**10
"""What the wallet's owner pays in, 100 CERE, whenever less than 1 CERE is left."""

OPERATION = "read + summarise"

BALANCES = "SELECT account, balance FROM balances ORDER BY account"


class Receipts(NamedTuple):
    """What one run put on the ledger, and what came of it."""

    era: int
    grant_index: int
    record_index: int
    round: int
    facts: dict[str, Any]
    """The four receipts as plain values: ``grant``, ``record``, ``round``, ``era``."""
    summary: dict[str, Any]
    """The agent's result, as the wallet opened it."""
    balances: dict[str, int]
    """By account, in base units."""


class DemoResult(NamedTuple):
    """What a run left behind."""

    folder: Path
    checkpoint: Path
    """The newest checkpoint, beside the folder: what the next audit can be held against."""
    receipts: Receipts
    report: Report

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "room": str(self.folder),
            "checkpoint": str(self.checkpoint),
            **self.receipts.facts,
            "result": self.receipts.summary,
            "balances": {account: str(amount) for account, amount in self.receipts.balances.items()},
            "audit": self.report.to_json(),
        }


def run_demo(
    folder: Path,
    calendar: Path | None = None,
    *,
    say: Say = lambda _: None,
    clock: Callable[[], int] = now_ms,
) -> DemoResult:
    """Run the whole chain once: a new room with era 0, or the next era of the room that is there.

    Args:
        folder: the room.
        calendar: an iCalendar file; None is the one that is shipped.
        say: takes a paragraph for the person who watches.
        clock: time in ms UTC.

    Raises:
        BadInput: the calendar cannot be read.
        AgentFailed: it is no calendar; nothing was recorded of it.
        HistoryChanged: the room does not continue the checkpoint beside it.
        ProofroomError: whatever else said no; a later run goes on from there.
    """
    data, folder = read_calendar(calendar), folder.absolute()
    checkpoint = folder.with_name(f"{folder.name}.checkpoint")
    room, is_new = _open(folder, clock)
    with room as ledger:
        known = None if is_new else _check_against(ledger, checkpoint)
        if is_new and checkpoint.exists():
            say(f"A checkpoint of another room lay beside; it is kept as {_set_aside(checkpoint)}.")
        say(telling.opening(folder, calendar, is_new=is_new, entries=ledger.size, witnessed=known is not None))
        receipts = _Demo(ledger, folder, say, clock).run(data)
        note = ledger.checkpoint()
        report = audit(ledger.store, against=known or note)
        if report.verdict is Verdict.VALID:
            write_atomically(checkpoint, note.encode())
    result = DemoResult(folder, checkpoint, receipts, report)
    say(telling.closing(result, since=known is not None))
    return result


def read_calendar(path: Path | None) -> bytes:
    """The calendar's bytes; None is the one that is shipped.

    Raises:
        BadInput: it cannot be read, or is too large.
    """
    if path is None:
        return resources.files("proofroom.adapters").joinpath("sample.ics").read_bytes()
    try:
        return read_at_most(path, MAX_CALENDAR)
    except OSError as e:
        raise BadInput(path=str(path), why=e.strerror or "it cannot be read") from None
    except ValueError as e:
        raise BadInput(path=str(path), why=str(e)) from None


# --- the room


def _open(folder: Path, clock: Callable[[], int]) -> tuple[Ledger, bool]:
    """The room, and whether it was made now."""
    try:
        return Ledger.create(folder, clock=clock), True
    except LedgerExists:
        return Ledger.open(folder, clock=clock), False


def _check_against(ledger: Ledger, checkpoint: Path) -> str | None:
    """The checkpoint of the last run, when there is one and the room continues it.

    Raises:
        HistoryChanged: the room does not.
    """
    try:
        note = checkpoint.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as e:
        raise BadInput(path=str(checkpoint), why=f"the last run's checkpoint cannot be read: {e}") from None
    report = audit(ledger.store, against=note)
    if report.verdict is not Verdict.VALID:
        raise HistoryChanged(size=ledger.size, why=f"{report.sentence()} (checkpoint {checkpoint})")
    return note


def _set_aside(checkpoint: Path) -> Path:
    """Keep the checkpoint of a room that is gone: it may be all that shows that there was one."""
    return checkpoint.replace(checkpoint.with_name(f"{checkpoint.name}.old"))


class _Demo:
    """All parties of one room at work."""

    def __init__(self, ledger: Ledger, folder: Path, say: Say, clock: Callable[[], int]) -> None:
        self.ledger, self.folder, self.say, self.clock = ledger, folder, say, clock
        self.keys: dict[str, Key] = {}
        self.cast = Cast(ledger.id, clock, self._key)
        self.jury = Jury(ledger, self.cast, folder, clock)
        self.vault = Vault(folder / "vault", self.cast.user.keyid)

    def run(self, data: bytes) -> Receipts:
        """The four receipts, one after the other."""
        self.found()
        self.finish_left_behind()
        grant = self.consent()
        self.upload(data)
        self.fund()
        era = self.open_era()
        record, summary = self.work(grant, era)
        round = self.attest(era)
        paid = self.settle(era)
        facts = {
            "grant": pages.grant_facts(self.ledger.entry(grant.entry_index)),
            "record": pages.record_facts(self.ledger.entry(record)),
            "round": pages.round_facts(self.ledger, self.cast.cluster, round),
            "era": paid,
        }
        return Receipts(era, grant.entry_index, record, round, facts, summary, self.balances())

    def _key(self, name: str) -> Key:
        """A party's key: from its file, which is made once; the derived key from that of the agent service."""
        if name not in self.keys:
            path = self.folder / KEYS / f"{name}.json"
            self.keys[name] = self._derived() if name.startswith("derived ") else load_or_create_key(path)
        return self.keys[name]

    def _derived(self) -> Key:
        """The first key of the agent service for the scope whose certificate is not running out."""
        generation, agent = 0, self._key("agent-service")
        while True:
            key = agent.derive("v-7c21 / calendar", generation)
            facts = self.ledger.state.agent_keys.get(key.keyid)
            if facts is None or facts.expires_at_ms > self.clock() + DAY_MS:
                return key
            generation += 1

    # --- once, and what a run that was cut off left behind

    def found(self) -> None:
        """The cluster, its bonds and its validators; the wallet's vault."""
        if self.cast.cluster not in self.ledger.state.clusters:
            self.ledger.append_many(self.cast.founding())
        if self.cast.vault not in self.ledger.state.vaults:
            self.ledger.append(self.cast.open_vault())

    def finish_left_behind(self) -> None:
        """Finish the rounds and the era of a run that was cut off. An open era without records is used as it is."""
        self.jury.state_due()
        for name, round in sorted(self.ledger.state.rounds):
            if name == self.cast.cluster:
                self.jury.hold_round(round)
        cluster = self._cluster()
        if not cluster.open:
            return
        era = self._era(cluster.opened)
        if unsealed(era):
            self.attest(cluster.opened, quietly=True)
        if era.ids or era.end * 1000 < self.clock() + DAY_MS // 24:
            self.close_era(cluster.opened)

    # --- consent

    def consent(self) -> Recorded:
        """The wallet's grant for the scope, renewed where none is in force; the derived key and its wrap."""
        cast, state = self.cast, self.ledger.state
        version = state.grants.get((cast.user.keyid, cast.agent.keyid))
        status = grant_status(version, self.clock() + DAY_MS)
        if version is not None and status == "active" and cast.vault_scope in version.scopes:
            grant = Recorded(version.log_index, version.digest, 0, repeated=True)
        else:
            grant = self.ledger.append(cast.grant())
        if cast.derived.keyid not in self.ledger.state.agent_keys:
            self.ledger.append(cast.certify())
        follow_consent(self.vault, cast.vault_scope, self.ledger.state, cast.user, self.clock())
        told = "in force since an earlier run" if grant.repeated else "signed now"
        entry = self.ledger.entry(grant.entry_index)
        in_force = grant_status(self.ledger.state.grants[cast.user.keyid, cast.agent.keyid], self.clock())
        self.say(f"1. Consent: the wallet's grant, {told}\n\n{pages.grant_page(entry, status=in_force, short=True)}")
        return grant

    def upload(self, data: bytes) -> None:
        """The wallet puts its calendar into the vault."""
        address = self.vault.put(self.cast.vault_scope, "calendar.ics", data, self.cast.user)
        self.say(f"   The calendar lies encrypted in the vault as {pages.shorten(address)}, {len(data):,} bytes.")

    def fund(self) -> None:
        """The bank states a deposit when the customer's is nearly used up."""
        account = customer_account(self.cast.cluster, self.cast.user.keyid)
        if self.ledger.state.balances.get(account, 0) < DEPOSIT // 100:
            self.ledger.append(self.cast.deposit(self.cast.user.keyid, DEPOSIT))
            self.say(f"   The bank states a deposit of {pages.money_text(DEPOSIT, 'CERE')} for the wallet's owner.")

    # --- work

    def open_era(self) -> int:
        """The era to work in: the next, or one that is open and empty."""
        cluster = self._cluster()
        if not cluster.open:
            self.ledger.append(self.cast.open_era(cluster.opened + 1))
        return self._cluster().opened

    def work(self, grant: Recorded, era: int) -> tuple[int, dict[str, Any]]:
        """Run the agent and record it: the record's index, and the result as the wallet opens it."""
        cast = self.cast
        meter = RunMeter(self.vault.storage, cast.vault_scope)
        runtime = AgentRuntime(self.vault, clock=self.clock)
        run = runtime.run(SUMMARISE_CALENDAR, cast.vault_scope, "calendar.ics", cast.derived, watch=meter.watch)
        observation = meter.observation(cast.vault_scope)
        envelope = self._sign_record(grant.statement, era, run)
        (statement_id,) = ids_of([envelope])
        Openings(self.folder / "openings").keep(run.opening)
        self.jury.observe(statement_id, observation)
        record = self.ledger.append(envelope).entry_index
        self.say(
            "2. Work: the agent ran over the decrypted scope in a process of its own\n\n"
            + pages.record_page(self.ledger.entry(record), short=True)
            + f"\n\n   The gateway's own meter saw at most {observation.cpu_ms} ms of processor time and "
            f"{observation.bytes_streamed:,} bytes. There is no GPU here, so gpu_units is 0."
        )
        summary = json.loads(self.vault.get_result(cast.vault_scope, run.result_hash, cast.user))
        self.say(f"   What only the wallet can open:\n\n{telling.listing(summary)}")
        return record, summary

    def _sign_record(self, grant: Digest, era: int, run: Run) -> Any:
        used = run.usage
        return self.cast.activity(
            grant,
            era,
            Work(run.cpu_ms, 0, used.byte_seconds, used.bytes_streamed, used.puts, used.gets),
            node=era % len(self.cast.runtimes),
            operation=OPERATION,
            result_hash=run.result_hash,
            input_commitment=run.input_commitment,
            started_at=from_ms(run.started_at_ms),
            ended_at=from_ms(run.ended_at_ms),
        )

    # --- attestation

    def attest(self, era: int, *, quietly: bool = False) -> int:
        """Seal the records of an era and hold the round; its number."""
        self.ledger.append(self.cast.seal_all(self.ledger.state, era))
        round = self._cluster().rounds - 1
        self.jury.hold_round(round)
        if not quietly:
            page = pages.round_page(self.ledger, self.cast.cluster, round, short=True)
            self.say(
                "3. Attestation: the validators drawn by lot compare the record with what the gateway observed\n\n"
                f"{page}\n\n   Staged: the meter of the first one drawn is broken and reads a tenth of the processor "
                "time.\n   Its vote is its own honest cross-check of that reading."
            )
        return round

    # --- settlement

    def settle(self, era: int) -> dict[str, Any]:
        """Close the era, which pays it."""
        self.close_era(era)
        page = pages.era_page(self.ledger, self.cast.cluster, era, short=True)
        self.say(f"4. Settlement: the era is closed and paid\n\n{page}")
        self.say(f"Balances, by SQL: {BALANCES}\n\n{self._balances_table()}")
        return pages.era_facts(self.ledger, self.cast.cluster, era)

    def close_era(self, era: int) -> None:
        """The manager closes an era, once it has lasted a whole second."""
        earliest_ms = (self._era(era).start + 1) * 1000
        while (left_ms := earliest_ms - self.clock()) > 0:
            time.sleep(left_ms / 1000)
        self.ledger.append(self.cast.close_era(era))

    def balances(self) -> dict[str, int]:
        """All balances, by the read models."""
        return {account: int(balance) for account, balance in self.ledger.sql(BALANCES).fetchall()}

    def _balances_table(self) -> str:
        names = {key.keyid: name for name, key in self.keys.items()}
        rows = [(telling.account(account, names), amount) for account, amount in self.balances().items()]
        rows.append(("sum", sum(amount for _, amount in rows)))
        texts = [pages.money_text(amount, "CERE") for _, amount in rows]
        left, right = max(len(account) for account, _ in rows), max(map(len, texts))
        return "\n".join(
            f"  {account:<{left}}  {text:>{right}}" for (account, _), text in zip(rows, texts, strict=True)
        )

    def _cluster(self) -> Cluster:
        return self.ledger.state.clusters[self.cast.cluster]

    def _era(self, number: int) -> Era:
        return self.ledger.state.eras[self.cast.cluster, number]
