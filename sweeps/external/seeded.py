"""Seeds random, numpy, torch and tensorflow, then runs a Python program unchanged: `seeded.py SEED [-m MODULE | FILE]`.

Runs in the trainer's own environment, with nothing of this package. A library is seeded right after the program imports
it, so that nothing is imported that the program does not use.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import random
import runpy
import sys
from pathlib import Path
from typing import Any

SEEDERS: dict[str, Any] = {
    "numpy": lambda module, seed: module.random.seed(seed % 2**32),
    "torch": lambda module, seed: module.manual_seed(seed),
    "tensorflow": lambda module, seed: module.random.set_seed(seed),
}


class SeededLoader(importlib.abc.Loader):
    """The real loader, with the seed set afterwards."""

    def __init__(self, loader: Any, name: str, seed: int) -> None:
        self._loader, self._name, self._seed = loader, name, seed

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        SEEDERS[self._name](module, self._seed)


class Seeder(importlib.abc.MetaPathFinder):
    """Finds the libraries to seed through the other finders, each time: many programs ask for a spec before they import
    (`is_torch_available`)."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._asking: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in SEEDERS or name in self._asking:
            return None
        self._asking.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asking.discard(name)
        if spec is not None and spec.loader is not None:
            spec.loader = SeededLoader(spec.loader, name, self._seed)
        return spec


def main() -> None:
    seed, arguments = int(sys.argv[1]), sys.argv[2:]
    random.seed(seed)
    for name, seeder in SEEDERS.items():
        if name in sys.modules:
            seeder(sys.modules[name], seed)
    sys.meta_path.insert(0, Seeder(seed))
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path[0] = str(Path.cwd())
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        sys.path[0] = ""
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = arguments
        sys.path[0] = str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()
