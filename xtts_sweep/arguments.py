"""What run_sweep.py can be told: its options and its commands."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

TRAINER = "xtts.trainer:XttsTrainer"
COMMANDS = "resume confirm report export publish say train check list spaces"
EPILOG = """\
commands (python run_sweep.py COMMAND --help):
  resume [NAME]                go on with a sweep that was interrupted, or give it more trials or time
  confirm [NAME]               test the search's best against the default over fresh seeds
  report [NAME]                write report.html, trials.csv and optuna.db again from the records
  export [NAME] --to TARGET    write the best config for a trainer: native, myxtts, coqui-vits
  publish [NAME]               upload an offline sweep to W&B, as a W&B sweep with a workspace
  say [NAME] "text" -o FILE    speak with the best model of a sweep
  train --config FILE          one full run with a config, resumable
  check DIR                    a data set's health, before a GPU hour is spent
  list, spaces                 the runs in --output; the search spaces

NAME defaults to the newest run. Exit codes: 0 done, 1 no result, 2 the request is wrong, 130 interrupted.
"""


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (--help shows what there is)", file=sys.stderr)
        raise SystemExit(2)


def sweep_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="run_sweep.py",
        description="Search mel and KL loss weights and the gradient clip of an XTTS-like trainer inside safe ranges.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--space", default="safe_weights", metavar="NAME|FILE", help="search space (default: safe_weights)")
    add(
        "--data",
        metavar="DIR",
        help="LJSpeech, MyXTTS or Coqui-format folder (default: demo speech, made on first use)",
    )
    add("--val-data", metavar="DIR", help="a folder of its own for validation and test")
    add("--trials", type=int, default=16, help="how many configs (default: 16)")
    add("--epochs", type=int, default=9, help="the full length of a trial (default: 9)")
    add("--model", default="tiny", help="tiny, small, base or xtts (default: tiny)")
    add("--confirm-seeds", type=int, default=3, metavar="N", help="fresh seeds for the best (default: 3; 0: none)")
    add("--rivals", action="store_true", help="run the methods that need no sweep too, and judge them beside the best")
    add("--seed", type=int, default=1, help="of the search, and of every trial in it (default: 1)")
    add(
        "--budget", metavar="TIME", help="wall-clock budget such as 2h or 45m; the sweep then ends with its best so far"
    )
    add("--gpus-per-trial", type=float, metavar="F", help="share of a GPU each trial gets (default: one)")
    add("--cpus-per-trial", type=float, metavar="F", help="cores each trial gets")
    add("--concurrent", type=int, metavar="N", help="trials side by side (default: planned from the machine)")
    add("--name", help="the run's name (default: space and time)")
    _add_output(parser)
    _add_address(parser)
    _add_storage(parser)
    _add_wandb(parser)
    _add_lang(parser)
    add("--trainer", default=TRAINER, metavar="MODULE:CLASS", help="somebody's own trainer")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="fix a parameter of the trainer")
    add("--allow-unsafe", action="store_true", help="leave the safe limits; such trials become controls")
    add("--accept-unusable", action="store_true", help="start although more than 5 %% of the clips are unusable")
    add("--dry-run", action="store_true", help="check everything, print the plan and stop")
    add("--json", action="store_true", help="one JSON object on standard output instead of the table")
    return parser


def command_parser(command: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"run_sweep.py {command}")
    add = parser.add_argument
    if command in ("resume", "confirm", "report", "export", "publish"):
        add("name", nargs="?", metavar="NAME", help="the run (default: the newest)")
    if command == "say":
        add("words", nargs="+", metavar="[NAME] TEXT", help="the run (default: the newest) and what to say")
        add("-o", dest="file", required=True, metavar="FILE", help="the wav file to write")
        add("--voice", help="a speaker of the training data")
    if command == "confirm":
        add("--seeds", type=int, help="fresh seeds in all: 3 or 8 (default: the next planned look)")
        add("--rivals", action="store_true", help="judge the methods that need no sweep beside the best")
        add("--budget", metavar="TIME", help="wall-clock budget of this command")
    if command in ("resume", "confirm"):
        _add_wandb(parser)
        _add_address(parser)
    if command in ("resume", "confirm", "report", "export", "publish", "say"):
        _add_storage(parser)
    if command in ("resume", "confirm", "report"):
        _add_lang(parser)
    if command == "publish":
        add("--project", default="xtts-sweep")
        add("--entity", help="the W&B team or user (default: your own)")
    if command == "resume":
        add("--trials", type=int, help="how many configs in all")
        add("--budget", metavar="TIME", help="wall-clock budget of the whole sweep")
    if command == "export":
        add("--to", required=True, metavar="TARGET", help="native, myxtts or coqui-vits")
        add("-o", dest="file", required=True, metavar="FILE", help="the file to write")
        add("--template", metavar="FILE", help="your own config, of which only the tuned values change")
        add("--force", action="store_true", help="overwrite FILE")
        add("--unproven", action="store_true", help="write a config that the verdict does not support")
    if command == "train":
        add("--config", required=True, metavar="FILE", help="best_config.yaml, or what export --to native wrote")
        add("--data", metavar="DIR", help="the speech (default: demo speech)")
        add("--val-data", metavar="DIR")
        add("--epochs", type=int, default=30, help="default: 30; a finished run goes on if it is raised")
        add("--seed", type=int, default=1)
        add("--name", help="the folder in --output (default: train-CONFIG)")
        add("--trainer", default=TRAINER, metavar="MODULE:CLASS")
        add("--set", action="append", default=[], metavar="KEY=VALUE", help="change a parameter of the config")
        add("--accept-unusable", action="store_true")
    if command == "check":
        add("data", metavar="DIR")
        add("--val-data", metavar="DIR")
        add("--deep", action="store_true", help="read every file again instead of trusting sizes and times")
    if command != "check" and command != "spaces":
        _add_output(parser)
    if command in ("resume", "confirm", "check", "list", "spaces"):
        add("--json", action="store_true")
    return parser


def _add_wandb(parser: argparse.ArgumentParser) -> None:
    help_text = "default: online if logged in, else offline"
    parser.add_argument("--wandb", choices=("offline", "online", "off"), help=help_text)


def _add_lang(parser: argparse.ArgumentParser) -> None:
    help_text = "of the summary and of report.html: English or Persian (default: en)"
    parser.add_argument("--lang", choices=("en", "fa"), default="en", help=help_text)


def _add_address(parser: argparse.ArgumentParser) -> None:
    help_text = "a Ray cluster to run on: auto (the one on this machine), HOST:PORT or ray://HOST:10001"
    parser.add_argument("--address", metavar="ADDR", help=help_text)


def _add_storage(parser: argparse.ArgumentParser) -> None:
    help_text = "what all nodes reach: a folder, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER; keeps all to go on elsewhere"
    parser.add_argument("--storage", metavar="URI", help=help_text)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", default="runs", metavar="DIR", help="the folder that runs live in (default: runs/)")
