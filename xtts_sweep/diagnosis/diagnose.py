"""The diagnosis of any training run from its logs: reads them, names their curves, applies the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from messages import Texts
from sweeps.common.errors import RequestError
from xtts.diagnostics.curve_rules import trial_findings
from xtts.diagnostics.finding import Finding, worst_first
from xtts.diagnostics.logged_curve import Curve, CurveBuilder
from xtts.diagnostics.logged_run import Best, LoggedRun
from xtts.diagnostics.logged_tags import CLIP_KEYS, TRAINERS, map_tags, number_under, weights_in
from xtts.diagnostics.reference import reference
from xtts.diagnostics.run_rules import State, run_findings, run_state
from xtts_sweep.diagnosis.run_logs import PREFERENCE, RunLogs, find_runs


@dataclass(frozen=True)
class Diagnosis:
    """What the log of one run shows. `mapped`: the tag behind each name; `others`: further runs below the same path."""

    name: str
    state: State
    epochs: int
    best: Best | None
    findings: tuple[Finding, ...]
    mapped: Mapping[str, str]
    unmapped: tuple[str, ...]
    trainer: str | None
    run: LoggedRun
    others: tuple[Diagnosis, ...] = field(default=())

    def as_dict(self, lang: str = "en") -> dict[str, object]:
        """The diagnosis as `--json` prints it."""
        best = self.best
        found = {
            "name": self.name,
            "state": self.state,
            "epochs": self.epochs,
            "best": None
            if best is None
            else {"epoch": best.epoch, "step": best.step, "value": best.value, "name": best.name, "file": best.file},
            "findings": [
                {"code": one.code, "severity": one.severity, "text": one.words("text", lang).replace("\n", " ")}
                | {"todo": one.words("todo", lang)}
                for one in self.findings
            ],
            "mapped": dict(self.mapped),
            "unmapped": list(self.unmapped),
            "trainer": self.trainer,
        }
        return found | ({"runs": [one.as_dict(lang) for one in self.others]} if self.others else {})

    def lines(self, lang: str = "en") -> list[str]:
        """The diagnosis for the terminal."""
        texts = Texts("diagnose", lang)
        head = texts("head", name=self.name, state=texts(f"state.{self.state}"), epochs=self.epochs)
        lines = [head + (texts("trainer", trainer=self.trainer) if self.trainer else "")]
        for one in self.findings:
            parts = [*one.words("text", lang).split("\n"), one.words("todo", lang)]
            starts = [texts(f"severity.{one.severity}"), *[""] * len(parts)]
            lines += [f"{start:<8} {part}" for start, part in zip(starts, parts, strict=False)]
        lines.append(texts("mapped", names=", ".join(f"{name} = {tag}" for name, tag in self.mapped.items()) or "-"))
        if self.unmapped:
            shown = ", ".join(self.unmapped[:12]) + (", ..." if len(self.unmapped) > 12 else "")
            lines.append(texts("unmapped", tags=shown))
        if self.others:
            lines += ["", texts("compared"), *self._table(texts)]
        return lines

    def _table(self, texts: Texts) -> list[str]:
        rows = []
        for one in (self, *self.others):
            best = "-" if one.best is None else f"{one.best.name} {one.best.value:.4g} ({one.best.epoch})"
            rows.append(f"  {one.name:<40} {texts(f'state.{one.state}'):<10} {one.epochs:>6}  {best}")
        return rows


@dataclass(frozen=True)
class DataScale:
    """What a data set says about its mel: sd, and the error of always predicting the mean frame (ln-mel units)."""

    mel_sd: float
    mean_frame_error: float
    lines: Sequence[str] = ()


def diagnose(
    path: str | Path,
    *,
    trainer: str = "auto",
    names: Mapping[str, str] | None = None,
    settings: Mapping[str, object] | None = None,
    data: DataScale | None = None,
) -> Diagnosis:
    """Diagnose the runs at or below `path`; the newest comes first, the rest are its `others`.

    Args:
        path: A log file, the folder of a run or of several, or a run of this program.
        trainer: Name of a known trainer, a spec file, or `auto`.
        names: Tags for names (`val/mel`), before those that are recognised.
        settings: The trainer's settings where no config file holds them: loss weights, the gradient clip.
        data: The data set's scale, for skill and sd units.

    Raises:
        RequestError: There is no log, or a tag in `names` is not in it.
    """
    path = Path(path)
    own = own_run(path)
    if own is not None:
        found = own
    else:
        spec = _Spec.of(trainer)
        found = [_diagnosed(logs, spec, dict(names or {}), dict(settings or {}), data) for logs in find_runs(path)]
        found = [one for one in found if one.mapped or one.unmapped] or found[:1]
    first, *others = found
    return replace(first, others=tuple(others))


def data_scale(folder: str, progress: object) -> DataScale:
    """Measure a data set: its health, the sd of its mel, and the mean-frame error of its validation split."""
    from xtts.data.build_dataset import TRAIN, VALIDATION, build_dataset
    from xtts.prepare.health import check

    speech = build_dataset(Path(folder), None, accept_unusable=True, deep=False, progress=progress)  # type: ignore[arg-type]
    train, validation = speech.indices(TRAIN), speech.indices(VALIDATION)
    frames = float(speech.frames[train].sum())
    mean = sum(np.asarray(speech.clip_mel(int(clip))).sum(0, dtype=np.float64) for clip in train) / frames
    errors = [np.abs(np.asarray(speech.clip_mel(int(clip))) - mean) for clip in validation]
    error = float(sum(one.sum() for one in errors) / sum(one.size for one in errors))
    return DataScale(speech.mel_sd, error, tuple(check(speech).lines()))


SPEC_NAMES = {"objective": "val/objective", "loss": "train/loss", "train/grad_norm": "grad_norm"}
"""What a spec's report calls the curves that have another name here"""


