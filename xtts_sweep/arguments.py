"""Arguments that several commands share, and the parser that reports a mistake in one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from messages import LANGUAGES

TRAINER = "xtts.trainer:XttsTrainer"


class Parser(argparse.ArgumentParser):
    """Reports what is wrong with the arguments in one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (--help shows what there is)", file=sys.stderr)
        raise SystemExit(2)


def add_run(parser: argparse.ArgumentParser) -> None:
    """The run that a command works on: NAME, --output and --storage."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="the run (default: the newest)")
    add_output(parser)
    add_storage(parser)


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", default="runs", metavar="DIR", help="the folder of all runs (default: runs/)")


def add_storage(parser: argparse.ArgumentParser) -> None:
    help_text = (
        "a folder, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER that all nodes reach; a run resumes from it anywhere"
    )
    parser.add_argument("--storage", metavar="URI", help=help_text)


def add_gain(parser: argparse.ArgumentParser) -> None:
    help_text = (
        "end the search once the trials left have hardly a chance to improve the best by P percent "
        "(default: 1; 0: run them all)"
    )
    parser.add_argument("--stop-when-gain-below", type=float, metavar="P", help=help_text)


def add_search(parser: argparse.ArgumentParser) -> None:
    """What a user asks of the search and knows beforehand."""
    add_gain(parser)
    help_text = "what the best must fulfil, on any reported metric, such as 'text_use >= 0.05'; may be repeated"
    parser.add_argument("--require", action="append", default=[], metavar="CONDITION", help=help_text)
    help_text = "where you expect the best value of a parameter (and how far off it may be); may be repeated"
    parser.add_argument("--prior", action="append", default=[], metavar="NAME=VALUE[:SD]", help=help_text)
    help_text = "earlier runs to learn from, also of other data or another model: names in --output, or folders"
    parser.add_argument("--from", dest="from_runs", nargs="+", default=[], metavar="RUN", help=help_text)


def add_session(parser: argparse.ArgumentParser) -> None:
    """Where and how a run is resumed: --address, --wandb, --lang and --json."""
    for add in (add_wandb, add_address, add_lang, add_json):
        add(parser)


def add_address(parser: argparse.ArgumentParser) -> None:
    help_text = "a Ray cluster to run on: auto (the one on this machine), HOST:PORT or ray://HOST:10001"
    parser.add_argument("--address", metavar="ADDR", help=help_text)


def add_wandb(parser: argparse.ArgumentParser) -> None:
    help_text = "default: as WANDB_DISABLED or WANDB_MODE say, else online if logged in, else offline"
    parser.add_argument("--wandb", choices=("offline", "online", "off"), help=help_text)


def add_lang(parser: argparse.ArgumentParser) -> None:
    help_text = "language of the summary and of report.html: English or Persian (default: en)"
    parser.add_argument("--lang", choices=LANGUAGES, default="en", help=help_text)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON value on standard output")


def add_data(parser: argparse.ArgumentParser) -> None:
    help_text = "LJSpeech, MyXTTS or Coqui-format folder (default: demo speech, made on first use)"
    parser.add_argument("--data", metavar="DIR", help=help_text)
    add_val_data(parser)
    help_text = "start although more than 5 %% of the clips are unusable"
    parser.add_argument("--accept-unusable", action="store_true", help=help_text)
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """How metadata and recordings are read where that does not show."""
    help_text = "what the metadata's columns are, such as id,speaker,text (- for one that is not read)"
    parser.add_argument("--columns", metavar="LIST", help=help_text)
    help_text = "also read recordings that the metadata names, or links lead to, outside the folder"
    parser.add_argument("--allow-outside", action="store_true", help=help_text)


def add_val_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--val-data", metavar="DIR", help="a separate folder for validation and test")


def add_trainer(parser: argparse.ArgumentParser) -> None:
    help_text = (
        "your own trainer: a Python class, or a spec that says how to run a program (trainers lists those that ship)"
    )
    parser.add_argument("--trainer", default=TRAINER, metavar="MODULE:CLASS|SPEC.yaml", help=help_text)
    help_text = "fix a parameter of the trainer, or change a key of its spec such as template=FILE"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=help_text)


def settings(given: Sequence[str]) -> dict[str, object]:
    """The values of --set KEY=VALUE by key, each read as YAML; RequestError names what is neither."""
    from sweeps.common.errors import RequestError
    from sweeps.common.strict_yaml import parse_yaml

    found: dict[str, object] = {}
    for one in given:
        key, separator, value = one.partition("=")
        if not key or not separator:
            raise RequestError(f"--set {one!r}: expected KEY=VALUE")
        found[key] = parse_yaml(value, f"--set {one!r}")
    return found
