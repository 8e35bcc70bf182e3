"""What the log of one run shows, as plain fields, as JSON and as lines for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from messages import Texts
from xtts.diagnostics.finding import Finding
from xtts.diagnostics.logged_run import Best, LoggedRun
from xtts.diagnostics.logged_tags import is_gradient
from xtts.diagnostics.run_rules import State

MOST_SHOWN, MOST_SAME = 12, 4
"""Tags in a line"""


@dataclass(frozen=True)
class Diagnosis:
    """What the log of one run shows. `mapped`: the tag behind each name; `others`: further runs below the same path.

    `folder` holds the log; None for a trial of a run of this program.
    """

    name: str
    state: State
    epochs: int
    best: Best | None
    findings: tuple[Finding, ...]
    mapped: Mapping[str, str]
    unmapped: tuple[str, ...]
    trainer: str | None
    run: LoggedRun
    folder: Path | None = None
    others: tuple[Diagnosis, ...] = field(default=())
    same: Mapping[str, str] = field(default_factory=dict)
    """Of `unmapped` the tags of which another one of the same meaning is used, with their names"""

    def as_dict(self, lang: str = "en") -> dict[str, object]:
        """The diagnosis as `--json` prints it."""
        best = self.best
        found = {
            "name": self.name,
            "state": self.state,
            "epochs": self.epochs,
            "best": None
            if best is None
            else {"epoch": best.epoch, "step": best.step, "value": best.value, "name": best.name, "file": best.file},
            "findings": [
                {"code": one.code, "severity": one.severity, "text": one.words("text", lang).replace("\n", " ")}
                | {"todo": one.words("todo", lang)}
                for one in self.findings
            ],
            "mapped": dict(self.mapped),
            "unmapped": list(self.unmapped),
            "same": dict(self.same),
            "trainer": self.trainer,
        }
        return found | ({"runs": [one.as_dict(lang) for one in self.others]} if self.others else {})

    def lines(self, lang: str = "en") -> list[str]:
        """The diagnosis for the terminal."""
        texts = Texts("diagnose", lang)
        head = texts("head", name=self.name, state=texts(f"state.{self.state}"), epochs=self.epochs)
        lines = [head + (texts("trainer", trainer=self.trainer) if self.trainer else "")]
        for one in self.findings:
            parts = [*one.words("text", lang).split("\n"), one.words("todo", lang)]
            starts = [texts(f"severity.{one.severity}"), *[""] * len(parts)]
            lines += [f"{start:<8} {part}" for start, part in zip(starts, parts, strict=False)]
        lines.append(texts("mapped", names=", ".join(f"{name} = {tag}" for name, tag in self.mapped.items()) or "-"))
        unknown = [tag for tag in self.unmapped if tag not in self.same]
        if unknown:
            gradients = [tag for tag in unknown if is_gradient(tag)]
            left = [tag for tag in unknown if tag not in gradients]
            shown = [*left[:MOST_SHOWN], *(["..."] if len(left) > MOST_SHOWN else [])]
            shown += [texts("gradients", count=len(gradients))] if len(gradients) > 2 else gradients
            lines.append(texts("unmapped", tags=", ".join(shown)))
        if self.same:
            pairs = [f"{tag} ({name})" for tag, name in self.same.items()]
            more = ["..."] if len(pairs) > MOST_SAME else []
            lines.append(texts("same", tags=", ".join([*pairs[:MOST_SAME], *more])))
        if self.others:
            lines += ["", texts("compared_trials" if self.folder is None else "compared"), *self._table(texts)]
        return lines

    def _table(self, texts: Texts) -> list[str]:
        rows = []
        for one in (self, *self.others):
            best = "-" if one.best is None else f"{one.best.name} {one.best.value:.4g} ({one.best.epoch})"
            rows.append(f"  {one.name:<40} {texts(f'state.{one.state}'):<10} {one.epochs:>6}  {best}")
        return rows