@dataclass(frozen=True)
class _Spec:
    """What is known of the trainer: names of its tags, and whether its terms contain their weights."""

    name: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    weighted: bool | None = None
    weight_keys: Mapping[str, str] = field(default_factory=dict)
    """The config's key of a term's weight, by term"""
    mode: str = "min"

    @classmethod
    def of(cls, trainer: str) -> _Spec:
        if trainer == "auto":
            return cls()
        if trainer.endswith((".yaml", ".yml")):
            return cls._of_file(Path(trainer))
        known = {one.name: one for one in TRAINERS}
        if trainer not in known:
            raise RequestError(f"--trainer {trainer}: expected auto, a spec file or one of {', '.join(known)}")
        return cls(trainer, weighted=known[trainer].weighted)

    @classmethod
    def _of_file(cls, path: Path) -> _Spec:
        import yaml

        try:
            spec = yaml.safe_load(path.read_text(encoding="utf-8"))
            report, params = dict(spec.get("report") or {}), dict(spec.get("params") or {})
            keys = {name: str(dict(one or {}).get("key", name)) for name, one in params.items()}
        except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError) as error:
            raise RequestError(
                f"--trainer {path}: cannot be read as a spec: {' '.join(str(error).split())[:200]}"
            ) from error
        names: dict[str, str] = {}
        weights: dict[str, str] = {}
        for name, expression in report.items():
            tag, divided, weight = (part.strip() for part in str(expression).partition(" / "))
            if not divided or weight in params:
                name = SPEC_NAMES.get(str(name), str(name))
                names[name] = tag
                if divided:
                    weights[name.partition("/")[2]] = keys[weight]
        return cls(str(spec.get("name", path.stem)), names, bool(weights), weights, str(spec.get("mode", "min")))


