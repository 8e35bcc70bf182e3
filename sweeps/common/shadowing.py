"""Files that hide a module of Python or of a dependency from everything that imports from their folder.

Imports nothing that could be hidden itself.
"""

import os
import sys

DEPENDENCIES = frozenset(
    {"filelock", "numba", "numpy", "optuna", "pandas", "pyarrow", "pydantic", "ray", "rich", "ruamel"}
    | {"safetensors", "scipy", "soundfile", "soxr", "tensorboardX", "torch", "wandb", "yaml", "jinja2", "msgpack"}
)


def hiding_file(folder: str) -> str | None:
    """A file or package in the folder that Python would import in place of its own or a dependency's module."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - pathlib may be what is hidden
    except OSError:
        return None
    for name in names:
        module = name.removesuffix(".py")
        if module not in sys.stdlib_module_names and module not in DEPENDENCIES:
            continue
        path = f"{folder}/{name}"
        if name.endswith(".py") or os.path.isfile(f"{path}/__init__.py"):  # noqa: PTH113
            return path
    return None


def hiding_import() -> str | None:
    """A file in a folder of PYTHONPATH that this process has imported in place of Python's own or a dependency's."""
    for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        # Where packages are installed, a module of that name is what was meant.
        if not folder or "site-packages" in folder or "dist-packages" in folder:
            continue
        path = hiding_file(folder)
        name = "" if path is None else path.rpartition("/")[2].removesuffix(".py")
        found = getattr(sys.modules.get(name), "__file__", None)
        if path is not None and found and os.path.abspath(found).startswith(os.path.abspath(path)):  # noqa: PTH100
            return path
    return None


def complaint(path: str) -> str:
    """What is wrong with such a file, in one line."""
    return f"{path}: hides a module that Python or a dependency has under this name: rename it, or run elsewhere"
