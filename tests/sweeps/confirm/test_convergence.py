"""When a curve reaches the default's level, what is said where it does not, and how many times faster it was."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.confirm.convergence import (
    PERCENTS,
    Targets,
    crossing_of,
    crossings,
    mean_over_common_epochs,
    worsening_after_best,
)
from sweeps.confirm.learning_curve import Curve, Evaluation, Moment
from sweeps.confirm.speed_up import SpeedUp, combine, speed_up, speed_up_over_seeds
from sweeps.run.convergence_columns import convergence_columns

MEAN_FRAME = 0.8


def curve(*objectives: float, ended: str = "end", updates: int = 58) -> Curve:
    """Evaluations at 1/4, 1/2 and 1 epoch, then at every epoch."""
    epochs = [0.25, 0.5, *range(1, len(objectives))]
    places = epochs[: len(objectives)]
    return Curve(
        tuple(
            Evaluation(epoch * updates, epoch, epoch * 800, epoch * 10, objective)
            for epoch, objective in zip(places, objectives, strict=True)
        ),
        ended,  # type: ignore[arg-type]
    )


DEFAULT = curve(0.79, 0.74, 0.70, 0.62, 0.60, 0.58, 0.57, 0.56, 0.56, 0.56)

numbers = st.integers(min_value=50, max_value=90).map(lambda value: value / 100)
curves = st.lists(numbers, min_size=1, max_size=12).map(lambda values: curve(*values))
with_gaps = st.lists(st.one_of(numbers, st.just(math.nan), st.just(math.inf)), max_size=12).map(lambda v: curve(*v))


def test_targets_stand_between_the_mean_frame_and_the_mean_of_the_defaults_last_three() -> None:
    targets = Targets.between(MEAN_FRAME, curve(0.7, 0.65, 0.63, 0.59, 0.61))
    assert targets.default_end == pytest.approx(0.61)
    assert [targets.objective_at(percent) for percent in PERCENTS] == pytest.approx([0.705, 0.6575, 0.629])


def test_a_crossing_is_interpolated_in_log_updates_and_everything_else_is_read_at_that_point() -> None:
    found = crossing_of(curve(0.80, 0.75, 0.70, 0.60, 0.58, 0.57), target=0.65)
    assert found.at is not None
    assert found.at.updates == pytest.approx(58 * math.sqrt(2))
    assert found.at.epochs == pytest.approx(math.sqrt(2))
    assert found.at.audio_seconds == pytest.approx(800 * math.sqrt(2))
    assert found.at.seconds == pytest.approx(10 * math.sqrt(2))
    assert (found.censored, found.reason, found.provisional) == (None, None, False)


def test_the_running_best_crosses_from_its_own_level_not_from_a_bad_evaluation_just_before() -> None:
    smooth = crossing_of(curve(0.80, 0.75, 0.70, 0.70, 0.60, 0.6, 0.6), 0.65)
    bumped = crossing_of(curve(0.80, 0.75, 0.70, 0.90, 0.60, 0.6, 0.6), 0.65)
    assert smooth.at == bumped.at


def test_a_target_reached_before_the_first_evaluation_is_left_censored_there() -> None:
    found = crossing_of(curve(0.60, 0.59, 0.58), 0.65)
    assert (found.at, found.censored) == (None, "left")
    assert found.censored_at == Moment(14.5, 0.25, 200.0, 2.5)
    assert found.reason == "before the first evaluation"


@pytest.mark.parametrize("ended", ["rung", "diverged", "end", "budget", "failed", "running"])
def test_a_target_never_reached_is_right_censored_at_the_last_evaluation_with_its_reason(ended: str) -> None:
    found = crossing_of(curve(0.79, 0.75, 0.70, ended=ended), 0.65)
    assert (found.at, found.censored, found.reason) == (None, "right", ended)
    assert found.censored_at is not None
    assert found.censored_at.epochs == 1


def test_an_empty_curve_is_right_censored_at_the_start() -> None:
    found = crossing_of(Curve((), "failed"), 0.65)
    assert (found.censored, found.censored_at, found.reason) == ("right", Moment(0, 0, 0, 0), "failed")


def test_a_nan_tail_censors_where_the_last_number_was() -> None:
    found = crossing_of(curve(0.79, 0.75, 0.70, math.nan, math.nan, ended="diverged"), 0.65)
    assert (found.censored, found.reason) == ("right", "diverged")
    assert found.censored_at is not None
    assert found.censored_at.epochs == 1


@pytest.mark.parametrize(
    ("after", "provisional"),
    [
        ((0.64, 0.63), False),
        ((0.66, 0.63), True),
        ((0.64, 0.66), True),
        ((0.64,), True),
        ((), True),
        ((0.64, math.nan), True),
    ],
)
def test_a_crossing_is_provisional_unless_the_next_two_evaluations_hold_it(
    after: tuple[float, ...], provisional: bool
) -> None:
    found = crossing_of(curve(0.79, 0.75, 0.70, 0.64, *after), 0.65)
    assert found.at is not None
    assert found.provisional is provisional


def test_a_curve_that_crosses_and_comes_back_keeps_its_first_crossing_and_is_provisional() -> None:
    there_and_back = curve(0.79, 0.75, 0.70, 0.60, 0.70, 0.72, 0.60, 0.60, 0.60)
    settled = curve(0.79, 0.75, 0.70, 0.60, 0.60, 0.60, 0.60, 0.60, 0.60)
    assert crossing_of(there_and_back, 0.65).at == crossing_of(settled, 0.65).at
    assert crossing_of(there_and_back, 0.65).provisional
    assert not crossing_of(settled, 0.65).provisional


def test_an_evaluation_that_equals_the_target_is_the_crossing() -> None:
    found = crossing_of(curve(0.79, 0.75, 0.65, 0.60, 0.6), 0.65)
    assert found.at == Moment(58, 1, 800, 10)


@pytest.mark.parametrize(
    ("error", "default", "words"),
    [
        (0.8, curve(0.9, 0.85, 0.8), "no better than the mean frame"),
        (0.8, curve(0.7, math.nan, 0.6, ended="end"), "diverged"),
        (0.8, curve(0.7, 0.65, 0.6, ended="diverged"), "diverged"),
        (0.8, curve(0.7, 0.65, 0.6, ended="running"), "has not finished"),
        (0.8, curve(0.7, 0.65, 0.6, ended="failed"), "failed"),
        (0.8, Curve(()), "no evaluation"),
        (0.8, None, "no evaluation"),
        (math.nan, DEFAULT, "mean-frame error is not known"),
        (None, DEFAULT, "mean-frame error is not known"),
    ],
)
def test_without_a_level_to_reach_targets_are_undefined_and_say_why(
    error: float | None, default: Curve | None, words: str
) -> None:
    targets = Targets.between(error, default)
    found = crossings(DEFAULT, targets)[90]
    assert words in (targets.undefined or "")
    assert (found.at, found.censored, found.reason) == (None, None, targets.undefined)
    assert speed_up(DEFAULT, DEFAULT, targets) is None
    assert convergence_columns(DEFAULT, default, error)["speedup"] == ""


def test_a_trainer_without_updates_counts_in_epochs_and_an_unknown_objective_is_nan() -> None:
    read = Curve.from_reports([{"epoch": 1, "objective": 0.7}, {"epoch": 2, "objective": None}], "diverged")
    assert [one.updates for one in read.evaluations] == [1, 2]
    assert math.isnan(read.evaluations[1].objective)
    assert convergence_columns(read, DEFAULT, MEAN_FRAME)["censor_reason"] == "diverged"


@given(curves)
def test_the_default_against_itself_is_exactly_1(default: Curve) -> None:
    targets = Targets.between(0.95, default)
    again = Curve(default.evaluations, default.ended)
    for percent in PERCENTS:
        assert speed_up(again, default, targets, percent) == SpeedUp(1.0, 1.0)
    assert convergence_columns(again, default, 0.95)["speedup"] == 1.0


def test_one_epoch_only_is_enough_for_the_default_and_for_a_crossing() -> None:
    single = curve(0.78, 0.72, 0.64)
    cells = convergence_columns(single, single, MEAN_FRAME)
    assert cells["speedup"] == 1.0
    assert 0.25 < float(cells["epochs_to_target"]) < 0.5
    assert cells["target_provisional"] == "yes"


@given(with_gaps, st.integers(min_value=55, max_value=85))
def test_what_comes_later_never_changes_a_crossing_of_the_past(full: Curve, target_percent: int) -> None:
    target = target_percent / 100
    whole = crossing_of(full, target)
    for length in range(len(full.evaluations) + 1):
        part = crossing_of(Curve(full.evaluations[:length], full.ended), target)
        if part.censored == "right":
            # Not reached so far: the whole curve can only reach it later than all that was seen.
            assert part.censored_at is not None
            seen = part.censored_at.updates
            later = whole.at or whole.censored_at
            assert later is not None
            assert later.updates >= seen
        else:
            assert (part.at, part.censored, part.censored_at) == (whole.at, whole.censored, whole.censored_at)
            assert part.provisional or not whole.provisional


@given(curves, curves, st.sampled_from([0.5, 2.0, 4.0]), st.sampled_from([0.0, 1.0, -0.25]))
def test_scaling_and_shifting_all_errors_alike_moves_no_crossing(
    trial: Curve, default: Curve, scale: float, shift: float
) -> None:
    def moved(one: Curve) -> Curve:
        return Curve(tuple(replace(e, objective=e.objective * scale + shift) for e in one.evaluations), one.ended)

    before = crossings(trial, Targets.between(0.95, default))
    after = crossings(moved(trial), Targets.between(0.95 * scale + shift, moved(default)))
    for old, new in zip(before.values(), after.values(), strict=True):
        if old.target is not None and min(abs(e.objective - old.target) for e in trial.evaluations) < 1e-9:
            continue  # an evaluation that equals its target may round to either side of it
        assert (new.censored, new.provisional) == (old.censored, old.provisional)
        if old.at is not None and new.at is not None:
            assert new.at.updates == pytest.approx(old.at.updates, rel=1e-6)


@given(with_gaps, st.integers(min_value=55, max_value=85))
def test_any_rising_transform_of_objective_and_target_keeps_the_evaluations_around_a_crossing(
    trial: Curve, target_percent: int
) -> None:
    def squeezed(value: float) -> float:
        return math.atan(5 * value)

    target = target_percent / 100
    moved = Curve(
        tuple(
            replace(e, objective=squeezed(e.objective)) if math.isfinite(e.objective) else e for e in trial.evaluations
        )
    )
    old, new = crossing_of(trial, target), crossing_of(moved, squeezed(target))
    assert (old.censored, old.censored_at, old.provisional) == (new.censored, new.censored_at, new.provisional)
    if old.at is not None and new.at is not None:
        steps = [e.updates for e in trial.finite]
        assert sum(s < old.at.updates for s in steps) == sum(s < new.at.updates for s in steps)


@given(curves, st.integers(min_value=55, max_value=85), st.sampled_from([2.0, 10.0]))
def test_stretching_the_updates_stretches_the_crossing(trial: Curve, target_percent: int, factor: float) -> None:
    slow = Curve(tuple(replace(e, updates=e.updates * factor) for e in trial.evaluations))
    fast_at = crossing_of(trial, target_percent / 100).at
    slow_at = crossing_of(slow, target_percent / 100).at
    assert (fast_at is None) == (slow_at is None)
    if fast_at is not None and slow_at is not None:
        assert slow_at.updates == pytest.approx(factor * fast_at.updates)
        assert slow_at.epochs == pytest.approx(fast_at.epochs)


@given(curves, st.integers(min_value=55, max_value=84))
def test_a_harder_target_is_never_reached_earlier(trial: Curve, target_percent: int) -> None:
    easy, hard = (crossing_of(trial, (target_percent + more) / 100).at for more in (1, 0))
    if easy is not None and hard is not None:
        assert easy.updates <= hard.updates


@given(st.lists(with_gaps, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_the_trials_changes_no_ones_figures(trials: list[Curve], random: object) -> None:
    order = list(range(len(trials)))
    random.shuffle(order)  # type: ignore[attr-defined]
    rows = [convergence_columns(trial, DEFAULT, MEAN_FRAME) for trial in trials]
    assert [convergence_columns(trials[place], DEFAULT, MEAN_FRAME) for place in order] == [rows[at] for at in order]
    straight = mean_over_common_epochs(trials)
    shuffled = mean_over_common_epochs([trials[place] for place in order])
    assert (straight is None) == (shuffled is None)
    if straight is not None and shuffled is not None:
        assert shuffled.epochs == straight.epochs
        assert shuffled.means == tuple(straight.means[place] for place in order)


def test_trials_that_tie_have_equal_figures() -> None:
    one, other = curve(0.75, 0.70, 0.60, 0.58, 0.58), curve(0.75, 0.70, 0.60, 0.58, 0.58)
    assert convergence_columns(one, DEFAULT, MEAN_FRAME) == convergence_columns(other, DEFAULT, MEAN_FRAME)


def test_a_trial_that_needs_half_the_updates_is_twice_as_fast() -> None:
    twice = Curve(tuple(replace(e, updates=e.updates / 2) for e in DEFAULT.evaluations))
    speed = speed_up(twice, DEFAULT, Targets.between(MEAN_FRAME, DEFAULT))
    assert speed is not None
    assert speed.value == pytest.approx(2.0)


def test_a_trial_that_never_arrives_has_a_speed_up_of_at_most_a_bound() -> None:
    stopped = curve(0.79, 0.75, 0.72, ended="rung")
    cells = convergence_columns(stopped, DEFAULT, MEAN_FRAME)
    default_updates = crossings(DEFAULT, Targets.between(MEAN_FRAME, DEFAULT))[90].at
    assert default_updates is not None
    assert cells["speedup"] == ""
    assert cells["speedup_bound"] == f"at most {default_updates.updates / 58:.2f}"
    assert (cells["censored_at"], cells["censor_reason"]) == (1, "rung")
    assert cells["epochs_to_target"] == cells["seconds_to_target"] == ""


def test_a_trial_that_was_there_before_the_first_evaluation_has_a_speed_up_of_at_least_a_bound() -> None:
    cells = convergence_columns(curve(0.55, 0.55, 0.55), DEFAULT, MEAN_FRAME)
    assert cells["speedup"] == ""
    assert str(cells["speedup_bound"]).startswith("at least ")
    assert cells["censor_reason"] == "before the first evaluation"
    assert cells["censored_at"] == 0.25


def test_two_sides_censored_the_same_way_have_an_unknown_speed_up() -> None:
    targets = Targets(MEAN_FRAME, 0.5)
    speed = speed_up(curve(0.79, 0.7), curve(0.79, 0.71), targets)
    assert speed == SpeedUp(0.0, math.inf)
    assert speed.bound == "unknown"


def test_over_seeds_a_speed_up_has_a_t_interval_around_the_geometric_mean() -> None:
    found = combine([SpeedUp(1.0, 1.0), SpeedUp(2.0, 2.0), SpeedUp(4.0, 4.0)], confidence=0.95)
    assert found is not None
    assert found.value == pytest.approx(2.0)
    assert found.low == pytest.approx(2 * math.exp(-4.302653 * math.log(2) / math.sqrt(3)), rel=1e-5)
    assert found.high == pytest.approx(4 / found.low)


def test_over_seeds_a_censored_one_leaves_a_one_sided_bound_with_the_confidence_that_ranks_can_give() -> None:
    few = combine([SpeedUp(1.2, 1.2), SpeedUp(1.4, math.inf), SpeedUp(1.3, 1.3)])
    assert few is not None
    assert (few.value, few.low, few.high) == (None, 1.2, math.inf)
    assert few.confidence == pytest.approx(1 - 0.5**3)
    assert str(few) == "at least 1.20x"
    many = combine([SpeedUp(1 + seed / 10, math.inf) for seed in range(8)], confidence=0.95)
    assert many is not None
    assert many.low == pytest.approx(1.1)
    assert many.confidence == pytest.approx(1 - 9 / 256)


def test_over_seeds_identical_curves_have_a_speed_up_of_exactly_1_and_no_pairs_have_none() -> None:
    pairs = dict.fromkeys((1, 2, 3), (DEFAULT, DEFAULT))
    found = speed_up_over_seeds(pairs, MEAN_FRAME)
    assert found is not None
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
    assert speed_up_over_seeds({}, MEAN_FRAME) is None


def test_common_epochs_are_whole_ones_that_all_curves_have_as_numbers() -> None:
    found = mean_over_common_epochs([curve(0.9, 0.8, 0.7, 0.6, 0.5), curve(0.9, 0.8, 0.6, math.nan, 0.4, 0.3)])
    assert found is not None
    assert found.epochs == (1, 3)
    assert found.means == pytest.approx((0.6, 0.5))
    assert mean_over_common_epochs([curve(0.9, 0.8), curve(0.9, 0.8, 0.7)]) is None
    assert mean_over_common_epochs([]) is None


def test_worsening_compares_the_end_with_the_best() -> None:
    assert worsening_after_best(curve(0.8, 0.7, 0.6, 0.5, 0.52, 0.55, 0.55, 0.55)) == pytest.approx(0.1)
    assert worsening_after_best(curve(0.8, 0.7, 0.6)) == 0
    assert worsening_after_best(curve(math.nan)) is None


def test_the_speed_ups_interval_carries_the_targets_uncertainty_and_the_grid() -> None:
    """Against the plain interval of the seeds' own ratios, which takes the target as known."""
    spread = {seed: 0.02 * (seed - 2) for seed in range(4)}

    def curve(rate: float, offset: float) -> Curve:
        steps = [Evaluation(58.0 * step, step, step, step, 0.5 + offset + 0.3 / (rate * step)) for step in range(1, 10)]
        return Curve(tuple(steps))

    pairs = {seed: (curve(1.5, shift), curve(1.0, shift)) for seed, shift in spread.items()}
    found = speed_up_over_seeds(pairs, MEAN_FRAME)
    assert found is not None
    assert found.value is not None
    targets = Targets.between(MEAN_FRAME, [default for _, default in pairs.values()])
    known = [speed_up(trial, default, targets) for trial, default in pairs.values()]
    plain = combine([one for one in known if one is not None])
    assert plain is not None
    assert found.low < plain.low
    assert plain.high < found.high
    assert (found.reached, found.default_reached) == (4, 4)
    assert found.wall_clock == pytest.approx(found.value)
