"""What might make a step of a small model faster. No trial uses any of it: it is adopted where it measured a gain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu_sections.bench import Bench, Found, batches_of, on_gpu, run_steps, timed
from xtts.model.xtts import Batch, Noise
from xtts.training.training import Training


def levers(bench: Bench) -> Found:
    """Seconds a step of `tiny` and `small`: as it is, and with each thing that might make it faster."""
    found: Found = {}
    for model in bench.small_presets:
        found[model] = {}
        for name, lever in LEVERS.items():
            if bench.left() < 30.0:
                found[model][name] = "skipped: no time left"
                continue
            training = bench.training(model)
            try:
                found[model][name] = lever(training, bench.count(60, 4))
            except Exception as error:  # a lever that does not work here is a result, too
                found[model][name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return found


def _as_it_is(training: Training, steps: int) -> float:
    run_steps(training, 4)
    return timed(lambda: run_steps(training, steps)) / steps


def _pinned(training: Training, steps: int) -> float:
    """Batches in page-locked memory, so that copies need not wait."""
    collate = training.batches.collate

    training.batches.collate = lambda *given: _in_pinned_memory(collate(*given))  # type: ignore[method-assign]
    try:
        return _as_it_is(training, steps)
    finally:
        training.batches.collate = collate  # type: ignore[method-assign]


def _in_pinned_memory(batch: Batch) -> Batch:
    return Batch(**{name: value.pin_memory() for name, value in vars(batch).items()})


def _side_stream(training: Training, steps: int) -> float:
    """The next batch is collated and copied, on a stream of its own, while the device works on a step."""
    if not on_gpu():
        raise RuntimeError("needs a GPU")
    side, main = torch.cuda.Stream(), torch.cuda.current_stream()
    generator = torch.Generator(training.device).manual_seed(1)

    def copied(items: list[Any]) -> Batch:
        pinned = _in_pinned_memory(training.batches.collate(items))
        with torch.cuda.stream(side):
            return pinned.to(training.device, training.dtype)

    def run(count: int) -> None:
        upcoming = list(islice(batches_of(training), count))
        batch = copied(upcoming.pop(0))
        while True:
            main.wait_stream(side)
            for value in vars(batch).values():
                value.record_stream(main)
            _device_step(training, batch, training.draw_noise(batch, generator))
            if not upcoming:
                return
            batch = copied(upcoming.pop(0))

    run(4)
    return timed(lambda: run(steps)) / steps


def _on_device(training: Training, steps: int) -> float:
    """All batches lie on the device before the clock starts: what collating and copying cost at most."""
    made = _made(training, steps)
    for batch, noise in made[:4]:
        _device_step(training, batch, noise)
    return timed(lambda: [_device_step(training, batch, noise) for batch, noise in made]) / steps


def _made(training: Training, steps: int) -> list[tuple[Batch, Noise]]:
    generator = torch.Generator(training.device).manual_seed(1)
    batches = [
        training.batches.collate(items).to(training.device, training.dtype)
        for items in islice(batches_of(training), steps)
    ]
    return [(batch, training.draw_noise(batch, generator)) for batch in batches]


def _device_step(training: Training, batch: Batch, noise: Noise) -> Tensor:
    """The device's part of Training.training_step, with fixed weights and the learning rate after its warm-up."""
    settings = training.settings
    with training.autocast():
        losses = training.model.losses(batch, noise)
    total = settings.mel_loss_weight * losses["mel"] + settings.kl_loss_weight * losses["kl"]
    total.backward()
    norm = training.parameters.collect_gradients(settings.gradient_clip_norm)
    training.optimiser.step(settings.learning_rate)
    return torch.stack([total.detach(), norm])


def _graph(training: Training, steps: int) -> float:
    """One captured step, replayed: what launching the kernels costs. A trial would need a graph for each shape."""
    if not on_gpu():
        raise RuntimeError("needs a GPU")
    batch, noise = _made(training, 1)[0]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(4):
            _device_step(training, batch, noise)
    torch.cuda.current_stream().wait_stream(side)
    eager = timed(lambda: [_device_step(training, batch, noise) for _ in range(steps)]) / steps
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        _device_step(training, batch, noise)

    def replay() -> None:
        for _ in range(steps):
            graph.replay()

    replayed = timed(replay) / steps
    # Of one shape; scaled to the epoch's batches, so that it can be compared with the others.
    return _as_it_is(training, steps) * replayed / eager


def _compiled(training: Training, steps: int) -> float:
    """torch.compile of the forward and backward pass; its compiler's time is not counted here."""
    training.model.losses = torch.compile(training.model.losses, dynamic=True)  # type: ignore[method-assign]
    run_steps(training, 12)
    return timed(lambda: run_steps(training, steps)) / steps


LEVERS: Mapping[str, Callable[[Training, int], float]] = {
    "as it is": _as_it_is,
    "pinned memory": _pinned,
    "copies on a side stream": _side_stream,
    "batches on the device": _on_device,
    "CUDA graph": _graph,
    "torch.compile": _compiled,
}
