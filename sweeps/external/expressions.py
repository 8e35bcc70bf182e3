"""Arithmetic over logged tags and searched parameters, as a spec's `report` writes it: `val/mel / mel_w`.

Tags hold slashes, dots and dashes. A slash without spaces belongs to a tag, unless what stands on its sides are names
that are known and the whole is not: `val_mel/mel_w` divides. A tag with spaces stands in backticks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from functools import cached_property

from sweeps.common.errors import RequestError

TOKEN = re.compile(
    r"""(?P<quoted>`[^`]+`)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<name>[A-Za-z_][\w.:@]*(?:[/-][A-Za-z_0-9][\w.:@]*)*)
    |(?P<other>\*\*|//|[-+*/%(),]|\s+)""",
    re.VERBOSE,
)
FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "exp": math.exp,
    "log": math.log,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
}
DIVIDER = re.compile(r"([/-])")


class Expression:
    """A parsed expression; RequestError where it is no arithmetic of names, numbers and the functions above."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = _tokens(text)
        self._check()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names as they are written, functions left out."""
        found = [token for kind, token in self._tokens if kind == "name" and token not in FUNCTIONS]
        return tuple(dict.fromkeys(found))

    def resolved(self, known: Collection[str]) -> dict[str, list[str]]:
        """Each written name as the pieces it stands for: itself, or known names with the operators between them."""
        return {name: [name] if name in known else _split(name, known) or [name] for name in self.names}

    def needs(self, known: Collection[str]) -> list[str]:
        """The names whose values are needed, where `known` names exist."""
        pieces = [piece for parts in self.resolved(known).values() for piece in parts if piece not in ("/", "-")]
        return list(dict.fromkeys(piece for piece in pieces if not _is_number(piece)))

    def value(self, values: Mapping[str, float]) -> float:
        """The result; KeyError names a value that is missing. Division by zero and the like give NaN."""
        from simpleeval import InvalidExpression, SimpleEval

        names: dict[str, float] = {}
        safe: list[str] = []
        resolved = self.resolved(values.keys())
        for kind, token in self._tokens:
            if kind != "name" or token in FUNCTIONS:
                safe.append(token)
                continue
            inner = []
            for piece in resolved[token]:
                if piece in ("/", "-") or _is_number(piece):
                    inner.append(piece)
                    continue
                if piece not in values:
                    raise KeyError(piece)
                variable = f"v{len(names)}_"
                names[variable] = values[piece]
                inner.append(variable)
            safe.append(" ".join(inner))
        try:
            return float(SimpleEval(names=names, functions=dict(FUNCTIONS)).eval(" ".join(safe).strip()))
        except (ArithmeticError, ValueError, InvalidExpression, TypeError):
            return math.nan

    def _check(self) -> None:
        import ast

        safe = " ".join("v" if kind == "name" and token not in FUNCTIONS else token for kind, token in self._tokens)
        try:
            tree = ast.parse(safe.strip(), mode="eval")
        except SyntaxError:
            raise RequestError(f"{self.text!r} is no arithmetic of tags and parameters") from None
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        for node in ast.walk(tree):
            unknown_call = isinstance(node, ast.Call) and not (
                isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS
            )
            if unknown_call or isinstance(node, ast.Tuple):
                raise RequestError(f"{self.text!r}: known functions are {', '.join(FUNCTIONS)}")
            if isinstance(node, ast.Name) and node.id in FUNCTIONS and node.id not in called:
                raise RequestError(f"{self.text!r}: {node.id} is a function; quote a tag of that name in backticks")


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise RequestError(
                f"{text!r}: {text[at]!r} has no place in arithmetic; quote tags with spaces in backticks"
            )
        at = match.end()
        kind, token = str(match.lastgroup), match.group()
        if kind == "quoted":
            found.append(("name", token[1:-1]))
        elif not token.isspace():
            found.append((kind, token))
    if not found:
        raise RequestError("an empty expression")
    return found


def _split(name: str, known: Collection[str]) -> list[str] | None:
    """`name` as known names (or numbers) with operators between them, the longest first; None where that fails."""
    parts = DIVIDER.split(name)
    for end in range(len(parts), 0, -2):
        head = "".join(parts[:end])
        if head not in known and not (_is_number(head) and end < len(parts)) and not (_is_number(head) and end == 1):
            continue
        if end == len(parts):
            return [head]
        rest = _split("".join(parts[end + 1 :]), known)
        if rest is not None:
            return [head, parts[end], *rest]
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text[:1].isdigit() or text[:1] == "."
