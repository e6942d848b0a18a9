"""What a reader trusts, as options: keys of logs, witnesses, a policy, a checkpoint that was kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proofroom.adapters.cli.options import read_checkpoint, read_text
from proofroom.domain.errors import BadInput

if TYPE_CHECKING:
    from proofroom.domain.verifier import Trust
    from proofroom.domain.verifier.note import Key

MAX_TRUST = 1024 * 1024


def trust_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """``--key``, ``--witness`` and ``--policy``, as :func:`trust_of` takes them."""
    verb = click.option(
        "--policy", type=click.Path(path_type=Path), metavar="FILE", help="A C2SP tlog-policy: logs, witnesses, quorum."
    )(verb)
    verb = click.option(
        "--witness",
        "witnesses",
        multiple=True,
        metavar="KEY",
        help="Verifier key of a witness that must have cosigned.",
    )(verb)
    return click.option(
        "--key",
        "keys",
        multiple=True,
        metavar="KEY",
        help="Verifier key of a log that you trust (name+hash+base64); any of several.",
    )(verb)


def trust_of(
    keys: tuple[str, ...],
    witnesses: tuple[str, ...],
    policy: Path | None,
    known: Path | None = None,
    *,
    strict: bool = False,
) -> Trust:
    """What was said to be trusted.

    Raises:
        BadInput: a key, the policy or the checkpoint is not of its form.
    """
    from proofroom.domain.policy import parse_policy
    from proofroom.domain.verifier import BadTrust, Trust

    try:
        trust = Trust() if policy is None else parse_policy(read_text(policy, MAX_TRUST))
        trust = trust._replace(keys=(*trust.keys, *map(_key, keys)), strict=strict)
        if witnesses:
            named = tuple((key.name, key) for key in map(_key, witnesses))
            quorum = () if trust.quorum == "none" else (trust.quorum,)
            every = (*(name for name, _ in named), *quorum)
            group = ("--witness", len(every), every)
            trust = trust._replace(
                witnesses=(*trust.witnesses, *named), groups=(*trust.groups, group), quorum="--witness"
            )
    except BadTrust as e:
        raise BadInput(path="what to trust (--key, --policy, --witness)", why=str(e)) from None
    return trust if known is None else trust._replace(known=read_checkpoint(known))


def _key(text: str) -> Key:
    from proofroom.domain.verifier import BadTrust
    from proofroom.domain.verifier.note import parse_key
    from proofroom.domain.verifier.verdict import Fault

    try:
        return parse_key(text)
    except Fault as e:
        raise BadTrust(e.why) from None
