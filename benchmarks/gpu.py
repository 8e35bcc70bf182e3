"""All that a GPU has to show, in one command of under nine minutes, on a machine with torch and nothing else of ours.

    python benchmarks/gpu.py --pack FOLDER --data DIR       # where the audio packages are: the speech to carry, < 40 MB
    python benchmarks/gpu.py --prepared FOLDER -o gpu.json  # on the GPU machine: measures, prints, writes the JSON
    python benchmarks/gpu.py --table gpu.json               # the table of docs/results.md, from that JSON
    python benchmarks/gpu.py --prepared FOLDER --small      # on a CPU, in two minutes, to see that it works

Needs torch, NumPy, SciPy, numba and safetensors; no Ray, audio package, Optuna, W&B or pydantic. Sections run in the
order of what matters most; the file is written after each, and what no time is left for is named in it as skipped:

presets      every preset trains: loss of the first and the last steps, peak memory against the estimate
precision    bf16 autocast against float32 after the same 200 steps
determinism  two equal runs: are the parameters equal bit by bit?
speed        step time, frames and patches a second, share of the time in which kernels run, and the arithmetic of a
             step over that of a matrix product measured in the same run (goodput)
waits        how often the host waits for the device in an epoch, by torch's sync debug mode
learning     objective and text_use of `tiny` and `small` on GPU and CPU over the same seeds
packed       1, 2 and 4 processes on one card
levers       the same steps with pinned memory, with batches on the device, as a CUDA graph, with torch.compile:
             options that no trial uses; to be adopted only where this measured a gain
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle, islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks.packed import kernel_share, side_by_side  # noqa: E402
from benchmarks.useful_work import flops  # noqa: E402
from xtts.alignment.aligned import AlignedDataset  # noqa: E402
from xtts.audio.mel import PATCH_FRAMES  # noqa: E402
from xtts.model.model_config import PRESETS  # noqa: E402
from xtts.model.xtts import Batch, Noise  # noqa: E402
from xtts.training.memory import peak_bytes  # noqa: E402
from xtts.training.training import _FRAME_BUDGETS, Training  # noqa: E402

MOST_BYTES = 40 << 20
SECONDS = 510.0
GPU = torch.cuda.is_available()
Found = dict[str, Any]


class Bench:
    """What all sections share: the speech, how much of everything, and when to stop."""

    def __init__(self, handle: str, small: bool, seconds: float) -> None:
        self.handle = handle
        self.small = small
        self.ends = time.perf_counter() + seconds
        self.presets = ("tiny",) if small else tuple(PRESETS)

    def count(self, full: int, small: int) -> int:
        """Steps, seeds or epochs: all, or as many as show that it works."""
        return small if self.small else full

    def left(self) -> float:
        """Seconds."""
        return self.ends - time.perf_counter()

    def training(self, model: str, seed: int = 1, **params: object) -> Training:
        """A trial of the default config."""
        return Training({"model": model, **params}, self.handle, seed)


def run_steps(training: Training, count: int) -> Tensor:
    """So many training steps: loss, mel, kl and gradient norm of each [count, 4], left on the device."""
    noise = torch.Generator(training._device).manual_seed(1)
    return torch.stack([training._step(items, noise) for items in islice(_batches(training), count)])


def _batches(training: Training) -> Iterator[list[Any]]:
    return cycle(training.batches.epoch(training._train, 1, 1, training._budget))


def synchronize() -> None:
    """Wait for the device, where there is one."""
    if GPU:
        torch.cuda.synchronize()


def timed(work: Callable[[], object]) -> float:
    """Seconds, the device's part included."""
    synchronize()
    begun = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - begun


