"""A monitor: it follows a log, replays what is new through the transition, and says when the log does what none may do.

It keeps the newest checkpoint that it saw, with the state and tree of its own replay, in a folder of its own. What it is shown later must
extend that. A log that does not is never followed further: the checkpoint kept, and the one shown, stay in the folder as evidence.

The keys that signed for the log, each from its entry on, are kept beside the state in a form that every release reads: what is held
against a log is its own signature, also before a new release has replayed it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from proofroom.adapters.files import sync_folder, typed, write_atomically
from proofroom.adapters.published import Source
from proofroom.adapters.replay import Fault, Replay
from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, parse_note, verify_checkpoint
from proofroom.domain.errors import (
    BadInput,
    BadNote,
    BadProof,
    Malformed,
    ProofroomError,
    StoreUnavailable,
    Unavailable,
)
from proofroom.domain.identity import checkpoint_key, keyring
from proofroom.domain.ids import KeyId, keyid_of, public_key_of
from proofroom.domain.keyring import Keyring
from proofroom.domain.snapshot import decode_state, encode_state
from proofroom.domain.state import State
from proofroom.domain.tiles import WIDTH, TileTree
from proofroom.domain.transition import next_due
from proofroom.domain.verifier import Trust, Verdict
from proofroom.domain.verifier import note as notes

GRACE_SECONDS = 3600.0
"""How long a ledger may owe a statement before a monitor calls it stalled."""


class Seen(NamedTuple):
    """What one look at the log showed."""

    verdict: Verdict
    """VALID, or the alarm."""
    why: str
    at: int | None
    """Index of the entry that does not hold."""
    size: int
    """Entries that the monitor has replayed."""
    new: int
    """Entries that it had not seen before."""
    notes: tuple[str, ...]

    def sentence(self) -> str:
        """The outcome in one line."""
        place = f" at {self.at}" if self.at is not None else ""
        return "; ".join((f"{self.verdict.title}{place}: {self.why}", *self.notes))

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain values."""
        facts = {**self._asdict(), "verdict": self.verdict.title}
        return {**facts, "exit_status": int(self.verdict), "sentence": self.sentence()}


class _Alarm(Exception):
    """A look that ends with another verdict than VALID."""

    def __init__(self, verdict: Verdict, why: str, at: int | None = None) -> None:
        super().__init__(why)
        self.verdict, self.why, self.at = verdict, why, at


