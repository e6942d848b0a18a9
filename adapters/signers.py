"""Where a host says its keys are: signers by URI (protocol 4, keys).

``file:keys/ledger.json``
    a plain key file, mode 0600
``encrypted-file:keys/ledger.json?password-env=NAME``
    a file that a password protects; without ``password-env`` or ``password-file`` a person is asked
``exec:/opt/kms/sign?arg=alias%2Fledger&env=AWS_PROFILE``
    another program that holds the key: a wrapper around a KMS, a hardware key, an agent of the desktop

A host adds a scheme of its own with :func:`register_scheme`. A URI holds no secret, so it may be stored and shown.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote

from proofroom.adapters.exec_signer import ExecSigner
from proofroom.adapters.files import read_at_most, write_atomically
from proofroom.adapters.keyfile import is_encrypted, load_encrypted
from proofroom.adapters.keys import load_key, load_or_create_key
from proofroom.domain.errors import BadInput, SignerFailed
from proofroom.domain.signing import Signer

Prompt = Callable[[str], str]
"""Asks a person; gives what was typed."""

MAX_URI = 4_096
MAX_PASSWORD = 4_096


class SignerUri(NamedTuple):
    """A URI, taken apart."""

    scheme: str
    path: str
    options: Mapping[str, tuple[str, ...]]
    base: Path
    """The folder that relative paths start from."""
    prompt: Prompt

    @property
    def file(self) -> Path:
        """The path as a file's."""
        return self.base / self.path

    def one(self, name: str) -> str | None:
        """The value of an option that is given once at most.

        Raises:
            BadInput: it is given twice.
        """
        values = self.options.get(name, ())
        if len(values) > 1:
            raise BadInput(path=self.scheme, why=f"{name} is given twice")
        return values[0] if values else None


Open = Callable[[SignerUri], Signer]


def signer_from_uri(uri: str, *, base: Path = Path(), prompt: Prompt | None = None) -> Signer:
    """The signer that a URI names.

    Args:
        uri: as above.
        base: the folder that relative paths start from.
        prompt: asks a person for a password; by default at the terminal.

    Raises:
        BadInput: the scheme or an option is not known, or the file holds no key.
        WrongPassword: the password does not open the file.
        SignerFailed: nobody can be asked, or the program behind ``exec:`` does not answer.
    """
    scheme, colon, rest = uri.partition(":")
    known = _SCHEMES.get(scheme)
    if not colon or known is None or len(uri) > MAX_URI:
        raise BadInput(path=scheme[:40], why=f"not a signer: known are {', '.join(f'{s}:' for s in _SCHEMES)}")
    path, _, query = rest.partition("?")
    options = {name: tuple(values) for name, values in parse_qs(query, keep_blank_values=True).items()}
    open_signer, names = known
    if unknown := sorted(set(options) - names):
        raise BadInput(path=scheme, why=f"unknown option {unknown[0][:40]!r}")
    return open_signer(SignerUri(scheme, unquote(path), options, base, prompt or ask_at_terminal))


def as_signer(given: Signer | str, base: Path) -> Signer:
    """A signer that may be given by its URI."""
    return signer_from_uri(given, base=base) if isinstance(given, str) else given


def register_scheme(scheme: str, open_signer: Open, options: Iterable[str] = ()) -> None:
    """Have :func:`signer_from_uri` know a scheme; the last registration of a scheme counts.

    Args:
        scheme: what stands before the colon.
        open_signer: gives the signer behind a URI of this scheme.
        options: the option names it understands; others are refused before it is called.
    """
    _SCHEMES[scheme] = (open_signer, frozenset(options))


def signer_of_room(keys: Path, name: str) -> Signer | None:
    """The signer of a room by its name: behind the URI in ``NAME.uri``, else the key file ``NAME.json``; None where neither is.

    Raises:
        BadInput, WrongPassword, SignerFailed: as for :func:`signer_from_uri`.
    """
    pointer, file = keys / f"{name}.uri", keys / f"{name}.json"
    if pointer.exists():
        try:
            uri = read_at_most(pointer, MAX_URI).decode().strip()
        except (OSError, ValueError):
            raise BadInput(path=str(pointer), why="it cannot be read") from None
        return signer_from_uri(uri, base=keys)
    if not file.exists():
        return None
    scheme = "encrypted-file" if is_encrypted(file) else "file"
    return signer_from_uri(f"{scheme}:{quote(file.name)}", base=keys)


def take_signer(keys: Path, name: str, given: Signer | str | None) -> Signer:
    """The signer that a new room gets under a name: the one that is given, else the room's own, else a new key file.

    A URI is kept in ``NAME.uri``, so that opening the room finds it.

    Raises:
        BadInput: also when the room has another key under this name than the object that is given: opening would find that one.
        BadInput, WrongPassword, SignerFailed: as for :func:`signer_from_uri`.
    """
    if given is None:
        return signer_of_room(keys, name) or load_or_create_key(keys / f"{name}.json")
    signer = as_signer(given, keys)
    if isinstance(given, str):
        write_atomically(keys / f"{name}.uri", f"{given}\n".encode())
    elif (known := signer_of_room(keys, name)) is not None and known.keyid != signer.keyid:
        raise BadInput(
            path=str(keys / name), why="another key lies there under this name: take it away, or give no other"
        )
    return signer


def ask_at_terminal(question: str) -> str:
    """What a person types, unseen.

    Raises:
        SignerFailed: there is no terminal.
    """
    check_terminal(question.rstrip(": "), "name a password-env or a password-file in its URI")
    return getpass.getpass(question)


def check_terminal(what: str, instead: str) -> None:
    """See that a person can be asked.

    Raises:
        SignerFailed: there is no terminal; it says what was to be asked, and how to do without.
    """
    if not sys.stdin or not sys.stdin.isatty():
        raise SignerFailed(signer=what, why=f"there is no terminal to ask at: {instead}")


def _open_file(uri: SignerUri) -> Signer:
    return load_key(uri.file)


def _open_encrypted(uri: SignerUri) -> Signer:
    return load_encrypted(uri.file, _password(uri))


def _password(uri: SignerUri) -> bytes:
    variable, file = uri.one("password-env"), uri.one("password-file")
    if variable is not None and file is not None:
        raise BadInput(path=str(uri.file), why="give password-env or password-file, not both")
    if variable is not None:
        if not (text := os.environ.get(variable, "")):
            raise SignerFailed(signer=f"{uri.scheme}:{uri.path}", why=f"the variable {variable} holds no password")
        return text.encode()
    if file is not None:
        try:
            return read_at_most(uri.base / file, MAX_PASSWORD).rstrip(b"\r\n")
        except (OSError, ValueError) as e:
            raise BadInput(path=file, why=getattr(e, "strerror", None) or "it cannot be read") from None
    return uri.prompt(f"Password for {uri.file}: ").encode()


def _open_exec(uri: SignerUri) -> Signer:
    return ExecSigner([uri.path, *uri.options.get("arg", ())], environment=uri.options.get("env", ()))


_SCHEMES: dict[str, tuple[Open, frozenset[str]]] = {}
register_scheme("file", _open_file)
register_scheme("encrypted-file", _open_encrypted, ("password-env", "password-file"))
register_scheme("exec", _open_exec, ("arg", "env"))
