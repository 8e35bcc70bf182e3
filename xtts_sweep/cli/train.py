"""One full run with a config."""

from __future__ import annotations

import argparse
from pathlib import Path

from commands.preparation import prepare
from commands.settings import settings


def run(options: argparse.Namespace) -> int:
    """Train to --epochs, or go on with what was begun; Ctrl-C ends it after the epoch."""
    import signal

    from sweeps.budget import Budget
    from sweeps.run_folder import check_name
    from sweeps.single_run import SingleRun, best_trainer, read_config, train
    from sweeps.trainer import load_trainer

    trainer, config = load_trainer(options.trainer), Path(options.config)
    Budget(trials=1, epochs=options.epochs)
    params = read_config(config, trainer, settings(options.set))
    check_params = getattr(trainer, "check_params", None)
    if check_params is not None:
        check_params(params)
    folder = Path(options.output) / check_name(options.name or f"train-{config.stem}")
    prepared = prepare(trainer, options)
    if prepared.lines:
        print("\n".join(prepared.lines))
    single = SingleRun(folder, trainer, params, prepared.data, options.seed, options.epochs)
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        # The first one waits for the end of the epoch, the second one does not.
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        best = train(single, note=lambda line: print(line, flush=True), stop=lambda: bool(asked))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:
        print("interrupted; the same command goes on from the last epoch")
        return 130
    export = getattr(trainer, "export_best", None)
    if best is not None and export is not None:
        (folder / "best").mkdir(parents=True, exist_ok=True)
        export(best_trainer(single), folder / "best")
        print(f"best epoch {best['epoch']}: {folder / 'best'} (say {folder.name} speaks with it)")
    return 0
