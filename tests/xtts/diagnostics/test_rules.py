"""Each rule speaks on a curve that shows what it is about, and is silent on one that does not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.xtts.diagnostics.curves import HEALTHY, PARAMS, codes, curve, params
from xtts.diagnostics import curve_rules as findings
from xtts.diagnostics import setting_rules as settings
from xtts.diagnostics.curve_rules import counted, summary, trial_findings
from xtts.diagnostics.finding import SEVERITIES, Epoch, Finding


def test_a_healthy_trial_has_no_findings() -> None:
    assert trial_findings(curve(), PARAMS) == ()


@pytest.mark.parametrize("epochs", [[], [{}], [{"epoch": 1, "objective": 0.6}]])
def test_missing_metrics_are_no_finding(epochs: list[Epoch]) -> None:
    assert trial_findings(epochs, {}) == ()


def log(code: str, epochs: Sequence[Epoch], given: dict[str, object] | None = None) -> Finding:
    """The one finding with this code; fails where there is none."""
    return next(finding for finding in trial_findings(epochs, given or PARAMS) if finding.code == code)


def test_a_three_digit_loss_is_explained_as_weight_times_raw_mel() -> None:
    old = params(mel_loss_weight=45.0, mel_normalisation="none", gradient_clip_norm=None)
    found = log("three_digits_raw_mel", curve(loss_first=239.0), old)
    assert "239" in found.text
    assert "mel weight 45" in found.text
    assert "5.3" in found.text


def test_a_three_digit_loss_on_standardised_mel_is_explained_by_its_weight() -> None:
    found = log("three_digits_weight", curve(loss_first=120.0), params(mel_loss_weight=150.0))
    assert "150 times an error of 0.80" in found.text


def test_a_two_digit_loss_needs_no_explanation() -> None:
    assert settings.three_digit_loss(curve(loss_first=99.0), params(mel_loss_weight=35.0)) is None


def test_a_step_far_above_its_epochs_mean_is_a_spike() -> None:
    spiky = curve(loss_max=[8.0, 5.0, 4.0, 40.0, 3.0, 3.0, 12.0])
    found = log("loss_spikes", spiky)
    assert found.numbers["epoch"] == 4
    assert found.numbers["count"] == 2
    assert findings.loss_spikes(curve()) is None


def test_the_fall_within_the_first_epoch_is_no_spike_but_a_jump_above_its_start_is() -> None:
    assert findings.loss_spikes(curve(loss=1.0, loss_first=10.0, loss_max=[10.0, *[1.2] * 6])) is None
    assert findings.loss_spikes(curve(loss=1.0, loss_first=10.0, loss_max=[16.0, *[1.2] * 6])) is not None


def test_a_plateau_at_the_mean_frame_is_named_and_real_learning_is_not() -> None:
    found = log("plateau_at_mean_frame", curve((0.80, 0.79, 0.785, 0.79)))
    assert "0.785" in found.text
    assert "0.800" in found.text
    assert findings.plateau_at_mean_frame(curve((0.80, 0.75))) is None
    assert findings.plateau_at_mean_frame(curve((0.80,))) is None


def test_a_low_printed_loss_without_learning_is_named_and_one_with_learning_is_not() -> None:
    light = params(mel_loss_weight=1.0)
    found = log("low_loss_not_learning", curve((0.79, 0.77, 0.75), loss=1.1), light)
    assert "not because speech was learned" in found.text
    assert findings.low_loss_not_learning(curve(loss=1.1), light) is None
    assert findings.low_loss_not_learning(curve((0.79, 0.77, 0.75), loss=12.0), light) is None


def test_divergence_is_told_with_epoch_step_and_term() -> None:
    broken = [
        *curve(HEALTHY[:2]),
        {"epoch": 3, "objective": math.nan, "diverged": {"step": 131, "term": "kl", "value": "inf"}},
    ]
    found = log("diverged", broken)
    assert found.text == "Training diverged in epoch 3: kl became inf at step 131."
    assert findings.diverged(curve()) is None
    assert findings.diverged([{"epoch": 1, "objective": None}]) is not None


def test_a_gradient_clip_that_never_or_always_acts_is_a_dead_hyperparameter() -> None:
    never = log("clip_never", curve(train__clip_fraction=0.0, train__grad_norm_p50=0.1, train__grad_norm_p95=0.2))
    assert "on no logged step" in never.text
    always = log("clip_always", curve(train__clip_fraction=1.0, train__grad_norm_p50=9.0, train__grad_norm_p95=30.0))
    assert "on every step" in always.text
    far = curve(train__clip_fraction=1.0, train__grad_norm_p50=0.7, train__grad_norm_p95=1.1)
    assert log("clip_far_below", far, params(gradient_clip_norm=1e-3)).severity == "warning"
    assert "clip_far_below" not in codes(trial_findings(far, params(gradient_clip_norm=0.5)))
    assert settings.gradient_clip(curve(train__clip_fraction=0.05), PARAMS) is None
    assert settings.gradient_clip(curve(train__clip_fraction=0.0), params(gradient_clip_norm=None)) is None


@pytest.mark.parametrize(
    ("code", "wrong", "right"),
    [
        ("mel_weight_too_large", {"mel_loss_weight": 35.0}, {"mel_loss_weight": 5.0}),
        ("mel_weight_too_large", {"mel_loss_weight": 35.0}, {"mel_loss_weight": 35.0, "weighting": "sigma_vae"}),
        ("unnormalised_mel", {"mel_normalisation": "none"}, {"mel_normalisation": "standard"}),
        ("rate_far_above", {"learning_rate": 1e-2}, {"learning_rate": 3e-3}),
        ("texts_do_not_fit", {settings.ALIGNMENT_CONFIDENCE: 0.25}, {settings.ALIGNMENT_CONFIDENCE: 0.7}),
        ("letters_in_no_order", {settings.LETTER_ORDER: 1.0}, {settings.LETTER_ORDER: 0.87}),
        ("letters_in_no_order", {settings.LETTER_ORDER: 1.0}, {settings.LETTER_ORDER: None}),
    ],
)
def test_a_setting_or_text_that_is_off_is_named(code: str, wrong: dict[str, object], right: dict[str, object]) -> None:
    epochs = curve(train__mel=0.3)
    found = log(code, epochs, params(**wrong))
    assert found.severity != "note"
    assert found.sentence("fa")
    assert code not in codes(trial_findings(epochs, params(**right)))


def test_in_early_updates_healthy_runs_are_not_called_broken() -> None:
    """As of a real voice with 60 seconds of speech: nothing beyond the mean frame, but the next patch is learned."""
    low = {"loss": 1.0, "loss_first": 1.1, "loss_max": 1.2}
    early = curve((0.82, 0.81, 0.80), updates=[18, 36, 54], val__mel=[0.5, 0.4, 0.35], text_use_low=-0.01, **low)
    found = trial_findings(early, PARAMS)
    assert codes(found) == {"text_not_used_yet"}
    assert found[0].severity == "note"
    slow = curve((0.95, 0.9, 0.85), updates=[18, 36, 54], val__mel=[0.9, 0.85, 0.8], **low)
    assert "plateau_at_mean_frame" in codes(trial_findings(slow, PARAMS)), "not even the next patch"
    late = curve((0.82, 0.81, 0.80), updates=[200, 400, 600], val__mel=[0.5, 0.4, 0.35], text_use_low=-0.01, **low)
    assert codes(trial_findings(late, PARAMS)) == {"text_ignored", "plateau_at_mean_frame", "low_loss_not_learning"}


def test_a_loss_clip_is_named_where_it_zeroes_gradients_and_where_it_is_never_reached() -> None:
    clipped = params(loss_value_clip=10.0)
    saturated = log("loss_clip_saturated", curve(train__loss_clip_fraction=0.93), clipped)
    assert "93%" in saturated.text
    assert saturated.severity == "problem"
    never = log("loss_clip_never", curve(), clipped)
    assert "never reached" in never.text
    assert settings.loss_clip(curve(), PARAMS) is None
    assert settings.loss_clip(curve(train__loss_clip_fraction=0.005), clipped) is None


def test_collapsed_latents_are_named_and_working_ones_are_not() -> None:
    found = log("kl_collapsed", curve(val__kl=0.0005))
    assert "0.16 nats a patch" in found.text
    assert findings.kl_collapsed(curve(val__kl=0.02), PARAMS) is None


def test_a_prior_that_does_not_follow_is_named_and_a_kl_that_rises_with_learning_is_not() -> None:
    rising, falling = [0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.11], [0.3, 0.28, 0.26, 0.24, 0.22, 0.2, 0.18]
    stuck = curve((0.62, 0.62, 0.62, 0.62, 0.62, 0.62, 0.62), val__kl=rising, val__mel=falling)
    found = log("prior_lags", stuck)
    assert "from 0.050 to 0.110" in found.text
    assert findings.prior_lags(curve(val__kl=rising, val__mel=falling), PARAMS) is None
    steady = curve((0.62,) * 7, val__kl=0.08, val__mel=falling)
    assert findings.prior_lags(steady, PARAMS) is None


def test_text_is_ignored_where_the_interval_of_its_use_is_not_clear_of_0() -> None:
    found = log("text_ignored", curve(text_use=0.004, text_use_low=-0.002, text_use_high=0.010))
    assert "ignores its text" in found.text
    assert findings.text_ignored(curve(text_use=0.02, text_use_low=0.001)) is None
    later = curve(text_use_low=[-0.01, -0.01, -0.01, 0.02, 0.03, 0.04, 0.05])
    assert findings.text_ignored(later) is None


@pytest.mark.parametrize(("epochs", "planned", "severity"), [(3, 9, "warning"), (5, 9, "problem"), (7, 30, "warning")])
def test_text_that_is_not_used_yet_is_a_warning_in_early_epochs(epochs: int, planned: int, severity: str) -> None:
    early = curve((0.62,) * epochs, text_use=0.004, text_use_low=-0.002, text_use_high=0.010)
    found = findings.text_ignored(early, {"planned_epochs": planned})
    assert found is not None
    assert found.severity == severity


def test_worsening_after_the_best_epoch_is_named_and_a_wobble_is_not() -> None:
    found = log("worsened_after_best", curve((0.70, 0.60, 0.55, 0.56, 0.58, 0.60, 0.62)))
    assert found.numbers["epoch"] == 3
    assert found.numbers["worse"] == pytest.approx(0.60 / 0.55 - 1)
    assert findings.worsened_after_best(curve((0.70, 0.60, 0.55, 0.552, 0.551, 0.553))) is None
    assert findings.worsened_after_best(curve((0.70, 0.60, 0.55, 0.58))) is None


def test_a_trial_that_still_improves_at_the_end_is_named_and_a_settled_one_is_not() -> None:
    found = log("still_falling", curve((0.70, 0.66, 0.63, 0.60, 0.57)))
    assert found.numbers["rate"] == pytest.approx(1 - (0.57 / 0.63) ** 0.5)
    assert findings.still_falling(curve()) is None
    cooled = {"cooldown": 0.5, "planned_epochs": 9}
    assert log("falls_with_the_rate", curve((0.70, 0.66, 0.63, 0.60, 0.57)), cooled).numbers["epochs"] == 5
    early = findings.still_falling(curve((0.70, 0.66, 0.63, 0.60)), cooled)
    assert early is not None
    assert early.code == "still_falling", "stopped before the cooldown began"
    assert findings.still_falling(curve((0.7, 0.6, 0.5))) is None


@given(st.lists(st.one_of(st.floats(), st.none(), st.text(max_size=3)), max_size=8), st.floats(), st.floats())
def test_no_curve_however_odd_breaks_a_rule_or_its_sentences(values: list[object], weight: float, clip: float) -> None:
    names = ("objective", "loss", "loss_first", "loss_max", "val/kl", "val/mel", "mean_frame_error", "text_use")
    more = ("text_use_low", "text_use_high", "train/clip_fraction", "train/loss_clip_fraction", "train/grad_norm_p50")
    epochs = [dict.fromkeys((*names, *more, "train/grad_norm_p95"), value) for value in values]
    odd = params(mel_loss_weight=weight, kl_loss_weight=clip, gradient_clip_norm=clip, loss_value_clip=weight)
    for finding in trial_findings(epochs, odd):
        assert finding.sentence("en")
        assert finding.sentence("fa")
        json.dumps(finding.to_json(), allow_nan=False)


def test_the_worst_findings_come_first_and_equal_ones_are_said_once() -> None:
    epochs = curve((0.80, 0.79, 0.79, 0.79), train__clip_fraction=0.0, loss_max=[9, 60, 60, 60], text_use_low=-0.1)
    found = trial_findings(epochs, PARAMS)
    ranks = [SEVERITIES.index(finding.severity) for finding in found]
    assert ranks == sorted(ranks)
    assert ranks[0] == 0
    assert len(summary([*found, *found])) == len(found)


def test_findings_of_many_trials_are_counted_in_both_languages() -> None:
    clip = Finding("clip_never", "note", {})
    by_trial = {"t1": [clip, clip], "t2": [clip], "t3": [Finding("text_ignored", "problem", {})]}
    assert counted(by_trial) == ("gradient clip that never acts: 2 of 3 trials", "text ignored: 1 of 3 trials")
    assert len(counted(by_trial, "fa")) == 2


def test_a_new_rule_is_one_decorated_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "TRIAL_RULES", list(findings.TRIAL_RULES))

    @findings.trial_rule
    def short(epochs: Sequence[Epoch], params: Mapping[str, object]) -> Finding | None:
        return Finding("still_falling", "note", {"rate": 0.5, "epochs": len(epochs)}) if len(epochs) == 1 else None

    assert [one.code for one in trial_findings([{"objective": 1.0}], {})] == ["still_falling"]


def test_memory_that_ran_out_is_named_with_the_batches_that_were_left():
    epochs = curve()
    assert findings.memory_ran_out(epochs) is None
    epochs[1]["out_of_memory"] = {"step": 35, "batch_frames": 2000}
    found = findings.memory_ran_out(epochs)
    assert found is not None
    assert found.severity == "warning"
    assert "at step 35 in epoch 2" in found.text
    assert "batches of 2000 frames" in found.text
    epochs[1]["out_of_memory"] = {"evaluation": True}
    found = findings.memory_ran_out(epochs)
    assert found is not None
    assert (found.code, found.severity) == ("memory_ran_out_in_evaluation", "note")
    assert "evaluation of epoch 2" in found.text
