"""Each rule over a log finds what it is about, and nothing on a healthy run; what is unknown is called unknown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from messages import LANGUAGES
from tests.xtts.diagnostics.logged_runs import (
    AT,
    EVALUATED,
    RIGHT_TEXTS,
    STEPS,
    changed,
    curve,
    healthy,
    noisy,
    with_curves,
)
from xtts.diagnostics import logged_file_rules, logged_setting_rules, run_rules
from xtts.diagnostics.finding import Finding
from xtts.diagnostics.logged_run import Checkpoint, Crash, LoggedRun
from xtts.diagnostics.run_rules import run_findings, run_state

NAMES = {"grad_norm", "learning_rate", "own_step"}
"""Curves that the rules name"""
QUIET = {"term_shares", "clip_acts", "still_improving", "plateau", "trend_unclear", "best_without_file", "texts_fit"}
"""What a healthy run may have: notes that only state numbers"""


def put(at: int, value: float, count: int = 1):
    def change(values: np.ndarray) -> np.ndarray:
        values[at : at + count] = value
        return values

    return change


UNSEEN = with_curves(healthy(), val_mel=None, val_kl=None)
RAW = healthy(scale=5.26 / 0.8, weights={"mel": 35.0, "kl": 1.0}, clip=None)
RAW = with_curves(RAW, train_loss=curve(AT, 35 * RAW.curves["train/mel"].values), grad_norm=None)
FALLING = healthy().curves["val/mel"].values
RISING = np.where(EVALUATED > 200, FALLING[9] * (1 + (EVALUATED - 200) / 1000), FALLING)
LATE = np.where(AT < 100, 0.0, 0.5)
RATES = 1e-3 * np.maximum(1e-3, 1 - AT / STEPS)
CHECKPOINTS = tuple(Checkpoint(f"checkpoint_{step}.pth", step) for step in range(20, STEPS + 1, 20))

BROKEN: Mapping[str, LoggedRun] = {
    "too_little_logged": LoggedRun({"train/loss": curve(AT[:2], AT[:2] + 1)}),
    "not_finite": changed(healthy(), "train/mel", put(300, np.nan, 100)),
    "not_finite_recovered": changed(healthy(), "train/mel", put(100, np.inf)),
    "loss_rises": changed(UNSEEN, "train/mel", lambda v: np.where(AT > 200, v * (1 + (AT - 200) / 100), v)),
    "not_learning": changed(healthy(), "train/mel", lambda v: noisy(np.full(STEPS, 0.8), 0.02)),
    "no_better_than_mean_frame": replace(healthy(), mel_sd=2.2, mean_frame_error=1.0),
    "no_skill_yet": with_curves(
        replace(healthy(), mel_sd=2.2, mean_frame_error=1.0),
        val_mel=curve(EVALUATED[:9], FALLING[:9]),
    ),
    "skill": replace(healthy(), mel_sd=2.2, mean_frame_error=1.8),
    "overfitting": with_curves(healthy(), val_mel=curve(EVALUATED, RISING)),
    "worse_after_best": with_curves(
        changed(healthy(), "train/mel", lambda v: np.where(AT > 200, v[150], v)),
        val_mel=curve(EVALUATED, RISING),
    ),
    "kl_vanished": changed(healthy(), "val/kl", lambda v: v * np.exp(-EVALUATED / 20)),
    "step_spikes": changed(healthy(), "train/mel", put(200, 3.0)),
    "three_digits_unknown": replace(RAW, weights={}),
    "three_digits_weight": with_curves(
        healthy(weights={"mel": 200.0}), train_loss=curve(AT, 200 * healthy().curves["train/mel"].values)
    ),
    "three_digits_raw_mel": RAW,
    "three_digits_by_design": replace(RAW, raw_mel=True),
    "rising_at_the_end": with_curves(
        UNSEEN, train_mel=curve(AT, noisy(0.5 + 0.3 * np.exp(-AT / 40) + np.maximum(0, AT - 260) / 1500, 0.03))
    ),
    "term_shares": healthy(),
    "term_shares_unweighted": replace(healthy(), weights={}),
    "clip_unknown": replace(healthy(), clip=None),
    "clip_never": replace(healthy(), clip=100.0),
    "clip_always": replace(healthy(), clip=0.01),
    "clip_far_below": replace(healthy(), clip=0.001),
    "rate_far_above": with_curves(healthy(), learning_rate=curve(AT, np.full(STEPS, 1e-2))),
    "rate_above_trainers": with_curves(healthy(usual={"rate": 2e-4}), learning_rate=curve(AT, np.full(STEPS, 2e-3))),
    "rate_below_trainers": with_curves(
        healthy(usual={"rate": 2e-4}), learning_rate=curve(AT, np.full(STEPS, 2e-4 / 30))
    ),
    "mel_weight_far_above": healthy(weights={"mel": 630.0, "kl": 1.0}, usual={"mel": 45.0}),
    "texts_longer_than_clips": with_curves(
        healthy(usual={"duration": 10.0}), train_duration=curve(AT, np.where(AT % 5 == 0, 20.0, 2.0))
    ),
    "raw_mel": with_curves(
        healthy(scale=5.26 / 0.8), train_loss=curve(AT, 2.5 * healthy(scale=5.26 / 0.8).curves["train/mel"].values)
    ),
    "batches_alike": changed(healthy(), "train/mel", lambda v: noisy(0.44 + 0.36 * np.exp(-AT / 120), 0.008)),
    "clip_acts": healthy(),
    "still_improving": with_curves(healthy(), val_mel=curve(EVALUATED, 1.0 - EVALUATED / 1000)),
    "plateau": with_curves(healthy(), val_mel=curve(EVALUATED, noisy(0.4 + 0.5 * np.exp(-EVALUATED / 30), 0.0005))),
    "trend_unclear": with_curves(healthy(), val_mel=curve(EVALUATED, noisy(0.5 - EVALUATED / 8000, 0.04, 5))),
    "validation_noisy": with_curves(healthy(), val_mel=curve(AT[::5], noisy(np.full(80, 0.5), 0.05))),
    "no_validation": with_curves(healthy(), val_mel=None, val_kl=None),
    "judged_by_total": with_curves(healthy(), val_mel=None, val_kl=None, val_loss=healthy().curves["val/mel"]),
    "best_differs": with_curves(
        healthy(checkpoints=(*CHECKPOINTS, Checkpoint("best_model_40.pth", 40, is_best=True))),
        val_mel=curve(EVALUATED, np.abs(EVALUATED - 300) / 1000 + 0.4),
    ),
    "best_checkpoint": healthy(checkpoints=CHECKPOINTS),
    "best_without_file": healthy(),
    "schedule_ended": with_curves(healthy(), learning_rate=curve(AT, RATES)),
    "term_starts_late": with_curves(healthy(), train_stop=curve(AT, LATE)),
    "resumed": with_curves(healthy(), train_kl=curve(np.r_[AT[:300], AT[250:]], np.full(450, 0.5))),
    "restarted": with_curves(UNSEEN, train_mel=curve(np.r_[AT, AT[:50]], np.full(450, 0.5)), train_kl=None),
    "log_cut_off": replace(healthy(), truncated=True),
    "crashed": replace(healthy(), crash=Crash("ValueError: too short", "error", "run.log")),
    "crashed_memory": replace(healthy(), crash=Crash("torch.OutOfMemoryError: CUDA", "memory", "run.log")),
    "crashed_killed": replace(healthy(), crash=Crash("Killed", "killed", "run.log")),
    "interrupted": replace(healthy(), crash=Crash("KeyboardInterrupt", "interrupted", "run.log")),
    "continued_in_folders": replace(healthy(), folders=("version_0", "version_1")),
    "best_kept_by_sweep": replace(healthy(), is_of_sweep=True),
    "setting_without_effect": healthy(unread={"grad_clip": 0.5}),
    "letters_in_no_order": healthy(texts=replace(RIGHT_TEXTS, letter_order=0.99)),
    "lengths_do_not_fit": healthy(texts=replace(RIGHT_TEXTS, length_agreement=-0.1)),
    "texts_do_not_fit": healthy(texts=replace(RIGHT_TEXTS, confidence=0.1)),
    "recordings_repeated": healthy(texts=replace(RIGHT_TEXTS, length_agreement=None, repeated=1.0)),
    "texts_fit": healthy(),
    "texts_unknown": healthy(texts=None),
}


def codes(run: LoggedRun) -> set[str]:
    return {finding.code for finding in run_findings(run)}


@pytest.mark.parametrize("code", BROKEN)
def test_a_rule_finds_what_it_is_about(code: str) -> None:
    assert code in codes(BROKEN[code])


@pytest.mark.parametrize("code", sorted(BROKEN.keys() - QUIET))
def test_a_rule_finds_nothing_on_a_healthy_run(code: str) -> None:
    assert code not in codes(healthy())


@pytest.mark.parametrize(
    ("code", "run"),
    [
        ("term_shares", with_curves(healthy(), train_mel=None)),
        ("clip_acts", replace(healthy(), clip=None)),
        ("still_improving", BROKEN["plateau"]),
        ("plateau", BROKEN["still_improving"]),
        ("trend_unclear", BROKEN["still_improving"]),
        ("best_without_file", BROKEN["best_checkpoint"]),
        ("texts_fit", BROKEN["letters_in_no_order"]),
        ("texts_fit", BROKEN["texts_unknown"]),
    ],
)
def test_a_note_that_states_numbers_is_left_out_where_they_are_not_there(code: str, run: LoggedRun) -> None:
    assert code not in codes(run)


def test_every_code_of_the_rules_has_a_run_that_triggers_it() -> None:
    files = [Path(module.__file__) for module in (run_rules, logged_setting_rules, logged_file_rules)]
    source = (
        "".join(file.read_text(encoding="utf-8") for file in files) + '"three_digits_raw_mel" "three_digits_weight" '
    )
    source += '"three_digits_by_design" "clip_never" "clip_always" "clip_far_below"'  # from rules that trials share
    assert set(
        re.findall(r'"([a-z]+_[a-z_]+|skill|overfitting|plateau|resumed|restarted|crashed|interrupted)"', source)
    ) - NAMES == set(BROKEN)


@pytest.mark.parametrize("seed", range(20))
def test_healthy_runs_are_healthy_whatever_their_noise(seed: int) -> None:
    run = healthy(seed=10 * seed)
    assert run_state(run, run_findings(run)) in ("healthy", "watch")
    assert not [one for one in run_findings(run) if one.severity == "problem"]


@pytest.mark.parametrize(
    "code",
    [
        "not_finite",
        "loss_rises",
        "not_learning",
        "no_better_than_mean_frame",
        "overfitting",
        "crashed",
        "crashed_memory",
        "letters_in_no_order",
        "lengths_do_not_fit",
        "texts_do_not_fit",
        "recordings_repeated",
    ],
)
def test_a_broken_run_is_to_be_stopped(code: str) -> None:
    run = BROKEN[code]
    assert run_state(run, run_findings(run)) == "stop"


def test_too_little_is_unknown_and_not_healthy() -> None:
    run = BROKEN["too_little_logged"]
    assert run_state(run, run_findings(run)) == "unknown"
    assert run_state(LoggedRun({}), run_findings(LoggedRun({}))) == "unknown"


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("code", BROKEN)
def test_every_finding_has_its_sentences_in_each_language(code: str, lang: str) -> None:
    for finding in run_findings(BROKEN[code]):
        assert finding.words("title", lang)
        assert "{" not in finding.sentence(lang)


def test_the_story_of_184_is_explained_by_units() -> None:
    (found,) = [one for one in run_findings(RAW) if one.code.startswith("three_digits")]
    assert found.numbers["weight"] == 35
    assert found.numbers["mel"] == pytest.approx(5.26, rel=0.1)
    assert "Units, not bad learning" in found.text
    assert "یکای اندازه‌گیری" in found.words("text", "fa")


@pytest.mark.parametrize(
    ("rate", "code"),
    [
        (6e-3, "rate_far_above"),
        (2e-3, "rate_above_trainers"),
        (4e-4, None),
        (2e-4, None),
        (2e-5, None),
        (2e-4 / 30, "rate_below_trainers"),
        (1.0, None),
    ],
)
def test_a_learning_rate_is_compared_with_the_one_of_its_trainer(rate: float, code: str | None) -> None:
    run = with_curves(healthy(usual={"rate": 2e-4}), learning_rate=curve(AT, np.full(STEPS, rate)))
    assert {one for one in codes(run) if one.startswith("rate_")} == ({code} if code else set())
    of_unknown = {one for one in codes(replace(run, usual={})) if one.startswith("rate_")}
    assert of_unknown == ({"rate_far_above"} if code == "rate_far_above" else set())
    in_config = with_curves(replace(run, rate=rate), learning_rate=None)
    assert {one for one in codes(in_config) if one.startswith("rate_")} == ({code} if code else set())


def test_a_logged_learning_rate_comes_before_the_one_of_the_config() -> None:
    assert not {"rate_far_above", "rate_above_trainers"} & codes(healthy(usual={"rate": 1e-3}, rate=1.0))


@pytest.mark.parametrize(
    ("duration", "usual", "found"),
    [
        ([21.0, 2.5, 1.6, 2.4, 3.0] * 3, 10.0, True),  # Coqui VITS, 15 steps with permuted transcripts
        ([18.6, 25.2, 22.1, 2.1, 30.8] * 3, 10.0, True),  # one recording for all texts
        ([3.1, 2.9, 2.1, 2.1, 1.9] * 3, 10.0, False),  # the same voice as it is
        ([21.0, *[2.0] * 99], 10.0, False),
        ([21.0] * 15, None, False),
    ],
)
def test_duration_losses_show_texts_that_are_too_long(duration: list[float], usual: float | None, found: bool) -> None:
    run = healthy(usual={} if usual is None else {"duration": usual})
    run = with_curves(run, train_duration=curve(np.arange(float(len(duration))), np.array(duration)))
    assert ("texts_longer_than_clips" in codes(run)) == found


def test_a_run_is_given_a_thousand_updates_to_beat_the_mean_frame() -> None:
    early = BROKEN["no_skill_yet"]
    assert run_state(early, run_findings(early)) == "healthy"
    late = changed_steps(early, 3)
    assert "no_better_than_mean_frame" in codes(late)
    assert run_state(late, run_findings(late)) == "stop"


def changed_steps(run: LoggedRun, times: int) -> LoggedRun:
    return replace(run, curves={name: curve(times * one.steps, one.values) for name, one in run.curves.items()})


@pytest.mark.parametrize(("mel", "kl", "far"), [(45, 1, False), (200, 1, False), (630, 1, True), (630, 14, False)])
def test_a_mel_weight_is_far_off_where_its_ratio_is(mel: float, kl: float, far: bool) -> None:
    found = codes(healthy(weights={"mel": mel, "kl": kl}, usual={"mel": 45.0}))
    assert ("mel_weight_far_above" in found) == far


def test_the_first_steps_of_an_adversarial_training_may_rise() -> None:
    """Epoch means of Coqui's VITS on a few clips, two updates each, from its log; validation was best at the end."""
    steps = np.arange(2.0, 17.0, 2)
    mel = np.array([86.1, 124.0, 92.1, 84.07, 94.06, 99.19, 109.9, 126.8])
    total = np.array([106.2, 142.4, 108.9, 100.4, 112.0, 118.5, 127.8, 144.0])
    kl = np.array([15.23, 14.75, 12.31, 10.99, 10.6, 9.097, 7.946, 7.542])
    curves = {"train/mel": curve(steps, mel), "train/loss": curve(steps, total), "train/kl": curve(steps, kl)}
    run = LoggedRun(curves, {"mel": 45.0, "kl": 1.0}, weighted=True, raw_mel=True)
    found = {one.code: one for one in run_findings(run)}
    assert run_state(run, [*found.values()]) == "unknown", "eight means of two updates say little"
    assert found["rising_at_the_end"].severity == "note"
    assert {"three_digits_by_design", "term_shares", "too_little_logged"} <= found.keys()
    long = with_curves(BROKEN["loss_rises"], val_mel=curve(EVALUATED, 0.8 - EVALUATED / 1000))
    assert "loss_rises" not in codes(long), "validation is at its best"


