"""The usual recipe, as Ray's, Optuna's and W&B's documentation shows it: the stock rival of goodput.py.

    python benchmarks/stock_recipe.py TASK.json        # goodput.py writes the task

A function trainable, OptunaSearch and ASHAScheduler, WandbLoggerCallback offline, a checkpoint an epoch, and a
DataLoader in each trial that makes its features with librosa as it goes. The model, its batches and its validation are
those of xtts; texts, splits and alignment come from the prepared speech, and the validation clips are read once a
trial instead of once an epoch, both to this recipe's advantage.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from ray import tune  # noqa: E402
from ray.air.integrations.wandb import WandbLoggerCallback  # noqa: E402
from ray.tune.schedulers import ASHAScheduler  # noqa: E402
from ray.tune.search.optuna import OptunaSearch  # noqa: E402
from torch.utils.data import DataLoader, Dataset, Sampler  # noqa: E402

from benchmarks.stamps import Task  # noqa: E402
from xtts.audio.mel import FLOOR, HOP, MELS, N_FFT, PATCH_FRAMES, SAMPLE_RATE, TOP_HZ  # noqa: E402
from xtts.data.splits import TRAIN, VALIDATION  # noqa: E402
from xtts.evaluation.evaluation import Evaluator  # noqa: E402
from xtts.model.xtts import Batch, Noise  # noqa: E402
from xtts.prepare.batches import Item, SpeechBatches  # noqa: E402
from xtts.prepare.prepare_data import open_data  # noqa: E402
from xtts.training.batch_size import wanted_frames  # noqa: E402
from xtts.training.settings import Settings  # noqa: E402
from xtts.training.training import build_model  # noqa: E402

_PROMPT_PATCHES = 48
_LOADER_WORKERS = 2


class LibrosaBatches(SpeechBatches):
    """The batches of xtts with features made by librosa each time they are asked for."""

    def _features(self, clip: int) -> NDArray[np.float32]:
        import librosa

        samples, _ = librosa.load(self.speech.audio_path(clip), sr=SAMPLE_RATE)
        mel = librosa.feature.melspectrogram(
            y=samples, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, n_mels=MELS, fmin=0.0, fmax=TOP_HZ, power=1.0
        )
        logs = np.log(np.maximum(mel, FLOOR)).T[: int(self.speech.frames[clip])]
        return np.asarray((logs - self.mean) / self.sd, dtype=np.float32)

    def normalised(self, clip: int) -> NDArray[np.float32]:
        """Mel of one clip [frames, mels]."""
        return self._features(clip)

    def reference(self, item: Item) -> NDArray[np.float32]:
        """Whole patches of the voice prompt."""
        if item.reference is None:
            return np.zeros((0, PATCH_FRAMES * MELS), dtype=np.float32)
        frames = self._features(item.reference)[item.reference_start * PATCH_FRAMES :]
        count = min(len(frames) // PATCH_FRAMES, _PROMPT_PATCHES)
        return frames[: count * PATCH_FRAMES].reshape(count, PATCH_FRAMES * MELS)


class SpeechDataset(Dataset[Batch]):
    """Batches by the clips that go together."""

    def __init__(self, batches: LibrosaBatches) -> None:
        self._batches = batches

    def __getitem__(self, items: list[Item]) -> Batch:
        return self._batches.collate(items)


class SpeechSampler(Sampler[list[Item]]):
    """Every training clip once an epoch, in batches of like length."""

    def __init__(self, batches: LibrosaBatches, seed: int, frames: int) -> None:
        self._batches, self._seed, self._frames, self._epoch = batches, seed, frames, 0

    def __iter__(self) -> Iterator[list[Item]]:
        self._epoch += 1
        train = self._batches.speech.indices(TRAIN)
        return iter(self._batches.epoch(train, self._seed, self._epoch, self._frames))


def train_speech(config: dict[str, Any], task: Task) -> None:
    """One trial."""
    trial = tune.get_context().get_trial_id()
    task.stamp("trial", trial)
    settings = Settings.of(config)
    aligned = open_data(task.data)
    batches = LibrosaBatches(aligned, aligned.speech.mel_mean, aligned.speech.mel_sd)
    frames_an_epoch = int(aligned.speech.frames[aligned.speech.indices(TRAIN)].sum())
    frames = settings.batch_frames or wanted_frames(settings.model, frames_an_epoch)
    loader = DataLoader(
        SpeechDataset(batches),
        sampler=SpeechSampler(batches, task.seed, frames),
        batch_size=None,
        num_workers=_LOADER_WORKERS,
        persistent_workers=True,
    )
    evaluator = Evaluator(batches, VALIDATION, 1.0, torch.device("cpu"), torch.float32)
    model = build_model(settings, len(aligned.speech.vocabulary), task.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98))
    for epoch in range(1, task.epochs + 1):
        losses = [train_step(model, optimizer, batch, settings) for batch in loader]
        figures = evaluator.evaluate(model)
        with tempfile.TemporaryDirectory() as folder:
            torch.save(
                {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()},
                Path(folder) / "checkpoint.pt",
            )
            task.stamp("epoch", trial)
            tune.report(
                {"loss": sum(losses) / len(losses), "objective": figures.objective, "text_use": figures.text_use},
                checkpoint=tune.Checkpoint.from_directory(folder),
            )


def train_step(model: Any, optimizer: torch.optim.Optimizer, batch: Batch, settings: Settings) -> float:
    """One step; the loss for the log."""
    size = (batch.mel.shape[0], batch.mel.shape[1] // PATCH_FRAMES)
    kept = torch.rand(size) >= settings.history_dropout
    losses: Mapping[str, torch.Tensor] = model.losses(batch, Noise(torch.randn(*size, model.latent), kept))
    total = settings.mel_loss_weight * losses["mel"] + settings.kl_loss_weight * losses["kl"]
    optimizer.zero_grad()
    total.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip_norm or float("inf"))
    optimizer.step()
    return total.item()


def main() -> None:
    """The sweep."""
    task = Task.read(sys.argv[1])
    os.environ["WANDB_MODE"] = "offline"
    os.environ["WANDB_DIR"] = task.folder
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    space = {
        **task.trials[0],
        "mel_loss_weight": tune.uniform(1.0, 5.0),
        "kl_loss_weight": tune.uniform(0.5, 2.0),
        "gradient_clip_norm": tune.uniform(0.3, 1.0),
    }
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(train_speech, task=task), {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="objective",
            mode="min",
            num_samples=len(task.trials),
            search_alg=OptunaSearch(),
            scheduler=ASHAScheduler(max_t=task.epochs, grace_period=-(-task.epochs // 3), reduction_factor=3),
        ),
        run_config=tune.RunConfig(
            name="stock",
            storage_path=str(Path(task.folder).resolve()),
            callbacks=[WandbLoggerCallback(project="stock")],
            verbose=0,
        ),
    )
    results = tuner.fit()
    if results.num_errors:
        raise SystemExit(f"{results.num_errors} trials failed: {results.errors[0]}")


if __name__ == "__main__":
    import ray

    # As many CPUs as the machine has, and nothing that listens beyond it.
    ray.init(address="local", num_cpus=Task.read(sys.argv[1]).cores, include_dashboard=False)
    main()
