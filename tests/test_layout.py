"""The layout holds: a package imports only from packages below it, and no folder grows too large."""

from __future__ import annotations

import ast
import importlib.util
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

FLOORS = {
    "sweeps": [
        ["tuner"],
        ["backend"],
        ["report", "wandb", "storage"],
        ["run"],
        ["search", "confirm"],
        ["external"],
        ["trials"],
        ["space", "trainer"],
        ["common"],
    ],
    "xtts": [
        ["trainer"],
        ["export", "diagnostics", "inference"],
        ["training"],
        ["evaluation"],
        ["prepare"],
        ["model"],
        ["alignment"],
        ["corpus", "text"],
        ["data"],
        ["audio"],
        ["errors", "cache_folder"],
    ],
    "xtts_sweep": [
        ["start"],
        ["main"],
        ["cli"],
        ["closing"],
        ["api"],
        ["diagnosis", "sweep_plan"],
        ["integration"],
        ["preparation", "run_lookup"],
        ["arguments", "terminal"],
    ],
}
"""From the top to the bottom; packages of one floor do not import each other"""
MOST_FILES = 14


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _part(path: Path, package: str) -> str:
    return path.relative_to(ROOT / package).with_suffix("").parts[0]


@pytest.mark.parametrize("package", FLOORS)
def test_a_package_imports_only_from_packages_below_it(package: str) -> None:
    floor_of = {part: floor for floor, parts in enumerate(FLOORS[package]) for part in parts}
    upwards = []
    for path in sorted((ROOT / package).rglob("*.py")):
        part = _part(path, package)
        for name in _imports(path):
            root, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            if root != package or target == part or target not in floor_of:
                continue
            if part == "__init__" or floor_of[target] <= floor_of.get(part, -1):
                upwards.append(f"{path.relative_to(ROOT)} imports {name}")
    assert upwards == []


@pytest.mark.parametrize("package", FLOORS)
def test_every_module_has_its_floor(package: str) -> None:
    known = {part for parts in FLOORS[package] for part in parts} | {"__init__"}
    assert {_part(path, package) for path in (ROOT / package).rglob("*.py")} <= known


def test_speech_and_tuner_do_not_import_each_other() -> None:
    strangers = {
        "xtts": ("sweeps", "xtts_sweep"),
        "sweeps": ("xtts", "xtts_sweep"),
        "messages": ("sweeps", "xtts", "xtts_sweep"),
    }
    for package, others in strangers.items():
        found = [
            f"{path.relative_to(ROOT)} imports {name}"
            for path in (ROOT / package).rglob("*.py")
            for name in _imports(path)
            if name.partition(".")[0] in others
        ]
        assert found == []


@pytest.mark.parametrize("package", FLOORS)
def test_no_folder_holds_more_files_than_a_person_can_scan(package: str) -> None:
    counts = Counter(path.parent for path in (ROOT / package).rglob("*.py"))
    assert {str(folder.relative_to(ROOT)): n for folder, n in counts.items() if n > MOST_FILES} == {}


def test_benchmarks_and_examples_import_names_that_exist() -> None:
    """Most of them run only by hand: a name that moved would be found by whoever wants a figure again."""
    missing = []
    for path in [*sorted((ROOT / "benchmarks").rglob("*.py")), *sorted((ROOT / "examples").rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or (node.module or "").partition(".")[0] not in FLOORS:
                continue
            module = importlib.import_module(str(node.module))
            for name in node.names:
                if not hasattr(module, name.name) and importlib.util.find_spec(f"{node.module}.{name.name}") is None:
                    missing.append(f"{path.relative_to(ROOT)}: {node.module}.{name.name}")
    assert not missing