def test_fifteen_noisy_steps_do_not_show_that_nothing_is_learned() -> None:
    """Mel errors of Coqui VITS on random segments of eight frames; the first happens to be a low one."""
    mel = np.array([2.02, 2.27, 2.49, 1.93, 3.06, 1.97, 2.22, 2.53, 2.25, 2.6, 2.51, 2.26, 2.17, 2.52, 2.58])
    run = LoggedRun({"train/mel": curve(np.arange(15.0), mel)})
    assert "not_learning" not in codes(run)
    long = curve(AT, noisy(np.full(STEPS, 2.3), 0.12))
    assert "not_learning" in codes(LoggedRun({"train/mel": long})), "400 steps do"


def test_a_common_clip_that_acts_on_every_step_of_vits_is_no_slip() -> None:
    norms = curve(AT, noisy(np.full(STEPS, 161.0), 0.1))
    assert "clip_always" in codes(with_curves(healthy(clip=1.0), grad_norm=norms))
    assert "clip_far_below" in codes(with_curves(healthy(clip=1e-3), grad_norm=norms))


def test_a_few_steps_are_unknown_and_not_healthy() -> None:
    """Piper's log of two epochs on a few clips, four updates in all."""
    steps = np.arange(4.0)
    run = LoggedRun(
        {
            "train/mel": curve(steps, np.array([2.11, 2.05, 1.98, 1.93])),
            "val/mel": curve(np.array([1.0, 3.0]), np.array([2.298, 1.777])),
        }
    )
    assert run_state(run, run_findings(run)) == "unknown"
    assert "too_little_logged" in codes(run)
    longer = with_curves(run, val_mel=curve(np.array([1.0, 3.0, 5.0]), np.array([2.298, 1.777, 1.6])))
    assert run_state(longer, run_findings(longer)) == "healthy"


