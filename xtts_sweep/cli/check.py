"""Check a data set's health, or an external trainer (--trainer SPEC.yaml), before hours are spent on it."""

from __future__ import annotations

import argparse
import json

from xtts_sweep.arguments import add_json, add_reading, add_val_data, settings
from xtts_sweep.terminal import PreparationProgress, printer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", metavar="DIR", help="the data set; for a trainer that needs one, too")
    parser.add_argument("--data", metavar="DIR", help="the same as DIR")
    add_val_data(parser)
    add_reading(parser)
    parser.add_argument("--deep", action="store_true", help="read every file again instead of trusting sizes and times")
    parser.add_argument("--trainer", metavar="SPEC.yaml", help="an external trainer: tried out in a few short runs")
    help_text = "fix a parameter of the trainer, or change a key of its spec such as template=FILE"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=help_text)
    parser.add_argument("--seed", type=int, default=1, help="of the trainer's runs (default: 1)")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print what is wrong, and what is right."""
    return _trainer(options) if options.trainer is not None else _data(options)


def _data(options: argparse.Namespace) -> int:
    from sweeps.common.errors import RequestError
    from xtts.prepare.prepare_data import prepare_data

    folder = options.folder or options.data
    if folder is None:
        raise RequestError("check: give the data set's folder, or --trainer SPEC.yaml")
    with PreparationProgress() as progress:
        prepared = prepare_data(
            folder,
            options.val_data,
            accept_unusable=True,
            deep=options.deep,
            columns=options.columns,
            allow_outside=options.allow_outside,
            progress=progress,
        )
    if options.json:
        print(json.dumps(prepared.health.as_dict(), ensure_ascii=False))
    else:
        print("\n".join(prepared.health.lines()))
    return 0


def _trainer(options: argparse.Namespace) -> int:
    """The preflight, run anew; a sweep on the same trainer and data then need not repeat it."""
    from sweeps.common.errors import RequestError
    from sweeps.external.preflight import keep, preflight
    from sweeps.external.trainer import ExternalTrainer
    from sweeps.run.resources import this_machine
    from sweeps.trainer import load_trainer, pinned
    from xtts.cache_folder import cache_folder

    loadable, fixed = pinned(options.trainer, settings(options.set))
    trainer = load_trainer(loadable)
    if not issubclass(trainer, ExternalTrainer):
        raise RequestError(
            f"check --trainer {options.trainer}: expected a spec, FILE.yaml; a Python class is not checked"
        )
    prepared = trainer.prepare(options.folder or options.data, options.val_data)
    machine = this_machine()
    say = printer(True)  # progress goes to standard error
    found = preflight(
        trainer,
        prepared.data,
        options.seed,
        threads=machine.cores,
        gpus=("0",) if machine.gpus else (),
        log=say,
        fixed=fixed,
    )
    keep(found, trainer.spec, prepared.data, cache_folder() / "preflight", fixed)
    print(json.dumps(found.as_dict(), ensure_ascii=False) if options.json else "\n".join(found.lines()))
    return 0
