"""YAML as people mean it: safe, no key twice, 1e-4 a number, and every error with its file and line."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from sweeps.common.errors import RequestError

MAX_BYTES = 1_000_000


class _StrictLoader(yaml.SafeLoader):
    """Refuses duplicate keys and reads 1e-4 as a number (YAML 1.1 wants 1.0e-4)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"duplicate key {key_node.value!r}", key_node.start_mark
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def parse_yaml(text: str, where: str) -> object:
    """The plain data in `text`; RequestError names `where` and the line."""
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise RequestError(f"{where}{line}: not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise RequestError(f"{where}: not YAML: {' '.join(str(error).split())}") from error
    except (ValueError, OverflowError, TypeError, RecursionError) as error:
        raise RequestError(f"{where}: not YAML that can be read: {type(error).__name__}: {error}") from error


def read_yaml_mapping(path: Path) -> dict[str, object]:
    """The mapping in a YAML file; RequestError for anything else."""
    try:
        if path.is_dir():
            raise RequestError(f"{path}: is a folder; a YAML file is needed")
        if path.stat().st_size > MAX_BYTES:
            raise RequestError(f"{path}: is larger than {MAX_BYTES // 1000} kB; that is no file of settings")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    loaded = parse_yaml(text, str(path))
    if not isinstance(loaded, dict):
        kind = "empty" if loaded is None else f"a {type(loaded).__name__}"
        raise RequestError(f"{path}: holds {kind}; expected key: value lines")
    strange = [key for key in loaded if not isinstance(key, str)]
    if strange:
        raise RequestError(f"{path}: the key {strange[0]!r} is not a word")
    return loaded
