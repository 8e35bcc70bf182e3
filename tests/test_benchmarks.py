"""Benchmarks and examples use what any user's script may use: nothing private of our own packages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("messages", "sweeps", "trainers", "xtts", "xtts_sweep")
SCRIPTS = sorted(path for folder in ("benchmarks", "examples") for path in (ROOT / folder).rglob("*.py"))
ATTRIBUTE_FUNCTIONS = ("getattr", "setattr", "hasattr", "delattr")


def is_private(name: str) -> bool:
    """One leading underscore or two, and not a special name as `__init__`."""
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__")) and name != "_"


def defined(tree: ast.AST) -> Iterator[str]:
    """Private names of functions, classes, variables, and attributes that an object sets on itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_own(node.value):
            name = node.attr
        else:
            continue
        if is_private(name):
            yield name


def _is_own(base: ast.expr) -> bool:
    return isinstance(base, ast.Name) and base.id in ("self", "cls")


@cache
def private_names() -> frozenset[str]:
    """All private names that our packages define."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return frozenset(name for path in files for name in defined(ast.parse(path.read_text("utf-8"))))


def private_uses(source: str) -> list[str]:
    """Where a script uses a private name of our packages that it does not define itself: 'LINE NAME'."""
    tree = ast.parse(source)
    foreign = private_names() - set(defined(tree))
    found = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Attribute):
            names = [node.attr] if node.attr in foreign else []
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in (*PACKAGES, "tests"):
            parts = (*(node.module or "").split("."), *(alias.name for alias in node.names))
            names = [part for part in parts if is_private(part)]
        elif isinstance(node, ast.Import):
            parts = tuple(part for alias in node.names for part in alias.name.split("."))
            names = [part for part in parts if part in foreign]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ATTRIBUTE_FUNCTIONS:
            names = [str(one.value) for one in node.args if isinstance(one, ast.Constant) and one.value in foreign]
        found += [f"{node.lineno} {name}" for name in names]
    return found


@pytest.mark.parametrize(
    "line",
    [
        "training._weighting",
        "training._weighting = None",
        "from xtts.training.training import _halves",
        "from tests.xtts.conftest import _private",
        "getattr(training, '_weighting')",
        "class Watched(Training):\n    def length(self):\n        return self._epochs",
    ],
)
def test_a_private_name_of_ours_is_found_in_a_script(line: str) -> None:
    assert private_uses(line)


@pytest.mark.parametrize(
    "line",
    [
        "torch.ops.aten._scaled_dot_product_flash_attention_for_cpu",
        "def _halves(): ...\n_halves()",
        "class Mine:\n    def __init__(self):\n        self._epochs = 0",
        "training.global_step",
    ],
)
def test_what_is_public_another_library_s_or_the_script_s_own_is_not_refused(line: str) -> None:
    assert private_uses(line) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_uses_no_private_name_of_our_packages(path: Path) -> None:
    assert private_uses(path.read_text("utf-8")) == []
