"""Sets values in a user's YAML file and leaves every other byte of it as it is.

PyYAML's composed nodes give the place of each value in the text; only those spans are replaced. A round trip through a
YAML writer would also change spacing, quotes and number formats on other lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml

from xtts.export.errors import ExportError

# A file that refers to itself this often is no plain config, and a short chain of such references fills any memory.
_MOST_ALIASES = 32
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_ALIAS = re.compile(r"\s*:\s*(\*[^\s,\[\]{}]+)")


@dataclass(frozen=True)
class Leaf:
    """A value and its place in the text; `after` is where its key ends, `is_alias` a reference (*name) to another."""

    node: yaml.Node
    after: int
    start: int
    end: int
    is_alias: bool = False


class YamlText:
    """A YAML text of one mapping, its values by dotted path: several where a key is a duplicate, entries of lists by
    their number. `name` is what messages call the text. Raises ExportError for anything else."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name
        self.leaves: dict[str, list[Leaf]] = {}
        self._referenced: list[int] = []
        root = self._composed()
        self._index(root, "")
        if len(self._referenced) > _MOST_ALIASES:
            raise ExportError(f"{name} has more than {_MOST_ALIASES} references (*name); write the values out")
        self.loaded = self._loaded()
        if not isinstance(root, yaml.MappingNode):
            raise ExportError(f"{name} holds {_kind(self.loaded)} where sections (`training:` and others) should be")

    def paths(self) -> list[str]:
        """The dotted paths of all values that are no mappings."""
        mapping = yaml.MappingNode
        return [
            path for path, found in self.leaves.items() if not any(isinstance(leaf.node, mapping) for leaf in found)
        ]

    def line(self, index: int) -> str:
        """The place in the text for messages."""
        return f"{self.name}, line {self.text.count(chr(10), 0, index) + 1}"

    def section(self, path: str) -> Leaf:
        """The mapping at a dotted path, to which keys can be added."""
        found = self.leaves.get(path, [])
        if not found:
            raise ExportError(f"{self.name} has no `{path}:` section; add one at the top level")
        if len(found) > 1:
            lines = " and ".join(self.line(leaf.after).rpartition(" ")[2] for leaf in found)
            raise ExportError(f"{self.name} has the section `{path}:` twice (lines {lines}); keep one of them")
        where = f"{self.line(found[0].after)}: `{path}:`"
        if not isinstance(found[0].node, yaml.MappingNode) or found[0].is_alias:
            raise ExportError(f"{where} holds no keys of its own; write at least one below it, or omit the template")
        self._refuse_referenced(found[0], where)
        return found[0]

    def single_values(self, path: str) -> list[Leaf]:
        """The values at a dotted path; ExportError where one is a collection or is used elsewhere by reference."""
        found = self.leaves.get(path, [])
        for leaf in found:
            where = f"{self.line(leaf.start)}: {path}"
            if isinstance(leaf.node, yaml.CollectionNode):
                raise ExportError(f"{where} is a list or a mapping where a single value belongs")
            self._refuse_referenced(leaf, where)
        return found

    def _refuse_referenced(self, leaf: Leaf, where: str) -> None:
        if not leaf.is_alias and id(leaf.node) in self._referenced:
            raise ExportError(f"{where} is used elsewhere by reference (*name); write it out in both places first")

    def _composed(self) -> yaml.Node:
        try:
            root = yaml.compose(self.text, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, ValueError) as error:
            raise ExportError(f"{self.name} is not YAML: {_reason(error)}") from error
        except RecursionError as error:
            raise ExportError(f"{self.name} is nested too deeply; give the config file itself") from error
        if root is None:
            raise ExportError(f"{self.name} is empty; give the config file itself")
        return root

    def _loaded(self) -> dict[object, object]:
        """The values, as PyYAML's safe loader reads them."""
        try:
            return yaml.safe_load(self.text)  # type: ignore[no-any-return]
        except (yaml.YAMLError, ValueError, TypeError) as error:
            raise ExportError(f"{self.name} is not a YAML that can be loaded safely: {_reason(error)}") from error

    def _index(self, node: yaml.Node, path: str) -> None:
        prefix = f"{path}." if path else ""
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode):
                    self._enter(f"{prefix}{key.value}", value, key.end_mark.index)
        elif isinstance(node, yaml.SequenceNode):
            after = node.start_mark.index
            for place, value in enumerate(node.value):
                self._enter(f"{prefix}{place}", value, after)
                after = max(after, value.end_mark.index)

    def _enter(self, path: str, value: yaml.Node, after: int) -> None:
        leaves = self.leaves.setdefault(path, [])
        if value.start_mark.index >= after:
            leaves.append(Leaf(value, after, value.start_mark.index, value.end_mark.index))
            self._index(value, path)
            return
        self._referenced.append(id(value))  # a composed alias is the node that it refers to, which is earlier
        if found := _ALIAS.match(self.text, after):
            leaves.append(Leaf(value, after, *found.span(1), is_alias=True))


def newline_of(text: str) -> str:
    """The line ending that the text uses first, or a plain newline."""
    found = re.search("\r\n|\n|\r", text)
    return found.group() if found else "\n"


