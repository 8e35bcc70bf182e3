"""Sets values in somebody's YAML file and leaves every other byte of it as it is.

PyYAML's composed nodes give the place of each value in the text; only those spans are replaced. A round trip through a
YAML writer would also change spacing, quotes and number formats on lines that nobody asked to change.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import yaml

from xtts.export.errors import ExportError

# A file that refers to itself this often is no plain config, and a short chain of such references fills any memory.
_MOST_ALIASES = 32
# PyYAML's time grows with the square of the depth, and its loader's stack ends near a thousand.
_DEEPEST = 100
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_ALIAS = re.compile(r"\s*:\s*(\*[^\s,\[\]{}]+)")


@dataclass(frozen=True)
class EditedYaml:
    """The new text, and which of the values were changed, added, or already as wanted."""

    text: str
    changed: tuple[str, ...]
    added: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True)
class Leaf:
    """A key and its value in a YAML text; `start` and `end` are the value's place in it."""

    value: yaml.Node
    start: int
    end: int
    is_alias: bool


@dataclass(frozen=True)
class YamlText:
    """A YAML text of one mapping. `name` is what messages call it. Raises ExportError for anything else."""

    text: str
    name: str

    def __post_init__(self) -> None:
        self._refuse_unfit()
        if not isinstance(self.loaded, dict) or not isinstance(self._root, yaml.MappingNode):
            raise ExportError(
                f"{self.name} holds {_kind(self.loaded)} where sections (`training:` and others) should be"
            )

    @cached_property
    def loaded(self) -> dict[object, object]:
        """The values, as PyYAML's safe loader reads them."""
        try:
            return yaml.safe_load(self.text)  # type: ignore[no-any-return]
        except (yaml.YAMLError, ValueError, TypeError) as error:
            raise ExportError(f"{self.name} is not a YAML that can be loaded safely: {_reason(error)}") from error

    def leaves(self, path: str) -> list[Leaf]:
        """The values at a dotted path; none if it is missing, several where the last key is a duplicate."""
        *sections, key = path.split(".")
        return self._values(self.section(".".join(sections)) if sections else self._root, key)

    def key(self, name: str) -> yaml.Node:
        """The first top-level key of that name."""
        key: yaml.Node = next(key for key, _ in self._root.value if key.value == name)
        return key

    def section(self, path: str) -> yaml.MappingNode:
        """The mapping at a dotted path."""
        node: yaml.Node = self._root
        for key in path.split("."):
            assert isinstance(node, yaml.MappingNode)
            keys = [one for one, _ in node.value if one.value == key]
            if not keys:
                raise ExportError(f"{self.name} has no `{path}:` section; add one at the top level")
            if len(keys) > 1:
                lines = " and ".join(str(one.start_mark.line + 1) for one in keys)
                raise ExportError(f"{self.name} has the section `{path}:` twice (lines {lines}); keep one of them")
            leaf = self._values(node, key)[0]
            where = f"{self.name}, line {keys[0].start_mark.line + 1}: `{path}:`"
            if not isinstance(leaf.value, yaml.MappingNode) or leaf.is_alias:
                raise ExportError(
                    f"{where} holds no keys of its own; write at least one below it, or omit the template"
                )
            if self._uses[id(leaf.value)] > 1:
                raise ExportError(
                    f"{where} is used elsewhere by reference (*name); write its keys out in both places first"
                )
            node = leaf.value
        assert isinstance(node, yaml.MappingNode)
        return node

    def paths(self) -> Iterator[str]:
        """The dotted path of every single value."""
        yield from _paths(self.loaded, "")

    def checked_leaves(self, path: str) -> list[Leaf]:
        """The same as `leaves`; ExportError where one is a collection or is used elsewhere by reference."""
        found = self.leaves(path)
        for leaf in found:
            where = f"{self.name}, line {self.text.count(chr(10), 0, leaf.start) + 1}: {path}"
            if isinstance(leaf.value, yaml.CollectionNode):
                raise ExportError(f"{where} is a list or a mapping where a single value belongs")
            if not leaf.is_alias and self._uses[id(leaf.value)] > 1:
                raise ExportError(
                    f"{where} is used elsewhere by reference (*name); write the value out in both places first"
                )
        return found

    def _values(self, node: yaml.Node, name: str) -> list[Leaf]:
        assert isinstance(node, yaml.MappingNode)
        return [self._leaf(key, value) for key, value in node.value if key.value == name and _is_scalar(key)]

    def _leaf(self, key: yaml.Node, value: yaml.Node) -> Leaf:
        # A composed alias is the node that it refers to, which is earlier in the text.
        if value.start_mark.index >= key.end_mark.index:
            return Leaf(value, value.start_mark.index, value.end_mark.index, is_alias=False)
        found = _ALIAS.match(self.text, key.end_mark.index)
        if found is None:
            raise ExportError(f"{self.name}, line {key.start_mark.line + 1}: `{key.value}` cannot be edited in place")
        return Leaf(value, *found.span(1), is_alias=True)

    @cached_property
    def _root(self) -> yaml.Node:
        return yaml.compose(self.text, Loader=yaml.SafeLoader) or yaml.ScalarNode("", "")

    @cached_property
    def _uses(self) -> Counter[int]:
        """How often each node is used in the text, by identity."""
        uses: Counter[int] = Counter()
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            uses[id(node)] += 1
            if uses[id(node)] > 1:
                continue
            if isinstance(node, yaml.MappingNode):
                waiting += [part for pair in node.value for part in pair]
            elif isinstance(node, yaml.SequenceNode):
                waiting += node.value
        return uses

    def _refuse_unfit(self) -> None:
        depth = documents = aliases = events = 0
        try:
            for event in yaml.parse(self.text, Loader=yaml.SafeLoader):
                events += 1
                depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
                documents += isinstance(event, yaml.DocumentStartEvent)
                aliases += isinstance(event, yaml.AliasEvent)
                if depth > _DEEPEST:
                    raise ExportError(f"{self.name} is nested more than {_DEEPEST} deep; give the config file itself")
        except (yaml.YAMLError, ValueError) as error:
            raise ExportError(f"{self.name} is not YAML: {_reason(error)}") from error
        if events < 5:
            raise ExportError(f"{self.name} is empty; give the config file itself")
        if documents > 1:
            raise ExportError(f"{self.name} holds several YAML documents; keep one of them")
        if aliases > _MOST_ALIASES:
            raise ExportError(f"{self.name} has more than {_MOST_ALIASES} references (*name); write the values out")


