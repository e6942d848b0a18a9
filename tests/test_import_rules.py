"""The domain is a specification: a short list says what it may import, and nothing in it asks the world.

The arrows between the three folders are import-linter's (`make check`); here is what it cannot say.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import proofroom.domain

MAY_IMPORT = {
    # syntax and types
    "__future__", "abc", "collections", "dataclasses", "enum", "types", "typing", "typing_extensions",
    # computing on values
    "base64", "binascii", "bisect", "datetime", "decimal", "fractions", "functools", "hashlib", "heapq", "itertools", "json", "math",
    "operator", "re", "string", "struct", "unicodedata",
    # libraries that compute on values
    "blake3", "immutables", "nacl.bindings", "nacl.exceptions", "nacl.signing", "orjson", "pydantic", "pydantic_core",
    # itself
    "proofroom.domain",
}  # fmt: skip

ASKS_THE_CLOCK = {"now", "today", "utcnow"}
ASKS_FOR_CHANCE = {"generate", "randombytes", "crypto_sign_keypair", "crypto_box_keypair"}
ASKS_THE_WORLD = {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"}

DOMAIN = Path(proofroom.domain.__file__).parent
FILES = sorted(DOMAIN.rglob("*.py"))


def imports(tree: ast.AST) -> set[str]:
    """Every module that is imported anywhere in a file; relative ones keep their dots."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            # `from nacl import utils` is `nacl.utils`; `from re import compile` is only `re`.
            found |= {module} if is_allowed(module) else {f"{module}.{alias.name}" for alias in node.names}
    return found


def is_allowed(module: str) -> bool:
    """The module or a package around it is on the list."""
    parts = module.split(".")
    return any(".".join(parts[:n]) in MAY_IMPORT for n in range(1, len(parts) + 1))


def calls(tree: ast.AST) -> set[str]:
    """What asks the world: builtins that are called, and names such as ``now`` that are called, handed on or imported."""
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names}
    return (called & ASKS_THE_WORLD) | ((attributes | imported) & (ASKS_THE_CLOCK | ASKS_FOR_CHANCE))


def faults(source: str) -> set[str]:
    """Why a file may not stand in the domain."""
    tree = ast.parse(source)
    return {module for module in imports(tree) if not is_allowed(module)} | calls(tree)


def test_the_domain_is_found() -> None:
    """The rules below look at real files."""
    assert DOMAIN / "__init__.py" in FILES
    assert len(FILES) > 10


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(DOMAIN).as_posix())
def test_domain_is_pure(file: Path) -> None:
    """Nothing but values: no file, clock, chance, thread, process, database or framework."""
    assert faults(file.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import os", "os"),
        ("import time as t", "time"),
        ("from pathlib import Path", "pathlib.Path"),
        ("def f():\n    import sqlite3", "sqlite3"),
        ("import nacl.utils", "nacl.utils"),
        ("from nacl import utils", "nacl.utils"),
        ("from . import merkle", "..merkle"),
        ("import proofroom.adapters", "proofroom.adapters"),
        ("from proofroom import Ledger", "proofroom.Ledger"),
        ("from datetime import UTC, datetime\ndatetime.now(UTC)", "now"),
        ("import datetime\nclock = datetime.date.today", "today"),
        ("from nacl.signing import SigningKey\nSigningKey.generate()", "generate"),
        ("open('x')", "open"),
    ],
)
def test_invalid_import_is_seen(source: str, fault: str) -> None:
    """The check itself finds what it is for."""
    assert fault in faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "from nacl.bindings import crypto_sign_open",
        "from collections.abc import Sequence",
        "import re\nre.compile('x')",
        "from datetime import datetime\ndatetime.fromisoformat('2026-01-01T00:00:00Z')",
        "from proofroom.domain import merkle",
        "from proofroom.domain.merkle import root",
    ],
)
def test_valid_import_is_let_through(source: str) -> None:
    """The check lets values through."""
    assert faults(source) == set()