def test_terms_without_a_known_weight_count_where_all_add_up_to_the_total() -> None:
    """Piper's log has raw terms and weights of mel and kl only."""
    terms = {
        "train/mel": 2.185,
        "train/kl": 21.97,
        "train/generator": 5.99,
        "train/feature": 0.86,
        "train/duration": 1.97,
    }
    curves = {name: curve(AT, np.full(STEPS, value)) for name, value in terms.items()}
    weights = {"mel": 45.0, "kl": 1.0}
    whole = LoggedRun({**curves, "train/loss": curve(AT, np.full(STEPS, 129.1))}, weights, weighted=False)
    other = LoggedRun({**curves, "train/loss": curve(AT, np.full(STEPS, 250.0))}, weights, weighted=False)
    (found,) = [one for one in run_findings(whole) if one.code == "term_shares"]
    assert "generator 5%" in str(found.numbers["shares"])
    (found,) = [one for one in run_findings(other) if one.code == "term_shares"]
    assert found.numbers["shares"] == "mel 82%, kl 18%"


def test_a_weighted_term_is_judged_without_its_weight() -> None:
    plain, weighted = healthy(), healthy(weighted=True)
    scaled = {name: found.scaled(2.5) if name.endswith("mel") else found for name, found in weighted.curves.items()}
    weighted = replace(weighted, curves=scaled)
    assert weighted.best is not None
    assert plain.best is not None
    assert weighted.best.value == pytest.approx(plain.best.value)
    unknown = replace(weighted, weighted=None)
    assert unknown.is_weighted, "mel + kl makes the total here, not 2.5 mel + kl"
    assert not replace(plain, weighted=None).is_weighted


