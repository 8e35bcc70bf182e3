"""Checkpoints: exactly what was saved, or a clear no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sweeps.storage.checkpoint import Checkpoint, UnreadableCheckpointError, load_checkpoint, save_checkpoint


def round_trip(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    save_checkpoint(folder / "last.safetensors", Checkpoint(state, {}))
    return load_checkpoint(folder / "last.safetensors").state


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one.cpu(), other)
    if isinstance(one, (np.ndarray, np.generic)):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return bool(one == other) or one != one


def test_every_type_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {
        "words": ["a", "", "سلام"],
        "nothing": None,
        "flags": (True, False),
        "numbers": {"big": 2**200 + 1, "third": 1 / 3, "tiny": 5e-324, "inf": float("inf"), "nan": float("nan")},
        "by_number": {2: "two", 1: {"step": 3}, None: "none", False: "no", 0.5: "half"},
        "empty": {"dict": {}, "list": [], "tuple": ()},
        "arrays": [
            np.arange(6, dtype=dtype).reshape(2, 3) for dtype in ("int8", "uint32", "int64", "float16", "float64")
        ],
        "scalars": [np.float32(0.1), np.int64(-3), np.bool_(True)],
        "zero_dim": np.array(3.5),
        "no_values": np.zeros((0, 3), np.float32),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "tensors": [
            torch.randn(3, 2, dtype=torch.float64),
            torch.randn(4).to(torch.bfloat16),
            torch.randn(4).to(torch.float16),
            torch.tensor(7),
            torch.tensor([True, False]),
            torch.randn(2, 3).T,
            torch.zeros(0, 2),
        ],
    }
    assert same(state, round_trip(state, tmp_path))


def test_random_generators_continue_where_they_were(tmp_path: Path) -> None:
    generator, torch_generator = np.random.default_rng(3), torch.Generator().manual_seed(4)
    legacy = np.random.RandomState(5)
    state = {
        "numpy": generator.bit_generator.state,
        "torch": torch_generator.get_state(),
        "legacy": legacy.get_state(),
    }
    expected = (generator.normal(size=3), torch.rand(3, generator=torch_generator), legacy.rand(3))
    back = round_trip(state, tmp_path)
    generator.bit_generator.state = back["numpy"]
    torch_generator.set_state(back["torch"])
    legacy.set_state(back["legacy"])
    assert np.array_equal(generator.normal(size=3), expected[0])
    assert torch.equal(torch.rand(3, generator=torch_generator), expected[1])
    assert np.array_equal(legacy.rand(3), expected[2])


def test_training_goes_on_bit_for_bit_with_adam(tmp_path: Path) -> None:
    def steps(model: torch.nn.Linear, optimizer: torch.optim.AdamW, count: int) -> torch.Tensor:
        for step in range(count):
            optimizer.zero_grad()
            model(torch.full((2, 3), float(step))).square().sum().backward()
            optimizer.step()
        return model.weight.detach().clone()

    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    steps(model, optimizer, 3)
    back = round_trip({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path)
    expected = steps(model, optimizer, 3)
    fresh = torch.nn.Linear(3, 2)
    fresh_optimizer = torch.optim.AdamW(fresh.parameters())
    fresh.load_state_dict(back["model"])
    fresh_optimizer.load_state_dict(back["optimizer"])
    assert torch.equal(steps(fresh, fresh_optimizer, 3), expected)


def test_what_is_known_of_the_trial_comes_back(tmp_path: Path) -> None:
    about = {"epoch": 3, "best": 0.1, "report": {"objective": 0.25, "evaluations": [{"updates": 3}]}}
    save_checkpoint(tmp_path / "a" / "last.safetensors", Checkpoint({}, about))
    assert load_checkpoint(tmp_path / "a" / "last.safetensors").about == about


def test_what_no_checkpoint_holds_is_refused_by_its_place(tmp_path: Path) -> None:
    for state, where in (
        ({"a": [object()]}, r"state\.a\[0\]"),
        ({"a": {(1, 2): 3}}, r"state\.a"),
        ({"a": np.array(["x"])}, "state.a"),
    ):
        with pytest.raises(TypeError, match=where):
            save_checkpoint(tmp_path / "last.safetensors", Checkpoint(state, {}))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_unreadable_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    with pytest.raises(FileNotFoundError):
        load_checkpoint(path)
    save_checkpoint(path, Checkpoint({"a": np.arange(100.0), "b": {"c": 1}}, {}))
    whole = path.read_bytes()
    for damaged in (
        b"",
        b"rubbish",
        whole[:50],
        whole[:-10],
        whole.replace(b"array", b"arrey"),
        b"\xff" * 8 + whole[8:],
    ):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableCheckpointError):
            load_checkpoint(path)


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, Checkpoint({"a": 1}, {}))
    with pytest.raises(TypeError):
        save_checkpoint(path, Checkpoint({"a": object()}, {}))
    assert load_checkpoint(path).state == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.safetensors"]
