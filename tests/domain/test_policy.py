"""Trust policies: C2SP tlog-policy files, and what is no such file."""

from __future__ import annotations

import pytest

from proofroom.domain.checkpoint import Checkpoint, sign_checkpoint, verifier_key
from proofroom.domain.policy import checkpoint_of, parse_policy
from proofroom.domain.verifier import BadTrust
from proofroom.domain.verifier.note import Trust, key_id, parse_note, witnessed_by
from proofroom.testing.histories import ORIGIN
from proofroom.testing.keys import key
from strategies.forging import forge


def witness(name: str) -> str:
    """The verifier key of a witness."""
    import base64

    public = bytes.fromhex(key(name).keyid[8:])
    return f"{name}+{key_id(name, 4, public).hex()}+{base64.b64encode(bytes([4]) + public).decode()}"


LOG = verifier_key(ORIGIN, key("checkpoint").keyid)
X1, X2, X3, Y1 = (witness(name) for name in ("X1", "X2", "X3", "Y1"))
EXAMPLE = f"""
# a policy, after the specification's example
log {LOG} https://example.org/room
  witness X1 {X1}\t
witness X2 {X2} https://x2.example
witness X3 {X3}
group X-witnesses 2 X1 X2 X3
witness Y1 {Y1}
group Y-witnesses any Y1
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def cosigned(*names: str) -> str:
    """The log's note with these cosignatures."""
    import base64

    note = forge().note
    for name in names:
        public, body = bytes.fromhex(key(name).keyid[8:]), note.partition("\n\n")[0] + "\n"
        signature = key(name).sign(b"cosignature/v1\ntime 5\n" + body.encode())
        blob = key_id(name, 4, public) + (5).to_bytes(8, "big") + signature
        note += f"— {name} {base64.b64encode(blob).decode()}\n"
    return note


@pytest.mark.parametrize(
    ("names", "enough"),
    [
        ((), False),
        (("X1", "Y1"), False),
        (("X1", "X2"), False),
        (("X1", "X3", "Y1"), True),
        (("X1", "X2", "X3", "Y1"), True),
        (("Y1",), False),
    ],
)
def test_the_example(names: tuple[str, ...], enough: bool) -> None:
    """Two of three of one group, and one of the other."""
    assert witnessed_by(parse_note(cosigned(*names)), parse_policy(EXAMPLE)) == (set(names), enough)


def test_what_it_says() -> None:
    """Logs, witnesses, groups and quorum, as they stand."""
    trust = parse_policy(EXAMPLE)
    assert [log.name for log in trust.keys] == [ORIGIN]
    assert [name for name, _ in trust.witnesses] == ["X1", "X2", "X3", "Y1"]
    assert trust.groups[0] == ("X-witnesses", 2, ("X1", "X2", "X3"))
    assert trust.groups[1][1:] == (1, ("Y1",))
    assert trust.groups[2][1] == 2
    assert parse_policy("quorum none\n") == Trust()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quorum X1\n",
        "quorum none\nquorum none\n",
        f"witness none {X1}\nquorum none\n",
        f"witness X1 {X1}\nwitness X1 {X2}\nquorum none\n",
        f"witness X1 {X1}\nwitness X2 {X1}\nquorum none\n",
        f"log {LOG}\nlog {LOG}\nquorum none\n",
        f"witness X1 {X1}\ngroup g 0 X1\nquorum g\n",
        f"witness X1 {X1}\ngroup g 2 X1\nquorum g\n",
        f"witness X1 {X1}\ngroup g +1 X1\nquorum g\n",
        f"witness X1 {X1}\ngroup g 01 X1\nquorum g\n",
        f"witness X1 {X1}\ngroup g any X1 X1\nquorum g\n",
        f"witness X1 {X1}\ngroup g any none\nquorum g\n",
        f"witness X1 {X1}\ngroup g any\nquorum none\n",
        f"witness X1 {X1}\ngroup g any X1\ngroup h any X1\nquorum g\n",
        f"group g any X1\nwitness X1 {X1}\nquorum g\n",
        f"witness X1 {X1}\nwitness X2 {X2}\ngroup g any X1\ngroup g any X2\nquorum g\n",
        f"witness X1 {X1}\nwitness X2 {X2}\ngroup X2 any X1\nquorum X1\n",
        f"quorum X1\nwitness X1 {X1}\n",
        "witness X1\nquorum none\n",
        "log x+y+z\nquorum none\n",
        "something else\nquorum none\n",
        f"witness X1 {X1} url more\nquorum none\n",
    ],
)
def test_what_is_no_policy(text: str) -> None:
    """Each fault is refused, and none is guessed at."""
    with pytest.raises(BadTrust):
        parse_policy(text)


@pytest.mark.parametrize("origin", ["a.example", "zzz.example", "~room", "!", "c2sp.org"])
def test_checkpoints_of_any_origin(origin: str) -> None:
    """A note is one, whatever its first letters."""
    note = sign_checkpoint(Checkpoint(origin, 5, bytes(32)), key("checkpoint"))
    assert checkpoint_of(note.encode()).origin == origin


def test_many_witnesses() -> None:
    """A policy may name as many as it likes."""
    names = [f"W{i}" for i in range(300)]
    lines = [f"log {LOG}", *(f"witness {name} {witness(name)}" for name in names), f"group all all {' '.join(names)}"]
    trust = parse_policy("\n".join([*lines, "quorum all"]))
    assert (len(trust.witnesses), trust.groups) == (300, (("all", 300, tuple(names)),))
