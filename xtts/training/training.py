"""Trains one configuration of the model, epoch by epoch."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xtts.alignment.aligned import AlignedDataset
from xtts.audio.mel import HOP, MELS, PATCH_FRAMES, SAMPLE_RATE
from xtts.data.build_dataset import TEST, TRAIN, VALIDATION
from xtts.errors import SpeechError
from xtts.evaluation.evaluation import Evaluation, Evaluator
from xtts.model.model_config import model_config
from xtts.model.xtts import Batch, Noise, Xtts
from xtts.prepare.batches import Item, SpeechBatches, stream_seed
from xtts.prepare.prepare_data import open_data
from xtts.training.adamw import AdamW
from xtts.training.clock import Clock
from xtts.training.flat_parameters import FlatParameters
from xtts.training.malloc import keep_memory_mapped
from xtts.training.memory import fitting_budget
from xtts.training.settings import Settings
from xtts.training.weighting import weighting_named

_SPLITS = {"validation": VALIDATION, "test": TEST}
_FRAME_BUDGETS = {"tiny": 1000, "small": 4000, "base": 8000, "xtts": 16000}
_FEWEST_FRAMES, _UPDATES_AN_EPOCH = 400, 30
_FIRST_EPOCH_EVALUATIONS = (0.25, 0.5)


@lru_cache(maxsize=1)
def _opened(data: str) -> AlignedDataset:
    """A worker that trains one trial after the other opens the data once."""
    return open_data(data)


@lru_cache(maxsize=2)
def _evaluator(
    data: str, normalisation: str, split: int, device: str, dtype: torch.dtype
) -> tuple[SpeechBatches, Evaluator]:
    aligned = _opened(data)
    standard = normalisation == "standard"
    mean, sd = (aligned.speech.mel_mean, aligned.speech.mel_sd) if standard else (0.0, 1.0)
    batches = SpeechBatches(aligned, mean, sd)
    return batches, Evaluator(batches, split, 1.0 if standard else aligned.speech.mel_sd, torch.device(device), dtype)


class Training:
    """One trial: a model, its optimiser, and where it stands in the data.

    All that is random is drawn from the seed and the epoch, never from the parameters: trials of one seed begin with
    the same weights and see the same batches, voice prompts and noise.
    """

    def __init__(self, params: Mapping[str, object], data: str, seed: int) -> None:
        """`data` is the handle that prepare gave."""
        self.settings = settings = Settings.of(params)
        self.seed = seed
        self._device = _device(settings.device)
        if self._device.type == "cpu":
            keep_memory_mapped()
        self._dtype = torch.float64 if settings.precision == "float64" else torch.float32
        self._batches, self._evaluator = _evaluator(
            data, settings.mel_normalisation, _SPLITS[settings.evaluate_on], str(self._device), self._dtype
        )
        self._train = self._batches.speech.indices(TRAIN)
        self._budget = settings.batch_frames or self._fitting_budget()
        self._halved = False
        self.model = build_model(settings, len(self._batches.speech.vocabulary), seed).to(self._device)
        self.parameters = FlatParameters(self.model)
        self._optimiser = AdamW(
            self.parameters.flat,
            betas=(0.9, 0.98),
            epsilon=settings.adam_epsilon,
            weight_decay=settings.weight_decay,
        )
        self._weighting = weighting_named(
            settings.weighting, settings.mel_loss_weight, settings.kl_loss_weight, self._device, self._dtype
        )
        self._epoch = 0
        self._updates = 0
        self._frames = 0
        self._seconds = 0.0
        self._seconds_data = 0.0
        """Of this epoch: waiting for batches, and below for evaluations; wall time of this process."""
        self._seconds_validation = 0.0

    @property
    def aligned(self) -> AlignedDataset:
        """The data this trial learns from."""
        return self._batches.aligned

    @property
    def batches(self) -> SpeechBatches:
        """The data as padded batches."""
        return self._batches

    def share_gpu(self, share: float) -> None:
        """Keep to this share of the GPU's memory, where other trials use the rest; for a trial that has not begun."""
        if self._device.type == "cuda" and self._epoch == 0 and not self.settings.batch_frames:
            self._budget = self._fitting_budget(share)

    def train_epoch(self) -> Mapping[str, object]:
        """One more epoch over the training split, then all figures of the split it is evaluated on."""
        self._epoch += 1
        batches = self._batches.epoch(self._train, self.seed, self._epoch, self._budget)
        clock = Clock(self._device)
        early = self._early_evaluations(len(batches))
        self._seconds_data = self._seconds_validation = 0.0
        noise = torch.Generator(self._device).manual_seed(stream_seed(self.seed, self._epoch, "noise"))
        frames, waiting = self._frames, []
        record: list[Tensor] = []
        short_of_memory: dict[str, object] | None = None
        pending = deque(batches)
        while pending:
            items = pending.popleft()
            row = self._step_or_halve(items, noise)
            if row is None:
                pending = deque(half for whole in [items, *pending] for half in _halves(whole))
                short_of_memory = {"step": self._updates + 1, "batch_frames": self._budget}
                continue
            record.append(row)
            self._frames += sum(int(self._batches.speech.frames[item.clip]) for item in items)
            if len(record) in early:
                clock.pause()
                begun = time.perf_counter()
                waiting.append((self._updates, self._frames, clock.mark(), self._evaluator.objective(self.model)))
                self._seconds_validation += time.perf_counter() - begun
                clock.resume()
        clock.pause()
        steps = torch.stack(record).double().cpu().numpy()
        marks = clock.seconds()
        before, self._seconds = self._seconds, self._seconds + marks[-1]
        fault = self._first_fault(steps)
        metrics: dict[str, object] = {
            "epoch": self._epoch,
            "updates": self._updates,
            "seconds": self._seconds,
            "seconds_data": self._seconds_data,
            "audio_seconds": _seconds_of(self._frames),
            "batch_frames": self._budget,
            "frames_per_batch": (self._frames - frames) / len(steps),
            "padding_fraction": self._batches.padding(batches),
            **self._training_figures(steps),
        }
        if short_of_memory is not None:
            metrics["out_of_memory"] = short_of_memory
        if fault is not None:
            return metrics | {"objective": math.nan, "diverged": fault}
        begun = time.perf_counter()
        figures = self._evaluator.evaluate(self.model)
        metrics["seconds_validation"] = self._seconds_validation + time.perf_counter() - begun
        if not math.isfinite(figures.objective):
            return metrics | {
                "objective": math.nan,
                "diverged": {"step": self._updates, "term": "objective", "value": str(figures.objective)},
            }
        evaluations = [
            self._evaluation(updates, heard, before + marks[mark], self._evaluator.read(collected).mean().item())
            for updates, heard, mark, collected in waiting
        ]
        evaluations.append(self._evaluation(self._updates, self._frames, self._seconds, figures.objective))
        return metrics | self._validation_figures(figures) | {"evaluations": evaluations}

    def updates_per_second(self, seconds: float) -> float:
        """Train for at least so long on one batch after the other, and say how fast: the model is no trial's then."""
        batches = self._batches.epoch(self._train, self.seed, 1, self._budget)
        noise = torch.Generator(self._device).manual_seed(stream_seed(self.seed, 1, "noise"))
        begun, before = time.perf_counter(), self._updates
        for items in cycle(batches):
            self._step(items, noise)
            if time.perf_counter() - begun >= seconds:
                break
        return (self._updates - before) / (time.perf_counter() - begun)

    def state_dict(self) -> dict[str, object]:
        """All that going on bit for bit needs; what is random follows from seed and epoch."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "weighting": self._weighting.state_dict(),
            "epoch": self._epoch,
            "updates": self._updates,
            "frames": self._frames,
            "seconds": self._seconds,
            "batch_frames": self._budget,
            "halved": self._halved,
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from what state_dict gave."""
        self.model.load_state_dict(state["model"])  # type: ignore[arg-type]
        self._optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]
        self._weighting.load_state_dict(state["weighting"])  # type: ignore[arg-type]
        self._epoch, self._updates = int(state["epoch"]), int(state["updates"])  # type: ignore[call-overload]
        self._frames, self._seconds = int(state["frames"]), float(state["seconds"])  # type: ignore[call-overload,arg-type]
        # Checkpoints of version 0.1.0 do not hold these two.
        self._budget = int(state.get("batch_frames", self._budget))  # type: ignore[call-overload]
        self._halved = bool(state.get("halved", False))

    def _fitting_budget(self, share: float = 1.0) -> int:
        """The frame budget of model and data; on a GPU halved until it fits into the memory that is free now."""
        wanted = _frame_budget(self.settings.model, self._batches, self._train)
        if self._device.type != "cuda":
            return wanted
        free, total = torch.cuda.mem_get_info(self._device)
        return fitting_budget(wanted, self.settings.model, min(free, int(share * total)))

    def _step_or_halve(self, items: list[Item], generator: torch.Generator) -> Tensor | None:
        """One step; None where the GPU's memory did not suffice: no update was made, and the budget is now half."""
        try:
            return self._step(items, generator)
        except torch.OutOfMemoryError as error:
            # The traceback holds what the step had allocated: memory is released after this block.
            reason = str(error).partition(".")[0]
        self.parameters.drop_gradients()
        torch.cuda.empty_cache()
        if self._halved or len(items) == 1:
            raise SpeechError(
                f"out of GPU memory at step {self._updates + 1} with {self._budget} frames a batch ({reason}); choose"
                " --set batch_frames=N, a smaller --model or a larger --gpus-per-trial"
            )
        self._halved = True
        self._budget //= 2
        return None

    def _step(self, items: list[Item], generator: torch.Generator) -> Tensor:
        """One optimiser step; its row of _STEP_COLUMNS, left on the device."""
        settings = self.settings
        begun = time.perf_counter()
        batch = self._batches.collate(items).to(self._device, self._dtype)
        self._seconds_data += time.perf_counter() - begun
        noise = self._noise(batch, generator)
        rate = settings.learning_rate * min(1.0, (self._updates + 1) / max(1, settings.warmup_updates))
        half = self._device.type == "cuda" and settings.precision == "auto"
        with torch.autocast("cuda", torch.bfloat16, enabled=half), self._weighting.watching(self.model):
            losses = self.model.losses(batch, noise)
        mel = losses["mel"].clamp(max=settings.loss_value_clip) if settings.loss_value_clip else losses["mel"]
        weights = self._weighting.weights(losses)
        total = weights.mel * mel + weights.kl * losses["kl"]
        self._weighting.backward(total)
        norm = self.parameters.collect_gradients(settings.gradient_clip_norm)
        self._optimiser.step(rate)
        self._updates += 1
        return torch.stack([total.detach(), losses["mel"].detach(), losses["kl"].detach(), norm]).float()

    def _noise(self, batch: Batch, generator: torch.Generator) -> Noise:
        size = (batch.mel.shape[0], batch.mel.shape[1] // PATCH_FRAMES)
        latent = torch.randn(*size, self.model.latent, generator=generator, device=self._device).to(self._dtype)
        kept = torch.rand(size, generator=generator, device=self._device) >= self.settings.history_dropout
        return Noise(latent, kept)

    def _early_evaluations(self, steps: int) -> set[int]:
        """Steps of the first epoch after which the objective is taken too."""
        if self._epoch > 1:
            return set()
        return {round(share * steps) for share in _FIRST_EPOCH_EVALUATIONS} - {0, steps}

    def _training_figures(self, steps: NDArray[np.float64]) -> dict[str, object]:
        """Figures of the epoch's optimiser steps [steps, columns]."""
        total, mel, kl, norm = steps.T
        clip, value_clip = self.settings.gradient_clip_norm, self.settings.loss_value_clip
        mel_weight, kl_weight = self._weighting.epoch_means()
        with np.errstate(invalid="ignore"):  # a trial that diverged has infinite norms
            median, high = np.quantile(norm, [0.5, 0.95])
        return {
            "loss": float(total.mean()),
            "loss_first": float(total[0]),
            "loss_last": float(total[-1]),
            "loss_max": float(total.max()),
            "train/mel": float(mel.mean()),
            "train/kl": float(kl.mean()),
            "train/mel_weight": mel_weight,
            "train/kl_weight": kl_weight,
            "train/grad_norm_p50": float(median),
            "train/grad_norm_p95": float(high),
            "train/clip_fraction": float((norm > clip).mean()) if clip else 0.0,
            "train/loss_clip_fraction": float((mel > value_clip).mean()) if value_clip else 0.0,
        }

    def _validation_figures(self, figures: Evaluation) -> dict[str, object]:
        bound = math.log(2.0 * figures.mel) + 1.0 + figures.kl
        return {
            "objective": figures.objective,
            "val/next": figures.next,
            "val/free": figures.free,
            "val/nll": bound,
            "val/mel": figures.mel,
            "val/kl": figures.kl,
            "skill": 1.0 - figures.objective / self._evaluator.mean_frame_error,
            "mean_frame_error": self._evaluator.mean_frame_error,
            "text_use": figures.text_use,
            "text_use_low": figures.text_use_low,
            "text_use_high": figures.text_use_high,
        }

    def _evaluation(self, updates: int, frames: int, seconds: float, objective: float) -> dict[str, object]:
        an_epoch = int(self._batches.speech.frames[self._train].sum())
        return {
            "updates": updates,
            "epoch": frames / an_epoch,
            "audio_seconds": _seconds_of(frames),
            "seconds": seconds,
            "objective": objective,
        }

    def _first_fault(self, steps: NDArray[np.float64]) -> dict[str, object] | None:
        """The first step of the epoch with something that is not finite, and what it was."""
        bad = ~np.isfinite(steps)
        if bad.any():
            row = int(np.flatnonzero(bad.any(axis=1))[0])
            term = next(name for name in ("mel", "kl", "loss", "gradient") if bad[row, _STEP_COLUMNS.index(name)])
            value = steps[row, _STEP_COLUMNS.index(term)]
            step = self._updates - len(steps) + row + 1
            return {"step": step, "term": term, "value": "nan" if math.isnan(value) else "inf"}
        if bool(self.parameters.flat.isfinite().all()):
            return None
        for name, parameter in self.model.named_parameters():
            if not bool(parameter.isfinite().all()):
                return {"step": self._updates, "term": f"parameter {name}", "value": "nan or inf"}
        return None


_STEP_COLUMNS = ("loss", "mel", "kl", "gradient")


def build_model(settings: Settings, symbols: int, seed: int) -> Xtts:
    """A model with the seed's initial weights, whatever the parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Xtts(model_config(settings.model), symbols, MELS, PATCH_FRAMES)
    return model.double() if settings.precision == "float64" else model


def _frame_budget(model: str, batches: SpeechBatches, train: NDArray[np.int64]) -> int:
    """Padded frames a batch: the model's own, or fewer where a small data set would give few updates an epoch.

    Steps matter more than weights: small batches learned more from 5 minutes of speech, at a higher cost an epoch.
    """
    frames = int(batches.speech.frames[train].sum())
    return min(_FRAME_BUDGETS[model], max(_FEWEST_FRAMES, frames // _UPDATES_AN_EPOCH))


def _halves(items: list[Item]) -> list[list[Item]]:
    """A batch as two of half its clips; one clip stays one batch."""
    middle = (len(items) + 1) // 2
    return [half for half in (items[:middle], items[middle:]) if half]


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def _seconds_of(frames: int) -> float:
    return frames * HOP / SAMPLE_RATE
