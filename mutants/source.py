"""A module whose mutants are tried: what of it is no mutant, where a mutation stands, and its text with one."""

from __future__ import annotations

import ast
import sys
import warnings
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import cosmic_ray.plugins
from cosmic_ray.ast import get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.work_item import MutationSpec


class Place(NamedTuple):
    """Where something stands in a module: lines from 1, columns from 0."""

    start: tuple[int, int]
    end: tuple[int, int]

    def holds(self, spec: MutationSpec) -> bool:
        """Whether a mutation lies in it."""
        return bool(self.start <= spec.start_pos and spec.end_pos <= self.end)


def _place(first: Any, last: Any) -> Place:
    return Place((first.lineno, first.col_offset), (last.end_lineno, last.end_col_offset))


class Source:
    """A module as it is: what of it no mutant is counted in, and which function each line belongs to."""

    def __init__(self, path: Path) -> None:
        self.path, self.text = path, path.read_text()
        self.name = "proofroom." + path.with_suffix("").as_posix().replace("/", ".")
        self.unread: list[Place] = []
        self.literal: list[Place] = []
        self.bodies: list[Place] = []
        """Of functions."""
        self.statements: list[tuple[Place, range]] = []
        """Each with its lines, of a compound one those above its body."""
        tree = ast.parse(self.text)
        self.constants = [(_place(node, node), names_in(node)) for node in tree.body if isinstance(node, ast.Assign)]
        """Each with the names that it assigns."""
        for node in ast.walk(tree):
            for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
                if isinstance(part, ast.expr):
                    self.unread.append(_place(part, part))
            if isinstance(node, ast.FunctionDef):
                self.bodies.append(_place(node.body[0], node.body[-1]))
                self.unread += [
                    Place((d.lineno, 0), ((d.end_lineno or d.lineno) + 1, 0))
                    for d in node.decorator_list
                    if is_cache(d)
                ]
            if isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "need"):
                self.unread += [_place(part, part) for part in ast.walk(node) if isinstance(part, ast.JoinedStr)]
            if isinstance(node, ast.stmt):
                below = node.body[0].lineno if hasattr(node, "body") else (node.end_lineno or node.lineno) + 1
                self.statements.append((_place(node, node), range(node.lineno, below)))
            if isinstance(node, ast.BinOp) and not any(isinstance(part, ast.Name) for part in ast.walk(node)):
                self.literal.append(_place(node, node))

    def file(self) -> str:
        """Where it was imported from."""
        return str(sys.modules[self.name].__file__)

    def is_none(self, spec: MutationSpec) -> str | None:
        """Why this is no mutant, if it is none: what nothing evaluates, what a cache keeps, what an error's text interpolates, and an
        operator between two literal numbers, which are mutated themselves. What does not compile is none either.
        """
        if any(place.holds(spec) for place in self.unread):
            return "in an annotation, a cache or the text of an error"
        if "BinaryOperator" in spec.operator_name and any(place.holds(spec) for place in self.literal):
            return "between two literals"
        return None

    def mutate(self, operator: str, occurrence: int, tree: Any = None) -> str:
        """The text of the module with this mutation, which is made in the tree, where one is given: to parse takes half a second."""
        visitor = MutationVisitor(occurrence, cosmic_ray.plugins.get_operator(operator)())
        return str(visitor.walk(tree or get_ast(self.text)).get_code())

    def compile(self, mutated: str, file: str) -> CodeType | None:
        """Its code, if it compiles."""
        with warnings.catch_warnings(action="ignore"):
            try:
                return compile(mutated, file, "exec", dont_inherit=True)
            except SyntaxError:
                return None

    def is_inside(self, spec: MutationSpec) -> bool:
        """Whether it stands in a function."""
        return any(place.holds(spec) for place in self.bodies)

    def assigned_by(self, spec: MutationSpec) -> list[str]:
        """The names that it changes, where it stands in a constant of the module."""
        return next((names for place, names in self.constants if place.holds(spec)), [])

    def lines_of(self, spec: MutationSpec) -> range:
        """The lines of the statement that it stands in."""
        return max((place.start, lines) for place, lines in self.statements if place.holds(spec))[1]


def names_in(node: ast.Assign) -> list[str]:
    """What it assigns."""
    return [part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def is_cache(decorator: ast.expr) -> bool:
    """Whether it remembers calls, which changes no answer."""
    return "cache" in ast.unparse(decorator)
