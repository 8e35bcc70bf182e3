"""Trains one configuration of the model, epoch by epoch."""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xtts.alignment.aligned import AlignedDataset
from xtts.audio.mel import HOP, MELS, PATCH_FRAMES, SAMPLE_RATE
from xtts.data.splits import TRAIN
from xtts.model.model_config import model_config
from xtts.model.xtts import Batch, Noise, Xtts
from xtts.prepare.batches import Item, stream_seed
from xtts.training.adamw import AdamW
from xtts.training.averaging import WeightAverage
from xtts.training.batch_size import BatchSize
from xtts.training.clock import Clock
from xtts.training.flat_parameters import FlatParameters
from xtts.training.metrics import first_bad_step, step_metrics, validation_metrics
from xtts.training.placement import Placement
from xtts.training.settings import Settings
from xtts.training.weighting import weighting_named
from xtts.training.worker_cache import batches_and_evaluator

_FIRST_EPOCH_EVALUATIONS = (0.25, 0.5)
_Measured = TypeVar("_Measured")


@dataclass(frozen=True)
class _EarlyEvaluation:
    """An evaluation within the first epoch: its place, and errors that are still on the device."""

    updates: int
    frames: int
    mark: int
    """Index into the clock's marks"""
    errors: Tensor


@dataclass(frozen=True)
class _EpochRun:
    """An epoch's optimiser steps [steps, STEP_COLUMNS], training seconds at each mark, and early evaluations."""

    steps: NDArray[np.float64]
    marks: list[float]
    early: list[_EarlyEvaluation]


