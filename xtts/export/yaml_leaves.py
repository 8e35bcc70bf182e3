"""Setting a few leaves of somebody's YAML file and leaving every other byte of it alone.

PyYAML's events say where each value stands in the text; only those spans are replaced. The result is parsed again and
must tell the same events outside the leaves that were set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import yaml

from xtts.export.errors import ExportError

# A file that refers to itself this often is no plain config, and a short chain of such references fills any memory.
_MOST_ALIASES = 32
# PyYAML's time grows with the square of the depth, and its loader's stack ends near a thousand.
_DEEPEST = 100
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


@dataclass(frozen=True)
class EditedYaml:
    """The new text, and which of the leaves were changed, added, or already had their value."""

    text: str
    changed: tuple[str, ...]
    added: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True)
class _Edit:
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class _Document:
    """A YAML text of one mapping, as PyYAML's events."""

    text: str
    events: tuple[yaml.Event, ...]
    name: str

    def after(self, node: int) -> int:
        """The index of the event that follows the node starting at event `node`."""
        depth = 0
        while True:
            event = self.events[node]
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            node += 1
            if depth == 0:
                return node

    def pairs(self, mapping: int) -> Iterator[tuple[int, int]]:
        """The event indices of each key and value of the mapping starting at event `mapping`."""
        key = mapping + 1
        while not isinstance(self.events[key], yaml.MappingEndEvent):
            value = self.after(key)
            yield key, value
            key = self.after(value)

    def find(self, mapping: int, name: str) -> list[tuple[int, int]]:
        """The pairs of that mapping whose key is the scalar `name`."""
        return [(key, value) for key, value in self.pairs(mapping) if self._is_scalar(key, name)]

    def span(self, node: int) -> tuple[int, int]:
        """The indices into the text where the event begins and ends."""
        event = self.events[node]
        assert event.start_mark is not None
        assert event.end_mark is not None
        return event.start_mark.index, event.end_mark.index

    def position(self, node: int) -> tuple[int, int]:
        """The event's line, from 1, and its column, from 0."""
        mark = self.events[node].start_mark
        assert mark is not None
        return mark.line + 1, mark.column

    def line(self, node: int) -> int:
        return self.position(node)[0]

    def is_referred_to(self, node: int) -> bool:
        """Whether the node has an anchor that an alias in the text points to."""
        event = self.events[node]
        if isinstance(event, yaml.AliasEvent) or not isinstance(event, yaml.NodeEvent) or event.anchor is None:
            return False
        return any(isinstance(other, yaml.AliasEvent) and other.anchor == event.anchor for other in self.events)

    def _is_scalar(self, node: int, text: str) -> bool:
        event = self.events[node]
        return isinstance(event, yaml.ScalarEvent) and event.value == text


def newline_of(text: str) -> str:
    """The line ending that the text uses first, or a plain newline."""
    found = re.search("\r\n|\n|\r", text)
    return found.group() if found else "\n"


def mapping_of(text: str, name: str) -> dict[object, object]:
    """The text's one document as a mapping, safe-loaded. Raises ExportError (`name`: what to call the text)."""
    document = _parse(text, name)
    try:
        loaded = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise ExportError(f"{name} is not a YAML that can be loaded safely: {_reason(error)}") from error
    if not isinstance(loaded, dict) or not isinstance(document.events[2], yaml.MappingStartEvent):
        raise ExportError(f"{name} holds {_kind(loaded)} where sections (`training:` and others) should be")
    return loaded


def set_leaves(
    text: str, section: str, values: Mapping[str, str], name: str, remarks: Mapping[str, str] | None = None
) -> EditedYaml:
    """Set `values` (key to its YAML text) in the top-level mapping `section`; keys that are missing are added there,
    with a remark where `remarks` has one.

    Raises ExportError where the section is missing or is no mapping, where a value is a collection or is used
    elsewhere by reference, or where the change cannot be made without touching the rest.
    """
    mapping_of(text, name)
    document = _parse(text, name)
    start = _section(document, section)
    edits: list[_Edit] = []
    changed, added, kept = [], [], []
    last = None
    for key, value in values.items():
        found = document.find(start, key)
        for _, node in found:
            _refuse_unfit(document, node, f"{section}.{key}")
        last = found[-1][1] if found else last
        if not found:
            added.append(key)
        elif all(_holds(document, node, value) for _, node in found):
            kept.append(key)
        else:
            changed.append(key)
            edits += [_replacement(document, node, value) for _, node in found]
    if added:
        lines = {key: (values[key], (remarks or {}).get(key)) for key in added}
        edits.append(_insertion(document, section, start, last, lines))
    new = _apply(text, edits)
    _check(document, new, section, values)
    return EditedYaml(new, tuple(changed), tuple(added), tuple(kept))


def _parse(text: str, name: str) -> _Document:
    try:
        events = tuple(_shallow(yaml.parse(text, Loader=yaml.SafeLoader), name))
    except (yaml.YAMLError, ValueError) as error:
        raise ExportError(f"{name} is not YAML: {_reason(error)}") from error
    if len(events) < 5:
        raise ExportError(f"{name} is empty; give the config file itself")
    if sum(isinstance(event, yaml.DocumentStartEvent) for event in events) > 1:
        raise ExportError(f"{name} holds several YAML documents; keep one of them")
    if sum(isinstance(event, yaml.AliasEvent) for event in events) > _MOST_ALIASES:
        raise ExportError(f"{name} has more than {_MOST_ALIASES} references (*name); write the values out")
    return _Document(text, events, name)


