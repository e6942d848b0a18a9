"""What all errors share: a stable code, a message filled from typed fields, advice, and a family with an exit status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, dataclass_transform


def _rebuild(kind: type[ProofroomError], fields: dict[str, Any]) -> ProofroomError:
    return kind(**fields)


@dataclass_transform(eq_default=False)
class ProofroomError(Exception):
    """The base of every error that proofroom raises on purpose. A subclass is a dataclass of its fields.

    ``class NotJson(Malformed, code="not-json", message="not JSON at byte {at}", advice="..."): at: int``
    """

    code: ClassVar[str] = "error"
    message: ClassVar[str] = "proofroom failed"
    advice: ClassVar[str] = ""
    exit_status: ClassVar[int] = 1

    def __init_subclass__(cls, **texts: str | int) -> None:
        for name, text in texts.items():
            setattr(cls, name, text)
        dataclass(eq=False)(cls)

    def fields(self) -> dict[str, Any]:
        """The error's own fields by name."""
        return {k: v for k, v in vars(self).items() if not k.startswith("__")}

    def __str__(self) -> str:
        return self.message.format(**self.fields())

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.fields())

    def to_json(self) -> dict[str, Any]:
        """The error as plain values: ``code``, ``message``, ``advice`` and its own fields."""
        return {"code": self.code, "message": str(self), "advice": self.advice, **self.fields()}


class Refused(ProofroomError, exit_status=3):
    """A rule of the protocol said no."""


class Malformed(ProofroomError, exit_status=4):
    """Bytes are not what they claim to be."""


class Conflict(ProofroomError, exit_status=5):
    """Someone else was first."""


class Unavailable(ProofroomError, exit_status=6):
    """The store, a file or a process failed; the ledger is as it was."""
