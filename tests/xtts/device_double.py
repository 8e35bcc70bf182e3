"""A stand-in for a GPU: tensors that say they are on `cuda`, compute on the CPU and refuse to mix with CPU tensors.

Inside `DeviceDouble()` the code under test takes its GPU branches: `torch.cuda.is_available()` is true, `.to("cuda")`
and `device="cuda"` work, `tensor.device` answers `cuda`. Which tensors are on the device is remembered by storage, so
views, `.data` and in-place operations follow. An operation of torch that is given tensors of both devices raises, as it
would on a GPU, and everything that makes the host wait for the device or copies to it is counted by name: `.item()`,
`bool()`, `.cpu()`, `.tolist()`, `nonzero`, a boolean index, `torch.cuda.synchronize()`.

A function mode changes what Python code sees (devices, factories); a dispatch mode checks every operation below it,
those of a backward pass included. Autocast runs as the CPU's bfloat16 autocast, which has another list of operations
than a GPU's. A CUDA graph refuses what a capture refuses (waits and copies from the host) and is replayed by doing
nothing; streams order nothing. Speed, memory and the GPU's own kernels are not imitated.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace, TracebackType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda")
GIB = 1 << 30

_aten = torch.ops.aten
_READS = {
    _aten._local_scalar_dense.default,
    _aten.nonzero.default,
    _aten.masked_select.default,
    _aten.equal.default,
    _aten.is_nonzero.default,
    _aten.unique_dim.default,
    _aten._unique2.default,
    _aten.repeat_interleave.Tensor,
    _aten.bincount.default,
}
"""Operations whose result, or its shape, the host has to wait for"""
_INDEXING = {_aten.index.Tensor, _aten.index_put_.default, _aten.index_put.default, _aten._index_put_impl_.default}
_COPIES = {_aten.copy_.default, _aten._to_copy.default}
_TO_HOST = {"cpu", "tolist", "numpy", "__array__"}


class MixedDevicesError(RuntimeError):
    """What a GPU would refuse: an operation on tensors of two devices."""


class DeviceDouble:
    """A context in which `cuda` exists; lists the copies and waits that the code under test asked for."""

    def __init__(self, free_bytes: int = 16 * GIB, total_bytes: int = 16 * GIB) -> None:
        self.reads: list[str] = []
        """Each time the host waited for the device: the operation and the line of the package that caused it"""
        self.uploads: list[str] = []
        """Each copy from the host to the device, the same"""
        self.autocasts = 0
        self.memory = (free_bytes, total_bytes)
        self.has_bfloat16 = True
        self.capturing = False
        self.sync_debug_mode = "default"
        self._there: dict[int, StorageWeakRef] = {}
        self._modes = (_FunctionMode(self), _DispatchMode(self))
        self._patch = pytest.MonkeyPatch()

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor is on the device."""
        return tensor.untyped_storage()._cdata in self._there

    def take(self, value: Any) -> Any:
        """Say of every tensor in `value` that it is on the device."""
        for tensor in tree_leaves(value):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                # A weak reference keeps the address from being used again, so that a key means one storage.
                self._there.setdefault(storage._cdata, StorageWeakRef(storage))
        if len(self._there) > 50_000:
            self._there = {key: reference for key, reference in self._there.items() if not reference.expired()}
        return value

    def read(self, what: str) -> None:
        """The host waits for the device."""
        self._refuse_in_capture(what)
        self.reads.append(what)
        if self.sync_debug_mode == "warn":
            warnings.warn("called a synchronizing CUDA operation", stacklevel=3)

    def upload(self, what: str) -> None:
        """Something is copied from the host to the device."""
        self._refuse_in_capture(what)
        self.uploads.append(what)

    def _refuse_in_capture(self, what: str) -> None:
        if self.capturing:
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({what})")

    @contextmanager
    def capture(self, graph: object, **options: object) -> Iterator[None]:
        """What torch.cuda.graph does: work is recorded, and nothing may wait."""
        assert isinstance(graph, _Graph)
        self.capturing = True
        try:
            yield
        finally:
            self.capturing = False
        graph.captured = True

    @contextmanager
    def watched(self) -> Iterator[DeviceDouble]:
        """Count anew from here."""
        self.reads.clear()
        self.uploads.clear()
        yield self

    def __enter__(self) -> DeviceDouble:
        patch = self._patch.setattr
        patch(torch.cuda, "is_available", lambda: True)
        patch(torch.cuda, "synchronize", lambda device=None: self.read(_where("synchronize")))
        patch(torch.cuda, "Event", _Event)
        patch(torch.cuda, "is_bf16_supported", lambda including_emulation=True: self.has_bfloat16)
        patch(torch.cuda, "empty_cache", lambda: None)
        patch(torch.cuda, "reset_peak_memory_stats", lambda device=None: None)
        patch(torch.cuda, "max_memory_allocated", lambda device=None: 1 * GIB)
        patch(torch.cuda, "mem_get_info", lambda device=None: self.memory)
        patch(torch.cuda, "get_device_name", lambda device=None: "stand-in")
        patch(torch.cuda, "get_device_properties", lambda device=None: SimpleNamespace(total_memory=self.memory[1]))
        patch(torch.cuda, "set_sync_debug_mode", lambda mode: setattr(self, "sync_debug_mode", mode))
        patch(torch.cuda, "Stream", _Stream)
        patch(torch.cuda, "current_stream", lambda device=None: _Stream())
        patch(torch.cuda, "stream", nullcontext)
        patch(torch.cuda, "CUDAGraph", _Graph)
        patch(torch.cuda, "graph", self.capture)
        patch(Tensor, "pin_memory", lambda tensor: self._pinned(tensor))
        patch(Tensor, "record_stream", lambda tensor, stream: self._recorded(tensor, stream))
        patch(torch, "Generator", _Generator)
        patch(torch, "autocast", self._autocast)
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(kind, error, trace)
        self._patch.undo()

    def _autocast(self, device_type: str, dtype: torch.dtype | None = None, enabled: bool = True) -> Any:
        assert device_type == "cuda", "the code under test asks for a GPU's autocast"
        self.autocasts += enabled
        return _autocast("cpu", dtype, enabled)

    def _pinned(self, tensor: Tensor) -> Tensor:
        if self.holds(tensor):
            raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")
        return tensor.clone()

    def _recorded(self, tensor: Tensor, stream: _Stream) -> None:
        assert self.holds(tensor)
        assert isinstance(stream, _Stream)


