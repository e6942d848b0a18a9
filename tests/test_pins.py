"""What is installed is what is pinned, what is pinned is what is asked for, and what is imported is asked for. `make check` runs this too.

Whether a pinned version has a known fault, only advisories can say: `make audit-deps` asks for them.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distributions, metadata, packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FILES = ("requirements.txt", "requirements-dev.txt", "requirements-lab.txt")
SOURCES = ("adapters", "domain", "projections", "src/proofroom", "tests/testing")
BESIDE = {"pip", "setuptools", "wheel", "proofroom"}
"""What an environment has without a pin."""

LICENCES = re.compile(r"MIT|BSD|Apache|PSF|MPL|CC0|Mozilla", re.IGNORECASE)
"""Licences that ask nothing of who uses a library unchanged."""

_PIN = re.compile(
    r"(?P<what>[a-z0-9.-]+==[^\s;]+( ; [^\\]+)?)(?P<hashes>( \\\n    --hash=sha256:[0-9a-f]{64})+)", re.MULTILINE
)

_IMPORT = re.compile(r"^ *(?:from|import) ([a-z]\w*)", re.MULTILINE)

pytestmark = pytest.mark.skipif(not (ROOT / "src").is_dir(), reason="a run against the wheel has other people's pins")


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@cache
def pins(file: str) -> dict[str, Requirement]:
    """The pins of a file that apply here, by name."""
    lines = (ROOT / file).read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith("#"))
    assert not _PIN.sub("", text).strip(), f"{file} holds more than versions and hashes"
    found = [pin for match in _PIN.finditer(text) if applies(pin := Requirement(match["what"]))]
    assert len({r.name for r in found}) == len(found)
    return {canonicalize_name(r.name): r for r in found}


def version(pin: Requirement) -> str:
    (only,) = pin.specifier
    assert only.operator == "=="
    return only.version


def applies(requirement: Requirement, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def needed(asked: list[str]) -> set[str]:
    """All that these requirements bring with them here."""
    found, waiting = set[str](), [Requirement(text) for text in asked]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or not applies(requirement):
            continue
        found.add(name)
        extras = ["", *requirement.extras]
        inner = [Requirement(text) for text in requires(name) or ()]
        waiting += [Requirement(f"{r.name}{r.specifier}") for r in inner if any(applies(r, extra) for extra in extras)]
    return found


@pytest.mark.parametrize("file", FILES)
def test_every_pin_is_one_version_with_hashes(file: str) -> None:
    """No address, no option, no range; the same version in every file that has it; within what pyproject asks for."""
    asked = [Requirement(text) for text in project()["project"]["dependencies"]]
    assert all(version(pins(file)[canonicalize_name(r.name)]) in r.specifier for r in asked)
    for name, pin in pins("requirements.txt").items():
        assert pins(file)[name].specifier == pin.specifier


def test_what_is_installed_is_what_is_pinned() -> None:
    """Nothing more, nothing else, in the environment that `make` keeps."""
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        pytest.skip("another environment than the one of `make`")
    pinned = pins("requirements-lab.txt") | pins("requirements-dev.txt")
    installed = {canonicalize_name(d.metadata["Name"]): d.version for d in distributions()}
    assert installed.keys() - pinned.keys() <= BESIDE
    differing = {name: found for name, found in installed.items() if name in pinned and found != version(pinned[name])}
    assert not differing
    assert pins("requirements-dev.txt").keys() <= installed.keys()


def test_what_is_pinned_for_users_is_what_is_asked_for() -> None:
    """Each is a dependency of pyproject, or of one; none is forgotten. Their licences ask for nothing."""
    pinned = pins("requirements.txt").keys()
    assert pinned == needed(project()["project"]["dependencies"])
    for name in pinned:
        facts: Any = metadata(name)
        said = [facts.get("License-Expression"), facts.get("License"), *(facts.get_all("Classifier") or ())]
        assert any(LICENCES.search(text) for text in said if text), name


def imported() -> Iterator[str]:
    """The top-level names that lines of the package import; among them words of prose that look alike."""
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.py"):
            yield from _IMPORT.findall(path.read_text())


def test_what_is_imported_is_asked_for() -> None:
    """By pyproject itself, in the dependencies or an extra, and not only by something that happens to be there for another's sake."""
    table = project()["project"]
    asked = [*table["dependencies"], *(text for extra in table["optional-dependencies"].values() for text in extra)]
    known = {canonicalize_name(Requirement(text).name) for text in asked}
    homes = {name: {canonicalize_name(home) for home in found} for name, found in packages_distributions().items()}
    names = (set(imported()) & homes.keys()) - {"proofroom"}
    assert {"duckdb", "pydantic", "hypothesis"} <= names
    assert not {name for name in names if not homes[name] & known}
