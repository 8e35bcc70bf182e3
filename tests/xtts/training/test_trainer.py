"""A trial follows from its seed, its parameters and its data alone."""

from __future__ import annotations

import hashlib
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.xtts.conftest import MINI, Learnable, true_alignment
from tests.xtts.trials import Watched, comparable, parameters, watch
from xtts.data.build_dataset import no_progress
from xtts.data.splits import TRAIN, VALIDATION
from xtts.errors import SpeechError
from xtts.evaluation.evaluation import Evaluator
from xtts.prepare.batches import SpeechBatches
from xtts.prepare.prepare_data import prepare_data
from xtts.trainer import XttsTrainer
from xtts.training.settings import Settings

OTHERS = {
    "mel_loss_weight": 35.0,
    "kl_loss_weight": 0.5,
    "gradient_clip_norm": None,
    "learning_rate": 1e-2,
    "loss_value_clip": 0.1,
    "warmup_updates": 5,
    "weight_decay": 0.0,
    "adam_epsilon": 1e-6,
    "weighting": "sigma_vae",
    "evaluate_on": "test",
}


def test_a_trainer_may_be_derived_from_the_one_that_a_sweep_drives(learnable):
    class Derived(XttsTrainer):
        def train_epoch(self):
            return {**super().train_epoch(), "mine": 1}

    derived = Derived(learnable.defaults, learnable.prepared.data, 1)
    metrics = derived.train_epoch()
    assert metrics.pop("mine") == 1
    assert comparable(metrics) == comparable(learnable.training().train_epoch())


def test_equal_trials_are_equal(learnable):
    one, other = learnable.training(), learnable.training()
    for _ in range(2):
        assert comparable(one.train_epoch()) == comparable(other.train_epoch())
    assert torch.equal(parameters(one), parameters(other))


def test_a_loop_of_ones_own_over_the_public_steps_trains_the_same_weights(learnable):
    whole, own, losses = learnable.training(), learnable.training(), []
    own.on_train_batch_end = lambda row: losses.append(row[0].item())
    metrics = whole.train_epoch()
    noise = own.noise_generator(1)
    for batch in own.train_batches(1):
        own.training_step(batch, noise)
    assert own.global_step == len(losses) == metrics["updates"]
    assert torch.equal(parameters(own), parameters(whole))
    assert sum(losses) / len(losses) == pytest.approx(metrics["loss"])
    assert own.evaluator.evaluate(own.averaged_model()).objective == pytest.approx(metrics["objective"])


def test_random_numbers_of_others_change_nothing(learnable):
    one, other = learnable.training(), learnable.training()
    one.train_epoch()
    torch.manual_seed(99)
    torch.rand(7)
    other.train_epoch()
    assert torch.equal(parameters(one), parameters(other))


def watched_epoch(trainer: XttsTrainer) -> tuple[torch.Tensor, Watched]:
    """The initial weights, and what the steps of the first epoch were given."""
    begun, watched = parameters(trainer), watch(trainer)
    trainer.train_epoch()
    return begun, watched


@pytest.fixture(scope="module")
def plain(learnable) -> tuple[torch.Tensor, Watched]:
    return watched_epoch(learnable.training())


@pytest.mark.parametrize("name", OTHERS)
def test_trials_of_a_seed_share_weights_batches_and_noise_whatever_their_parameters(learnable, plain, name):
    begun, seen = watched_epoch(learnable.training(**{name: OTHERS[name]}))
    assert torch.equal(begun, plain[0])
    assert len(seen.batches) == len(plain[1].batches) > 2
    for kind in ("batches", "noises"):
        for ones, others in zip(getattr(plain[1], kind), getattr(seen, kind), strict=True):
            for field, value in vars(ones).items():
                assert torch.equal(value, getattr(others, field)), field


