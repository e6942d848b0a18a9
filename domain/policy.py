"""What a reader trusts, from files of their own: C2SP tlog-policy (logs, witnesses, quorum), and a checkpoint that was kept."""

from __future__ import annotations

import re

from proofroom.domain.verifier.note import NUMBER, BadTrust, Checkpoint, Trust, parse_key, parse_note
from proofroom.domain.verifier.proof import parse
from proofroom.domain.verifier.verdict import Fault


def parse_policy(text: str) -> Trust:
    """A C2SP tlog-policy file."""
    trust, names, quorums, used = Trust(), {"none"}, [], set[str]()
    try:
        for words in (re.findall(r"[^ \t]+", line) for line in text.split("\n")):
            if not words or words[0].startswith("#"):
                continue
            match words:
                case ["log", key] | ["log", key, _]:
                    trust = trust._replace(keys=(*trust.keys, parse_key(key)))
                    continue
                case ["quorum", name] if name in names:
                    quorums.append(name)
                    continue
                case ["witness", name, key] | ["witness", name, key, _] if name not in names:
                    trust = trust._replace(witnesses=(*trust.witnesses, (name, parse_key(key))))
                case ["group", name, count, *members] if members and name not in names:
                    least = {"any": 1, "all": len(members)}.get(count) or int((NUMBER.fullmatch(count) and count) or 0)
                    known = names - {"none"} - used
                    if (
                        not 1 <= least <= len(members)
                        or len(set(members)) < len(members)
                        or not known.issuperset(members)
                    ):
                        raise Fault(f"group {name}")
                    used.update(members)
                    trust = trust._replace(groups=(*trust.groups, (name, least, tuple(members))))
                case _:
                    raise Fault(" ".join(words)[:80])
            names.add(words[1])
    except (Fault, ValueError) as e:
        raise BadTrust(f"the policy has a line that is not of its form: {e}") from None
    keys = [key.public for key in trust.keys], [key.public for _, key in trust.witnesses]
    if len(quorums) != 1 or any(len(set(group)) < len(group) for group in keys):
        raise BadTrust("the policy needs exactly one quorum, and each key once")
    return trust._replace(quorum=quorums[0])


def checkpoint_of(data: bytes) -> Checkpoint:
    """The checkpoint in a proof file, or in a note by itself; its signatures are not verified.

    Raises:
        BadTrust: there is none.
    """
    try:
        return parse(data).checkpoint if data[:1] == b"{" or data[:9] == b"c2sp.org/" else parse_note(data.decode())
    except UnicodeDecodeError:
        raise BadTrust("it holds no checkpoint: it is no text") from None
    except Fault as e:
        raise BadTrust(f"it holds no checkpoint: {e}") from None
