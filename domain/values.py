"""Wide values that change often."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def cheap_to_replace(kind: type[T]) -> type[T]:
    """Class decorator: ``_replace`` of a named tuple at the cost of what changes; the library's own looks at each field by its name."""
    kind._replace = _replace  # type: ignore[attr-defined]  # every named tuple has it; ``type`` does not say so
    return kind


def _replace(value: Any, /, **changes: Any) -> Any:
    fields, names = list(value), value._fields
    for name, change in changes.items():
        fields[names.index(name)] = change
    return tuple.__new__(type(value), fields)