_autocast = torch.autocast


class _Generator(torch.Generator):
    """Draws on the CPU, and remembers the device it was made for."""

    place: torch.device

    def __new__(cls, device: torch.device | str = "cpu") -> _Generator:
        made = super().__new__(cls, "cpu")
        made.place = torch.device(device)
        return made


class _Stream:
    """A queue of the device, of which the double has one."""

    def wait_stream(self, other: _Stream) -> None:
        """What comes later waits for what `other` was given so far."""


class _Graph:
    """A captured sequence of operations."""

    captured = False

    def replay(self) -> None:
        """Run it again."""
        assert self.captured


class _Event:
    """The device's clock, which the double does not have."""

    def __init__(self, enable_timing: bool = False) -> None:
        assert enable_timing

    def record(self) -> None:
        """The moment."""

    def elapsed_time(self, other: _Event) -> float:
        """Milliseconds."""
        return 1.0


class _FunctionMode(TorchFunctionMode):
    """What Python code sees: devices of tensors, factories with a device, moves between devices."""

    def __init__(self, double: DeviceDouble) -> None:
        super().__init__()
        self.double = double

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name == "__get__":
            return self._attribute(func, args)
        if args and isinstance(args[0], Tensor):
            if name in _TO_HOST and self.double.holds(args[0]):
                return self._to_host(name, func, args, options)
            if name in ("to", "cuda"):
                return self._to(func, args, options)
        if options.get("device") is not None:
            return self._factory(func, args, options)
        if isinstance(options.get("generator"), _Generator) and options["generator"].place.type == "cuda":
            raise MixedDevicesError(f"{name}: a generator of the device for a tensor of the host")
        return func(*args, **options)

    def _attribute(self, func: Callable[..., Any], args: Sequence[Any]) -> Any:
        attribute = getattr(func, "__self__", None)
        if attribute in (torch.Tensor.device, torch.Tensor.is_cuda) and self.double.holds(args[0]):
            return CUDA if attribute is torch.Tensor.device else True
        return func(*args)

    def _to_host(self, name: str, func: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]) -> Any:
        if name in ("numpy", "__array__"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
        self.double.read(_where(name))
        with _unchecked():
            return args[0].clone() if name == "cpu" else func(*args, **options)

    def _to(self, func: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> Any:
        tensor, *rest = args
        if func.__name__ == "cuda":
            return self._moved(tensor, CUDA, None)
        if rest and isinstance(rest[0], Tensor):
            there = CUDA if self.double.holds(rest[0]) else torch.device("cpu")
            return self._moved(tensor, there, rest[0].dtype)
        copy = options.pop("copy", False)
        device, dtype, _, _ = torch._C._nn._parse_to(*rest, **options)
        if device is None:
            return func(*args, **options, copy=copy)
        return self._moved(tensor, device, dtype, copy)

    def _moved(self, tensor: Tensor, device: torch.device, dtype: torch.dtype | None, copy: bool = False) -> Tensor:
        dtype = dtype or tensor.dtype
        if self.double.holds(tensor) == (device.type == "cuda"):
            return tensor.to(dtype, copy=copy)
        with _unchecked():
            moved = tensor.to(dtype, copy=True)
        if device.type == "cuda":
            self.double.upload(_where("to"))
            return self.double.take(moved)  # type: ignore[no-any-return]
        self.double.read(_where("to"))
        return moved

    def _factory(self, func: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> Any:
        device = torch.device(options.pop("device"))
        generator = options.get("generator")
        if isinstance(generator, _Generator) and generator.place.type != device.type:
            raise MixedDevicesError(f"{func.__name__}: a generator of {generator.place} for a tensor of {device}")
        if func is torch.as_tensor and isinstance(args[0], Tensor):
            return self._moved(args[0], device, options.get("dtype"))
        if device.type != "cuda":
            return func(*args, **options, device=device)
        if func in (torch.tensor, torch.as_tensor):
            self.double.upload(_where(func.__name__))
        return self.double.take(func(*args, **options))


class _DispatchMode(TorchDispatchMode):
    """Every operation: are its tensors on one device, and does the host wait for it?"""

    def __init__(self, double: DeviceDouble) -> None:
        super().__init__()
        self.double = double

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Else the first operation would import torch.compile's machinery."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = [self.double.holds(tensor) for tensor in tensors]
        if _Unchecked.depth or not any(there):
            return func(*args, **(kwargs or {}))
        if func in _READS or (func in _INDEXING and self._masked(args)):
            self.double.read(_where(str(func)))
        if func in _COPIES:
            return self._copied(func, args, kwargs)
        if func in _INDEXING:
            there = there[:1] if there[0] else [False, True]  # indices of the host are uploaded
        if not all(on or tensor.dim() == 0 for tensor, on in zip(tensors, there, strict=False)):
            shapes = ", ".join(
                f"{'cuda' if on else 'cpu'} {tuple(t.shape)}" for t, on in zip(tensors, there, strict=False)
            )
            raise MixedDevicesError(f"{func}: expected all tensors to be on the same device, found {shapes}")
        result = func(*args, **(kwargs or {}))
        return result if func in _READS and not isinstance(result, Tensor) else self.double.take(result)

    def _copied(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Any:
        if func is _aten._to_copy.default:
            return self.double.take(func(*args, **(kwargs or {})))
        into, source = self.double.holds(args[0]), self.double.holds(args[1])
        if into and not source:
            self.double.upload(_where(str(func)))
        if source and not into:
            self.double.read(_where(str(func)))
        return func(*args, **(kwargs or {}))

    def _masked(self, args: Sequence[Any]) -> bool:
        """Whether an index is a mask on the device: how many values it picks is for the host to find out."""
        return any(
            index is not None and index.dtype in (torch.bool, torch.uint8) and self.double.holds(index)
            for index in args[1]
        )


class _Unchecked:
    depth = 0


@contextmanager
def _unchecked() -> Iterator[None]:
    _Unchecked.depth += 1
    try:
        yield
    finally:
        _Unchecked.depth -= 1


def _where(what: str) -> str:
    """The operation, and the innermost line of the packages under test."""
    for frame in reversed(traceback.extract_stack()):
        if "/xtts/" in frame.filename and "/tests/" not in frame.filename:
            return f"{what} at {frame.filename.rpartition('/')[2]}:{frame.lineno}"
    return what
