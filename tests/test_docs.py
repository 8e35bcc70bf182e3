"""The docs name what exists: commands, options, files, links. `python -m tests.test_docs` writes docs/commands.md."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from tests import ROOT
from xtts_sweep.main import DEFAULT, EXIT_CODES, commands, parser_of

COMMANDS = ROOT / "docs" / "commands.md"
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
FILES = """\
## The files of a run

| file in `runs/NAME/` | what it holds |
|---|---|
| `best_config.yaml` | the config to use, with its provenance: the default, unless a finalist is confirmed as better |
| `verdict.json` | best against default: word, difference, interval, seeds, secondary metrics |
| `report.html` | everything on one page without network access; also while the sweep runs |
| `trials.csv` | a row per trial |
| `trials.jsonl` | an event per line, only ever appended to: the source of all other files |
| `sweep.yaml` | all that repeats the run: space, limits, data fingerprint, model, seeds, versions, git commit |
| `optuna.db` | the same trials for `optuna-dashboard sqlite:///runs/NAME/optuna.db` |
| `best/` | weights (safetensors), statistics and samples of the best model |
| `wandb/`, `ray/` | W&B's offline files; Ray's |
"""


def rendered() -> str:
    """docs/commands.md, from the parsers."""
    lines = ["# Commands", "", "`xtts-sweep` and `python run_sweep.py` are the same program.", "", EXIT_CODES, ""]
    for name in (DEFAULT, *(name for name in commands() if name != DEFAULT)):
        parser = parser_of(name)
        title = "xtts-sweep" if name == DEFAULT else f"xtts-sweep {name}"
        about = " ".join(str(parser.description).split())
        lines += [f"## `{title}`", "", about, "", "| argument | meaning |", "|---|---|"]
        lines += [f"| {_name(action)} | {_help(action)} |" for action in _actions(parser)]
        lines.append("")
    return "\n".join([*lines, FILES])


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.dest != "help" and action.help != argparse.SUPPRESS]


def _name(action: argparse.Action) -> str:
    value = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    value = value if isinstance(value, str) else " ".join(value)
    if action.choices:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    return f"`{' '.join([', '.join(action.option_strings), value]).strip()}`".replace("|", r"\|")


def _help(action: argparse.Action) -> str:
    return (str(action.help or "") % {**vars(action), "prog": "xtts-sweep"}).replace("|", r"\|")


def test_every_command_and_option_is_documented_and_none_that_does_not_exist() -> None:
    headings = r"^## `(.*)`$|^\| `(.*?)` \|"
    written = re.findall(headings, COMMANDS.read_text("utf-8"), re.MULTILINE)
    expected = re.findall(headings, rendered(), re.MULTILINE)
    files = [(a, b) for a, b in written if "." in b or "/" in b]
    assert [one for one in written if one not in files] == [one for one in expected if one not in files], (
        "python -m tests.test_docs writes docs/commands.md again"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    files = re.findall(r"`((?:xtts|sweeps|xtts_sweep|benchmarks|tests|examples|search_spaces|messages)/[\w./]+)", text)
    missing = [link for link in links if link and not (page.parent / link).exists()]
    missing += [name for name in files if not (ROOT / name).exists()]
    assert missing == []


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, waiting = set(), [ROOT / "docs" / "README.md"]
    while waiting:
        page = waiting.pop()
        if page.exists() and page not in reached:
            reached.add(page)
            links = re.findall(r"\]\(([^)\s#]+\.md)", page.read_text("utf-8"))
            waiting += [(page.parent / link).resolve() for link in links]
    assert {page.name for page in (ROOT / "docs").glob("*.md") if page not in reached} == set()


if __name__ == "__main__":
    COMMANDS.write_text(rendered(), "utf-8")
