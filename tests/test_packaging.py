"""The facade: small, sorted, lazy, and the same for a reader, for Python and for a type checker."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import metadata
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

import proofroom

ROOT = Path(__file__).parents[1]
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


@pytest.mark.skipif(not (ROOT / "src").is_dir(), reason="a run against the wheel has no sources to build from")
def test_a_wheel_from_the_source_archive_holds_all_of_the_package(tmp_path: Path) -> None:
    """Each module of the four folders, at its place under one name: the links of a checkout are in neither archive."""
    sources = {"adapters": "adapters", "domain": "domain", "projections": "projections", "tests/testing": "testing"}
    expected = {"proofroom/__init__.py", "proofroom/py.typed", "proofroom/pytest_plugin.py"}
    for folder, name in sources.items():
        expected |= {f"proofroom/{name}/{f.relative_to(ROOT / folder)}" for f in (ROOT / folder).rglob("*.py")}
    checkout = tmp_path / "checkout"  # a copy, so that what other tests do in this one is of no account
    for folder in (*sources, "src"):
        shutil.copytree(ROOT / folder, checkout / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, checkout)
    (archive,) = SdistBuilder(str(checkout)).build(directory=str(tmp_path))
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (wheel,) = WheelBuilder(archive.removesuffix(".tar.gz")).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as built:
        found = {name for name in built.namelist() if ".dist-info/" not in name}
    assert {name for name in found if name.endswith((".py", ".typed"))} == expected
