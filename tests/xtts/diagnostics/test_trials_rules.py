"""Each rule over a sweep's trials speaks where it should, and is silent elsewhere."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.xtts.diagnostics.curves import HEALTHY, PARAMS, codes, curve, params
from xtts.diagnostics.trials_rules import (
    TrainedTrial,
    batches_differ,
    best_on_edge,
    default_as_good,
    errors_rank_differently,
    findings_over_trials,
    hyperparameters_act_as_one,
    learning_rate_is_the_limit,
    steps_are_the_limit,
)

BOUNDS = {"mel_loss_weight": (1.0, 5.0), "kl_loss_weight": (0.5, 2.0), "gradient_clip_norm": (0.3, 1.0)}


def trial(
    place: int, objectives: Sequence[float] = HEALTHY, status: str = "finished", **hyperparameters: object
) -> TrainedTrial:
    return TrainedTrial(f"t{place:04d}", "trial", status, params(**hyperparameters), curve(objectives))


def test_a_best_trial_at_the_end_of_its_range_is_named_and_one_inside_is_not() -> None:
    trials = [trial(1), trial(2, [value - 0.05 for value in HEALTHY], mel_loss_weight=4.95)]
    found = best_on_edge(trials, BOUNDS)
    assert [finding.numbers["name"] for finding in found] == ["mel_loss_weight"]
    assert "upper end" in found[0].text
    low = [trial(1, kl_loss_weight=0.51)]
    assert "lower end" in best_on_edge(low, BOUNDS)[0].text
    assert best_on_edge([trial(1)], BOUNDS) == ()
    control = TrainedTrial("t0009", "control", "finished", params(mel_loss_weight=45.0), curve([0.1]))
    assert best_on_edge([*[trial(1)], control], BOUNDS) == ()


def sweep_of(effect: object, seed: int = 1, count: int = 18, noise: float = 0.002) -> list[TrainedTrial]:
    """Trials with random weights whose log objective is shifted by `effect(mel, kl, clip, learning_rate)`."""
    chance = random.Random(seed)
    trials = []
    for place in range(count):
        mel, kl = math.exp(chance.uniform(0, math.log(5))), math.exp(chance.uniform(math.log(0.5), math.log(2)))
        clip, rate = (
            math.exp(chance.uniform(math.log(0.3), 0)),
            math.exp(chance.uniform(math.log(1e-4), math.log(3e-3))),
        )
        shift = math.exp(effect(mel, kl, clip, rate) + chance.gauss(0, noise))  # type: ignore[operator]
        objectives = [value * shift for value in HEALTHY]
        hyperparameters: dict[str, float] = {
            "mel_loss_weight": mel,
            "kl_loss_weight": kl,
            "gradient_clip_norm": clip,
            "learning_rate": rate,
        }
        trials.append(replace(trial(place + 1, objectives), params={**PARAMS, **hyperparameters}))
    return trials


SWEEPS = 40


def found_as_one(effect: object, count: int) -> Counter[str]:
    """What the rule names over many simulated sweeps, and how often."""
    found = [hyperparameters_act_as_one(sweep_of(effect, seed=seed, count=count), BOUNDS) for seed in range(SWEEPS)]
    return Counter(f"{one.numbers['names']} {one.numbers['through']}" for one in found if one is not None)


def test_two_weights_that_act_through_their_ratio_alone_are_found() -> None:
    def ratio(mel: float, kl: float, clip: float, rate: float) -> float:
        return 0.03 * (math.log(mel / kl) - 1) ** 2

    named = found_as_one(ratio, count=16)
    assert named["mel_loss_weight, kl_loss_weight ratio"] >= 0.7 * SWEEPS
    found = hyperparameters_act_as_one(sweep_of(ratio, count=18), BOUNDS)
    assert found is not None
    assert "18 trials" in found.text


def test_three_hyperparameters_that_act_through_their_two_ratios_are_found() -> None:
    named = found_as_one(
        lambda mel, kl, clip, rate: 0.03 * (math.log(mel / kl) - 1) ** 2 + 0.03 * (math.log(clip / mel) + 1) ** 2,
        count=16,
    )
    assert named["mel_loss_weight, kl_loss_weight, gradient_clip_norm ratios"] >= 0.7 * SWEEPS


def test_weights_that_each_act_on_their_own_or_not_at_all_are_not_called_one() -> None:
    own = found_as_one(lambda mel, kl, clip, rate: 0.06 * math.log(mel) + 0.02 * math.log(kl) ** 2, count=16)
    alone = found_as_one(lambda mel, kl, clip, rate: 0.03 * math.log(mel), count=16)
    nothing = found_as_one(lambda mel, kl, clip, rate: 0.0, count=16)
    assert max(own.total(), alone.total(), nothing.total()) <= 0.15 * SWEEPS
    assert (
        hyperparameters_act_as_one(sweep_of(lambda mel, kl, clip, rate: 0.05 * math.log(mel / kl), count=6), BOUNDS)
        is None
    )


def test_a_learning_rate_that_matters_most_is_named_and_weights_that_matter_most_are_not() -> None:
    bounds = {**BOUNDS, "learning_rate": (1e-4, 3e-3)}
    rate_first = sweep_of(lambda mel, kl, clip, rate: 0.05 * (math.log(rate) + 7) ** 2 + 0.01 * math.log(mel))
    found = learning_rate_is_the_limit(rate_first, bounds)
    assert found is not None
    assert "learning rate moves the objective" in found.text
    weights_first = sweep_of(lambda mel, kl, clip, rate: 0.1 * math.log(mel) + 0.003 * math.log(rate))
    assert learning_rate_is_the_limit(weights_first, bounds) is None
    assert learning_rate_is_the_limit(rate_first, BOUNDS) is None


def test_trials_that_all_still_improve_by_more_than_they_differ_are_limited_by_steps() -> None:
    steep = (0.70, 0.66, 0.63, 0.60, 0.57)
    trials = [trial(place, [value * (1 + place / 1000) for value in steep]) for place in range(5)]
    found = steps_are_the_limit(trials)
    assert found is not None
    assert found.numbers["trials"] == 5
    apart = [trial(place, [value * (1 + place / 10) for value in steep]) for place in range(5)]
    assert steps_are_the_limit(apart) is None
    assert steps_are_the_limit([trial(place) for place in range(5)]) is None
    stopped = [trial(place, steep, status="stopped") for place in range(5)]
    assert steps_are_the_limit(stopped) is None


def test_a_default_within_1_per_cent_of_the_best_is_as_good_and_one_beyond_is_not() -> None:
    close = [trial(1), trial(2, [value * 0.995 for value in HEALTHY])]
    found = default_as_good(close, "t0001")
    assert found is not None
    assert "Keep the default" in found.todo
    far = [trial(1), trial(2, [value * 0.95 for value in HEALTHY])]
    assert default_as_good(far, "t0001") is None
    assert default_as_good(close, None) is None


@pytest.mark.parametrize(
    ("verdict", "code"),
    [("no difference", "default_as_good_confirmed"), ("worse", "default_as_good_confirmed"), ("better", None)],
)
def test_confirmation_has_the_last_word_on_the_default(verdict: str, code: str | None) -> None:
    found = default_as_good([trial(1), trial(2, [0.1])], "t0001", verdict)
    assert (found.code if found else None) == code


def test_errors_that_order_the_trials_otherwise_than_the_objective_are_named() -> None:
    def with_next(reverse: bool) -> list[TrainedTrial]:
        trials = []
        for place in range(6):
            level = 0.5 + place / 100
            error = 0.4 - place / 100 if reverse else level - 0.1
            trials.append(
                TrainedTrial(
                    f"t{place}", "trial", "finished", PARAMS, curve((level,) * 3, val__next=error, val__free=level)
                )
            )
        return trials

    found = errors_rank_differently(with_next(reverse=True))
    assert [finding.numbers["metric"] for finding in found] == ["val/next"]
    assert (found[0].numbers["trial_id"], found[0].numbers["rank"]) == ("t5", 6)
    assert errors_rank_differently(with_next(reverse=False)) == ()
    assert errors_rank_differently(with_next(reverse=True)[:4]) == ()


def test_stopped_trials_are_compared_at_an_epoch_that_most_reached() -> None:
    full = sweep_of(lambda mel, kl, clip, rate: 0.03 * (math.log(mel / kl) - 1) ** 2)
    cut = [
        TrainedTrial(one.trial_id, "trial", "stopped", one.params, one.epochs[:3]) if place % 2 else one
        for place, one in enumerate(full)
    ]
    found = hyperparameters_act_as_one(cut, BOUNDS)
    assert found is not None
    assert found.numbers["epoch"] == 3


def test_all_rules_over_trials_run_together_on_few_trials_and_on_diverged_ones() -> None:
    broken = TrainedTrial("t1", "trial", "diverged", PARAMS, [{"epoch": 1, "objective": math.nan}])
    assert findings_over_trials([], default_id="t1", bounds=BOUNDS) == ()
    assert findings_over_trials([broken], default_id="t1", bounds=BOUNDS) == ()
    many = findings_over_trials(
        sweep_of(lambda mel, kl, clip, rate: 0.02 * math.log(mel / kl)), default_id="t0001", bounds=BOUNDS
    )
    assert "knobs_act_as_one" in codes(many)
    for finding in many:
        assert finding.sentence("fa")
        json.dumps(finding.to_json(), allow_nan=False)


def test_trials_with_different_batches_are_named():
    def trained(frames: float) -> TrainedTrial:
        return TrainedTrial("t", "trial", "finished", PARAMS, curve(batch_frames=frames))

    assert batches_differ([trained(4000), trained(4000)]) is None
    found = batches_differ([trained(4000), trained(2000)])
    assert found is not None
    assert "batches of 2000 to 4000 frames" in found.text
