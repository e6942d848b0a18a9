"""The monitor: what a log that others keep may do, and what raises an alarm. A published log is audited with nothing else at hand."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from proofroom.adapters.cli import main
from proofroom.adapters.monitor import Monitor, Seen
from proofroom.adapters.published import PublishedLog, StoredLog
from proofroom.adapters.publishing import publish
from proofroom.adapters.replay import Replay
from proofroom.adapters.stores import MemoryStore, Store
from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, parse_note, sign_checkpoint, verifier_key
from proofroom.domain.cosigning import add_cosignatures, cosign, witness_key
from proofroom.domain.errors import BadInput, NotPublished, StoreUnavailable, Unavailable
from proofroom.domain.policy import parse_policy
from proofroom.domain.tiles import Tile
from proofroom.domain.transition import next_due
from proofroom.domain.verifier import Trust, Verdict
from proofroom.domain.verifier.note import parse_key
from proofroom.testing.histories import ORIGIN
from proofroom.testing.keys import key
from strategies.followed import EARLY, ENTRIES, LATER, LOG, PAYOUT, SIZE, log_of
from strategies.rooms import make_folder, make_room, note_of, whole_checkpoints
from strategies.shell import proofroom_process

MINE = Trust(keys=(parse_key(LOG),))


def look(home: Path, store: Store, trust: Trust = MINE) -> Seen:
    """One look by a monitor that was started anew."""
    now = ENTRIES[min(store.size(), SIZE) - 1][0] / 1000
    return Monitor(StoredLog(store), home, trust=trust, clock=lambda: now).look()


def test_a_log_grows(tmp_path: Path) -> None:
    """Each look takes in what is new, and only that; a restart in between changes nothing."""
    for before, size in ((0, EARLY), (EARLY, LATER), (LATER, LATER), (LATER, SIZE)):
        seen = look(tmp_path, log_of(size=size))
        assert (seen.verdict, seen.size, seen.new, seen.at) == (Verdict.VALID, size, size - before, None), (
            seen.sentence()
        )
        assert seen.sentence() == f"VALID: {size} entries replayed, {size - before} of them new"
    assert [path.name for path in tmp_path.iterdir()] == ["seen"]


def test_a_log_that_ends_earlier_is_rolled_back(tmp_path: Path) -> None:
    """Also over a restart; what was kept stays, and the checkpoint that was shown becomes evidence."""
    look(tmp_path, log_of(size=LATER))
    for _ in range(2):
        seen = look(tmp_path, log_of(size=EARLY))
        assert (seen.verdict, seen.size) == (Verdict.INCOMPLETE, LATER)
        assert f"rolled back: it has {EARLY} entries, and had {LATER}" in seen.why
    (evidence,) = tmp_path.glob("alarm-*.json")
    facts = json.loads(evidence.read_text())
    assert parse_note(facts["kept"])[0].size == LATER
    assert facts["shown"] == log_of(size=EARLY).checkpoints()[-1][1]
    assert look(tmp_path, log_of()).verdict is Verdict.VALID


@pytest.mark.parametrize("size", [LATER, LATER + 1, SIZE])
def test_a_log_with_another_past_is_forked(tmp_path: Path, size: int) -> None:
    """At the size that was kept and beyond; the rules need not be broken for it."""
    look(tmp_path, log_of(size=LATER))
    seen = look(tmp_path, log_of(size=size, late=LATER - 1))
    assert (seen.verdict, seen.size) == (Verdict.FORKED, LATER), seen.sentence()
    assert list(tmp_path.glob(f"alarm-{LATER}-forked.json"))


@pytest.mark.parametrize("readable", [True, False], ids=["same release", "state of another release"])
def test_an_accusation_must_be_the_logs_own_word(tmp_path: Path, readable: bool) -> None:
    """A server that has no key can show neither a rollback nor a fork: that is INVALID, not FORKED; also to a monitor that has not
    replayed the log since its release changed."""
    look(tmp_path, log_of(size=LATER))
    if not readable:
        forget_state(tmp_path)
    for store in (log_of(size=EARLY), log_of(size=LATER, late=3), log_of(late=3)):
        forged = MemoryStore()
        forged._recorder = store._recorder  # type: ignore[attr-defined]  # of a MemoryStore, which log_of makes
        tree = parse_note(store.checkpoints()[-1][1])[0]
        stranger = note_of(_tree_of(store), key("stranger"))
        assert parse_note(stranger)[0] == tree
        forged._checkpoints = {tree.size: stranger}
        assert look(tmp_path, forged).verdict is Verdict.INVALID


def forget_state(home: Path) -> None:
    """Have what a monitor kept be of a release whose state this one cannot read."""
    head, _, state = (home / "seen").read_bytes().partition(b"\n")
    (home / "seen").write_bytes(head + b"\n" + state.replace(b'"format":', b'"format":1', 1))


def _tree_of(store: Store) -> merkle.Tree:
    return merkle.extend(merkle.Tree(), [store.node(0, i) for i in range(store.size())])


class _FalseTile(StoredLog):
    """A log of which the first full tile is served with one false hash."""

    def tile(self, tile: Tile) -> list[bytes]:
        hashes = super().tile(tile)
        return [bytes(32), *hashes[1:]] if tile == Tile(0, 0, 256) else hashes


def test_a_false_tile_is_no_fork(tmp_path: Path) -> None:
    """Under the log's own checkpoint a server may show what it likes: INVALID, and the honest log goes on."""
    room = make_room(MemoryStore())
    store = room.ledger.store
    assert Monitor(StoredLog(store), tmp_path).look().verdict is Verdict.VALID
    room.ledger.append_many(room.records(260))
    seen = Monitor(_FalseTile(store), tmp_path).look()
    assert (seen.verdict, "does not give the hash above it" in seen.why) == (Verdict.INVALID, True), seen.sentence()
    assert Monitor(StoredLog(store), tmp_path).look().new == 260