def set_values(text: str, values: Mapping[str, str], name: str) -> str:
    """The text with `values` (dotted path to its YAML text), each of which must exist.

    Raises ExportError where a path is missing, is no single value, or is used elsewhere by reference.
    """
    document = YamlText(text, name)
    missing = [path for path in values if not document.leaves.get(path)]
    if missing:
        raise ExportError(f"{name} has no {', '.join(missing)}; add them there, or name other keys")
    return _edited(document, values)


def set_in_section(
    text: str, section: str, values: Mapping[str, str], name: str, remarks: Mapping[str, str] | None = None
) -> tuple[str, tuple[str, ...]]:
    """The text with `values` (key to its YAML text) in the top-level mapping `section`, and the keys that were missing
    and are added there, with a remark where `remarks` has one.

    Raises ExportError where the section is missing or is no mapping, where a value is a collection or is used
    elsewhere by reference, or where the change cannot be made without touching the rest.
    """
    document = YamlText(text, name)
    mapping = document.section(section)
    paths = {f"{section}.{key}": value for key, value in values.items()}
    present = [leaf for path in paths for leaf in document.single_values(path)]
    missing = tuple(key for key in values if not document.leaves.get(f"{section}.{key}"))
    if not missing:
        return _edited(document, paths), missing
    lines = {key: f"{key}: {values[key]}" for key in missing}
    noted = {key: f"{line}  # {remarks[key]}" if remarks and key in remarks else line for key, line in lines.items()}
    # After a value that is set anyway; else as the section's first, where no comment can part them from their section.
    last = present[-1].end if present else mapping.after
    return _edited(document, paths, [_insertion(document.text, mapping, last, lines, noted)]), missing


_Edit = tuple[int, int, str]
"""Start and end in the old text, and what replaces it"""


def _edited(document: YamlText, values: Mapping[str, str], insertions: Iterable[_Edit] = ()) -> str:
    edits: list[_Edit] = []
    for path, value in values.items():
        leaves = document.single_values(path)
        if not all(_holds(leaf, value) for leaf in leaves):
            edits += [_replacement(document.text, leaf, value) for leaf in leaves]
    parts, done = [], 0
    for start, end, text in sorted([*edits, *insertions], key=lambda edit: edit[0]):
        parts += [document.text[done:start], text]
        done = end
    new = "".join(parts) + document.text[done:]
    _check(document, new, values)
    return new


def _holds(leaf: Leaf, value: str) -> bool:
    if leaf.is_alias or not isinstance(leaf.node, yaml.ScalarNode) or leaf.node.style is not None:
        return False
    old, new = yaml.safe_load(leaf.node.value or "null"), yaml.safe_load(value)
    # A bool equals 0 or 1 in Python, but not to the trainer that reads the file.
    return isinstance(old, bool) == isinstance(new, bool) and isinstance(old, int | float | str) and old == new


def _replacement(text: str, leaf: Leaf, value: str) -> _Edit:
    start, end = leaf.start, leaf.end
    old = text[start:end]
    # A block scalar's span ends behind its line break, which belongs to the line and not to the value.
    tail = old[len(old.rstrip()) :] if old.strip() else old
    space = " " if start == end and start > 0 and not text[start - 1].isspace() else ""
    return start, end, f"{space}{value}{tail}"


def _insertion(text: str, mapping: Leaf, last: int, lines: Mapping[str, str], noted: Mapping[str, str]) -> _Edit:
    assert isinstance(mapping.node, yaml.MappingNode)
    if mapping.node.flow_style or not mapping.node.value:
        at = text.index("{", mapping.start) + 1
        inside = ", ".join(lines.values())
        return at, at, f"{inside}, " if mapping.node.value else inside
    newline = newline_of(text)
    at = _line_end(text, last)
    indent = " " * mapping.node.value[0][0].start_mark.column
    block = "".join(f"{indent}{line}{newline}" for line in noted.values())
    opened = at > 0 and _LINE_BREAK.match(text[at - 1]) is None
    return at, at, f"{newline}{block[: -len(newline)]}" if opened else block


def _line_end(text: str, index: int) -> int:
    if index > 0 and text[index - 1] in "\n\r":
        return index
    found = _LINE_BREAK.search(text, index)
    return found.end() if found else len(text)


def _check(old: YamlText, new_text: str, values: Mapping[str, str]) -> None:
    """The new text must have the wanted values, and every other value as before."""
    try:
        new = YamlText(new_text, old.name)
        right = all(
            new.leaves.get(path) and all(_holds(leaf, value) for leaf in new.leaves[path])
            for path, value in values.items()
        )
        same = right and _others(old, values) == _others(new, values)
    except ExportError:
        same = False
    if not same:
        raise ExportError(f"{old.name} cannot be edited in place: write its sections as plain `key: value` lines")


def _others(document: YamlText, values: Mapping[str, str]) -> dict[str, list[tuple[str, object]]]:
    """Kind and text of all other values."""
    return {
        path: [
            (leaf.node.tag, leaf.node.value if isinstance(leaf.node, yaml.ScalarNode) else leaf.is_alias)
            for leaf in leaves
        ]
        for path, leaves in document.leaves.items()
        if path not in values
    }


def _reason(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())[:200]


def _kind(loaded: object) -> str:
    if isinstance(loaded, list):
        return "a list"
    return f"only {type(loaded).__name__} text" if isinstance(loaded, str) else f"a single {type(loaded).__name__}"