def test_weights_files_are_found_where_evaluations_are_logged_by_epoch() -> None:
    """MyXTTS names its files by update, and logs its evaluations by epoch."""
    val = curve(np.arange(4.0), np.array([4.0, 3.0, 2.0, 2.5]))
    files = tuple(Checkpoint(f"checkpoint_{step}_model.weights.h5", step) for step in (100, 200, 300, 400))
    by_epoch = with_curves(healthy(checkpoints=files), val_mel=val)
    assert by_epoch.best is not None
    assert (by_epoch.best.step, by_epoch.best.file) == (2, "checkpoint_300_model.weights.h5")
    far = replace(by_epoch, checkpoints=(Checkpoint("checkpoint_1.h5", 1),))
    assert far.best is not None
    assert far.best.file is None


def test_no_rule_fails_on_curves_that_are_empty_short_or_not_finite() -> None:
    rng = np.random.default_rng(0)
    names = [*healthy().curves, "val/loss", "clip_fraction", "text_use"]
    odd = np.array([np.nan, np.inf, 0.0, -1.0, 1e300])
    for _ in range(300):
        curves = {}
        for name in rng.permutation(names)[: rng.integers(1, 6)]:
            length = int(rng.choice([0, 1, 2, 3, 12, 40]))
            values = np.where(rng.random(length) < rng.choice([0.0, 0.3, 1.0]), rng.choice(odd, length), 1.0)
            curves[str(name)] = curve(np.arange(length) % rng.integers(1, 50), values * rng.choice([1.0, 100.0]))
        run = LoggedRun(curves, {"mel": 35.0, "kl": 1.0} if rng.random() < 0.5 else {}, clip=rng.choice([None, 0.5]))
        assert run_state(run, run_findings(run)) in ("healthy", "watch", "stop", "unknown")


def test_a_new_rule_is_one_decorated_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_rules, "RUN_RULES", list(run_rules.RUN_RULES))

    @run_rules.run_rule
    def always(run: LoggedRun) -> Finding | None:
        return Finding("log_cut_off", "note")

    assert "log_cut_off" in codes(healthy())
