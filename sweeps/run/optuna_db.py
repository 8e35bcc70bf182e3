"""The sweep in Optuna's words, made from the records: distributions, trials, and optuna.db for optuna-dashboard."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sweeps.common.atomic_file import replacing, write_failure
from sweeps.common.errors import one_line
from sweeps.space.parameter import Parameter
from sweeps.space.space import Space
from sweeps.trials.record import TrialRecord, searched, searched_values

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial

DIVERGED = "constraints:diverged"  # where Trial.set_constraint("diverged", ...) keeps it; feasible at 0


def direction(mode: str) -> StudyDirection:
    """Optuna's word for the objective's mode."""
    from optuna.study import StudyDirection

    return StudyDirection.MAXIMIZE if mode == "max" else StudyDirection.MINIMIZE


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each searched parameter; the values that a space of controls lists."""
    if space.controls:
        from optuna.distributions import CategoricalDistribution

        return {
            hyperparameter: CategoricalDistribution(
                [*dict.fromkeys(cast(Any, config.params.get(hyperparameter)) for config in space.trials)]
            )
            for hyperparameter in space.hyperparameters
        }
    return {parameter.name: _distribution(parameter) for parameter in space.searched}


def write_optuna_db(path: Path, name: str, space: Space, records: Sequence[TrialRecord], mode: str = "min") -> None:
    """Replace optuna.db with a study of all the search's trials; SweepFailed where it cannot be written."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with replacing(path) as temporary:
            storage = optuna.storages.RDBStorage(f"sqlite:///{temporary}")
            study = optuna.create_study(study_name=name, storage=storage, direction=direction(mode))
            study.add_trials([frozen_trial(space, record) for record in searched(records)])
            storage.remove_session()
            storage.engine.dispose()
    except (OSError, SQLAlchemyError) as error:
        reason = error if isinstance(error, OSError) else OSError(one_line(error))
        raise write_failure(path, reason) from error
    finally:
        optuna.logging.set_verbosity(before)


def frozen_trial(space: Space, record: TrialRecord) -> FrozenTrial:
    """A trial as Optuna knows it: stopped is pruned with its values by epoch, failed is failed.

    Diverged is pruned and infeasible: its constraint `diverged` is above 0, its reason the attribute `stop_reason`.
    """
    from optuna.trial import FrozenTrial, TrialState

    state = {
        None: TrialState.RUNNING,
        "finished": TrialState.COMPLETE,
        "stopped": TrialState.PRUNED,
        "budget": TrialState.PRUNED,
        "diverged": TrialState.PRUNED,
    }.get(record.status, TrialState.FAIL)
    if state == TrialState.COMPLETE and record.objective is None:
        state = TrialState.FAIL
    values = searched_values(space, record)
    known = distributions(space)
    attributes: Mapping[str, object] = {
        "trial_id": record.trial_id,
        "role": record.role,
        "origin": record.origin,
        "status": record.status or "running",
        "stop_reason": record.stop_reason,
        "best_epoch": record.best_epoch,
        **{name: value for name, value in record.params.items() if name not in values},
    }
    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=state,
        value=record.objective if state == TrialState.COMPLETE else None,
        datetime_start=_moment(record.started),
        datetime_complete=_moment(record.ended) if state.is_finished() else None,
        params=values,
        distributions={name: known[name] for name in values},
        user_attrs=dict(attributes),
        system_attrs={DIVERGED: float(record.status == "diverged" or not record.feasible)}
        if state.is_finished()
        else {},
        intermediate_values={epoch: record.sign * cost for epoch, cost in record.costs.items()},
    )


def _distribution(parameter: Parameter) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.distribution == "categorical":
        return CategoricalDistribution(parameter.values)
    low, high = cast(float, parameter.min), cast(float, parameter.max)
    if parameter.whole and (parameter.distribution == "int_uniform" or parameter.step == 1):
        return IntDistribution(int(low), int(high), log=parameter.logarithmic)
    return FloatDistribution(low, high, log=parameter.logarithmic)


def _moment(seconds: float | None) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds or 0.0)