def test_normalisation_and_dropout_change_what_they_say_and_no_other_number(learnable):
    speech = learnable.aligned.speech
    trainers = [
        learnable.training(),
        learnable.training(mel_normalisation="none"),
        learnable.training(history_dropout=0.9),
    ]
    assert all(torch.equal(parameters(one), parameters(trainers[0])) for one in trainers)
    seen = [watch(trainer) for trainer in trainers]
    for trainer in trainers:
        trainer.train_epoch()
    for plain, raw, dropped in zip(*(one.batches for one in seen), strict=True):
        assert torch.equal(plain.mel, dropped.mel)
        real = plain.mel != 0
        torch.testing.assert_close(
            raw.mel[real], (plain.mel * speech.mel_sd + speech.mel_mean)[real], atol=1e-4, rtol=0
        )
        assert torch.equal(plain.reference_count, raw.reference_count)
        assert torch.equal(plain.step_token, raw.step_token)
    for plain, raw, dropped in zip(*(one.noises for one in seen), strict=True):
        assert torch.equal(plain.posterior, raw.posterior)
        assert torch.equal(plain.posterior, dropped.posterior)
        assert torch.equal(plain.history_kept, raw.history_kept)
        # What more dropout keeps, less dropout keeps too.
        assert not (dropped.history_kept & ~plain.history_kept).any()
    kept = [torch.cat([one.history_kept.flatten() for one in watched.noises]).float().mean() for watched in seen]
    assert kept[0] == pytest.approx(0.7, abs=0.07)
    assert kept[2] == pytest.approx(0.1, abs=0.05)


def test_seeds_differ_in_weights_order_and_noise(learnable):
    one, other = learnable.training(1), learnable.training(2)
    assert not torch.equal(parameters(one), parameters(other))
    seen = [watch(one), watch(other)]
    one.train_epoch()
    other.train_epoch()
    assert [batch.frame_count.tolist() for batch in seen[0].batches] != [
        batch.frame_count.tolist() for batch in seen[1].batches
    ]
    assert not torch.equal(seen[0].noises[0].posterior[0, :5], seen[1].noises[0].posterior[0, :5])


def test_noise_is_fresh_in_every_step_and_epoch(learnable):
    trainer = learnable.training()
    watched = watch(trainer)
    trainer.train_epoch()
    trainer.train_epoch()
    first = [noise.posterior[0, 0].tolist() for noise in watched.noises]
    assert len({tuple(one) for one in first}) == len(first)