def test_a_broken_rule_is_named(tmp_path: Path) -> None:
    """What the ledger had to state was left out: INVALID at that index, and nothing of it is taken over."""
    assert look(tmp_path, log_of(size=LATER)).verdict is Verdict.VALID
    seen = look(tmp_path, log_of(without=PAYOUT))
    assert (seen.verdict, seen.at, seen.size) == (Verdict.INVALID, PAYOUT, LATER), seen.sentence()
    end = look(tmp_path, log_of(size=PAYOUT))
    assert (end.verdict, end.at) == (Verdict.INVALID, PAYOUT)
    assert "was left out before the checkpoint" in end.why


def test_a_ledger_that_states_nothing_is_stalled(tmp_path: Path) -> None:
    """What has been due for longer than the patience lasts is an alarm; before that it is none."""
    size = next(n for n in whole_checkpoints() if n > PAYOUT // 2 and _due_after(n) is not None)
    due_ms = _due_after(size)
    assert due_ms is not None
    source, now = StoredLog(log_of(size=size)), [0.0]
    mine = Monitor(source, tmp_path, grace_seconds=100, clock=lambda: now[0])
    for seconds, verdict in ((99, Verdict.VALID), (101, Verdict.INCOMPLETE)):
        now[0] = due_ms / 1000 + seconds
        seen = mine.look()
        assert (seen.verdict, "stalled" in seen.why) == (verdict, verdict is not Verdict.VALID), seen.sentence()


def _due_after(size: int) -> int | None:
    replay = Replay()
    for stored in log_of(size=size).read(0):
        replay.take_bytes(stored.entry_bytes())
    agenda = replay.state.agenda
    return agenda[0].at_ms if agenda and next_due(replay.state, agenda[0].at_ms) else None


def test_whose_log_it_is(tmp_path: Path) -> None:
    """Without a key the first genesis says it, and the report says so; another key's log is refused, and nothing of it kept."""
    assert "its own word" in look(tmp_path / "a", log_of(size=EARLY), Trust()).sentence()
    other = Trust(keys=(parse_key(verifier_key(ORIGIN, key("stranger").keyid)),))
    seen = look(tmp_path / "b", log_of(size=EARLY), other)
    assert (seen.verdict, seen.size) == (Verdict.INVALID, 0)
    assert "a log that you do not trust" in seen.why


def test_the_checkpoint_key_may_change(tmp_path: Path) -> None:
    """By the rules of the log itself: the key that is known may be the first or the newest, and the old one signs no more."""
    room = make_room(MemoryStore())
    source = StoredLog(room.ledger.store)
    first, newest = MINE, Trust(keys=(parse_key(verifier_key(ORIGIN, key("checkpoint 1").keyid)),))
    assert Monitor(source, tmp_path, trust=first).look().verdict is Verdict.VALID
    room.ledger.rotate("checkpoint", key("checkpoint 1"))
    room.ledger.tick()
    for trust in (first, newest):
        assert Monitor(source, tmp_path, trust=trust).look().verdict is Verdict.VALID
    store = room.ledger.store
    assert isinstance(store, MemoryStore)
    store._checkpoints[store.size()] = note_of(_tree_of(store), key("checkpoint"))
    assert Monitor(source, tmp_path, trust=first).look().verdict is Verdict.INVALID
    forget_state(tmp_path)  # which of the two keys signs for which size is known without it
    for signer, verdict in (("checkpoint", Verdict.INVALID), ("checkpoint 1", Verdict.FORKED)):
        forked = sign_checkpoint(Checkpoint(ORIGIN, store.size(), bytes(32)), key(signer))
        store._checkpoints[store.size()] = forked
        assert Monitor(source, tmp_path, trust=first).look().verdict is verdict


def test_a_quorum_of_witnesses(tmp_path: Path) -> None:
    """Two of three must have cosigned what is published."""
    web, names = tmp_path / "web", ("w1", "w2", "w3")
    lines = [f"log {LOG}"] + [f"witness {n} {witness_key(f'witness.example/{n}', key(n).keyid)}" for n in names]
    trust = parse_policy("\n".join([*lines, "group g 2 w1 w2 w3", "quorum g", ""]))
    store = log_of(size=EARLY)
    note = plain = store.checkpoints()[-1][1]
    publish(store, web)
    for count, verdict in ((0, Verdict.UNWITNESSED), (1, Verdict.UNWITNESSED), (2, Verdict.VALID), (3, Verdict.VALID)):
        seen = Monitor(PublishedLog(str(web)), tmp_path / "seen", trust=trust, clock=lambda: 0).look()
        assert seen.verdict is verdict, seen.sentence()
        if verdict is Verdict.VALID:
            assert f"cosigned by {', '.join(names[:count])}" in seen.notes
        if count < 3:
            name = names[count]
            note = add_cosignatures(note, cosign(parse_note(plain)[0], f"witness.example/{name}", key(name), 1))
            assert publish(store, web, under=note) == (EARLY, 0, 1)
    assert publish(store, web, under=note).files == publish(store, web).files == 0


def test_what_was_kept_survives_a_release(tmp_path: Path) -> None:
    """A state that this release cannot read is replayed anew; a fork and a rollback are seen all the same. Other files are refused."""
    look(tmp_path, log_of(size=LATER))
    seen = tmp_path / "seen"
    head, _, state = seen.read_bytes().partition(b"\n")
    for broken in (state[:-1], b"", state.replace(b'"format":', b'"format":1', 1)):
        seen.write_bytes(head + b"\n" + broken)
        assert look(tmp_path, log_of(size=EARLY)).verdict is Verdict.INCOMPLETE
        assert look(tmp_path, log_of(late=3)).verdict is Verdict.FORKED
        assert look(tmp_path, log_of(size=LATER, late=3)).verdict is Verdict.FORKED
        assert look(tmp_path, log_of(size=LATER)).new == 0
    plain = json.loads(head)
    without = [{k: v for k, v in plain.items() if k != name} for name in plain]
    odd_keys = [{**plain, "keys": keys} for keys in ([], [[0, key("checkpoint").keyid]], [[-1, "x"]], [[-1]], 1)]
    heads = [json.dumps(value).encode() + b"\n" for value in (*without, *odd_keys)]
    for other in (b"", b"{}", b"[]\n", head[:-9], b'{"checkpoint":"x","peaks":[]}\n', *heads):
        seen.write_bytes(other)
        with pytest.raises(BadInput):
            look(tmp_path, log_of(size=LATER))


class _Flaky(StoredLog):
    """A log that cannot always be read."""

    def __init__(self, stores: Sequence[Store | None]) -> None:
        self.stores = list(stores)

    def note(self) -> str:
        store = self.stores.pop(0)
        if store is None:
            raise NotPublished(place="here", why="gone")
        self._store = store
        return super().note()


def test_it_goes_on_until_the_first_alarm(tmp_path: Path) -> None:
    """It tells what is new and what is wrong, and tries again where nothing can be read."""
    stores = [None, log_of(size=EARLY), log_of(size=EARLY), None, log_of(size=LATER), log_of(size=EARLY)]
    told: list[Seen] = []
    failed: list[Unavailable] = []
    mine = Monitor(_Flaky(stores), tmp_path, clock=lambda: 0)
    verdict = mine.run(threading.Event(), poll_seconds=0, tell=told.append, fail=failed.append)
    assert verdict is Verdict.INCOMPLETE
    assert [(seen.verdict.name, seen.new) for seen in told] == [
        ("VALID", EARLY),
        ("VALID", LATER - EARLY),
        ("INCOMPLETE", 0),
    ]
    assert [error.code for error in failed] == ["not-published"] * 2
    stop = threading.Event()
    stop.set()
    mine = Monitor(_Flaky([log_of()]), tmp_path, clock=lambda: 0)
    assert mine.run(stop, poll_seconds=60, tell=told.append, fail=failed.append) is Verdict.VALID


def test_nothing_is_said_that_is_not_kept(tmp_path: Path) -> None:
    """Where the state cannot be written, the look fails, and the next begins where the last one was kept."""
    look(tmp_path, log_of(size=EARLY))
    (tmp_path / "seen").rename(tmp_path / "kept")
    (tmp_path / "seen").mkdir()
    mine = Monitor(StoredLog(log_of(size=LATER)), tmp_path / "kept-else", clock=lambda: 0)
    mine.home = tmp_path
    with pytest.raises(StoreUnavailable, match="seen"):
        mine.look()
    assert mine.size == 0


def test_as_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A room is followed by its own file; after it is put back to an older copy, the monitor ends by itself, with the verdict."""
    room, home = tmp_path / "room", tmp_path / "seen"
    make_folder(room).ledger.close()
    shutil.copytree(room, tmp_path / "old")
    assert main(["tick", "--room", str(room)]) == 0
    assert main(["monitor", str(room), "--state", str(home), "--once"]) == 0
    assert "VALID:" in capsys.readouterr().out
    shutil.rmtree(room)
    shutil.copytree(tmp_path / "old", room)
    ran = proofroom_process("monitor", room, "--state", home, "--poll", "0.1", "--json")
    assert ran.status == 11, ran
    assert json.loads(ran.out)["verdict"] == "INCOMPLETE"
    assert [path.name for path in home.glob("alarm-*")] != []


def test_an_alarm_is_told_where_it_cannot_be_kept(tmp_path: Path) -> None:
    """A full disk, or whoever has a way into the folder, does not keep a rollback from being told."""
    assert look(tmp_path, log_of(size=LATER)).verdict is Verdict.VALID
    (tmp_path / f"alarm-{LATER}-incomplete.json").mkdir()
    seen = look(tmp_path, log_of(size=EARLY))
    assert seen.verdict is Verdict.INCOMPLETE
    assert "could not be kept" in seen.sentence()
