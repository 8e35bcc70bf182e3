"""An export's provenance and notes as `#` comment lines that no value given to them can break out of."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from xtts.export.tuned import Provenance
from xtts.export.verdict import verdict_line

_CARRIES_OVER = (
    "Before a training with a larger model, compare the config with the default at that size: in short trainings of 11 "
    "configs on real speech the best with XTTS Sweep's model tiny was worse than the default with small (rank "
    "correlation from tiny to small +0.53, +0.92 without that one), while from synthetic voices to a real one the "
    "order held (+0.97): docs/results-carry-over.md."
)
"""The rule for another size or voice than the sweep's, with its evidence: docs/results-carry-over.md"""
_FIRST = "# >>> exported by XTTS Sweep"
_LAST = "# <<< exported by XTTS Sweep"
_BLOCK = re.compile(rf"\A(\ufeff?){_FIRST}[^\r\n]*\r?\n(?:#[^\r\n]*\r?\n)*?{_LAST}[^\r\n]*(?:\r?\n|\Z)")


def provenance_lines(provenance: Provenance, *, own_model: bool = False) -> list[str]:
    """An export's origin, one fact a line, without comment signs. `own_model`: the file is for the model that was swept
    itself."""
    return [
        _one_line(line)
        for line in (
            f"run {provenance.run}, {provenance.date}, XTTS Sweep {provenance.version}",
            f"objective: {provenance.objective:.4f} at epoch {provenance.best_epoch} "
            f"({provenance.measure or 'free-running validation mel L1, in sd of the mel; weight-free'})",
            f"verdict: {verdict_line(provenance)}",
            f"data: {provenance.data}, fingerprint {provenance.data_fingerprint}",
            _tuned_on(provenance, own_model),
            _CARRIES_OVER,
        )
    ]


def header(
    provenance: Provenance,
    notes: Iterable[str],
    newline: str = "\n",
    *,
    ascii_only: bool = False,
    own_model: bool = False,
) -> str:
    """A comment block with provenance and notes, ending in a newline. `ascii_only` escapes other letters, for readers
    that open files in the system's encoding; `own_model` as in `provenance_lines`."""
    lines = [_FIRST]
    for line in provenance_lines(provenance, own_model=own_model):
        lines += [f"# {part}" for part in _wrapped(line)]
    for note in notes:
        lines.append("#")
        lines += [f"# {part}" for part in _wrapped(_one_line(note))]
    lines.append(_LAST)
    block = "".join(line + newline for line in lines)
    return block.encode("ascii", "backslashreplace").decode("ascii") if ascii_only else block


def without_header(text: str) -> str:
    """The text without the comment block that an earlier export put at its start."""
    return _BLOCK.sub(r"\1", text)


def _tuned_on(provenance: Provenance, own_model: bool) -> str:
    if provenance.measure:
        return "Tuned on your own trainer, in the size and on the speech that were swept."
    if own_model:
        return f"Tuned with the model {provenance.model}, which this file trains."
    return (
        f"The weights were tuned on XTTS Sweep's own model ({provenance.model}), not on yours: a good start, to be "
        "checked there."
    )


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, 108, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))
