"""The page of survivors: it reads back what is listed on it, and a change is found in no other than its own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "mutants.md"
pytestmark = pytest.mark.skipif(not (ROOT / "src").is_dir(), reason="the tool is no part of the wheel")

TEXT = '''
def limit(value: int, other: int) -> int:
    """The lesser."""
    if value < other and other > 0:
        return value
    return other if other > 0 else 0
'''


@pytest.fixture(scope="module")
def explained() -> ModuleType:
    """The part of the tool that needs nothing but Python."""
    spec = importlib.util.spec_from_file_location("explained", ROOT / "mutants" / "explained.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("value < other", "value <= other"),
        ("return value", "return other"),
        ("else 0", "else - 1"),
        ('    """The lesser."""\n', ""),
    ],
)
def test_a_change_that_is_listed_is_found(explained: ModuleType, tmp_path: Path, before: str, after: str) -> None:
    """What is printed of a change reads back as the same, and gives it however blanks are set; it gives no other."""
    mutated = TEXT.replace(before, after)
    change = explained.to_list("domain/limits.py", TEXT, mutated)
    (tmp_path / "page.md").write_text(f"## Survivors\n\n- So:\n{change}\n")
    assert explained.listed(tmp_path / "page.md") == [change]
    assert change.module == "limits.py"
    assert change.gives(TEXT, mutated.replace(" <= ", "<="))
    for other in (TEXT, TEXT.replace("value <", "value >"), TEXT.replace("other > 0 else", "other >= 0 else")):
        assert not change.gives(TEXT, other)


def test_what_is_alike_is_told_apart(explained: ModuleType) -> None:
    """One of two places with the same words: the words around them tell, as far as the line goes."""
    first, second = TEXT.replace("and other > 0", "and other >= 0"), TEXT.replace("if other > 0", "if other >= 0")
    one, two = (explained.to_list("domain/limits.py", TEXT, mutated) for mutated in (first, second))
    assert one.gives(TEXT, first)
    assert not one.gives(TEXT, second)
    assert two.gives(TEXT, second)
    assert not two.gives(TEXT, first)


def test_every_line_of_the_page_is_read(explained: ModuleType) -> None:
    """And each names a module that is there."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("  - ")]
    listed = explained.listed(PAGE)
    assert len(listed) == len(lines) > 100
    assert all((ROOT / "domain" / one.module).is_file() for one in listed)
