"""What the model learns from rungs and ends, and which end a curve has."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.stats import norm

from sweeps.search.acquisition import _moved, log_expected_improvement, suggest
from sweeps.search.gaussian_process import END, Observations, Scales, _improbability, _squares, _start_and_bounds, fit
from sweeps.search.observations import FITTED_AT_MOST, informative, observations
from sweeps.search.points import encoded, units_of
from sweeps.space.limits import NO_LIMITS
from sweeps.space.space_file import load_space, space_from_mapping
from sweeps.trials.final_values import FullLengthCurves, cost_table, curve_ends, epoch_noise
from sweeps.trials.record import TrialRecord, records_from_events
from tests.sweeps.builders import trial, trial_events

LINE = space_from_mapping({"parameters": {"a": {"min": 0.0, "max": 1.0, "default": 0.5}}}, "here")


def with_rung(number: int, a: float, curve: list[float], status: str | None = "finished") -> TrialRecord:
    """A trial of `LINE` that came to a rung at epoch 3."""
    events = trial_events(number, curve, status, params={"a": a})
    return records_from_events([*events, {"event": "rung", "trial_id": f"t{number:04d}", "epoch": 3, "value": 0.0}])[0]


def two_levels(informative: bool) -> Observations:
    """Twelve points on a line with a value at a rung, eight with an end: a sine, and a rung that is it or noise."""
    points = np.linspace(0.0, 1.0, 12)
    ends = np.sin(6 * points)
    rung = ends + 0.5 if informative else np.random.default_rng(1).normal(size=12)
    known = np.arange(12) % 3 != 1
    return Observations(
        np.concatenate([points[known], points])[:, None],
        np.concatenate([np.full(known.sum(), END), np.full(12, 1)]),
        np.concatenate([ends[known], rung]),
    )


def test_a_rung_that_foretells_the_end_makes_the_model_sure_of_trials_that_never_ended() -> None:
    missing = np.linspace(0.0, 1.0, 12)[1::3, None]
    mean, sure = fit(two_levels(True)).ends(missing)
    _, unsure = fit(two_levels(False)).ends(missing)
    assert mean == pytest.approx(np.sin(6 * missing[:, 0]), abs=0.05)
    assert (sure < 0.5 * unsure).all()


def test_a_rung_that_says_nothing_leaves_the_ends_as_they_are() -> None:
    given = two_levels(False)
    alone = given.levels == END
    without = fit(Observations(given.points[alone], given.levels[alone], given.values[alone]))
    grid = np.linspace(0.0, 1.0, 40)[:, None]
    assert fit(given).ends(grid)[0] == pytest.approx(without.ends(grid)[0], abs=0.15)


def test_the_gradient_of_the_fit_is_that_of_its_value() -> None:
    chance = np.random.default_rng(0)
    given = Observations(chance.random((20, 3)), np.repeat([0, 1, 2], [8, 7, 5]), chance.normal(size=20))
    squares = _squares(given.points)
    start = _start_and_bounds(3, 2)[0] + 0.1 * chance.normal(size=11)

    def at(flat: np.ndarray) -> tuple[float, np.ndarray]:
        return _improbability(Scales.from_flat(flat, 3), given, squares)

    assert at(start)[1] == pytest.approx(approx_fprime(start, lambda flat: at(flat)[0], 1e-6), abs=1e-3)


def test_believing_what_is_expected_moves_no_mean_but_makes_it_sure() -> None:
    fitted = fit(two_levels(True))
    there = np.array([[0.13]])
    believing = fitted.believing(there)
    assert believing.ends(there)[0] == pytest.approx(fitted.ends(there)[0], abs=1e-3)
    assert believing.ends(there)[1] < fitted.ends(there)[1]


def test_the_expected_improvement_is_the_integral_and_holds_far_from_the_best() -> None:
    for mean, deviation in ((0.0, 1.0), (2.0, 0.7), (-1.0, 0.2)):
        exact = quad(lambda end, m=mean, s=deviation: max(0.5 - end, 0.0) * norm.pdf(end, m, s), mean - 9, 0.5)[0]
        found = log_expected_improvement(np.array([mean]), np.array([deviation]), 0.5)[0]
        assert math.exp(found) == pytest.approx(exact, rel=1e-6)
    far = log_expected_improvement(np.array([20.0, 30.0, 60.0]), np.ones(3), 0.0)
    assert np.isfinite(far).all()
    assert (np.diff(far) < 0).all()


def test_a_rungs_value_is_never_told_as_an_end() -> None:
    records = [with_rung(n, n / 10, [0.9, 0.8, 0.7, 0.5, 0.4 + n / 100]) for n in range(1, 4)]
    known = observations(LINE, [*records, with_rung(4, 0.8, [0.9, 0.8, 0.1], "stopped")])
    assert known.values[known.levels == END].tolist() == pytest.approx([0.41, 0.42, 0.43])
    assert known.values[known.levels == 1].tolist() == pytest.approx([0.7, 0.7, 0.7, 0.1])


def test_a_diverged_trial_is_told_as_the_worst_end_and_a_failed_one_not_at_all() -> None:
    records = [with_rung(n, n / 10, [0.9, 0.8, 0.7, n / 10]) for n in range(1, 4)]
    records += [with_rung(4, 0.8, [0.2, 0.1, math.nan], "diverged"), with_rung(5, 0.9, [0.2, 0.1, 0.1], "failed")]
    known = observations(LINE, records)
    assert known.points[known.levels == END][:, 0].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.8])
    assert known.values[known.levels == END].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.3])
    assert known.points[known.levels == 1][:, 0].tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_a_noisy_early_epoch_is_no_end_but_a_curve_that_turned_has_its_best_epoch() -> None:
    chance = np.random.default_rng(1)
    sizes = np.linspace(1.0, 0.01, 9)
    noisy = [trial(n, [0.5 + n / 100 + float(s * chance.normal()) for s in sizes]) for n in range(1, 9)]
    found = curve_ends(noisy)
    assert [found[r.trial_id] for r in noisy] == pytest.approx([0.5 + n / 100 for n in range(1, 9)], abs=0.05)
    assert np.mean([abs((r.objective or 0.0) - 0.5) for r in noisy]) > 0.5
    turned = [trial(n, [0.9, 0.7, 0.5, 0.4, 0.45, 0.52, 0.6 + n / 1000]) for n in range(1, 5)]
    assert set(curve_ends(turned).values()) == {0.4}


def test_the_noise_of_an_epoch_is_the_spread_around_the_line_of_its_neighbours() -> None:
    chance = np.random.default_rng(1)
    curves = [[1.0 - 0.05 * e + 0.02 * float(chance.normal()) for e in range(9)] for _ in range(400)]
    noise = epoch_noise(cost_table([trial(n, curve).costs for n, curve in enumerate(curves, 1)]))
    assert sorted(noise) == list(range(1, 10))
    assert list(noise.values()) == pytest.approx([0.02] * 9, rel=0.15)
    assert epoch_noise(cost_table([trial(n, curve).costs for n, curve in enumerate(curves[:2], 1)])) == {}


@pytest.mark.parametrize("name", ["safe_weights", "balance", "with_learning_rate"])
def test_a_config_is_the_same_point_again(name: str) -> None:
    space = load_space(name)
    for units in np.random.default_rng(1).random((20, len(space.searched))):
        values = {p.name: p.at(float(unit)) for p, unit in zip(space.searched, units, strict=True)}
        again = [p.unit(values[p.name]) for p in space.searched]
        assert again == pytest.approx(units.tolist(), abs=2e-3)


def test_a_category_has_a_column_for_each_value_and_whole_numbers_stay_in_their_share() -> None:
    space = space_from_mapping(
        {
            "parameters": {
                "kind": {"values": ["x", "y", "z"], "default": "y"},
                "depth": {"min": 2, "max": 5, "default": 3},
            }
        },
        "here",
    )
    units = np.array([[0.5, 0.125], [0.9, 0.875]])
    points = encoded(space, units)
    assert points.shape == (2, 4)
    assert np.linalg.norm(points[0, :3] - points[1, :3]) == pytest.approx(1.0)
    assert [space.at(point.tolist()).params for point in units_of(space, points)] == [
        {"kind": "y", "depth": 2},
        {"kind": "z", "depth": 5},
    ]
    assert [space.searched[1].unit(value) for value in (2, 5, 6, "x")] == [0.125, 0.875, None, None]


def test_a_thousand_trials_cost_no_more_than_the_model_can_hold() -> None:
    chance = np.random.default_rng(1)
    records = [
        with_rung(n, float(a), [0.9, 0.8, 0.6 + (a - 0.3) ** 2, 0.5 + (a - 0.3) ** 2])
        for n, a in enumerate(chance.random(1000), 1)
    ]
    config = suggest(LINE, NO_LIMITS, records, seed=1, number=1001)
    assert config is not None
    assert abs(float(str(config.params["a"])) - 0.3) < 0.1
    assert config == suggest(LINE, NO_LIMITS, records, seed=1, number=1001)


def test_with_many_slots_the_model_is_fitted_to_the_best_and_the_newest_ends() -> None:
    chance = np.random.default_rng(1)
    curves = [[0.9, 0.8, 0.6 + (a - 0.3) ** 2, 0.5 + (a - 0.3) ** 2] for a in chance.random(264)]
    records = [with_rung(n, 0.5, curve) for n, curve in enumerate(curves[:200], 1)]
    records += [with_rung(n, 0.5, curve[:3], None) for n, curve in enumerate(curves[200:], 201)]
    kept = {record.trial_id for record in informative(records, FullLengthCurves(records))}
    best = sorted(records[:200], key=lambda record: record.objective or 0.0)
    assert {record.trial_id for record in best[:30]} <= kept
    assert {record.trial_id for record in records[170:200]} <= kept
    assert len(kept) <= 5 * FITTED_AT_MOST // 4


def test_after_a_value_that_blew_up_the_good_configs_still_differ() -> None:
    records = [with_rung(n, n / 10, [0.9, 0.8, 0.7, 0.5, 0.4 + n / 100]) for n in range(1, 8)]
    blown_up = with_rung(8, 0.85, [0.9, 1e9, 1e12, 1e90, 1e99])
    known = observations(LINE, [*records, blown_up])
    ends = known.values[known.levels == END]
    assert ends[:7].tolist() == pytest.approx([0.4 + n / 100 for n in range(1, 8)])
    assert ends[7] < 0.6
    assert known.values.max() < 2
    found = suggest(LINE, NO_LIMITS, [*records, blown_up], seed=1, number=9)
    assert found is not None
    assert float(str(found.params["a"])) < 0.3


def test_values_of_any_size_give_a_suggestion() -> None:
    for size in (1e99, 1e154, 1e300):
        records = [with_rung(n, n / 10, [size, size, size / 2, size / 3, size / n]) for n in range(1, 8)]
        records += [with_rung(n + 10, n / 10, [0.9, 0.8, 0.7, 0.5, 0.4 + n / 100]) for n in range(1, 6)]
        known = observations(LINE, records)
        mean, deviation = fit(known).ends(np.linspace(0, 1, 9)[:, None])
        assert np.isfinite(log_expected_improvement(mean, deviation, float(known.values.min()))).all()


def test_candidates_near_a_good_point_move_along_some_of_many_coordinates_and_along_all_of_three() -> None:
    for dimensions in (3, 7):
        points = np.full((4000, dimensions), 0.5)
        moves = _moved(points, 0.1, np.random.default_rng(1)) != points
        assert moves.any(axis=1).all()
        assert moves.sum(axis=1).mean() == pytest.approx(3, abs=0.1)