class Monitor:
    """One monitor of one log.

    Args:
        source: the log.
        home: its own folder; whoever loses it begins anew, and sees no fork or rollback from before.
        trust: keys of the log (without any, the first genesis that it is shown says which), witnesses and their quorum.
        grace_seconds: how long the ledger may owe a statement.
        clock: time in seconds UTC.
        progress: called with the number of entries replayed so far.

    Raises:
        BadInput: ``home`` holds something else.
        StoreUnavailable: what it holds cannot be had on the disk.
    """

    def __init__(
        self,
        source: Source,
        home: Path,
        *,
        trust: Trust | None = None,
        grace_seconds: float = GRACE_SECONDS,
        clock: Callable[[], float] = time.time,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.source, self.home, self.trust = source, home, trust or Trust()
        self.grace_seconds, self.clock, self.progress = grace_seconds, clock, progress
        self.note, self._keys, self._replay = _load(home / "seen")
        if self.note:
            with typed(home):
                sync_folder(home)  # when it was kept, this may have failed

    @property
    def size(self) -> int:
        """Entries of the newest checkpoint that it keeps."""
        return parse_note(self.note)[0].size if self.note else 0

    def look(self) -> Seen:
        """Look once. What holds is kept before it is said; an alarm is kept beside it, with the checkpoint that raised it.

        Raises:
            NotPublished, StoreUnavailable: the log cannot be read, which says nothing against it.
        """
        before, given = self.size, ""
        try:
            given = self._read_note()
            self._follow(given)
            cosigned = self._check_witnesses(given)
            self._check_stalled()
        except _Alarm as e:
            return Seen(e.verdict, e.why, e.at, self.size, self.size - before, self._keep_evidence(e, given))
        why = f"{self.size} entries replayed, {self.size - before} of them new"
        own_word = () if self.trust.keys else ("the log's key is its own word: compare it with one you know",)
        return Seen(Verdict.VALID, why, None, self.size, self.size - before, (*cosigned, *own_word))

    def run(
        self,
        stop: threading.Event,
        *,
        poll_seconds: float,
        tell: Callable[[Seen], object],
        fail: Callable[[Unavailable], object],
    ) -> Verdict:
        """Look again and again until it is stopped, or an alarm is raised; gives its verdict.

        Args:
            stop: ends it.
            poll_seconds: between two looks.
            tell: called with what is new, and with an alarm.
            fail: called when the log cannot be read; it is tried again.
        """
        while True:
            try:
                seen = self.look()
                if seen.new or seen.verdict:
                    tell(seen)
                if seen.verdict:
                    return seen.verdict
            except Unavailable as e:
                fail(e)
            if stop.wait(poll_seconds):
                return Verdict.VALID

    def _read_note(self) -> str:
        try:
            return self.source.note()
        except Malformed as e:
            raise _Alarm(Verdict.INVALID, f"its checkpoint: {e}") from e

    def _follow(self, given: str) -> None:
        """Take in what the checkpoint covers beyond the one kept, all of it or none."""
        try:
            head = parse_note(given)[0]
            self._check_extends(given, head)
            replay = Replay(self._replay.state, self._replay.tree)
            try:
                tree = TileTree(head.size, head.root, self.source.tile)
                self._check_history(given, head, tree)
                for data in tree.entries(replay.tree.size, self.source.bundle):
                    replay.take_bytes(data)
                    if self.progress is not None and replay.tree.size % WIDTH == 0:
                        self.progress(replay.tree.size)
                replay.check_signed(given)
            except Unavailable:
                raise
            except (ProofroomError, Fault) as e:
                raise _Alarm(Verdict.INVALID, str(e), replay.tree.size) from e
        except BadNote as e:
            raise _Alarm(Verdict.INVALID, str(e)) from e
        self._check_key(replay)
        if given != self.note:
            keys = _checkpoint_keys(replay.state)
            _save(self.home / "seen", given, keys, replay)
            self.note, self._keys, self._replay = given, keys, replay

    def _check_extends(self, given: str, head: Checkpoint) -> None:
        """Against the checkpoint kept, a log does not end earlier, nor anew at the same size."""
        if not self.note or head.size > self.size:
            return
        self._check_signed(given, head.size)
        if head.size < self.size:
            raise _Alarm(Verdict.INCOMPLETE, f"rolled back: it has {head.size} entries, and had {self.size}")
        if head.root != parse_note(self.note)[0].root:
            raise _Alarm(Verdict.FORKED, f"one key signed two trees of {head.size} entries")

    def _check_history(self, given: str, head: Checkpoint, tree: TileTree) -> None:
        """A longer log begins with the tree that was kept."""
        kept = parse_note(self.note)[0] if self.note else None
        if kept is None or kept.size == head.size:
            return
        path = merkle.consistency_path(kept.size, head.size, tree.node)  # a false tile is no fork, and raises here
        try:
            merkle.verify_consistency(kept.size, head.size, path, kept.root, head.root)
        except BadProof as e:
            self._check_signed(given, kept.size)
            why = f"its {head.size} entries do not begin with the {kept.size} that it had: {e.why}"
            raise _Alarm(Verdict.FORKED, why) from e

    def _check_signed(self, given: str, size: int) -> None:
        """What speaks against the log must be its own word: signed by the key that was in force at this size."""
        verify_checkpoint(given, parse_note(self.note)[0].origin, self._keys.key_at(size))

    def _check_key(self, replay: Replay) -> None:
        """The log is one that the reader knows: by the key of its genesis, or by the one that signs for it now."""
        founding = replay.state.founding
        assert founding is not None
        mine = {(founding.origin, key) for key in (founding.checkpoint_key, checkpoint_key(replay.state))}
        if self.trust.keys and not mine & {(key.name, keyid_of(key.public)) for key in self.trust.keys}:
            raise _Alarm(Verdict.INVALID, f"it is a log that you do not trust, {founding.origin}")

    def _check_witnesses(self, given: str) -> Sequence[str]:
        cosigned, enough = notes.witnessed_by(notes.parse_note(given), self.trust)
        if not enough:
            why = f"{len(cosigned)} of {len(self.trust.witnesses)} trusted witnesses cosigned, which is no quorum"
            raise _Alarm(Verdict.UNWITNESSED, why)
        return [f"cosigned by {', '.join(sorted(cosigned))}"] if cosigned else []

    def _check_stalled(self) -> None:
        """A ledger that does not state what it must hides it (protocol 1.4)."""
        patience_ms = int((self.clock() - self.grace_seconds) * 1000)
        if (due := next_due(self._replay.state, patience_ms)) is not None:
            why = f"stalled: {due.kind} has been due for more than {self.grace_seconds:.0f} s"
            raise _Alarm(Verdict.INCOMPLETE, why, self._replay.tree.size)

    def _keep_evidence(self, alarm: _Alarm, given: str) -> tuple[str, ...]:
        """An alarm is told all the same where its evidence cannot be kept."""
        facts = {"verdict": alarm.verdict.title, "why": alarm.why, "at": alarm.at, "kept": self.note, "shown": given}
        name = f"alarm-{self.size}-{alarm.verdict.title.lower()}.json"
        try:
            write_atomically(self.home / name, orjson.dumps(facts, option=orjson.OPT_INDENT_2))
        except StoreUnavailable as e:
            return (f"the checkpoints that show it could not be kept: {e}",)
        return ()


def _checkpoint_keys(state: State) -> Keyring:
    """The keys that signed checkpoints, each after its entry."""
    assert state.founding is not None
    return keyring(state, state.founding.checkpoint_key)


def _save(path: Path, note: str, keys: Keyring, replay: Replay) -> None:
    """The checkpoint with the peaks of its tree and the keys of the log on the first line, then the state."""
    head = {"checkpoint": note, "peaks": [peak.hex() for peak in replay.tree.peaks], "keys": keys.keys}
    root = merkle.root(replay.tree)
    write_atomically(path, orjson.dumps(head) + b"\n" + encode_state(replay.state, root))


def _load(path: Path) -> tuple[str, Keyring, Replay]:
    """What :func:`_save` wrote. A state of another release is replayed anew; checkpoint and keys are kept all the same.

    Raises:
        BadInput: it is something else.
    """
    try:
        line, _, state = path.read_bytes().partition(b"\n")
        head = orjson.loads(line)
        note, peaks, keys = head["checkpoint"], tuple(map(bytes.fromhex, head["peaks"])), _read_keys(head["keys"])
        size, root = parse_note(note)[0][1:]
    except FileNotFoundError:
        return "", Keyring(()), Replay()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, Malformed) as e:
        raise BadInput(path=str(path), why=f"not what a monitor keeps: {getattr(e, 'strerror', None) or e}") from None
    tree = merkle.Tree(size, peaks)
    try:
        if merkle.root(tree) == root:
            return note, keys, Replay(decode_state(state, root), tree)
    except (ProofroomError, ValueError, LookupError, TypeError):
        pass
    return note, keys, Replay(State())


def _read_keys(value: list[tuple[int, str]]) -> Keyring:
    """The first since before any entry, each later one after its own.

    Raises:
        ValueError, TypeError, BadKeyId: they are not of this form.
    """
    keys = tuple((index, KeyId(key)) for index, key in value)
    indexes = [index for index, _ in keys]
    for _, key in keys:
        public_key_of(key)
    if indexes[:1] != [-1] or indexes != sorted(set(indexes)) or not all(type(index) is int for index in indexes):
        raise ValueError("its keys are not in order")
    return Keyring(keys)