class Training:
    """One trial: a model, its optimiser, and its position in the data.

    A script that trains on its own goes through `train_batches`, `training_step` and `global_step`, and may set
    `on_train_batch_end`; `evaluator.evaluate(model)` measures. The names are those of torch and Lightning.

    All that is random is drawn from the seed and the epoch, never from the parameters: trials of one seed begin with
    the same weights and see the same batches, voice prompts and noise.
    """

    def __init__(self, params: Mapping[str, object], data: str, seed: int) -> None:
        """`data` is the handle that prepare returned."""
        self.settings = settings = Settings.of(params)
        self.seed = seed
        placement = Placement.of(settings)
        self.device, self.dtype, self.autocast = placement.device, placement.dtype, placement.autocast
        self.batches, self.evaluator = batches_and_evaluator(data, settings, self.device, self.dtype)
        self._train = self.batches.speech.indices(TRAIN)
        self._frames_an_epoch = int(self.batches.speech.frames[self._train].sum())
        self.batch_size = BatchSize(settings, self._frames_an_epoch, self.device)
        self.model = build_model(settings, len(self.batches.speech.vocabulary), seed).to(self.device)
        self.parameters = FlatParameters(self.model)
        self.optimiser = AdamW(
            self.parameters.flat,
            betas=(0.9, 0.98),
            epsilon=settings.adam_epsilon,
            weight_decay=settings.weight_decay,
        )
        self._average = WeightAverage(self.parameters.flat.detach(), settings.weight_average)
        self._weighting = weighting_named(
            settings.weighting, settings.mel_loss_weight, settings.kl_loss_weight, self.device, self.dtype
        )
        self._epoch = 0
        self._epochs = 0
        """The full length of the trial, which the learning rate's cooldown goes by; 0: not known, no cooldown"""
        self.global_step = 0
        """Optimiser steps since the trial began, as `updates` in its reports"""
        self.on_train_batch_end: Callable[[Tensor], None] | None = None
        """Called after each optimiser step with its row of STEP_COLUMNS, which is on the device"""
        self._frames = 0
        self._seconds = 0.0
        self._seconds_data = 0.0
        """Of this epoch: waiting for batches, and below for evaluations; wall time of this process."""
        self._seconds_validation = 0.0

    @property
    def aligned(self) -> AlignedDataset:
        """The data this trial learns from."""
        return self.batches.aligned

    def averaged_model(self) -> Xtts:
        """A copy of the model with the averaged weights: what the objective is of."""
        if not self._average.averages:
            return self.model
        model = copy.deepcopy(self.model)
        with torch.no_grad():
            for parameter, part in zip(model.parameters(), self.parameters.parts(self._average.vector), strict=True):
                parameter.copy_(part)
        return model

    def plan(self, epochs: int) -> None:
        """Set the full length of the trial, at whose end the learning rate cools down."""
        self._epochs = epochs

    def share_gpu(self, share: float) -> None:
        """Keep to this share of the GPU's memory, where other trials use the rest; for a trial that has not begun."""
        if self._epoch == 0:
            self.batch_size.share_gpu(share)

    def train_batches(self, epoch: int) -> list[list[Item]]:
        """The clips of each batch of an epoch, in their order."""
        return self.batches.epoch(self._train, self.seed, epoch, self.batch_size.frames)

    def noise_generator(self, epoch: int) -> torch.Generator:
        """What draws the noise of an epoch's steps."""
        return torch.Generator(self.device).manual_seed(stream_seed(self.seed, epoch, "noise"))

    def train_epoch(self) -> Mapping[str, object]:
        """Train one more epoch over the training split; all metrics of the evaluated split."""
        self._epoch += 1
        batches = self.train_batches(self._epoch)
        self._seconds_data = self._seconds_validation = 0.0
        self.batch_size.report = {}
        frames, seconds = self._frames, self._seconds
        run = self._train_batches(batches)
        self._seconds = seconds + run.marks[-1]
        metrics: dict[str, object] = {
            "epoch": self._epoch,
            "updates": self.global_step,
            "seconds": self._seconds,
            "seconds_data": self._seconds_data,
            "audio_seconds": _seconds_of(self._frames),
            "batch_frames": self.batch_size.frames,
            "frames_per_batch": (self._frames - frames) / len(run.steps),
            "padding_fraction": self.batches.padding(batches),
            **step_metrics(run.steps, self.settings, *self._weighting.epoch_means()),
        }
        if self.batch_size.report:
            metrics["out_of_memory"] = self.batch_size.report
        fault = first_bad_step(run.steps, self.global_step) or self._bad_parameter()
        if fault is not None:
            return metrics | {"objective": math.nan, "diverged": fault}
        begun = time.perf_counter()
        validation = self._validation()
        objective = float(str(validation["objective"]))
        metrics["seconds_validation"] = self._seconds_validation + time.perf_counter() - begun
        if self.batch_size.report:
            metrics["out_of_memory"] = self.batch_size.report
        if not math.isfinite(objective):
            fault = {"step": self.global_step, "term": "objective", "value": str(objective)}
            return metrics | {"objective": math.nan, "diverged": fault}
        evaluations = [
            self._evaluation(
                one.updates, one.frames, seconds + run.marks[one.mark], self.evaluator.read(one.errors).mean().item()
            )
            for one in run.early
        ]
        evaluations.append(self._evaluation(self.global_step, self._frames, self._seconds, objective))
        return metrics | validation | {"evaluations": evaluations}

    def _validation(self) -> dict[str, object]:
        """Metrics of the evaluated split, of the averaged weights.

        The raw weights are evaluated at the end of the planned length alone, and so is all but the objective on the
        test split: half of the cost, for metrics that are read at the end alone.
        """
        ends = self._epoch >= self._epochs
        with self._average.in_place():
            if self.settings.evaluate_on == "validation" or ends:
                metrics = validation_metrics(self._measured(self.evaluator.evaluate), self.evaluator.mean_frame_error)
            else:
                objective, error = self._objective(), self.evaluator.mean_frame_error
                metrics = {"objective": objective, "skill": 1.0 - objective / error, "mean_frame_error": error}
        if ends:
            metrics["objective_raw"] = self._objective() if self._average.averages else metrics["objective"]
        return metrics

    def _objective(self) -> float:
        errors = self._measured(self.evaluator.objective)
        return float(self.evaluator.read(errors).mean().item())

    def _train_batches(self, batches: Sequence[list[Item]]) -> _EpochRun:
        """One update a batch, with the first epoch's early evaluations between them."""
        clock = Clock(self.device)
        noise = self.noise_generator(self._epoch)
        evaluate_after, early = self._early_evaluations(len(batches)), []
        rows: list[Tensor] = []
        pending = deque(batches)
        while pending:
            items = pending.popleft()
            step = partial(self.training_step, items, noise)
            row = self.batch_size.step(step, self.parameters.drop_gradients, self.global_step + 1, len(items))
            if row is None:
                pending = deque(half for whole in [items, *pending] for half in _halves(whole))
                continue
            rows.append(row)
            self._frames += sum(int(self.batches.speech.frames[item.clip]) for item in items)
            if len(rows) in evaluate_after:
                clock.pause()
                begun = time.perf_counter()
                with self._average.in_place():
                    errors = self._measured(self.evaluator.objective)
                early.append(_EarlyEvaluation(self.global_step, self._frames, clock.mark(), errors))
                self._seconds_validation += time.perf_counter() - begun
                clock.resume()
        clock.pause()
        return _EpochRun(torch.stack(rows).double().cpu().numpy(), clock.seconds(), early)

    def updates_per_second(self, seconds: float) -> float:
        """Train for at least so long and return the updates per second; the weights are no trial's afterwards."""
        batches = self.train_batches(1)
        noise = self.noise_generator(1)
        begun, before = time.perf_counter(), self.global_step
        for items in cycle(batches):
            self.training_step(items, noise)
            if time.perf_counter() - begun >= seconds:
                break
        return (self.global_step - before) / (time.perf_counter() - begun)

    def state_dict(self) -> dict[str, object]:
        """What an exact resume needs; random numbers follow from seed and epoch."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "weighting": self._weighting.state_dict(),
            "average": self._average.state_dict(),
            "epoch": self._epoch,
            "updates": self.global_step,
            "frames": self._frames,
            "seconds": self._seconds,
            "batch_frames": self.batch_size.frames,
            "halved": self.batch_size.halved,
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Load a state_dict."""
        self.model.load_state_dict(state["model"])  # type: ignore[arg-type]
        self.optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]
        self._weighting.load_state_dict(state["weighting"])  # type: ignore[arg-type]
        self._average.load_state_dict(state.get("average", {}))  # type: ignore[arg-type]
        self._epoch, self.global_step = int(state["epoch"]), int(state["updates"])  # type: ignore[call-overload]
        self._frames, self._seconds = int(state["frames"]), float(state["seconds"])  # type: ignore[call-overload,arg-type]
        # Checkpoints of version 0.1.0 do not hold these two.
        self.batch_size.frames = int(state.get("batch_frames", self.batch_size.frames))  # type: ignore[call-overload]
        self.batch_size.halved = bool(state.get("halved", False))

    def _measured(self, measure: Callable[[Xtts], _Measured]) -> _Measured:
        """What a method of the evaluator measures of the model."""
        return self.batch_size.measure(partial(measure, self.model), self.evaluator, self._epoch)

    def training_step(self, items: list[Item], generator: torch.Generator) -> Tensor:
        """One optimiser step; its row of STEP_COLUMNS, left on the device. `generator` draws its noise."""
        settings = self.settings
        begun = time.perf_counter()
        batch = self.batches.collate(items).to(self.device, self.dtype)
        self._seconds_data += time.perf_counter() - begun
        noise = self.draw_noise(batch, generator)
        warmed_up = (self.global_step + 1) / max(1, settings.warmup_updates)
        rate = settings.learning_rate * min(1.0, warmed_up, self._cooled())
        with self.autocast(), self._weighting.watching(self.model):
            losses = self.model.losses(batch, noise)
        mel = losses["mel"].clamp(max=settings.loss_value_clip) if settings.loss_value_clip else losses["mel"]
        weights = self._weighting.weights(losses)
        total = weights.mel * mel + weights.kl * losses["kl"]
        self._weighting.backward(total)
        norm = self.parameters.collect_gradients(settings.gradient_clip_norm)
        self.optimiser.step(rate)
        self.global_step += 1
        self._average.update(self.global_step)
        row = torch.stack([total.detach(), losses["mel"].detach(), losses["kl"].detach(), norm]).float()
        if self.on_train_batch_end is not None:
            self.on_train_batch_end(row)
        return row

    def _cooled(self) -> float:
        """Share of the learning rate that the cooldown leaves, from 1 to 0 in the last part of the trial's frames."""
        if not (self._epochs and self.settings.cooldown):
            return 1.0
        left = 1.0 - self._frames / (self._epochs * self._frames_an_epoch)
        return max(0.0, left / self.settings.cooldown)

    def draw_noise(self, batch: Batch, generator: torch.Generator) -> Noise:
        """The random numbers of one step: the posterior's, and which of the history the prior sees."""
        size = (batch.mel.shape[0], batch.mel.shape[1] // PATCH_FRAMES)
        latent = torch.randn(*size, self.model.latent, generator=generator, device=self.device).to(self.dtype)
        kept = torch.rand(size, generator=generator, device=self.device) >= self.settings.history_dropout
        return Noise(latent, kept)

    def _early_evaluations(self, steps: int) -> set[int]:
        """Steps of the first epoch after which the objective is taken too."""
        if self._epoch > 1:
            return set()
        return {round(share * steps) for share in _FIRST_EPOCH_EVALUATIONS} - {0, steps}

    def _evaluation(self, updates: int, frames: int, seconds: float, objective: float) -> dict[str, object]:
        return {
            "updates": updates,
            "epoch": frames / self._frames_an_epoch,
            "audio_seconds": _seconds_of(frames),
            "seconds": seconds,
            "objective": objective,
        }

    def _bad_parameter(self) -> dict[str, object] | None:
        """The first parameter with a non-finite value, as `diverged` reports it."""
        if bool(self.parameters.flat.isfinite().all()):
            return None
        for name, parameter in self.model.named_parameters():
            if not bool(parameter.isfinite().all()):
                return {"step": self.global_step, "term": f"parameter {name}", "value": "nan or inf"}
        return None


def build_model(settings: Settings, symbols: int, seed: int) -> Xtts:
    """A model with the seed's initial weights, whatever the parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Xtts(model_config(settings.model), symbols, MELS, PATCH_FRAMES)
    return model.double() if settings.precision == "float64" else model


def _halves(items: list[Item]) -> list[list[Item]]:
    """A batch as two of half its clips; one clip stays one batch."""
    middle = (len(items) + 1) // 2
    return [half for half in (items[:middle], items[middle:]) if half]


def _seconds_of(frames: int) -> float:
    return frames * HOP / SAMPLE_RATE
