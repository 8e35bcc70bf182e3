"""The shipped model learns: a few clips by heart, and to say what it is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.xtts.conftest import Learnable
from tests.xtts.learnable_speech import utterances, write_folder
from xtts.data.build_dataset import no_progress
from xtts.data.splits import TRAIN
from xtts.evaluation.evaluation import Evaluator
from xtts.prepare.batches import SpeechBatches
from xtts.prepare.prepare_data import prepare_data
from xtts.trainer import XttsTrainer


@pytest.mark.slow
def test_twenty_clips_can_be_learned_by_heart(learnable: Learnable):
    """What the trained clips cost the model on its own falls to under a third."""
    speech = learnable.aligned.speech
    assert len(speech.indices(TRAIN)) == 20
    batches = SpeechBatches(learnable.aligned, speech.mel_mean, speech.mel_sd)
    evaluator = Evaluator(batches, TRAIN, 1.0, torch.device("cpu"), torch.float32)
    trainer = learnable.training(model="tiny", learning_rate=3e-3, batch_frames=200)
    before = evaluator.evaluate(trainer.model)
    for _ in range(20):
        metrics = trainer.train_epoch()
    after = evaluator.evaluate(trainer.model)
    assert after.objective < before.objective / 3
    assert after.next < before.next / 3
    assert after.free < before.free / 3
    assert metrics["train/mel"] < before.mel / 3


@pytest.mark.slow
def test_with_its_own_aligner_the_smallest_model_speaks_its_text(tmp_path: Path):
    """All parts as shipped, from recordings to speech; only the recordings are made up."""
    spoken = utterances(80, seed=7)
    prepared = prepare_data(str(write_folder(tmp_path / "speech", spoken)), progress=no_progress)
    speech, truth = prepared.aligned.speech, {clip.name: clip for clip in spoken}
    off = [
        prepared.aligned.clip_steps(clip) - truth[speech.audio_path(clip).stem].token_at_steps(2 * -(-frames // 4))
        for clip, frames in enumerate(speech.frames.tolist())
    ]
    assert (np.abs(np.concatenate(off)) <= 1).mean() > 0.95
    assert not len(prepared.aligned.misaligned())
    trainer = XttsTrainer({}, prepared.data, 1)
    for _ in range(7):
        metrics = trainer.train_epoch()
    assert metrics["text_use_low"] > 0.08
    assert metrics["skill"] > 0.3
    for clip in speech.indices(TRAIN)[:5]:
        said = trainer.speaker().mel(speech.texts[clip], speech.speakers[speech.speaker_index[clip]])
        assert len(said) == pytest.approx(int(speech.frames[clip]), rel=0.35)
