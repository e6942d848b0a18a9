"""Wide values that change often."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def cheap_to_replace(kind: type[T]) -> type[T]:
    """Class decorator: ``_replace`` of a named tuple at the cost of what changes; the library's own looks at each field by its name."""
    places = {name: place for place, name in enumerate(kind._fields)}  # type: ignore[attr-defined]  # it is a named tuple

    def replace(value: Any, /, **changes: Any) -> Any:
        fields = list(value)
        for name, change in changes.items():
            fields[places[name]] = change
        return tuple.__new__(type(value), fields)

    kind._replace = replace  # type: ignore[attr-defined]  # as above
    return kind
