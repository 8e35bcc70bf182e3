"""The command line: joins xtts (what learns) to sweeps (what decides), prints, exits. No logic of its own.

Heavy packages are imported where a command needs them, so that --help answers at once.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from sweeps.request import SweepRequest
    from sweeps.sweep import Run, SweepResult

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in COMMANDS.split():
        command, parser = given[0], _command_parser(given[0])
        options = parser.parse_args(given[1:])
    else:
        command, options = "sweep", _sweep_parser().parse_args(given)
        options.given = given
    try:
        return int(globals()[f"_{command}"](options))
    except KeyboardInterrupt:
        print("interrupted; nothing had been started that needs a resume", file=sys.stderr)
        return 130
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        print(f"run_sweep.py: {' '.join(str(error).split())}", file=sys.stderr)
        return code


def _exit_code(error: Exception) -> int | None:
    """2 for a wrong request, 1 for a sweep without a result, None for a bug."""
    from sweeps.errors import RequestError, SweepFailed
    from xtts.errors import SpeechError

    if isinstance(error, (RequestError, SpeechError)):
        return 2
    return 1 if isinstance(error, SweepFailed) else None


def _sweep_parser() -> argparse.ArgumentParser:
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
    _add_wandb(parser)
    _add_lang(parser)
    add("--trainer", default=TRAINER, metavar="MODULE:CLASS", help="somebody's own trainer")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="fix a parameter of the trainer")
    add("--allow-unsafe", action="store_true", help="leave the safe limits; such trials become controls")
    add("--accept-unusable", action="store_true", help="start although more than 5 %% of the clips are unusable")
    add("--dry-run", action="store_true", help="check everything, print the plan and stop")
    add("--json", action="store_true", help="one JSON object on standard output instead of the table")
    return parser


def _command_parser(command: str) -> argparse.ArgumentParser:
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


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", default="runs", metavar="DIR", help="the folder that runs live in (default: runs/)")


def _sweep(options: argparse.Namespace) -> int:
    from sweeps.run_folder import unused_folder
    from sweeps.sweep import check, plan_for, run

    request = _request(options)
    trainer = check(request)
    plan = plan_for(request)
    folder = unused_folder(request.output, request.name)
    recording = _recording(options)
    summary: dict[str, Any] = {"data": request.data}
    lines = []
    prepare = getattr(trainer, "prepare", None)
    if prepare is not None:
        with _PreparationProgress() as progress:
            prepared = prepare(
                options.data, options.val_data, accept_unusable=options.accept_unusable, progress=progress
            )
        summary = prepared.summary
        lines = prepared.lines()
        request = _with_data(request, prepared.data, summary)
    say = _printer(options.json)
    for line in [*lines, f"plan         {plan}", f"run          {folder.path}"]:
        say(line)
    if options.dry_run:
        return _dry_run(options, request, say)
    result = run(request, **_surroundings(options, recording))
    return _closing(result, options.json, options.lang)


def _request(options: argparse.Namespace) -> SweepRequest:
    """What was asked for, checked as far as that goes without data."""
    from sweeps.budget import Budget, parse_duration
    from sweeps.request import SweepRequest
    from sweeps.space import load_space
    from sweeps.trainer import known_params, load_trainer

    space = load_space(options.space)
    trainer = load_trainer(options.trainer)
    fixed = dict(known_params(trainer) or {})
    given = _settings(options.set)
    if "model" in fixed:
        given.setdefault("model", options.model)
    check_settings = getattr(trainer, "check_params", None)
    if check_settings is not None:
        check_settings({**fixed, **{name: value for name, value in given.items() if name in fixed}})
    return SweepRequest(
        name=options.name or f"{space.name}-{time.strftime('%Y%m%d-%H%M%S')}",
        output=Path(options.output),
        space=space,
        trainer=options.trainer,
        data=options.data or "",
        budget=Budget(options.trials, options.epochs, parse_duration(options.budget) if options.budget else None),
        fixed={name: value for name, value in fixed.items() if name not in space.knobs},
        set_params=given,
        seed=options.seed,
        concurrent=options.concurrent,
        cpus_per_trial=options.cpus_per_trial,
        gpus_per_trial=options.gpus_per_trial,
        allow_unsafe=options.allow_unsafe,
        confirm_seeds=0 if space.controls else options.confirm_seeds,
        rivals=options.rivals,
        command=shlex.join(["python", "run_sweep.py", *options.given]),
    )


def _settings(given: Sequence[str]) -> dict[str, object]:
    """The values of --set KEY=VALUE, read as YAML."""
    import yaml

    from sweeps.errors import RequestError

    settings: dict[str, object] = {}
    for one in given:
        key, separator, value = one.partition("=")
        if not key or not separator:
            raise RequestError(f"--set {one!r}: expected KEY=VALUE")
        try:
            settings[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise RequestError(f"--set {one!r}: the value is not YAML") from error
    return settings


def _with_data(request: SweepRequest, data: str, summary: dict[str, Any]) -> SweepRequest:
    from dataclasses import replace

    return replace(request, data=data, data_summary=summary)


def _dry_run(options: argparse.Namespace, request: SweepRequest, say: Callable[[str], None]) -> int:
    from sweeps.sweep import plan_for

    say(f"trials       {request.trials} of at most {request.budget.epochs} epochs; first the default config")
    say("dry run: nothing was started")
    if options.json:
        print(json.dumps({"trials": request.trials, "plan": plan_for(request).as_dict(), "data": request.data_summary}))
    return 0


def _surroundings(options: argparse.Namespace, recording: Any) -> Any:
    """Whom a session speaks to."""
    from wiring import diagnosis

    display, page = _display(options.json), _page(options.lang)
    return {"display": display, "report": page, "recording": recording, "diagnosis": diagnosis}


def _page(lang: str = "en") -> Any:
    """What writes report.html with all that xtts can say."""
    from functools import partial

    from wiring import write_page

    return partial(write_page, lang=lang)


def _closing(result: SweepResult, as_json: bool, lang: str) -> int:
    from sweeps.closing import closing_lines, result_as_dict
    from sweeps.run_record import read_run
    from wiring import closing_findings, write_page

    say = _printer(as_json)
    if as_json:
        print(json.dumps(result_as_dict(result), ensure_ascii=False))
    if result.ended != "interrupted":
        # Once more, now that best/ holds samples to listen to.
        write_page(result.folder, lang)
        findings = closing_findings(read_run(result.folder.path), lang)
    else:
        findings = []
    for line in closing_lines(result, lang, findings):
        say(line)
    return 130 if result.ended == "interrupted" else 0


def _resume(options: argparse.Namespace) -> int:
    from sweeps.budget import parse_duration
    from sweeps.run_folder import find_run
    from sweeps.sweep import resume

    folder = find_run(Path(options.output), options.name)
    budget = parse_duration(options.budget) if options.budget else None
    result = resume(
        folder.path,
        trials=options.trials,
        budget_seconds=budget,
        **_surroundings(options, _recording(options)),
    )
    return _closing(result, options.json, options.lang)


def _confirm(options: argparse.Namespace) -> int:
    from sweeps.budget import parse_duration
    from sweeps.run_folder import find_run
    from sweeps.sweep import confirm

    result = confirm(
        find_run(Path(options.output), options.name).path,
        seeds=options.seeds,
        with_rivals=options.rivals,
        budget_seconds=parse_duration(options.budget) if options.budget else None,
        **_surroundings(options, _recording(options)),
    )
    return _closing(result, options.json, options.lang)


def _publish(options: argparse.Namespace) -> int:
    from sweeps.run_folder import find_run
    from wiring import publish_run

    folder = find_run(Path(options.output), options.name)
    print("\n".join(publish_run(folder, options.project, options.entity, print)))
    return 0


def _recording(options: argparse.Namespace) -> Any:
    """What begins the W&B record of a run; a wrong --wandb is refused before anything starts."""
    import os

    from sweeps.weights_and_biases import choose_mode
    from wiring import recording

    return recording(choose_mode(options.wandb, os.environ))


def _report(options: argparse.Namespace) -> int:
    from sweeps.sweep import rewrite_files

    run = _found(options)
    rewrite_files(run, report=_page(options.lang))
    print(run.folder.report)
    return 0


def _export(options: argparse.Namespace) -> int:
    from sweeps.closing import exportable
    from xtts.exports import Provenance, TunedConfig, export_config

    run = _found(options)
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


def _say(options: argparse.Namespace) -> int:
    from sweeps.run_folder import RunFolder, check_name, find_run
    from xtts.errors import SpeechError
    from xtts.mel import SAMPLE_RATE
    from xtts.samples import write_wav
    from xtts.synthesis import Speaker

    if len(options.words) > 2:
        raise SpeechError(f"{len(options.words)} words: put the text in quotes, with the run's name before it or none")
    name, text = (None, options.words[0]) if len(options.words) == 1 else options.words
    folder = RunFolder(Path(options.output) / check_name(name)) if name else find_run(Path(options.output))
    if not folder.best.is_dir():
        folder = find_run(Path(options.output), name)
    samples = Speaker.load(folder.best).say(text, options.voice)
    try:
        write_wav(Path(options.file), samples)
    except OSError as error:
        raise SpeechError(f"-o {options.file}: cannot be written ({error.strerror or error})") from error
    print(f"{options.file}: {len(samples) / SAMPLE_RATE:.2f} s by the best model of {folder.name}")
    return 0


def _train(options: argparse.Namespace) -> int:
    import signal

    from sweeps.budget import Budget
    from sweeps.run_folder import check_name
    from sweeps.single_run import SingleRun, best_trainer, read_config, train
    from sweeps.trainer import load_trainer

    trainer, config = load_trainer(options.trainer), Path(options.config)
    Budget(trials=1, epochs=options.epochs)
    params = read_config(config, trainer, _settings(options.set))
    check_params = getattr(trainer, "check_params", None)
    if check_params is not None:
        check_params(params)
    folder = Path(options.output) / check_name(options.name or f"train-{config.stem}")
    data = options.data or ""
    prepare = getattr(trainer, "prepare", None)
    if prepare is not None:
        with _PreparationProgress() as progress:
            prepared = prepare(
                options.data, options.val_data, accept_unusable=options.accept_unusable, progress=progress
            )
        data = prepared.data
        print("\n".join(prepared.lines()))
    run = SingleRun(folder, trainer, params, data, options.seed, options.epochs)
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        # The first one waits for the end of the epoch, the second one does not.
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        best = train(run, note=lambda line: print(line, flush=True), stop=lambda: bool(asked))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:
        print("interrupted; the same command goes on from the last epoch")
        return 130
    export = getattr(trainer, "export_best", None)
    if best is not None and export is not None:
        (folder / "best").mkdir(parents=True, exist_ok=True)
        export(best_trainer(run), folder / "best")
        print(f"best epoch {best['epoch']}: {folder / 'best'} (say {folder.name} speaks with it)")
    return 0


def _check(options: argparse.Namespace) -> int:
    from xtts.preparation import prepare_data

    with _PreparationProgress() as progress:
        prepared = prepare_data(
            options.data, options.val_data, accept_unusable=True, deep=options.deep, progress=progress
        )
    if options.json:
        print(json.dumps(prepared.health.as_dict(), ensure_ascii=False))
    else:
        print("\n".join(prepared.health.lines()))
    return 0


def _list(options: argparse.Namespace) -> int:
    from sweeps.closing import run_line, run_row
    from sweeps.run_folder import runs
    from sweeps.sweep import read_run

    found = [read_run(folder.path) for folder in runs(Path(options.output))]
    if options.json:
        print(json.dumps([run_row(run) for run in found], ensure_ascii=False))
    else:
        print("\n".join(run_line(run) for run in found) or f"no runs in {options.output}")
    return 0


def _spaces(options: argparse.Namespace) -> int:
    from sweeps.space import load_space, space_names

    spaces = [load_space(name) for name in space_names()]
    if options.json:
        print(json.dumps([dict(space.source) for space in spaces], ensure_ascii=False))
        return 0
    for space in spaces:
        print(f"{space.name:<20} {space.description}")
    return 0


def _found(options: argparse.Namespace) -> Run:
    from sweeps.run_folder import find_run
    from sweeps.sweep import read_run

    return read_run(find_run(Path(options.output), options.name).path)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("xtts-sweep")
    except PackageNotFoundError:
        return "unknown"


def _printer(as_json: bool) -> Callable[[str], None]:
    """Where lines for people go: standard output, or standard error beside JSON."""
    return lambda line: print(line, file=sys.stderr if as_json else sys.stdout, flush=True)


def _display(as_json: bool) -> Any:
    from sweeps.progress import QuietDisplay, display_for_terminal

    return QuietDisplay() if as_json else display_for_terminal()


class _PreparationProgress:
    """A bar for each stage on a terminal, a line for each stage elsewhere; on standard error."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None

    def __enter__(self) -> _PreparationProgress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.start()
        return self

    def __call__(self, done: int, total: int, what: str) -> None:
        """One step further."""
        new = what != self._stage
        self._stage = what
        if self._bar is None:
            if new:
                print(f"{what} ...", file=sys.stderr, flush=True)
            return
        if new:
            self._task = self._bar.add_task(what, total=total)
        self._bar.update(self._task, completed=done, total=total)

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()


if __name__ == "__main__":
    raise SystemExit(main())