def _diagnosed(
    logs: RunLogs, spec: _Spec, names: dict[str, str], settings: dict[str, object], data: DataScale | None
) -> Diagnosis:
    tags, truncated = _curves(logs)
    missing = [tag for tag in names.values() if tags and tag not in tags]
    if missing:
        raise RequestError(f"--map: the log has no tag {', '.join(missing)}; it has {', '.join(sorted(tags))}")
    given = {name: tag for name, tag in spec.names.items() if tag in tags} | names
    mapped = map_tags({tag: curve.count + curve.bad_count for tag, curve in tags.items()}, given)
    config = {**logs.config, **settings}
    weights = weights_in(config)
    found = {term: number_under(config, [key]) for term, key in spec.weight_keys.items()}
    weights |= {term: value for term, value in found.items() if value is not None}
    weighted = spec.weighted if spec.weighted is not None else mapped.trainer.weighted if mapped.trainer else None
    run = LoggedRun(
        {name: tags[tag] for name, tag in mapped.tags.items() if tag in tags},
        weights,
        weighted,
        number_under(config, CLIP_KEYS),
        logs.checkpoints,
        data.mel_sd if data else None,
        data.mean_frame_error if data else None,
        truncated,
        spec.mode,
    )
    findings = run_findings(run)
    trainer = spec.name or (mapped.trainer.name if mapped.trainer else None)
    state = run_state(run, findings)
    return Diagnosis(logs.name, state, run.epochs, run.best, findings, mapped.tags, mapped.unmapped, trainer, run)


def _curves(logs: RunLogs) -> tuple[dict[str, Curve], bool]:
    """The curves of the first kind of log that holds any."""
    for kind in PREFERENCE:
        builders: dict[str, CurveBuilder] = {}
        streams = logs.streams.get(kind, [])
        for prefix, stream in streams:
            for piece in stream.pieces():
                for tag, (steps, values) in piece.items():
                    builders.setdefault(prefix + tag, CurveBuilder()).add(steps, values)
        if builders:
            curves = {tag: builder.curve() for tag, builder in builders.items()}
            return curves, any(stream.truncated for _, stream in streams[-1:])
    return {}, False


def _without_objective(report: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in report.items() if name != "objective"}


def own_run(path: Path) -> list[Diagnosis] | None:
    """The trials of a run of this program; None where `path` is none."""
    folder = path if path.is_dir() else path.parent
    if not (folder / "sweep.yaml").is_file() or not (folder / "trials.jsonl").is_file():
        return None
    from sweeps.run.run import read_run
    from xtts_sweep.integration.findings import all_params

    run = read_run(folder)
    found = []
    ranked = [
        ((one.role != "trial", np.inf if one.objective is None else one.sign * one.objective), one)
        for one in run.records
    ]
    for _, record in sorted(ranked, key=lambda one: one[0]):
        if not record.reports:
            continue
        params = all_params(run, record)
        tags: dict[str, CurveBuilder] = {}
        for at, report in enumerate(record.reports, 1):
            for tag, value in report.items():
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    tags.setdefault(tag, CurveBuilder()).add(np.array([float(at)]), np.array([float(value)]))
        curves = {tag: builder.curve() for tag, builder in tags.items()}
        mapped = map_tags({tag: curve.count for tag, curve in curves.items()})
        # One optimiser step's loss is not the epoch's mean: the rules on epochs report its spikes.
        logged = LoggedRun(
            {name: curves[tag] for name, tag in mapped.tags.items()},
            weights_in(params),
            weighted=False,
            clip=number_under(params, CLIP_KEYS),
            mode=record.mode,
        )
        # The rules on epochs take the objective for an error, which one that is maximised is not.
        reports = record.reports if record.mode == "min" else [_without_objective(one) for one in record.reports]
        own = trial_findings(reports, params)
        codes = {one.code for one in own}
        general = [one for one in run_findings(logged) if one.code not in codes]
        placed = reference().finding(reports) if params.get("model", "tiny") == "tiny" else None
        findings = worst_first([*own, *general, *([placed] if placed is not None else [])])
        state = run_state(logged, findings)
        found.append(
            Diagnosis(
                record.trial_id,
                state,
                logged.epochs,
                logged.best,
                findings,
                mapped.tags,
                mapped.unmapped,
                "xtts-sweep",
                logged,
            )
        )
    if not found:
        raise RequestError(f"{folder}: no trial of this run has reported an epoch yet")
    return found