def _shallow(events: Iterable[yaml.Event], name: str) -> Iterator[yaml.Event]:
    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ExportError(f"{name} is nested more than {_DEEPEST} deep; give the config file itself")
        yield event


def _section(document: _Document, section: str) -> int:
    found = document.find(2, section)
    if not found:
        raise ExportError(f"{document.name} has no `{section}:` section; add one at the top level")
    if len(found) > 1:
        lines = " and ".join(str(document.line(key)) for key, _ in found)
        raise ExportError(f"{document.name} has the section `{section}:` twice (lines {lines}); keep one of them")
    key, value = found[0]
    if not isinstance(document.events[value], yaml.MappingStartEvent):
        raise ExportError(
            f"{document.name}, line {document.line(key)}: `{section}:` holds no keys of its own; "
            "write at least one below it, or leave the template out"
        )
    if document.is_referred_to(value):
        raise ExportError(
            f"{document.name}, line {document.line(key)}: `{section}:` is used elsewhere by reference (*name); "
            "write its keys out in both places first"
        )
    return value


def _refuse_unfit(document: _Document, node: int, leaf: str) -> None:
    event = document.events[node]
    where = f"{document.name}, line {document.line(node)}: {leaf}"
    if isinstance(event, yaml.CollectionStartEvent):
        raise ExportError(f"{where} is a list or a mapping where a single value belongs")
    if document.is_referred_to(node):
        raise ExportError(f"{where} is used elsewhere by reference (*name); write the value out in both places first")


def _holds(document: _Document, node: int, value: str) -> bool:
    event = document.events[node]
    if not isinstance(event, yaml.ScalarEvent) or event.tag is not None or not event.implicit[0]:
        return False
    old, new = _resolve(event), yaml.safe_load(value)
    # A bool equals 0 or 1 in Python, but not to the trainer that reads the file.
    return isinstance(old, bool) == isinstance(new, bool) and isinstance(old, int | float | str) and old == new


def _resolve(event: yaml.ScalarEvent) -> object:
    loaded: object = yaml.safe_load(event.value) if event.implicit[0] else event.value
    return loaded


def _replacement(document: _Document, node: int, value: str) -> _Edit:
    start, end = document.span(node)
    old = document.text[start:end]
    # A block scalar's span ends behind its line break, which belongs to the line and not to the value.
    tail = old[len(old.rstrip()) :] if old.strip() else old
    space = " " if start == end and start > 0 and not document.text[start - 1].isspace() else ""
    return _Edit(start, end, f"{space}{value}{tail}")


def _insertion(
    document: _Document, section: str, start: int, last: int | None, lines: Mapping[str, tuple[str, str | None]]
) -> _Edit:
    event = document.events[start]
    pairs = list(document.pairs(start))
    if getattr(event, "flow_style", False) or not pairs:
        at = document.text.index("{", document.span(start)[0]) + 1
        inside = ", ".join(f"{key}: {value}" for key, (value, _) in lines.items())
        return _Edit(at, at, f"{inside}, " if pairs else inside)
    newline = newline_of(document.text)
    # Beside a leaf that is set anyway; else as the section's first, where no comment can part them from their section.
    if last is not None:
        at = _line_end(document.text, document.span(last)[1])
    else:
        key = next(key for key, value in document.find(2, section) if value == start)
        at = _line_end(document.text, document.span(key)[1])
    indent = " " * document.position(pairs[0][0])[1]
    block = "".join(
        f"{indent}{key}: {value}{f'  # {remark}' if remark else ''}{newline}" for key, (value, remark) in lines.items()
    )
    opened = at > 0 and _LINE_BREAK.match(document.text[at - 1]) is None
    return _Edit(at, at, f"{newline}{block[: -len(newline)]}" if opened else block)


def _line_end(text: str, index: int) -> int:
    if index > 0 and text[index - 1] in "\n\r":
        return index
    found = _LINE_BREAK.search(text, index)
    return found.end() if found else len(text)


def _apply(text: str, edits: list[_Edit]) -> str:
    parts, done = [], 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        parts += [text[done : edit.start], edit.text]
        done = edit.end
    return "".join(parts) + text[done:]


def _check(old: _Document, new_text: str, section: str, values: Mapping[str, str]) -> None:
    advice = f"{old.name} cannot be edited in place: write `{section}:` as plain `key: value` lines"
    try:
        new = _parse(new_text, old.name)
        start = _section(new, section)
        found = {key: new.find(start, key) for key in values}
        set_right = all(
            pairs and all(_holds(new, node, values[key]) for _, node in pairs) for key, pairs in found.items()
        )
        same = _rest(old, section, values) == _rest(new, section, values)
    except ExportError as error:
        raise ExportError(advice) from error
    if not (set_right and same):
        raise ExportError(advice)


def _rest(document: _Document, section: str, values: Mapping[str, str]) -> list[tuple[object, ...]]:
    start = _section(document, section)
    skipped: set[int] = set()
    for name in values:
        for key, value in document.find(start, name):
            skipped.update(range(key, document.after(value)))
    return [
        (type(event), getattr(event, "value", None), getattr(event, "anchor", None), getattr(event, "tag", None))
        for index, event in enumerate(document.events)
        if index not in skipped
    ]


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
