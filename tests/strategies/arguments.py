"""The words of the command line, for every verb that its parser knows: a new verb cannot be forgotten here."""

from __future__ import annotations

from collections.abc import Iterator

import click

from proofroom.adapters.cli import commands
from strategies.stage import LOG_KEY, WITNESS_KEY

ENDLESS = {"witness"}
"""Verbs that serve until they are ended: their words are parsed, and no more."""

LARGE = {"demo", "simulate", "tamper-lab"}
"""Verbs that play a whole world: the same."""

NOT_HERE = {"--follow", "--fuzz", "--workers", "--also", "--once"}
"""Options that are not drawn: they go on for ever, or start processes. ``--once`` is always given where it is known."""

PATHS = (
    "missing",
    "entry.json",
    ".",
    "room",
    "room/log.db",
    "new/folder",
    "vote.json",
    "/dev/null",
    "policy",
    "w.db",
    "v.json",
)
TEXTS = (
    "", "dragon-1", "v-7c21", "calendar", "\udcff", "é\u202e\x1b[2J", "a" * 5_000, "-", "0", "ed25519:" + "0" * 64, "blake3:" + "0" * 64,
    "SELECT 1", "FROM balances", "{", "../..", "%s{}", "v-7c21 / calendar", "rates.cpu=1", "2026-03-01T09:00:00Z",
)  # fmt: skip
NUMBERS = ("0", "1", "-1", "5", "146", "147", "9" * 30, "x", "", "1.5", "1e9", "nan")
KEYS = (LOG_KEY, WITNESS_KEY, "a+b+c", WITNESS_KEY + "=http://127.0.0.1:1", "=http", "x=http://[")
URIS = (
    "file:v.json", "file:missing", "file:", "encrypted-file:enc.json?password-env=DOOR_PASSWORD",
    "encrypted-file:enc.json?password-file=v.json",
    "encrypted-file:enc.json?password-env=NONE", "exec:/nowhere", "x:", "file:v.json?x=1", "encrypted-file:enc.json",
    "file:anchors", "file:room",
)  # fmt: skip
PLACES = ("www", "room", "missing", "http://127.0.0.1:1/x", "http://[", "https://", "")

_POOLS: dict[str, tuple[str, ...]] = {
    "uri": URIS, "uris": (*URIS, "git:anchors", "http://127.0.0.1:1/", "http://["), "wallet": URIS, "keys": (*KEYS, *URIS),
    "witnesses": KEYS,
    "logs": KEYS, "place": PLACES, "tiles": PLACES, "controller": PATHS, "vault": ("vault", "v-7c21", "missing"),
}  # fmt: skip
_SCHEMES = ("exec:", "http:", "https:", "git:", "file:", "encrypted-file:")


def verbs(
    command: click.Command = commands, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every verb, by the words that name it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name, verb in command.commands.items():
        yield from verbs(verb, (*path, name))


VERBS = sorted(verbs(), key=lambda verb: verb[0])


def arguments(data: bytes) -> tuple[tuple[str, ...], bool]:
    """The words that bytes stand for, and whether they may be run.

    The first byte names the verb. Then each of its parameters takes a byte: 255 leaves it out, 254 takes the rest of the line as it is, any
    other draws from what such a parameter might be given.
    """
    rest = Reader(data)
    path, verb = VERBS[rest.byte() % len(VERBS)]
    words, positional = [*path], list[str]()
    for parameter in verb.params:
        name = max(parameter.opts, key=len)
        choice = rest.byte()
        if choice == 255 or name in NOT_HERE:
            continue
        if isinstance(parameter, click.Option) and parameter.is_flag:
            words += [name] if choice % 2 else []
            continue
        value = rest.line(is_path=isinstance(parameter.type, click.Path)) if choice == 254 else drawn(parameter, choice)
        if isinstance(parameter, click.Option):
            words.append(f"{name}={value}" if name.startswith("--") else value)
        else:
            positional.append(value)
    if any("--once" in parameter.opts for parameter in verb.params):
        words.append("--once")
    words += ["--", *positional] if positional and path[0] != "receipt" else positional
    return tuple(words), path[0] not in ENDLESS | LARGE


def drawn(parameter: click.Parameter, choice: int) -> str:
    """Something that such a parameter might be given."""
    pool = _POOLS.get(parameter.name or "")
    if parameter.name == "room":
        pool = ("room", "room", "missing", "entry.json", "")
    elif isinstance(parameter.type, click.Choice):
        pool = (*map(str, parameter.type.choices), "x")
    elif pool is None and isinstance(parameter.type, click.Path):
        pool = PATHS
    elif pool is None and parameter.type.name.startswith(("integer", "float")):
        pool = NUMBERS
    pool = pool or TEXTS
    return pool[choice % len(pool)]


class Reader:
    """Bytes, taken one by one."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def byte(self) -> int:
        """The next one; 255 behind the end."""
        if not self.data:
            return 255
        first, self.data = self.data[0], self.data[1:]
        return first

    def line(self, *, is_path: bool) -> str:
        """What is there up to the end of the line, as an argument may hold it: no NUL. It names no program, address or other folder."""
        taken, _, self.data = self.data.partition(b"\n")
        text = taken.replace(b"\0", b"").decode(errors="surrogateescape")
        if is_path:
            text = text.replace("/", "_").replace("..", "__")
        return text if not text.strip().lower().startswith(_SCHEMES) else "_" + text
