"""Numbers in console output of any trainer: `name: 1.5`, `name=1.5` and Python dict literals, by split and step.

Two things are carried from line to line: the global step, and whether the lines are about validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sweeps.external.readers.point import Point

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
TENSOR = re.compile(r"\btensor\(([^,()]+)(?:,[^()]*)?\)")
NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)"
PAIR = re.compile(rf"['\"]?([A-Za-z][\w./ -]{{0,60}}?)['\"]?\s*[:=]\s*({NUMBER})(?![\w.])", re.IGNORECASE)
EPOCH = re.compile(r"\bepoch\b\D{0,4}(\d{1,7})(?:\s*/\s*\d+)?", re.IGNORECASE)
STEP = re.compile(r"\b(?:global[_ ]?step|steps?|iter(?:ation)?)\b\W{0,4}(\d{1,9})(?!\s*/\s*\d)(?![.\d])", re.IGNORECASE)
VALIDATION = re.compile(r"\b(validation|evaluation|eval|val|dev)\b", re.IGNORECASE)
TRAINING = re.compile(r"\b(train|training)\b", re.IGNORECASE)
LONGEST_LINE = 20_000
NO_METRIC = {
    "epoch",
    "epochs",
    "step",
    "steps",
    "global_step",
    "iter",
    "iteration",
    "eta",
    "v_num",
    "seed",
    "port",
    "pid",
}


@dataclass
class ConsoleParser:
    """What is carried from line to line, so that a growing log can be read on."""

    step: int | None = None
    validating: bool = False

    def points(self, lines: Iterable[str]) -> Iterator[Point]:
        """The numbers of a training log. Points without a step of their own count the lines with their tag."""
        for line in lines:
            text = TENSOR.sub(r"\1", ESCAPES.sub("", line[:LONGEST_LINE]))
            for part in text.split("\r"):
                found = STEP.search(part)
                if found is not None:
                    self.step = int(found.group(1))
                header = part.isupper() or not PAIR.search(part)
                if VALIDATION.search(part):
                    self.validating = True
                elif TRAINING.search(part) or (header and EPOCH.search(part)):
                    self.validating = False
                epoch = EPOCH.search(part)
                if epoch is not None:
                    yield Point(self.step, "epoch", float(epoch.group(1)))
                for name, value in PAIR.findall(part):
                    tag = name.strip().rsplit(" ", 1)[-1]
                    if tag.lower() in NO_METRIC or "time" in tag.lower() or not tag[0].isalpha():
                        continue
                    if tag.endswith((".py", ".cc")):  # where a warning comes from
                        continue
                    named = VALIDATION.search(tag.replace("_", " ")) or TRAINING.search(tag.replace("_", " "))
                    split = "" if named else "val/" if self.validating else "train/"
                    yield Point(self.step, split + tag, float(value))
