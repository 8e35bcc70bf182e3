"""The diagnosis of any training run from its logs: reads them, names their curves, applies the rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeps.common.errors import RequestError
from xtts.diagnostics.logged_curve import Curve, CurveBuilder
from xtts.diagnostics.logged_run import LoggedRun
from xtts.diagnostics.logged_tags import (
    CLIP_KEYS,
    EPOCH_MEANS,
    OWN,
    RATE_KEYS,
    WEIGHT_KEYS,
    Mapped,
    map_tags,
    number_under,
    weights_in,
)
from xtts.diagnostics.run_rules import run_findings, run_state
from xtts.prepare.text_fit import TextFit
from xtts_sweep.diagnosis.config_data import texts_of
from xtts_sweep.diagnosis.diagnosis import Diagnosis
from xtts_sweep.diagnosis.own_run import findings_of_log, own_run, with_best_file
from xtts_sweep.diagnosis.read_logs import Followed, ReadLogs, read_logs
from xtts_sweep.diagnosis.trainer_spec import TrainerSpec

LAST_EVALUATIONS, PRINTED = 3, 2e-3
"""Evaluations by which a copy is recognised, and the relative error of numbers that were printed"""
NAME = re.compile(r"(train|val)/\w+|grad_norm|learning_rate|epoch")
"""What a tag can be given as"""


@dataclass(frozen=True)
class DataScale:
    """What a data set says about its mel: sd, and the error of always predicting the mean frame (ln-mel units).

    And what its texts look like next to its recordings.
    """

    mel_sd: float
    mean_frame_error: float
    lines: Sequence[str] = ()
    texts: TextFit | None = None


def diagnose(
    path: str | Path,
    *,
    trainer: str = "auto",
    names: Mapping[str, str] | None = None,
    settings: Mapping[str, object] | None = None,
    data: DataScale | None = None,
    followed: Followed | None = None,
) -> Diagnosis:
    """Diagnose the runs at or below `path`; the newest comes first, the rest are its `others`.

    Args:
        path: A log file, the folder of a run or of several, or a run of this program.
        trainer: Name of a known trainer, a spec file, or `auto`.
        names: Tags for names (`val/mel`), before those that are recognised.
        settings: The trainer's settings where no config file holds them: loss weights, the gradient clip.
        data: The data set's scale, for skill and sd units.
        followed: What earlier calls have read of growing logs (at first an empty dict); the next call reads on.

    Raises:
        RequestError: There is no log, a tag in `names` is not in it, or a name or setting means nothing.
    """
    path, names, settings = Path(path), dict(names or {}), dict(settings or {})
    spec = TrainerSpec.of(trainer)
    _check(names, settings, spec)
    found = own_run(path)
    if found is None:
        logs = read_logs(path, followed)
        found = _without_copies(logs, [_diagnosed(one, spec, names, settings, data) for one in logs])
        found = [one for one in found if any("/" in name for name in one.mapped)] or found
        found = [one for one in found if one.mapped or one.unmapped] or found[:1]
    elif names or settings or data or trainer != "auto":
        raise RequestError(f"{path}: is a run of this program; --map, --set, --trainer and --data are for other logs")
    first, *others = found
    return replace(first, others=tuple(others))


def data_scale(folder: str, progress: object) -> DataScale:
    """Measure a data set: its health, the sd of its mel, the mean-frame error of its validation split, its texts."""
    from xtts.alignment.aligned import align_dataset
    from xtts.data.build_dataset import build_dataset
    from xtts.data.splits import TRAIN, VALIDATION
    from xtts.prepare.health import check
    from xtts.prepare.text_fit import text_fit

    speech = build_dataset(Path(folder), None, accept_unusable=True, deep=False, progress=progress)  # type: ignore[arg-type]
    train, validation = speech.indices(TRAIN), speech.indices(VALIDATION)
    frames = float(speech.frames[train].sum())
    mean = sum(np.asarray(speech.clip_mel(int(clip))).sum(0, dtype=np.float64) for clip in train) / frames
    errors = [np.abs(np.asarray(speech.clip_mel(int(clip))) - mean) for clip in validation]
    error = float(sum(one.sum() for one in errors) / sum(one.size for one in errors))
    aligned = align_dataset(speech, progress)  # type: ignore[arg-type]
    texts = replace(text_fit(Path(folder)), confidence=aligned.mean_confidence)
    return DataScale(speech.mel_sd, error, tuple(check(speech, aligned.summary()).lines()), texts)


def _check(names: Mapping[str, str], settings: Mapping[str, object], spec: TrainerSpec) -> None:
    for name in names:
        if not NAME.fullmatch(name):
            raise RequestError(
                f"--map {name}: expected train/TERM, val/TERM (TERM: loss, mel, kl, ...), grad_norm, learning_rate"
                " or epoch"
            )
    known = [
        *(key for keys in WEIGHT_KEYS.values() for key in keys),
        *CLIP_KEYS,
        *RATE_KEYS,
        *spec.weight_keys.values(),
    ]
    for key, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise RequestError(f"--set {key}={value}: expected a number")
        if not any(key == one or key.endswith(f".{one}") for one in known):
            raise RequestError(f"--set {key}: no rule uses it; known are {', '.join(dict.fromkeys(known))}")


def _without_copies(logs: Sequence[ReadLogs], found: Sequence[Diagnosis]) -> list[Diagnosis]:
    """Without console output that prints what another log holds: its last evaluations are the same."""
    logged = [one for read, one in zip(logs, found, strict=True) if not read.is_printed]

    def is_copy(one: Diagnosis) -> bool:
        return one.run.crash is None and any(_prints(one.run, other.run) for other in logged)

    return [one for read, one in zip(logs, found, strict=True) if not read.is_printed or not is_copy(one)]


def _prints(console: LoggedRun, log: LoggedRun) -> bool:
    """Whether the console's last evaluations hold the log's; each may be printed more than once."""
    printed, logged = console.validation, log.validation
    if printed is None or logged is None or printed[0] != logged[0]:
        return False
    ours, theirs = printed[1].values[-4 * LAST_EVALUATIONS :], logged[1].values[-LAST_EVALUATIONS:]
    alike = np.isclose(ours[:, None], theirs[None, :], rtol=PRINTED, atol=0)
    return bool(alike[-1, -1] and alike.any(axis=0).all())


def _diagnosed(
    read: ReadLogs, spec: TrainerSpec, names: dict[str, str], settings: dict[str, object], data: DataScale | None
) -> Diagnosis:
    logs, tags = read.logs, read.tags
    missing = [tag for tag in names.values() if tags and tag not in tags]
    if missing:
        raise RequestError(f"--map: the log has no tag {', '.join(missing)}; it has {', '.join(sorted(tags))}")
    given = {name: tag for name, tag in spec.names.items() if tag in tags} | names
    mapped = map_tags({tag: curve.count + curve.bad_count for tag, curve in tags.items()}, given)
    config = {**logs.config, **settings}
    weights = {**(mapped.trainer.weights if mapped.trainer else {}), **weights_in(config)}
    found = {term: number_under(config, [key]) for term, key in spec.weight_keys.items()}
    weights |= {term: value for term, value in found.items() if value is not None}
    curves = {name: tags[tag] for name, tag in mapped.tags.items() if tag in tags}
    means = next((curve for tag, curve in tags.items() if tag.startswith(EPOCH_MEANS)), None)
    if "epoch" not in curves and means is not None:
        curves["epoch"] = _epochs_that_end_at(means.steps)
    known, unread = mapped.trainer, _unread(mapped, config)
    run = LoggedRun(
        curves,
        weights,
        weighted=spec.weighted if spec.weighted is not None else known.weighted if known else None,
        clip=number_under(config, [key for key in CLIP_KEYS if key not in unread]),
        checkpoints=logs.checkpoints,
        mel_sd=data.mel_sd if data else None,
        mean_frame_error=data.mean_frame_error if data else None,
        truncated=read.truncated,
        mode=spec.mode,
        raw_mel=known.raw_mel if known else None,
        counts_from_zero=logs.is_lightning and mapped.tags.get("epoch") == "epoch",
        crash=read.crash,
        folders=logs.folders,
        is_of_sweep=logs.is_of_sweep,
        usual={**(known.usual if known else {}), **spec.usual},
        rate=number_under(config, RATE_KEYS),
        unread=unread,
        texts=data.texts if data else texts_of(logs.config),
    )
    is_own = known is not None and known.name == OWN and number_under(config, WEIGHT_KEYS["mel"]) is not None
    run = with_best_file(run) if is_own else run
    findings = findings_of_log(run, tags, config) if is_own else run_findings(run)
    return Diagnosis(
        logs.name,
        run_state(run, findings),
        run.epochs,
        run.best,
        findings,
        mapped.tags,
        mapped.unmapped,
        spec.name or (known.name if known else None),
        run,
        logs.folder,
        same=mapped.same,
    )


def _unread(mapped: Mapped, config: Mapping[str, object]) -> dict[str, float]:
    """Settings that the trainer reads nowhere and that were changed all the same."""
    found = {}
    for key, left_at in (mapped.trainer.unread if mapped.trainer else {}).items():
        value = number_under(config, [key])
        if value is not None and value != left_at:
            found[key] = value
    return found


def _epochs_that_end_at(steps: NDArray[np.float64]) -> Curve:
    """The number of each epoch, from the step behind the end of the one before."""
    builder = CurveBuilder()
    builder.add(np.append(0.0, steps[:-1] + 0.5), np.arange(1.0, len(steps) + 1))
    return builder.curve()
