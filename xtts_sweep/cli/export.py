"""Write the best config for a trainer: native, myxtts, coqui-vits."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from xtts_sweep.arguments import add_run
from xtts_sweep.run_lookup import found_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--to", required=True, metavar="TARGET", help="native, myxtts or coqui-vits")
    parser.add_argument("-o", dest="file", required=True, metavar="FILE", help="the file to write")
    parser.add_argument("--template", metavar="FILE", help="your own config, of which only the tuned values change")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument("--unproven", action="store_true", help="write a config that the verdict does not support")


def run(options: argparse.Namespace) -> int:
    """Write the file; nothing is overwritten, and no unproven config written, unless asked for."""
    from sweeps.run.summary import exportable
    from xtts.export import Provenance, TunedConfig, export_config

    run = found_run(options)
    best, found = exportable(run, options.unproven)
    data, verdict = run.request.data_summary, run.verdict
    tuned = TunedConfig(
        params={**run.request.shared_params, **best.params},
        mel_mean=float(data.get("mel_mean", 0.0)),  # type: ignore[arg-type]
        mel_sd=float(data.get("mel_sd", 1.0)),  # type: ignore[arg-type]
        model=str(run.request.shared_params.get("model", "tiny")),
        searched=frozenset(best.params),
    )
    provenance = Provenance(
        objective=found.value,
        best_epoch=found.epoch,
        verdict=verdict.word if verdict else "unconfirmed",
        seeds=tuple(pair.seed for pair in verdict.pairs) if verdict else (best.seed,),
        interval=verdict.interval if verdict else None,
        data=str(data.get("source", run.request.data)),
        data_fingerprint=str(data.get("fingerprint", "")),
        date=time.strftime("%Y-%m-%d"),
        version=_version(),
        run=run.folder.name,
        is_default=best.origin == "default",
    )
    template = Path(options.template) if options.template else None
    for line in export_config(
        options.to,
        tuned,
        provenance,
        Path(options.file),
        template=template,
        force=options.force,
        unproven=options.unproven,
    ):
        print(line)
    print(options.file)
    return 0


def _version() -> str:
    """The installed version, or the commit of a clone that was not installed."""
    from importlib.metadata import PackageNotFoundError, version

    from sweeps.run.config import git_commit

    try:
        return version("xtts-sweep")
    except PackageNotFoundError:
        return git_commit() or "unknown"
