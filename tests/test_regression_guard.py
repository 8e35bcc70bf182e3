"""What an epoch, an evaluation and a worker cost, counted in operations, copies, syncs, imports and processes.

Bounds stand a little above what was counted when they were set: whoever breaks one has added work, and says why here.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests import ROOT
from tests.xtts.conftest import Learnable, learnable, mini_preset  # noqa: F401 - fixtures
from xtts.training.training import Training

SYNC, COPY = "aten._local_scalar_dense", "aten._to_copy"
STEP_OPERATIONS = 940
EVALUATION_OPERATIONS, STEP_OF_A_WHOLE_CLIP = 1350, 60  # of the one layer that the tests' model has
EPOCH_SYNCS = 3
STEP_COPIES = 13


class Counted(TorchDispatchMode):
    """How often each operation was called, whatever thread ran it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls[str(func._overloadpacket)] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def trainer(learnable: Learnable) -> Training:  # noqa: F811
    """A trial after its first epoch, so that nothing that is done once is counted."""
    made = learnable.training()
    made.train_epoch()
    return made


def counted_epoch(trainer: Training) -> tuple[Counter[str], int]:
    before = trainer.global_step
    with Counted() as counted:
        trainer.train_epoch()
    return counted.calls, trainer.global_step - before


def test_a_training_step_takes_no_more_operations_than_it_did(trainer):
    items = trainer.train_batches(2)[0]
    with Counted() as counted:
        trainer.training_step(items, torch.Generator())
    assert 200 < sum(counted.calls.values()) <= STEP_OPERATIONS, counted.calls.most_common(12)


def test_an_evaluation_takes_no_more_operations_than_it_did(trainer):
    with Counted() as counted:
        trainer.evaluator.evaluate(trainer.model)
    patches = sum(batch.mel.shape[1] for batch in trainer.evaluator.whole_batches) // 4
    most = EVALUATION_OPERATIONS + STEP_OF_A_WHOLE_CLIP * patches
    assert sum(counted.calls.values()) <= most, counted.calls.most_common(12)


def test_the_device_is_waited_for_a_few_times_an_epoch_and_never_in_a_step(trainer):
    """Each wait would idle a GPU; a NaN is found in the epoch's record, not step by step."""
    calls, steps = counted_epoch(trainer)
    assert steps > 3
    assert calls[SYNC] <= EPOCH_SYNCS
    items = trainer.train_batches(2)[0]
    with Counted() as counted:
        trainer.training_step(items, torch.Generator())
    assert counted.calls[SYNC] == 0


def test_a_step_copies_no_more_tensors_than_it_did(trainer):
    items = trainer.train_batches(2)[0]
    with Counted() as counted:
        trainer.training_step(items, torch.Generator())
    copies = sum(counted.calls[name] for name in (COPY, "aten.copy_", "aten.clone"))
    assert copies <= STEP_COPIES, counted.calls.most_common(12)


def test_norm_clipping_and_optimiser_take_one_operation_each(trainer):
    items = trainer.train_batches(2)[0]
    with Counted() as counted:
        trainer.training_step(items, torch.Generator())
    assert counted.calls["aten.linalg_vector_norm"] == 1
    assert counted.calls["aten._fused_adamw_"] == 1
    assert trainer.parameters.flat.numel() == sum(parameter.numel() for parameter in trainer.model.parameters())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems' memory is left as it is")
def test_memory_that_a_step_gives_back_is_there_for_the_next_one(trainer):
    """Handed to the system and asked for again, it would be cleared page by page: 200 to 500 page faults a step."""
    big = torch.zeros(3_000_000)  # 12 MB at the end of the heap, as a larger model's gradients would be
    for _ in range(3):
        big = torch.ones_like(big)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        big = torch.ones_like(big)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 3 * big.nbytes / resource.getpagesize(), (
        "20 times the pages, were they handed back; the heap may grow"
    )


def test_a_trial_imports_nothing_of_the_compiler(learnable):  # noqa: F811
    """torch.optim does, as soon as an optimiser is made: 800 modules."""
    program = (
        "import sys\nfrom xtts.model.model_config import PRESETS\nfrom tests.xtts.conftest import MINI\n"
        "PRESETS['mini'] = MINI\nfrom xtts.trainer import XttsTrainer\n"
        f"XttsTrainer({dict(learnable.defaults)!r}, {learnable.prepared.data!r}, 1).train_epoch()\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not {"torch._dynamo", "sympy"} & set(done.stdout.split())


def test_a_worker_imports_torch_and_the_trainer_and_nothing_that_only_preparing_needs():
    program = "import sys, xtts.training.training; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    heavy = {"numba", "scipy", "librosa", "soundfile", "soxr", "pandas", "optuna", "ray", "wandb", "matplotlib"}
    assert not loaded & heavy


def test_a_command_checks_and_plans_a_sweep_without_torch(learnable):  # noqa: F811
    """It takes more than a second to import, and the first training step would wait for it."""
    program = (
        "import sys\nfrom xtts.trainer import XttsTrainer\nfrom xtts.prepare.prepare_data import open_data\n"
        "XttsTrainer.check_params({'model': 'small'})\nXttsTrainer.checkpoint_bytes({'model': 'small'})\n"
        f"open_data({learnable.prepared.data!r}).misaligned()\n"
        "import sweeps.tuner.tuner, sweeps.backend.session, xtts_sweep.integration, xtts_sweep.cli.sweep\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not {"torch", "ray", "librosa", "numba", "scipy", "pandas"} & set(done.stdout.split())


def test_help_imports_nothing_heavy():
    program = "import sys, xtts_sweep.main as m; m.parser_of('sweep'); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "numpy", "ray", "optuna", "wandb", "scipy", "yaml", "rich"}
    assert len(done.stdout.split()) < 200
