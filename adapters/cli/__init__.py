"""The command line. Each verb is a module of its own; none of them decides anything, and each loads what it needs when it runs.

Exit status: 0 done; 2 wrong usage; 3 to 6 the family of the error (see :mod:`proofroom.domain.errors`); 10 to 16 a verdict;
130 interrupted; 141 nobody reads the output any more; 1 a fault in this program.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import click

from proofroom.adapters.cli import (
    accuse,
    anchor,
    audit,
    consent,
    demo,
    erase,
    export,
    govern,
    key,
    lab,
    models,
    monitor,
    publish,
    query,
    receipt,
    room,
    settle,
    settler,
    show,
    simulate,
    sql,
    submit,
    validator,
    why,
    witness,
)
from proofroom.adapters.cli.assurance import assurance
from proofroom.adapters.cli.options import INTERRUPTED
from proofroom.adapters.cli.output import print_error, print_json, to_stderr
from proofroom.adapters.files import is_text
from proofroom.domain.errors import BadInput, ProofroomError, StoreUnavailable

NO_READER = 141
OUR_FAULT = 1

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_EPILOG = """\b
Begin with:
  proofroom demo            the whole chain of evidence, in ./room
  proofroom status          what the room holds
  proofroom audit           replay all of it

A room is a folder. A verb that works on one takes --room DIR; without it, PROOFROOM_ROOM or ./room is used. Nearly every verb takes
--json, which prints one JSON value on stdout, or {"error": {"code", "message", "advice", ...}}.

\b
Exit status:
  0     done
  2     wrong usage of this command
  3     refused: a rule of the protocol said no
  4     malformed: bytes are not what they claim to be
  5     conflict: someone else was first; look, then retry
  6     unavailable: the store, a file or a process failed
  10-16 a verdict: INVALID, INCOMPLETE, FORKED, SUSPECT, REVOKED-GRANT, UNWITNESSED, ERASED
"""


class _InOrder(click.Group):
    """Verbs in the order in which a newcomer meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        import proofroom

        click.echo(f"proofroom {proofroom.__version__}")
        ctx.exit()


@click.group(
    cls=_InOrder, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def commands() -> None:
    """A ledger of agent work: who allowed it, what ran, who attested it, who was paid."""


for _verb in (
    demo.demo,
    submit.submit,
    show.show,
    consent.authorise,
    why.why,
    sql.sql,
    query.query,
    models.project,
    models.rebuild,
    models.snapshot,
    settle.settle,
    audit.audit,
    receipt.receipt,
    receipt.verify,
    publish.publish,
    room.status,
    room.checkpoint,
    room.tick,
    key.key,
    erase.erase,
    validator.validator,
    accuse.accuse,
    settler.settler,
    govern.propose,
    govern.vote,
    govern.leave,
    simulate.simulate,
    lab.tamper_lab,
    witness.witness,
    witness.cosign,
    monitor.monitor,
    anchor.anchor,
    export.export,
):
    commands.add_command(_verb)
commands.add_command(assurance)


for _shown in (consent.person, consent.agent):
    show.show.add_command(_shown)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status. No error of any kind reaches a person as a traceback."""
    args = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a test may have put something smaller there
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # or it does not have it, as above
    as_json = "--json" in args[: args.index("--") if "--" in args else None]
    with _no_stream_missing(), _quiet_on_broken_pipe() as broken:
        try:
            status = _explained(lambda: _run(args), args, as_json)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as e:  # of the output itself, so that even JSON goes to stderr
            status = StoreUnavailable.exit_status
            _to_nowhere(sys.stdout)
            to_stderr(f"error: standard output: {e.strerror or e}", "hint: look where the output goes: a file, a disk")
    return NO_READER if broken else status


@contextlib.contextmanager
def _no_stream_missing() -> Iterator[None]:
    """A standard stream that the caller closed (``>&-``) is an empty one meanwhile; else a file that is opened gets its number."""
    with contextlib.ExitStack() as opened:
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            if getattr(sys, name) is None:
                setattr(sys, name, opened.enter_context(Path(os.devnull).open(mode)))
                opened.callback(setattr, sys, name, None)
        yield


def _run(args: list[str]) -> int:
    try:
        with commands.make_context("proofroom", args) as context:
            status = commands.invoke(context)
    except click.exceptions.Exit as e:
        return e.exit_code
    return status if isinstance(status, int) else 0


def _explained(run: Callable[[], int], args: Sequence[str], as_json: bool) -> int:
    """Run, and say of anything that goes wrong what it is and what to do.

    Raises:
        OSError: the standard output takes no more.
    """
    try:
        return run()
    except ProofroomError as e:
        print_error(e, as_json)
        return e.exit_status
    except click.exceptions.NoArgsIsHelpError as e:
        e.show()
        return e.exit_code
    except click.ClickException as e:
        path = e.ctx.command_path if isinstance(e, click.UsageError) and e.ctx else "proofroom"
        _say("usage", e.format_message(), f"see {path} --help", as_json)
        return e.exit_code
    except (KeyboardInterrupt, click.Abort):
        to_stderr("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as e:
        if e.filename is None and e.errno in _FULL:  # what is written to files is told with their names
            raise
        failed = StoreUnavailable(path=str(e.filename or "input or output"), why=e.strerror or str(e))
        print_error(failed, as_json)
        return failed.exit_status
    except Exception as e:  # noqa: BLE001 - the outermost boundary: a person gets a sentence, whatever happened
        odd = next((arg for arg in args if not is_text(arg)), None)
        if odd is None or "surrogate" not in str(e):
            return _our_fault(e, as_json)
        # JSON and DuckDB each say in their own way that they take only UTF-8.
        refused = BadInput(path=odd, why="not text in UTF-8")
        print_error(refused, as_json)
        return refused.exit_status


def _our_fault(error: Exception, as_json: bool) -> int:
    if os.environ.get("PROOFROOM_TRACEBACK"):
        raise error
    message = f"a fault in proofroom itself: {type(error).__name__}: {error}"
    advice = "please report it, with what PROOFROOM_TRACEBACK=1 in the environment prints"
    _say("internal", message, advice, as_json)
    return OUR_FAULT


def _say(code: str, message: str, advice: str, as_json: bool) -> None:
    """What is wrong, where it is no error of the ledger."""
    if as_json:
        print_json({"error": {"code": code, "message": message, "advice": advice}})
    else:
        to_stderr(f"error: {message}", f"hint: {advice}")


@contextlib.contextmanager
def _quiet_on_broken_pipe() -> Iterator[list[bool]]:
    """When the reader of our output has gone (``| head``), stop without a word."""
    broken: list[bool] = []
    try:
        yield broken
    except BrokenPipeError:
        broken.append(True)
        _to_nowhere(sys.stdout, sys.stderr)


def _to_nowhere(*streams: IO[str]) -> None:
    """What is still to be written to these is written, and lost."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
