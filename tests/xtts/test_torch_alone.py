"""The training core works on a machine that has torch and none of our other packages: a GPU machine without network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import SECTIONS, measure, pack, table
from benchmarks.gpu_sections.bench import Bench
from tests import ROOT
from tests.xtts.device_double import DeviceDouble
from tests.xtts.made_speech import write_ljspeech
from xtts.training import worker_cache

SECTION_MODULES = "benchmarks.gpu_sections"
ABSENT = (
    "annotated_types",
    "espeakng_loader",
    "google.protobuf",
    "librosa",
    "optuna",
    "pydantic",
    "ray",
    "rich",
    "ruamel",
    "simpleeval",
    "soundfile",
    "soxr",
    "tensorboardX",
    "tomlkit",
    "wandb",
    "yaml",
)
BLOCKED = f"import sys\nsys.modules.update(dict.fromkeys({ABSENT!r}))\n"


def without_packages(folder: Path) -> dict[str, str]:
    """An environment in which every Python process behaves as if the packages were not installed."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(BLOCKED, "utf-8")
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def test_the_training_core_imports_with_torch_alone(tmp_path):
    core = ("training.training", "evaluation.evaluation", "model.xtts", "alignment.aligned", "trainer")
    code = "\n".join([*(f"import xtts.{name}" for name in core), "import pydantic"])
    done = subprocess.run(
        [sys.executable, "-c", code], env=without_packages(tmp_path), capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last == "ModuleNotFoundError: import of pydantic halted; None in sys.modules", done.stderr


@pytest.mark.slow
def test_the_gpu_benchmark_runs_with_torch_alone(tmp_path):
    write_ljspeech(tmp_path / "speech", 24)
    pack(str(tmp_path / "speech"), tmp_path / "carried")
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", "--small", "--prepared", tmp_path / "carried"]
    sections = [name for name in SECTIONS if name != "levers"]  # torch.compile takes a minute
    done = subprocess.run(
        [*map(str, command), "--seconds", "270", "--sections", ",".join(sections), "-o", str(tmp_path / "gpu.json")],
        env={**without_packages(tmp_path / "site"), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert set(found) == {"about", *sections}
    assert found["presets"]["tiny"]["falls"]
    assert found["determinism"]["tiny"]["equal"]
    assert 0.0 < found["speed"]["models"]["tiny"]["goodput"] < 1.5
    assert "| tiny | 1.2 M |" in table(found)
    assert table(found) in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("model", ["tiny", "small"])
def test_every_line_of_the_benchmark_that_only_a_gpu_reaches_runs_on_a_stand_in(learnable, monkeypatch, model):
    """Kernels, their times, processes side by side and torch.compile are not imitated."""
    monkeypatch.setattr(f"{SECTION_MODULES}.correctness.FRAME_BUDGETS", {model: 400})
    monkeypatch.setattr(f"{SECTION_MODULES}.speed.FRAME_BUDGETS", {model: 400})
    learned = {"objective": 1.0, "text_use": 0.0}
    monkeypatch.setattr(f"{SECTION_MODULES}.correctness._learned_on_cpu", lambda *given: [learned] * 2)
    monkeypatch.setattr("benchmarks.packed.ACTIVITIES", [torch.profiler.ProfilerActivity.CPU])  # sees no kernels
    monkeypatch.setattr("benchmarks.packed.PROFILED_STEPS", 2)
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    worker_cache.cached.cache_clear()
    bench = Bench(learnable.prepared.data, small=True, seconds=600.0)
    bench.presets = bench.small_presets = (model,)
    sections = [name for name in SECTIONS if name != "packed"]
    with DeviceDouble() as double:
        found = measure(bench, sections, None)
    worker_cache.cached.cache_clear()
    assert {name: section for name, section in found.items() if "error" in section} == {}
    assert found["about"]["device"] == "stand-in"
    assert double.autocasts > 0
    assert found["presets"][model]["memory_frames"] == 400
    assert found["determinism"][model]["equal"]
    assert found["speed"]["models"][model]["kernel_share"] == 0.0
    assert found["waits"]["an_epoch"] == sum(found["waits"]["places"].values()) > 0
    assert "standard_error" in found["learning"]["tiny"]["objective"]
    assert {name for name, seconds in found["levers"][model].items() if not isinstance(seconds, float)} == set()
    assert "kernels" in table(found)


def test_the_benchmark_asks_the_profiler_for_what_it_has(learnable):
    """The time in which kernels ran, by the name that this version of torch has for it."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        torch.ones(3) + 1
    assert [one.self_device_time_total for one in profiled.key_averages()]


def test_a_captured_graph_refuses_what_a_gpu_refuses():
    with DeviceDouble():
        there, graph = torch.ones(3, device="cuda"), torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            there.add_(1)
        graph.replay()
        for waits in (lambda: there.sum().item(), lambda: there.add_(torch.ones(3).to("cuda"))):
            with pytest.raises(RuntimeError, match="not permitted when stream is capturing"), torch.cuda.graph(graph):
                waits()
