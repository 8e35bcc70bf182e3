"""What CONTRIBUTING.md promises: a change of this kind is made in one place. Three of them are made to a copy."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("messages", "search_spaces", "sweeps", "trainers", "xtts", "xtts_sweep")
COMMAND = '''"""Count the spaces."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--twice", action="store_true")


def run(options: argparse.Namespace) -> int:
    from sweeps.space.space_file import space_names

    print(len(space_names()) * (2 if options.twice else 1))
    return 0
'''
EXPORTER = '''"""One parameter a line."""

from xtts.export.exporter import Export, Exporter

EXPORTER = Exporter("one parameter a line", lambda job: Export("\\n".join(job.tuned.params)))
'''
FINDING = '''

@trial_rule
def one_epoch(epochs: Sequence[Epoch], params: Mapping[str, object] = NO_PARAMS) -> Finding | None:
    """There is only one epoch to look at."""
    return Finding("one_epoch", "note", {"count": 1}) if len(epochs) == 1 else None
'''
SENTENCES = """findings:
  one_epoch:
    title: "a single epoch"
    text: "There is {count} epoch to look at."
    todo: "Train longer."
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages, to be changed."""
    folder = tmp_path_factory.mktemp("copy")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "run_sweep.py", folder)
    return folder


def python(copy: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_command_is_a_file(copy: Path) -> None:
    (copy / "xtts_sweep" / "cli" / "count.py").write_text(COMMAND, "utf-8")
    assert re.search(r"count +Count the spaces\.", python(copy, "run_sweep.py", "--help"))
    assert python(copy, "run_sweep.py", "count", "--twice").strip() == str(
        2 * (len(list((ROOT / "search_spaces").glob("*.yaml"))) - 1)
    )


def test_an_exporter_is_a_file(copy: Path) -> None:
    (copy / "xtts" / "export" / "targets" / "plain.py").write_text(EXPORTER, "utf-8")
    shown = " ".join(python(copy, "run_sweep.py", "export", "--help").split())
    assert "plain: one parameter a line" in shown


def test_a_finding_is_a_function_and_its_sentences(copy: Path) -> None:
    rules = copy / "xtts" / "diagnostics" / "curve_rules.py"
    rules.write_text(rules.read_text("utf-8") + FINDING, "utf-8")
    catalogue = copy / "messages" / "en.yaml"
    catalogue.write_text(catalogue.read_text("utf-8").replace("\nfindings:\n", f"\n{SENTENCES}", 1), "utf-8")
    code = "from xtts.diagnostics.curve_rules import trial_findings as f; print(*(one.text for one in f([{}], {})))"
    assert "There is 1 epoch to look at." in python(copy, "-c", code)


def test_a_language_is_a_catalogue(copy: Path) -> None:
    words = (copy / "messages" / "en.yaml").read_text("utf-8")
    (copy / "messages" / "de.yaml").write_text(
        words.replace('no difference: "no difference"', 'no difference: "kein Unterschied"'), "utf-8"
    )
    assert "de" in python(copy, "run_sweep.py", "report", "--help")
    code = "from messages import text; print(text('verdict.word.no difference', 'de'))"
    assert python(copy, "-c", code).strip() == "kein Unterschied"


def test_the_places_that_the_guide_names_exist() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = {
        name
        for name in re.findall(r"`((?:[\w.]+/)+[\w.]*|[\w]+\.(?:py|toml|yaml|md|txt))`", guide)
        if "NAME" not in name
    }
    assert len(named) > 20
    assert {name for name in named if not (ROOT / name).exists()} == set()
