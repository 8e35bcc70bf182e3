"""Learnable speech with its true alignment, prepared once a session, and a model small enough to train in seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.xtts.learnable_speech import Utterance, utterances, write_folder
from xtts.alignment.aligned import AlignedDataset
from xtts.alignment.durations import DurationPredictor
from xtts.alignment.training import Aligned, patches_of
from xtts.data.build_dataset import no_progress
from xtts.data.dataset import Dataset
from xtts.data.features.cache import Progress
from xtts.model.model_config import PRESETS, ModelConfig
from xtts.prepare.prepare_data import PreparedData, prepare_data
from xtts.trainer import XttsTrainer
from xtts.training.training import Training

MINI = ModelConfig(width=32, layers=1, heads=2, text_layers=1, latent=8, codec_width=64, voice_latents=2)


@dataclass(frozen=True)
class Learnable:
    """A prepared folder of learnable speech."""

    folder: Path
    prepared: PreparedData
    truth: Mapping[str, Utterance]
    defaults: Mapping[str, object] = field(default_factory=lambda: {"model": "mini", "batch_frames": 500})

    @property
    def aligned(self) -> AlignedDataset:
        return self.prepared.aligned

    def training(self, seed: int = 1, **params: object) -> Training:
        """The training loop of a trial of the smallest model on this speech."""
        return Training({**self.defaults, **params}, self.prepared.data, seed)

    def trainer(self, seed: int = 1, **params: object) -> XttsTrainer:
        """The same as a sweep drives it."""
        return XttsTrainer({**self.defaults, **params}, self.prepared.data, seed)


def true_alignment(speech: Dataset, truth: Mapping[str, Utterance]) -> Aligned:
    """What a perfect aligner would find; the durations have learned nothing."""
    steps = [2 * patches_of(int(frames)) for frames in speech.frames]
    paths = tuple(
        truth[Path(audio).stem].token_at_steps(count).astype(np.int32)
        for audio, count in zip(speech.audio, steps, strict=True)
    )
    return _perfect(speech, paths)


def _perfect(speech: Dataset, paths: tuple[NDArray[np.int32], ...]) -> Aligned:
    torch.manual_seed(0)
    one = np.ones(len(speech), np.float32)
    return Aligned(paths, one, one, DurationPredictor(len(speech.vocabulary), len(speech.speakers)).eval())


def evenly_aligned(speech: Dataset) -> Aligned:
    """Every text spread evenly over its clip, whatever is heard."""
    steps = [2 * patches_of(int(frames)) for frames in speech.frames]
    paths = tuple(
        (np.arange(count) * int(tokens) // count).astype(np.int32)
        for count, tokens in zip(steps, speech.token_count, strict=True)
    )
    return _perfect(speech, paths)


def prepare_learnable(folder: Path, count: int, seed: int = 0, wrong_texts: bool = False) -> Learnable:
    """Write and prepare `count` clips; the aligner's training is replaced by the truth, its files are real.

    `wrong_texts` gives every clip another one's text, spread evenly.
    """
    spoken = utterances(count, seed)
    truth = {clip.name: clip for clip in spoken}
    texts = [clip.text for clip in spoken]
    write_folder(folder, spoken, texts[count // 2 :] + texts[: count // 2] if wrong_texts else texts)

    def align(speech: Dataset, progress: Progress) -> Aligned:
        return evenly_aligned(speech) if wrong_texts else true_alignment(speech, truth)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xtts.alignment.aligned.train_aligner", align)
        prepared = prepare_data(str(folder), progress=no_progress)
    return Learnable(folder, prepared, truth)


@pytest.fixture(scope="session")
def mini_preset() -> Iterator[None]:
    """The name `mini` for a model of a few thousand parameters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "mini", MINI)
        yield


@pytest.fixture(scope="session")
def learnable(mini_preset: None, tmp_path_factory: pytest.TempPathFactory) -> Learnable:
    """24 clips of two voices, 20 of them for training."""
    return prepare_learnable(tmp_path_factory.mktemp("learnable") / "speech", 24)


@pytest.fixture(scope="session")
def talker(mini_preset: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Learnable, XttsTrainer]:
    """100 clips, and a model that has learned to say such texts."""
    speech = prepare_learnable(tmp_path_factory.mktemp("talker") / "speech", 100)
    trainer = speech.trainer(learning_rate=1e-2, gradient_clip_norm=None, warmup_updates=10)
    for _ in range(12):
        trainer.train_epoch()
    return speech, trainer
