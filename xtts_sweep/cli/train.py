"""Train one config to its full length, resumable."""

from __future__ import annotations

import argparse
from pathlib import Path

from xtts_sweep.arguments import add_data, add_output, add_trainer, settings
from xtts_sweep.preparation import prepare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE", help="best_config.yaml or a native export")
    add_data(parser)
    parser.add_argument("--epochs", type=int, default=30, help="default: 30; a larger number continues a finished run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", help="the folder in --output (default: train-CONFIG)")
    add_trainer(parser)
    add_output(parser)


def run(options: argparse.Namespace) -> int:
    """Train to --epochs, or resume what was begun; Ctrl-C ends it after the epoch."""
    import signal

    from sweeps.common.budget import Budget
    from sweeps.run.folder import check_name
    from sweeps.trainer import load_trainer
    from sweeps.tuner.train import SingleRun, best_trainer, read_config, train
    from xtts_sweep.integration.findings import known_of

    trainer, config = load_trainer(options.trainer), Path(options.config)
    Budget(trials=1, epochs=options.epochs)
    params = read_config(config, trainer, settings(options.set))
    trainer.check_params(params)
    folder = Path(options.output) / check_name(options.name or f"train-{config.stem}")
    prepared = prepare(trainer, options)
    if prepared.lines():
        print("\n".join(prepared.lines()))
    known = known_of(prepared.summary, options.epochs)
    single = SingleRun(folder, trainer, params, prepared.data, options.seed, options.epochs, known)
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        # The first one waits for the end of the epoch, the second one does not.
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        best = train(single, log=lambda line: print(line, flush=True), stop=lambda: bool(asked))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:
        print("interrupted; the same command resumes after the last epoch")
        return 130
    if best is not None:
        (folder / "best").mkdir(parents=True, exist_ok=True)
        best_trainer(single).export_best(folder / "best")
        print(f"best epoch {best['epoch']}: {folder / 'best'} (say {folder.name} speaks with it)")
    return 0
