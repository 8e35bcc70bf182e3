"""Is this training run normal? A diagnosis from the logs of any trainer."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from sweeps.common.errors import RequestError
from xtts_sweep.arguments import add_json, add_lang

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
    add_lang(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the diagnosis; 3 where it says stop."""
    from xtts_sweep.diagnosis.diagnose import data_scale
    from xtts_sweep.terminal import PreparationProgress

    names, settings = dict(map(_pair, options.map)), {key: _number(value) for key, value in map(_pair, options.set)}
    scale = None
    if options.data:
        with PreparationProgress() as progress:
            scale = data_scale(options.data, progress)
    path = Path(options.path)
    if not options.follow:
        return _shown(options, path, names, settings, scale)[1]
    state, code, changed = None, 0, time.monotonic()
    size = -1
    while time.monotonic() - changed < IDLE_SECONDS:
        now = sum(one.stat().st_size for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file())
        if now != size:
            size, changed = now, time.monotonic()
            state, code = _shown(options, path, names, settings, scale, before=state)
            if code == STOP:
                return code
        time.sleep(LOOK_SECONDS)
    return code


def _shown(
    options: argparse.Namespace,
    path: Path,
    names: dict[str, str],
    settings: dict[str, object],
    scale: object,
    before: str | None = None,
) -> tuple[str, int]:
    from xtts_sweep.diagnosis.diagnose import DataScale, diagnose

    assert scale is None or isinstance(scale, DataScale)
    found = diagnose(path, trainer=options.trainer, names=names, settings=settings, data=scale)
    if found.state != before:
        if options.json:
            print(json.dumps(found.as_dict(options.lang), ensure_ascii=False, allow_nan=False), flush=True)
        else:
            print(
                "\n".join([*found.lines(options.lang), *(scale.lines if scale and before is None else [])]), flush=True
            )
    if options.file:
        from xtts_sweep.diagnosis.page import write_page

        write_page(found, Path(options.file), options.lang)
    return found.state, STOP if found.state == "stop" else 0


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
