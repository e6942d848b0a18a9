"""The facade: small, sorted, lazy, and the same for a reader, for Python and for a type checker."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest

import proofroom

FACADE = ast.parse(Path(proofroom.__file__).read_text(encoding="utf-8"))
PUBLIC = [name for name in proofroom.__all__ if not name.startswith("__")]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_public_names_are_sorted_and_listed() -> None:
    """`__all__` is in order, without doubles, and `dir()` shows all of it."""
    assert proofroom.__all__ == sorted(set(proofroom.__all__))
    assert set(proofroom.__all__) <= set(dir(proofroom))


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_resolves(name: str) -> None:
    """Every public name leads to an object of that name, and to the same one each time."""
    found = getattr(proofroom, name)
    assert found.__name__ == name
    assert getattr(proofroom, name) is found


def test_type_checkers_see_the_same_names() -> None:
    """The imports under TYPE_CHECKING name the same homes as the lazy table."""
    (block,) = [node for node in FACADE.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert {alias.name: node.module for node in imports for alias in node.names} == proofroom._HOMES
    assert sorted(proofroom._HOMES) == PUBLIC


def test_unknown_name_is_an_attribute_error() -> None:
    """A name that is not there is refused as Python does it."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(proofroom, "nothing")  # noqa: B009


def test_version_is_the_distributions() -> None:
    """`__version__` and the installed metadata are one number."""
    assert proofroom.__version__ == metadata("proofroom")["Version"]


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import proofroom", {"proofroom.domain", "proofroom.adapters", "pydantic", "nacl", "importlib.metadata"}),
        ("from proofroom import verify", {"proofroom.adapters", "proofroom.projections", "sqlite3"}),
    ],
)
def test_importing_a_part_loads_only_that_part(code: str, absent: set[str]) -> None:
    """Neither the facade nor the domain brings DuckDB, Arrow, the event library or the command line with it."""
    absent = absent | {"duckdb", "eventsourcing", "pyarrow", "click", "rich", "icalendar"}
    done = run(f"{code}; import sys; print(*sorted({absent!r} & set(sys.modules)))")
    assert (done.stdout.strip(), done.stderr) == ("", "")
