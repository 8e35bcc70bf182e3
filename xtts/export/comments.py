"""An export's provenance and notes as `#` comment lines that no value given to them can break out of."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from xtts.export.tuned import Provenance
from xtts.export.verdict import verdict_line

_OTHER_MODEL = "The weights were tuned on XTTS Sweep's own model, not on yours: a good start, to be checked there."
_FIRST = "# >>> exported by XTTS Sweep"
_LAST = "# <<< exported by XTTS Sweep"
_BLOCK = re.compile(rf"\A(\ufeff?){_FIRST}[^\r\n]*\r?\n(?:#[^\r\n]*\r?\n)*?{_LAST}[^\r\n]*(?:\r?\n|\Z)")


def provenance_lines(provenance: Provenance) -> list[str]:
    """An export's origin, one fact a line, without comment signs."""
    return [
        _one_line(line)
        for line in (
            f"run {provenance.run}, {provenance.date}, XTTS Sweep {provenance.version}",
            f"objective: {provenance.objective:.4f} at epoch {provenance.best_epoch} "
            f"({provenance.measure or 'free-running validation mel L1, in sd of the mel; weight-free'})",
            f"verdict: {verdict_line(provenance)}",
            f"data: {provenance.data}, fingerprint {provenance.data_fingerprint}",
            *([] if provenance.measure else [_OTHER_MODEL]),
        )
    ]


def header(provenance: Provenance, notes: Iterable[str], newline: str = "\n", *, ascii_only: bool = False) -> str:
    """A comment block with provenance and notes, ending in a newline. `ascii_only` escapes other letters, for readers
    that open files in the system's encoding."""
    lines = [_FIRST]
    for line in provenance_lines(provenance):
        lines.append(f"# {line}")
    for note in notes:
        lines.append("#")
        lines += [f"# {part}" for part in textwrap.wrap(_one_line(note), 108, subsequent_indent="  ")]
    lines.append(_LAST)
    block = "".join(line + newline for line in lines)
    return block.encode("ascii", "backslashreplace").decode("ascii") if ascii_only else block


def without_header(text: str) -> str:
    """The text without the comment block that an earlier export put at its start."""
    return _BLOCK.sub(r"\1", text)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))
