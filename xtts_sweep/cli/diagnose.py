"""Is this training run normal? A diagnosis from the logs of any trainer."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.common.errors import RequestError
from xtts_sweep.arguments import add_json, add_lang

if TYPE_CHECKING:
    from xtts_sweep.diagnosis.diagnosis import Diagnosis

STOP = 3
"""Exit code where the diagnosis says stop, so that a script can end the job"""
LOOK_SECONDS = 10.0
IDLE_SECONDS = 1800.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = f"{__doc__} Exit code {STOP}: stop."
    parser.add_argument("path", metavar="PATH", help="a log file, a run's folder, a folder of runs, or a run of ours")
    parser.add_argument(
        "--trainer", default="auto", metavar="SPEC", help="auto, a known trainer's name, or a spec file"
    )
    parser.add_argument("--map", action="append", default=[], metavar="NAME=TAG", help="for instance val/mel=my/tag")
    help_text = "a setting of the trainer that no config file next to the log holds: mel_loss_weight=35"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=help_text)
    parser.add_argument("--data", metavar="DIR", help="the data set: its health, and skill against the mean frame")
    parser.add_argument("--follow", action="store_true", help="watch a running training; print when the state changes")
    parser.add_argument("-o", dest="file", metavar="FILE", help="write a page with the curves")
    parser.add_argument("--wandb", action="store_true", help="add the findings to the W&B run that the log is of")
    add_lang(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the diagnosis; 3 where it says stop."""
    from xtts_sweep.diagnosis.diagnose import data_scale, diagnose
    from xtts_sweep.terminal import PreparationProgress

    names, settings = dict(map(_pair, options.map)), {key: _number(value) for key, value in map(_pair, options.set)}
    scale = None
    if options.data:
        with PreparationProgress() as progress:
            scale = data_scale(options.data, progress)
    path = Path(options.path)
    look = partial(diagnose, path, trainer=options.trainer, names=names, settings=settings, data=scale)
    found: Diagnosis | None = None
    for now in _looks(path, look) if options.follow else [look()]:
        is_open = True
        if found is None or now.state != found.state:
            is_open = _print(_shown(now, options, scale.lines if scale and found is None else ()))
        found = now
        if options.file:
            from xtts_sweep.diagnosis.page import write_page

            write_page(found, Path(options.file), options.lang)
        if found.state == "stop" or not is_open:
            break
    assert found is not None
    if options.wandb:
        from xtts_sweep.diagnosis.wandb_note import add_to_wandb

        print(add_to_wandb(found, options.lang), file=sys.stderr)
    return STOP if found.state == "stop" else 0


def _looks(path: Path, look: Callable[..., Diagnosis]) -> Iterator[Diagnosis]:
    """A diagnosis whenever the files have grown, until nothing has grown for half an hour."""
    size, changed, followed = -1, time.monotonic(), {}  # type: ignore[var-annotated]
    while time.monotonic() - changed < IDLE_SECONDS:
        now = sum(one.stat().st_size for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file())
        if now != size:
            size, changed = now, time.monotonic()
            yield look(followed=followed)
        time.sleep(LOOK_SECONDS)


def _shown(found: Diagnosis, options: argparse.Namespace, more: Sequence[str]) -> str:
    if options.json:
        return json.dumps(found.as_dict(options.lang), ensure_ascii=False, allow_nan=False)
    return "\n".join([*found.lines(options.lang), *more])


def _print(text: str) -> bool:
    """Print, and say whether there is still a reader: `| head` ends early."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key or not value:
        raise RequestError(f"{text!r}: expected NAME=VALUE")
    return key, value


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text