def test_no_training_step_ever_hears_its_own_clip_as_the_prompt(learnable):
    """Not in the items alone but in the numbers that reach the model: no prompt is part of the clip it prompts."""
    trainer = learnable.training()
    watched = watch(trainer)
    for _ in range(3):
        trainer.train_epoch()
    prompted = 0
    for batch in watched.batches:
        patches = batch.mel.unflatten(1, (-1, 4)).flatten(2)
        for row, count in enumerate(batch.reference_count.tolist()):
            whole = patches[row, : int(batch.frame_count[row]) // 4]
            distance = torch.cdist(batch.reference[row, :count], whole)
            assert distance.min() > 1e-3
            prompted += count > 0
    assert prompted == 3 * len(learnable.aligned.speech.indices(TRAIN))


def test_evaluating_more_often_changes_no_training(learnable):
    """Neither further evaluations between epochs nor those within the first one."""
    one, other = learnable.training(), learnable.training()
    speech = other.aligned.speech
    batches = SpeechBatches(other.aligned, speech.mel_mean, speech.mel_sd)
    evaluator = Evaluator(batches, VALIDATION, 1.0, torch.device("cpu"), torch.float32)
    one.train_epoch()
    one.train_epoch()
    other.train_epoch()
    for _ in range(3):
        evaluator.evaluate(other.model)
    other.train_epoch()
    assert torch.equal(parameters(one), parameters(other))


def test_the_evaluations_within_the_first_epoch_change_no_training(learnable, monkeypatch):
    one = learnable.training(batch_frames=150)
    assert len(one.train_epoch()["evaluations"]) == 3
    monkeypatch.setattr("xtts.training.training._FIRST_EPOCH_EVALUATIONS", ())
    other = learnable.training(batch_frames=150)
    assert len(other.train_epoch()["evaluations"]) == 1
    assert torch.equal(parameters(one), parameters(other))


def test_the_order_of_the_rows_in_a_data_folder_does_not_matter(learnable, tmp_path):
    folder = tmp_path / "shuffled"
    shutil.copytree(learnable.folder, folder)
    header, *rows = (folder / "metadata.csv").read_text("utf-8").splitlines()
    (folder / "metadata.csv").write_text("\n".join([header, *rows[::-1]]) + "\n", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "xtts.alignment.aligned.train_aligner", lambda speech, progress: true_alignment(speech, learnable.truth)
        )
        prepared = prepare_data(str(folder), progress=no_progress)
    assert prepared.aligned.speech.fingerprint == learnable.aligned.speech.fingerprint
    one, other = learnable.training(), replace(learnable, prepared=prepared).training()
    assert comparable(one.train_epoch()) == comparable(other.train_epoch())
    assert torch.equal(parameters(one), parameters(other))


def test_a_copy_of_the_prepared_data_elsewhere_is_the_same_data(learnable, tmp_path):
    handle, there = learnable.prepared.data, tmp_path / "node"
    shutil.copytree(XttsTrainer.data_folder(handle), there)
    moved = XttsTrainer.data_in(handle, there)
    assert moved != handle
    assert XttsTrainer.data_folder(moved) == there
    one, other = learnable.trainer(), replace(learnable, prepared=replace(learnable.prepared, data=moved)).trainer()
    assert comparable(one.train_epoch()) == comparable(other.train_epoch())
    assert torch.equal(parameters(one.training), parameters(other.training))
    for name, trainer in (("here", one), ("gone", other)):
        (tmp_path / name).mkdir()
        trainer.export_best(tmp_path / name)
    for path in filter(Path.is_file, (tmp_path / "here").rglob("*")):
        assert path.read_bytes() == (tmp_path / "gone" / path.relative_to(tmp_path / "here")).read_bytes(), path.name


ELSEWHERE = """
import hashlib, sys
from xtts.model.model_config import PRESETS, ModelConfig
from xtts.training.training import Training
PRESETS["mini"] = ModelConfig(**{shape!r})
trainer = Training({params!r}, {data!r}, 1)
objective = trainer.train_epoch()["objective"]
digest = hashlib.sha256(b"".join(one.detach().numpy().tobytes() for one in trainer.model.parameters()))
print(objective.hex(), digest.hexdigest())
"""


@pytest.mark.slow
def test_another_process_comes_to_the_same_bits(learnable):
    trainer = learnable.training()
    objective = trainer.train_epoch()["objective"]
    digest = hashlib.sha256(b"".join(one.detach().numpy().tobytes() for one in trainer.model.parameters()))
    code = ELSEWHERE.format(shape=vars(MINI), params=dict(learnable.defaults), data=learnable.prepared.data)
    threads = f"import torch; torch.set_num_threads({torch.get_num_threads()})\n"
    done = subprocess.run([sys.executable, "-c", threads + code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [objective.hex(), digest.hexdigest()]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mel_loss_weight", 0.0),
        ("kl_loss_weight", -1.0),
        ("learning_rate", math.nan),
        ("learning_rate", "fast"),
        ("gradient_clip_norm", -0.5),
        ("gradient_clip_norm", math.inf),
        ("loss_value_clip", "ten"),
        ("history_dropout", 1.5),
        ("batch_frames", 2.5),
        ("warmup_updates", True),
        ("mel_normalisation", "zscore"),
        ("model", "huge"),
        ("precision", "bf16"),
    ],
)
def test_an_impossible_parameter_is_refused_by_name_and_value(name, value):
    with pytest.raises(SpeechError) as caught:
        XttsTrainer.check_params({name: value})
    assert name in str(caught.value)
    assert repr(value) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_impossible_parameters_are_named_at_once():
    with pytest.raises(SpeechError, match=r"mel_loss_weight.*kl_loss_weight"):
        XttsTrainer.check_params({"mel_loss_weight": -1, "kl_loss_weight": 0})


def test_an_unknown_parameter_is_refused_with_those_there_are():
    with pytest.raises(SpeechError, match=r"mel_weight.*known.*mel_loss_weight"):
        XttsTrainer.check_params({"mel_weight": 1.0})


def test_the_defaults_are_a_trial(learnable):
    assert Settings.of(XttsTrainer.default_params()) == Settings()


@pytest.mark.parametrize("damage", ["changed", "gone", "nonsense"])
def test_data_that_is_no_more_what_it_was_is_refused(learnable: Learnable, damage):
    folder = learnable.aligned.speech.folder
    handle = {"changed": f"{folder}#0123456789abcdef", "gone": f"{folder}-gone#{folder.name}", "nonsense": "speech"}
    with pytest.raises(SpeechError):
        XttsTrainer({"model": "mini", "batch_frames": 500}, handle[damage], 1)