def newline_of(text: str) -> str:
    """The line ending that the text uses first, or a plain newline."""
    found = re.search("\r\n|\n|\r", text)
    return found.group() if found else "\n"


def mapping_of(text: str, name: str) -> dict[object, object]:
    """The text's one document as a mapping, safe-loaded. Raises ExportError (`name`: what to call the text)."""
    return YamlText(text, name).loaded


def set_values(text: str, values: Mapping[str, str], name: str) -> EditedYaml:
    """Set `values` (dotted path to its YAML text), each of which must exist.

    Raises ExportError where a path is missing, is no single value, or is used elsewhere by reference.
    """
    document = YamlText(text, name)
    found = {path: document.checked_leaves(path) for path in values}
    missing = [path for path, leaves in found.items() if not leaves]
    if missing:
        raise ExportError(f"{name} has no {', '.join(missing)}; add them there, or name other keys")
    return _edited(document, values, found, [])


def set_leaves(
    text: str, section: str, values: Mapping[str, str], name: str, remarks: Mapping[str, str] | None = None
) -> EditedYaml:
    """Set `values` (key to its YAML text) in the top-level mapping `section`; keys that are missing are added there,
    with a remark where `remarks` has one.

    Raises ExportError where the section is missing or is no mapping, where a value is a collection or is used
    elsewhere by reference, or where the change cannot be made without touching the rest.
    """
    document = YamlText(text, name)
    mapping = document.section(section)
    paths = {f"{section}.{key}": value for key, value in values.items()}
    found = {path: document.checked_leaves(path) for path in paths}
    missing = {key: (value, (remarks or {}).get(key)) for key, value in values.items() if not found[f"{section}.{key}"]}
    last = next((leaves[-1].end for leaves in reversed(found.values()) if leaves), None)
    edited = _edited(document, paths, found, [_insertion(document, section, mapping, last, missing)] if missing else [])

    def keys(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(path.removeprefix(f"{section}.") for path in names)

    return EditedYaml(edited.text, keys(edited.changed), keys(edited.added), keys(edited.kept))


_Edit = tuple[int, int, str]
"""Start and end in the old text, and what replaces it"""


def _edited(
    document: YamlText, values: Mapping[str, str], found: Mapping[str, list[Leaf]], insertions: list[_Edit]
) -> EditedYaml:
    kept = tuple(
        path for path, leaves in found.items() if leaves and all(_holds(leaf, values[path]) for leaf in leaves)
    )
    changed = tuple(path for path, leaves in found.items() if leaves and path not in kept)
    edits = [_replacement(document.text, leaf, values[path]) for path in changed for leaf in found[path]]
    parts, done = [], 0
    for start, end, text in sorted([*edits, *insertions], key=lambda edit: edit[0]):
        parts += [document.text[done:start], text]
        done = end
    new = "".join(parts) + document.text[done:]
    _check(document, new, values)
    return EditedYaml(new, changed, tuple(path for path, leaves in found.items() if not leaves), kept)


def _is_scalar(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode)


def _paths(value: object, prefix: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _paths(part, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix


def _holds(leaf: Leaf, value: str) -> bool:
    node = leaf.value
    if leaf.is_alias or not isinstance(node, yaml.ScalarNode) or node.style is not None:
        return False
    old, new = yaml.safe_load(node.value or "null"), yaml.safe_load(value)
    # A bool equals 0 or 1 in Python, but not to the trainer that reads the file.
    return isinstance(old, bool) == isinstance(new, bool) and isinstance(old, int | float | str) and old == new


def _replacement(text: str, leaf: Leaf, value: str) -> _Edit:
    start, end = leaf.start, leaf.end
    old = text[start:end]
    # A block scalar's span ends behind its line break, which belongs to the line and not to the value.
    tail = old[len(old.rstrip()) :] if old.strip() else old
    space = " " if start == end and start > 0 and not text[start - 1].isspace() else ""
    return start, end, f"{space}{value}{tail}"


def _insertion(
    document: YamlText,
    section: str,
    mapping: yaml.MappingNode,
    last: int | None,
    lines: Mapping[str, tuple[str, str | None]],
) -> _Edit:
    text = document.text
    if mapping.flow_style or not mapping.value:
        at = text.index("{", mapping.start_mark.index) + 1
        inside = ", ".join(f"{key}: {value}" for key, (value, _) in lines.items())
        return at, at, f"{inside}, " if mapping.value else inside
    newline = newline_of(text)
    # After a value that is set anyway; else as the section's first, where no comment can part them from their section.
    if last is None:
        last = document.key(section).end_mark.index
    at = _line_end(text, last)
    indent = " " * mapping.value[0][0].start_mark.column
    block = "".join(
        f"{indent}{key}: {value}{f'  # {remark}' if remark else ''}{newline}" for key, (value, remark) in lines.items()
    )
    opened = at > 0 and _LINE_BREAK.match(text[at - 1]) is None
    return at, at, f"{newline}{block[: -len(newline)]}" if opened else block


def _line_end(text: str, index: int) -> int:
    if index > 0 and text[index - 1] in "\n\r":
        return index
    found = _LINE_BREAK.search(text, index)
    return found.end() if found else len(text)


def _check(old: YamlText, new_text: str, values: Mapping[str, str]) -> None:
    """The new text must load with the wanted values, and with every other value as before."""
    try:
        new = YamlText(new_text, old.name)
        right = all(
            (found := new.leaves(path)) and all(_holds(leaf, values[path]) for leaf in found) for path in values
        )
        same = right and _without(old.loaded, values) == _without(new.loaded, values)
    except ExportError:
        same = False
    if not same:
        raise ExportError(f"{old.name} cannot be edited in place: write its sections as plain `key: value` lines")


def _without(loaded: object, paths: Mapping[str, str], prefix: str = "") -> str:
    """The values at other paths, as text: unlike values, texts can be compared where they hold nan or themselves."""
    if not isinstance(loaded, dict) or not any(path.startswith(prefix) for path in paths):
        return repr(loaded)
    inside = (
        f"{key!r}: {_without(part, paths, f'{prefix}{key}.')}"
        for key, part in loaded.items()
        if f"{prefix}{key}" not in paths
    )
    return f"{{{', '.join(inside)}}}"


def _reason(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())[:200]


def _kind(loaded: object) -> str:
    if isinstance(loaded, list):
        return "a list"
    if loaded is None:
        return "nothing"
    return f"only {type(loaded).__name__} text" if isinstance(loaded, str) else f"a single {type(loaded).__name__}"
