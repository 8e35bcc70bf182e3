"""What sweep, resume and confirm share: their callbacks, and the lines that close them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from xtts_sweep.terminal import display, printer

PATIENCE_SECONDS = 1.5  # from a Ctrl-C to the prompt, together with what the process needs to end: two

if TYPE_CHECKING:
    from sweeps.run.run import SweepResult


def callbacks(options: argparse.Namespace) -> dict[str, Any]:
    """Progress display, report writer, loggers and diagnosis, as the options ask for them."""
    from xtts_sweep.api import callbacks_of

    return {**callbacks_of(options.wandb, options.lang, display=display(options.json)), "patience": PATIENCE_SECONDS}


def continue_run(command: Callable[..., SweepResult], options: argparse.Namespace, *names: str) -> int:
    """Resume or confirm the run that the options name, with its options of those names; the exit code."""
    given = {name: getattr(options, name) for name in ("output", "address", "storage", *names)}
    return close(command(options.name, callbacks=callbacks(options), **given), options.json, options.lang)


def close(result: SweepResult, as_json: bool, lang: str) -> int:
    """Say what came out; the exit code. A Ctrl-C leaves out the findings alone."""
    from dataclasses import replace

    from sweeps.run.summary import closing_lines, result_as_dict
    from xtts_sweep.integration import closing_findings

    findings: Sequence[str] = []
    try:
        if result.ended != "interrupted":
            findings = closing_findings(result.run, lang)
    except KeyboardInterrupt:
        result = replace(result, ended="interrupted", reason="interrupted")
    say = printer(as_json)
    if as_json:
        print(json.dumps(result_as_dict(result), ensure_ascii=False))
    for line in closing_lines(result, lang, findings):
        say(line)
    return 130 if result.ended == "interrupted" else 0
