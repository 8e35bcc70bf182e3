"""Write the best config in the format of your trainer."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.common.errors import RequestError
from xtts_sweep.arguments import TRAINER, add_run
from xtts_sweep.run_lookup import found_run

if TYPE_CHECKING:
    from sweeps.trainer import Trainer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    from xtts.export import exporters

    known = "; ".join(f"{name}: {exporter.summary}" for name, exporter in exporters().items())
    parser.add_argument("--to", required=True, metavar="TARGET", help=known)
    parser.add_argument("-o", dest="file", required=True, metavar="FILE", help="the file to write")
    parser.add_argument("--template", metavar="FILE", help="your own config, of which only the tuned values change")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument("--unproven", action="store_true", help="write a config that the verdict does not support")


def run(options: argparse.Namespace) -> int:
    """Write the file; nothing is overwritten, and no unproven config written, unless asked for."""
    from sweeps.run.summary import exportable
    from sweeps.trainer import load_trainer
    from xtts.export import Provenance, TunedConfig, TunedParams, export_config
    from xtts.model.model_config import DEFAULT_MODEL

    run = found_run(options)
    best = exportable(run, options.unproven)
    assert best.objective is not None
    assert best.best_epoch is not None
    data, verdict = run.config.data_summary, run.verdict
    params, searched = {**run.config.shared_params, **best.params}, frozenset(best.params)
    built_in = run.config.trainer == TRAINER
    model = str(run.config.shared_params.get("model", DEFAULT_MODEL))
    tuned: TunedParams = TunedParams(params, searched=searched)
    if built_in:
        tuned = TunedConfig(
            params,
            mel_mean=float(data.get("mel_mean", 0.0)),  # type: ignore[arg-type]
            mel_sd=float(data.get("mel_sd", 1.0)),  # type: ignore[arg-type]
            model=model,
            searched=searched,
        )
    provenance = Provenance(
        objective=best.objective,
        best_epoch=best.best_epoch,
        verdict=verdict.word if verdict else "unconfirmed",
        seeds=tuple(pair.seed for pair in verdict.pairs) if verdict else (best.seed,),
        interval=verdict.interval if verdict else None,
        data=str(data.get("source", run.config.data)),
        data_fingerprint=str(data.get("fingerprint", "")),
        date=time.strftime("%Y-%m-%d"),
        version=_version(),
        run=run.folder.name,
        is_default=best.origin == "default",
        measure=None if built_in else f"as {run.config.trainer} defines it",
        model=model,
    )
    trainer = None if built_in else load_trainer(run.config.loadable_trainer)
    with _template(options, trainer) as template:
        lines = export_config(
            options.to,
            tuned,
            provenance,
            Path(options.file),
            template=template,
            keys={} if trainer is None else trainer.export_keys(),
            force=options.force,
            unproven=options.unproven,
        )
    for line in lines:
        print(line)
    print(options.file)
    return 0


@contextmanager
def _template(options: argparse.Namespace, trainer: type[Trainer] | None) -> Iterator[Path | None]:
    """The file of --template, or the template that an external trainer was swept with."""
    asks_for_own = trainer is not None and options.to == "template" and not options.template
    own = trainer.export_template() if trainer is not None and asks_for_own else None
    if asks_for_own and own is None:
        raise RequestError(
            "--to template: this trainer was swept without a config file; give yours with --template FILE. "
            "The values are in best_config.yaml, the command of an external program in best/command.txt"
        )
    if own is None:
        yield Path(options.template) if options.template else None
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / own[0]
        path.write_text(own[1], encoding="utf-8")
        yield path


def _version() -> str:
    """The installed version, or the commit of a clone that was not installed."""
    from importlib.metadata import PackageNotFoundError, version

    from sweeps.run.config import git_commit

    try:
        return version("xtts-sweep")
    except PackageNotFoundError:
        return git_commit() or "unknown"