def presets(bench: Bench) -> Found:
    """Every preset: does its loss fall, and how much memory does its own batch size take?"""
    found: Found = {}
    for model in bench.presets:
        if GPU:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        training = bench.training(model)
        steps = bench.count(80, 12)
        seconds = timed(lambda training=training, steps=steps: found.update({"_": run_steps(training, steps)}))
        losses = found.pop("_")[:, 0].double().cpu()
        tenth = max(steps // 8, 1)
        first, last = float(losses[:tenth].mean()), float(losses[-tenth:].mean())
        found[model] = {
            "parameters": training.parameters.flat.numel(),
            "batch_frames": training._budget,
            "steps": steps,
            "seconds": seconds,
            "loss_first": first,
            "loss_last": last,
            "falls": last < first,
        }
        del training
        if GPU:
            found[model] |= _memory(bench, model)
    return found


def _memory(bench: Bench, model: str) -> Found:
    """Peak of a few steps with the preset's own batch size, and what was estimated for it."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    frames = _FRAME_BUDGETS[model]
    run_steps(bench.training(model, batch_frames=frames), 3)
    return {
        "memory_frames": frames,
        "memory_bytes": torch.cuda.max_memory_allocated(),
        "memory_estimate": peak_bytes(model, frames),
    }


def precision(bench: Bench) -> Found:
    """The same steps in bf16 autocast and in float32, from the same weights; equal by construction on a CPU."""
    found: Found = {}
    for model in ("tiny", "small")[: bench.count(2, 1)]:
        ends = {}
        for name in ("auto", "float32"):
            training = bench.training(model, precision=name)
            losses = run_steps(training, bench.count(200, 8))[:, 0].double().cpu()
            objective = float(training._evaluator.evaluate(training.model).objective)
            ends[name] = {"loss": float(losses[-20:].mean()), "objective": objective}
        found[model] = {
            "bf16": ends["auto"],
            "float32": ends["float32"],
            "objective_change": ends["auto"]["objective"] / ends["float32"]["objective"] - 1.0,
        }
    return found


def determinism(bench: Bench) -> Found:
    """Two equal runs."""
    found: Found = {}
    for model in ("tiny", "small")[: bench.count(2, 1)]:
        ends = []
        for _ in range(2):
            training = bench.training(model)
            run_steps(training, bench.count(60, 6))
            ends.append(training.parameters.flat.detach().double().cpu())
        found[model] = {"equal": torch.equal(*ends), "largest_difference": float((ends[0] - ends[1]).abs().max())}
    return found


def matrix_rates(bench: Bench) -> dict[str, float]:
    """FLOPs a second of a large square product, by type, as torch is set up for training."""
    size = 8192 if GPU and not bench.small else 1024
    rates = {}
    for name, dtype in {"float32": torch.float32, "bf16": torch.bfloat16}.items():
        left, right = torch.randn(2, size, size, device="cuda" if GPU else "cpu").to(dtype).unbind(0)
        left @ right
        seconds = statistics.median(timed(lambda left=left, right=right: left @ right) for _ in range(7))
        rates[name] = 2.0 * size**3 / seconds
    return rates


def speed(bench: Bench) -> Found:
    """A step at the preset's own batch size: how fast, and how much of the device it uses."""
    rates = matrix_rates(bench)
    found: Found = {"matrix_product": rates, "models": {}}
    product = rates["bf16" if GPU else "float32"]
    for model in bench.presets:
        training = bench.training(model, batch_frames=_FRAME_BUDGETS[model] if GPU else 0)
        steps = bench.count(40, 4)
        batches = list(islice(_batches(training), steps))
        run_steps(training, min(steps, 8))
        seconds = timed(lambda training=training, steps=steps: run_steps(training, steps)) / steps
        frames = sum(int(training.batches.speech.frames[item.clip]) for items in batches for item in items) / steps
        work = flops(training, batches[:2]) / 2
        found["models"][model] = {
            "step_seconds": seconds,
            "frames_a_batch": frames,
            "frames_a_second": frames / seconds,
            "patches_a_second": frames / PATCH_FRAMES / seconds,
            "flops_a_second": work / seconds,
            "goodput": work / seconds / product,
            "kernel_share": kernel_share(training) if GPU else None,
        }
    return found


def waits(bench: Bench) -> Found:
    """How often the host waits for the device in an epoch, and where; None without a device."""
    if not GPU:
        return {"an_epoch": None}
    training = bench.training("tiny")
    training.train_epoch()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        metrics = training.train_epoch()
        torch.cuda.set_sync_debug_mode("default")
    places = Counter(f"{Path(w.filename).name}:{w.lineno}" for w in caught if "synchroniz" in str(w.message))
    return {"an_epoch": places.total(), "updates": metrics["updates"], "places": dict(places)}


def learning(bench: Bench) -> Found:
    """The metrics after some epochs on both devices, over the same seeds."""
    found: Found = {}
    for model, epochs, seeds in (("tiny", bench.count(6, 1), bench.count(4, 2)), ("small", 3, 3)):
        if bench.small and model == "small":
            continue
        there = [learned(bench.training(model, seed), epochs) for seed in range(1, seeds + 1)] if GPU else []
        here = _learned_on_cpu(bench, model, epochs, seeds)
        found[model] = {"epochs": epochs, "seeds": seeds, "gpu": there, "cpu": here}
        for name in ("objective", "text_use") if GPU else ():
            gpu, cpu = ([one[name] for one in ends] for ends in (there, here))
            # Seeds are not paired: random numbers of a GPU are others than a CPU's.
            error = ((statistics.variance(gpu) + statistics.variance(cpu)) / seeds) ** 0.5
            difference = statistics.mean(gpu) - statistics.mean(cpu)
            found[model][name] = {
                "difference": difference,
                "standard_error": error,
                "within": abs(difference) < 3 * error,
            }
    return found


def learned(training: Training, epochs: int) -> Found:
    """Of the last epoch."""
    metrics = [training.train_epoch() for _ in range(epochs)][-1]
    return {name: metrics[name] for name in ("objective", "text_use", "text_use_low", "loss", "seconds")}


def _learned_on_cpu(bench: Bench, model: str, epochs: int, seeds: int) -> list[Found]:
    """Processes side by side, each on its share of the cores."""
    threads = str(max(1, len(os.sched_getaffinity(0)) // seeds))
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, "--prepared", bench.handle, "--learn", json.dumps([model, seed, epochs])],
            env={**os.environ, "OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": ""},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(1, seeds + 1)
    ]
    try:
        return [json.loads(process.communicate(timeout=max(bench.left(), 1.0))[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()


def packed(bench: Bench) -> Found:
    """Trials side by side on one device, each a process: updates a second of all together."""
    found: Found = {}
    for model in ("tiny", "small")[: bench.count(2, 1)]:
        for trials in (1, 2, 4)[: bench.count(3, 2)]:
            if bench.left() < 45.0:
                return found | {"skipped": "no time left"}
            ends = side_by_side({"model": model, "precision": "auto"}, bench.handle, trials)
            found[f"{model} x {trials}"] = {
                "updates_a_second": sum(one.updates for one in ends),
                "frames_a_second": sum(one.frames for one in ends),
                "memory_bytes": sum(one.memory for one in ends),
            }
    return found


def levers(bench: Bench) -> Found:
    """Seconds a step of `tiny` and `small`: as it is, and with each thing that might make it faster."""
    found: Found = {}
    for model in ("tiny", "small")[: bench.count(2, 1)]:
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

    def pinned(*given: Any) -> Batch:
        batch = collate(*given)
        return Batch(**{name: value.pin_memory() for name, value in vars(batch).items()})

    training.batches.collate = pinned  # type: ignore[method-assign]
    try:
        return _as_it_is(training, steps)
    finally:
        training.batches.collate = collate  # type: ignore[method-assign]


def _on_device(training: Training, steps: int) -> float:
    """All batches lie on the device before the clock starts: what collating and copying cost at most."""
    made = _made(training, steps)
    for batch, noise in made[:4]:
        _device_step(training, batch, noise)
    return timed(lambda: [_device_step(training, batch, noise) for batch, noise in made]) / steps


def _made(training: Training, steps: int) -> list[tuple[Batch, Noise]]:
    generator = torch.Generator(training._device).manual_seed(1)
    batches = [
        training.batches.collate(items).to(training._device, training._dtype)
        for items in islice(_batches(training), steps)
    ]
    return [(batch, training._noise(batch, generator)) for batch in batches]


def _device_step(training: Training, batch: Batch, noise: Noise) -> Tensor:
    """The device's part of Training._step, with fixed weights and the learning rate after its warm-up."""
    settings = training.settings
    with torch.autocast("cuda", torch.bfloat16, enabled=GPU):
        losses = training.model.losses(batch, noise)
    total = settings.mel_loss_weight * losses["mel"] + settings.kl_loss_weight * losses["kl"]
    total.backward()
    norm = training.parameters.collect_gradients(settings.gradient_clip_norm)
    training._optimiser.step(settings.learning_rate)
    return torch.stack([total.detach(), norm])


def _graph(training: Training, steps: int) -> float:
    """One captured step, replayed: what launching the kernels costs. A trial would need a graph for each shape."""
    if not GPU:
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
    replayed = timed(lambda: [graph.replay() for _ in range(steps)]) / steps
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
    "batches on the device": _on_device,
    "CUDA graph": _graph,
    "torch.compile": _compiled,
}
SECTIONS: Mapping[str, Callable[[Bench], Found]] = {
    "presets": presets,
    "precision": precision,
    "determinism": determinism,
    "speed": speed,
    "waits": waits,
    "learning": learning,
    "packed": packed,
    "levers": levers,
}


def about(handle: str) -> Found:
    """Where and with what it was measured."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": torch.cuda.get_device_name() if GPU else f"CPU, {len(os.sched_getaffinity(0))} cores",
        "gpu": GPU,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "memory_bytes": torch.cuda.get_device_properties(0).total_memory if GPU else None,
        "data": handle.rpartition("#")[2],
    }


def measure(bench: Bench, names: list[str], file: Path | None) -> Found:
    """The sections, one after the other; the file is written after each."""
    found: Found = {"about": about(bench.handle)}
    print(json.dumps(found["about"]), flush=True)
    for name in names:
        begun = time.perf_counter()
        if bench.left() < 20.0:
            found[name] = {"skipped": "no time left"}
        else:
            try:
                found[name] = SECTIONS[name](bench)
            except Exception as error:  # what one section cannot do must not lose the others
                found[name] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
        found[name]["section_seconds"] = round(time.perf_counter() - begun, 1)
        print(f"{name}: {json.dumps(found[name])}", flush=True)
        if file is not None:
            file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return found


def pack(data: str | None, folder: Path) -> str:
    """Copy prepared speech into a folder to carry; its handle."""
    from xtts.data.build_dataset import no_progress
    from xtts.prepare.prepare_data import data_folder, prepare_data

    prepared = prepare_data(data, progress=no_progress)
    source = data_folder(prepared.data)
    size = sum(file.stat().st_size for file in source.rglob("*") if file.is_file())
    if size > MOST_BYTES:
        raise SystemExit(
            f"{data}: prepared it has {size >> 20} MB; give at most 20 minutes of speech ({MOST_BYTES >> 20} MB)"
        )
    shutil.copytree(source, folder, dirs_exist_ok=True)
    print(f"{folder}: {size / 1e6:.1f} MB, {prepared.health.clips} clips, {60 * prepared.health.hours:.1f} minutes")
    return handle_of(folder)


def handle_of(folder: Path) -> str:
    """The handle that trials are given, of a folder that was carried here."""
    return f"{folder}#{AlignedDataset.open(folder).speech.fingerprint[:16]}"


def table(found: Found) -> str:
    """Markdown for docs/results.md."""
    where = found["about"]
    cuda = f", CUDA {where['cuda']}" if where["cuda"] else ""
    lines = [
        f"{where['device']}, torch {where['torch']}{cuda}, Python {where['python']}, {where['date']}.",
        "",
        "| preset | parameters | first to last loss | step | frames a second | goodput | kernels | memory (estimate) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    models = found.get("speed", {}).get("models", {})
    for model, one in ((m, o) for m, o in found.get("presets", {}).items() if isinstance(o, dict)):
        fast = models.get(model, {})
        memory = (
            f"{one['memory_bytes'] / 1e9:.1f} ({one['memory_estimate'] / 1e9:.1f}) GB" if "memory_bytes" in one else ""
        )
        lines.append(
            f"| {model} | {one['parameters'] / 1e6:.1f} M | {one['loss_first']:.2f} to {one['loss_last']:.2f} |"
            f" {_shown(fast.get('step_seconds'), 1000, ' ms')} | {_shown(fast.get('frames_a_second'), 1)} |"
            f" {_shown(fast.get('goodput'), 100, ' %')} | {_shown(fast.get('kernel_share'), 100, ' %')} | {memory} |"
        )
    lines += ["", "| what | result |", "|---|---|"]
    for model, one in found.get("precision", {}).items():
        if isinstance(one, dict):
            lines.append(
                f"| bf16 against float32, `{model}`: change of the objective | {100 * one['objective_change']:+.2f} % |"
            )
    for model, one in found.get("determinism", {}).items():
        if isinstance(one, dict):
            equal = "equal bit by bit" if one["equal"] else f"differ by up to {one['largest_difference']:.1e}"
            lines.append(f"| two equal runs, `{model}` | {equal} |")
    if found.get("waits", {}).get("an_epoch") is not None:
        lines.append(f"| times an epoch waits for the device | {found['waits']['an_epoch']} |")
    for model, one in found.get("learning", {}).items():
        if isinstance(one, dict) and "objective" in one:
            gap = one["objective"]
            word = "within" if gap["within"] else "outside"
            lines.append(
                f"| objective of `{model}` on GPU less CPU, {one['seeds']} seeds | {gap['difference']:+.4f}"
                f" (standard error {gap['standard_error']:.4f}): {word} seed noise |"
            )
    for name, one in found.get("packed", {}).items():
        if isinstance(one, dict):
            lines.append(f"| {name} processes on one device | {one['updates_a_second']:.1f} updates a second in all |")
    for model, ways in found.get("levers", {}).items():
        if isinstance(ways, dict):
            shown = "; ".join(f"{way} {_shown(value, 1000, ' ms')}" for way, value in ways.items())
            lines.append(f"| a step of `{model}` | {shown} |")
    lines += [
        f"| {name} | {found[name].get('error') or found[name]['skipped']} |"
        for name in SECTIONS
        if _failed(found, name)
    ]
    return "\n".join(lines)


def _failed(found: Found, name: str) -> bool:
    return bool({"error", "skipped"} & set(found.get(name, {})))


def _shown(value: object, scale: float, unit: str = "") -> str:
    if isinstance(value, (int, float)):
        return f"{scale * value:,.1f}{unit}" if scale > 1 else f"{value:,.0f}{unit}"
    return "" if value is None else str(value).partition(":")[0]


def main() -> int:
    """Pack, measure or print the table; 1 where a preset did not learn or a section failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, metavar="FOLDER", help="prepare --data (or the demo speech) to carry")
    parser.add_argument("--data", metavar="DIR")
    parser.add_argument("--prepared", metavar="FOLDER", help="what --pack wrote")
    parser.add_argument("--sections", default=",".join(SECTIONS), help="default: %(default)s")
    parser.add_argument("--small", action="store_true", help="few steps, small presets")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="to be done within (default: %(default)s)")
    parser.add_argument("-o", dest="file", type=Path, metavar="FILE", help="JSON with everything that was measured")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print the table of such a file")
    parser.add_argument("--learn", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.table is not None:
        print(table(json.loads(options.table.read_text("utf-8"))))
        return 0
    if options.pack is not None:
        print(pack(options.data, options.pack))
        return 0
    if options.prepared is None:
        parser.error("give --prepared FOLDER, --pack FOLDER or --table FILE")
    if options.learn is not None:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        model, seed, epochs = json.loads(options.learn)
        print(json.dumps(learned(Training({"model": model, "device": "cpu"}, options.prepared, seed), epochs)))
        return 0
    folder = Path(options.prepared).resolve()
    bench = Bench(handle_of(folder), options.small, options.seconds)
    found = measure(bench, options.sections.split(","), options.file)
    print(f"\n{table(found)}")
    learns = all(one["falls"] for one in found.get("presets", {}).values() if isinstance(one, dict))
    return int(not learns or any("error" in found[name] for name in SECTIONS if name in found))


if __name__ == "__main__":
    raise SystemExit(main())
