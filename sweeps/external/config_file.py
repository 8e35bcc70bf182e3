"""The trainer's own config file: JSON, YAML or TOML, values set at dotted keys, comments and order kept."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any

from sweeps.common.errors import RequestError, meant, one_line

SUFFIXES = (".json", ".yaml", ".yml", ".toml")
MOST_SHOWN = 12
YAML_1_1_SWITCHES = ("yes", "no", "on", "off")
"""True and false to PyYAML, which reads most trainers' configs; text to YAML 1.2"""


class ConfigFile:
    """A parsed config. Keys are joined with dots; a part that is a number is an index into a list."""

    def __init__(self, text: str, suffix: str, where: str) -> None:
        if suffix not in SUFFIXES:
            raise RequestError(f"{where}: a config ends in {', '.join(SUFFIXES)}, not {suffix!r}")
        self._suffix, self._where = suffix, where
        self.document: Any = _parsed(text.removeprefix("\ufeff"), suffix, where)
        if not isinstance(self.document, MutableMapping):
            raise RequestError(f"{where}: holds {_kind(self.document)}; expected keys with values")

    def text(self) -> str:
        """The file's content with what was set."""
        if self._suffix == ".json":
            return json.dumps(self.document, indent=4, ensure_ascii=False) + "\n"
        if self._suffix == ".toml":
            import tomlkit

            return tomlkit.dumps(self.document)
        stream = io.StringIO()
        _yaml().dump(self.document, stream)
        return stream.getvalue()

    def keys(self) -> list[str]:
        """All dotted keys, of sections too."""
        return list(_keys(self.document))

    def problem(self, key: str) -> str | None:
        """Why there is nothing at `key`, or None where there is."""
        if self._find(key) is not None:
            return None
        known = self.keys()
        hint = meant(key, known) if len(known) <= MOST_SHOWN else meant(key, known).partition("known:")[0]
        return f"{self._where} has no key {key!r}" + (f"; {hint}" if hint else "")

    def get(self, key: str) -> Any:
        """The plain value at `key`; RequestError where there is none."""
        found = self._find(key)
        if found is None:
            raise RequestError(str(self.problem(key)))
        place, last = found
        value = place[last]
        return value.unwrap() if hasattr(value, "unwrap") else value

    def set(self, key: str, value: object) -> None:
        """Put `value` at `key`, typed after what is there; RequestError where there is nothing or another kind."""
        found = self._find(key)
        if found is None:
            raise RequestError(str(self.problem(key)))
        place, last = found
        place[last] = typed(value, self.get(key), f"{self._where}, {key}")

    def add(self, key: str, value: object) -> None:
        """Put `value` at `key`, which may be new, as may its sections."""
        if self._find(key) is not None:
            self.set(key, value)
            return
        place, parts = self.document, key.split(".")
        for part in parts[:-1]:
            if isinstance(place, MutableSequence):
                if not part.isdigit() or int(part) >= len(place):
                    raise RequestError(f"{self._where}: {key!r} cannot be added; list entry {part} does not exist")
                place = place[int(part)]
            else:
                place = place.setdefault(part, {})
        if not isinstance(place, MutableMapping):
            raise RequestError(f"{self._where}: {key!r} cannot be added; its section is {_kind(place)}")
        place[parts[-1]] = as_scalar(value)

    def _find(self, key: str) -> tuple[Any, Any] | None:
        """The container and the last step of a key. A key that holds dots itself is found, too."""
        return _find(self.document, key.split("."))


def _find(place: Any, parts: list[str]) -> tuple[Any, Any] | None:
    for length in range(len(parts), 0, -1):
        step: Any = ".".join(parts[:length])
        if isinstance(place, MutableSequence):
            if length > 1 or not step.isdigit() or int(step) >= len(place):
                continue
            step = int(step)
        elif not isinstance(place, Mapping) or step not in place:
            continue
        if length == len(parts):
            return place, step
        found = _find(place[step], parts[length:])
        if found is not None:
            return found
    return None


def _keys(value: Any, prefix: str = "") -> Iterator[str]:
    entries: list[tuple[object, Any]] = []
    if isinstance(value, Mapping):
        entries = list(value.items())
    elif isinstance(value, MutableSequence):
        entries = list(enumerate(value))
    for key, entry in entries:
        name = f"{prefix}.{key}" if prefix else str(key)
        yield name
        yield from _keys(entry, name)


def typed(value: object, standing: object, where: str) -> object:
    """`value` as the type of the value that is replaced; RequestError where that is another kind.

    A whole number in a template may become a fraction: JSON files write 45 for 45.0. A text that holds one (a filled
    placeholder) becomes a number where one is replaced.
    """
    if standing is None:
        return as_scalar(value)
    if isinstance(standing, bool):
        found = as_scalar(value)
        if isinstance(found, bool):
            return found
        raise RequestError(f"{where}: {value!r} cannot replace {standing!r}, which is true or false")
    if isinstance(standing, (int, float)):
        found = as_scalar(value)
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise RequestError(f"{where}: {value!r} cannot replace {standing!r}, which is a number")
        if isinstance(standing, int) and isinstance(found, float) and found.is_integer():
            return int(found)
        return float(found) if isinstance(standing, float) else found
    if isinstance(standing, str):
        if isinstance(value, str) or (isinstance(value, bool) and standing.lower() in YAML_1_1_SWITCHES):
            return value
        raise RequestError(f"{where}: {value!r} cannot replace {str(standing)!r}, which is text")
    if isinstance(standing, Mapping) == isinstance(value, Mapping) and isinstance(value, (list, dict)):
        return value
    raise RequestError(f"{where}: {value!r} cannot replace {_kind(standing)}; name one of its entries")


def as_scalar(value: object) -> object:
    """A text that is a number, true, false or null becomes that; anything else stays."""
    if not isinstance(value, str):
        return value
    words: dict[str, object] = {"true": True, "false": False, "null": None}
    if value.lower() in words:
        return words[value.lower()]
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _parsed(text: str, suffix: str, where: str) -> Any:
    if suffix == ".json":
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise RequestError(f"{where}, line {error.lineno}: not JSON: {error.msg}") from error
        except RecursionError as error:
            raise RequestError(f"{where}: not JSON: nested too deeply") from error
    if suffix == ".toml":
        import tomlkit
        from tomlkit.exceptions import TOMLKitError

        try:
            return tomlkit.parse(text)
        except TOMLKitError as error:
            raise RequestError(f"{where}: not TOML: {' '.join(str(error).split())}") from error
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return _yaml().load(text)
    except MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise RequestError(
            f"{where}{line}: not YAML: {' '.join(str(error.problem or error.context).split())}"
        ) from error
    except (YAMLError, RecursionError, ValueError) as error:
        raise RequestError(f"{where}: not YAML: {one_line(error)}") from error


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10**6
    yaml.representer.add_representer(float, _represent_float)
    return yaml


def _represent_float(representer: Any, value: float) -> Any:
    """1.0e-05 and not 1e-05: PyYAML, with which most trainers read their config, takes the latter for text."""
    text = {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}.get(repr(value), repr(value))
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e", 1)
    return representer.represent_scalar("tag:yaml.org,2002:float", text)


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a section"
    return "a list" if isinstance(value, MutableSequence) else f"a {type(value).__name__}"
