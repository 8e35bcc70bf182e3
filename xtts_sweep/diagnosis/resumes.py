"""Which folders hold parts of one resumed run: Coqui's and Lightning's trainers may continue in a new folder."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping, Sequence

import numpy as np

from xtts.diagnostics.logged_curve import Curve
from xtts.diagnostics.logged_tags import weights_in
from xtts_sweep.diagnosis.run_logs import RunLogs

Curves = Mapping[str, Curve]
NUMBERED = re.compile(rf"[-_ .]*(?:\d|(?:{'|'.join(calendar.month_name[1:])})-)")
"""Where a folder's name continues with a date or a number: `voice-November-27-2026_...`, `version_3`"""
FIRST_STEPS, PAUSE = 1.5, 2.0
"""A training of its own logs within so many of its intervals; a resumed one begins so many behind the end at most"""


def resumed_runs(runs: Sequence[tuple[RunLogs, Curves]]) -> list[list[RunLogs]]:
    """The runs, those that continue each other together: oldest part first, otherwise in the order given."""
    parts: list[list[tuple[RunLogs, Curves]]] = []
    for run in sorted(runs, key=lambda one: (_first_step(one[1]), one[0].newest)):
        before = [part for part in parts if _continues(part[-1], run)]
        if before:
            max(before, key=lambda part: part[-1][0].newest).append(run)
        else:
            parts.append([run])
    order = {id(logs): place for place, (logs, _) in enumerate(runs)}
    found = [[logs for logs, _ in part] for part in parts]
    return sorted(found, key=lambda part: min(order[id(logs)] for logs in part))


def _continues(earlier: tuple[RunLogs, Curves], later: tuple[RunLogs, Curves]) -> bool:
    """Whether the later run begins with steps that only a resumed one has, at or before the end of the earlier."""
    (one, before), (other, after) = earlier, later
    if one.folder.parent != other.folder.parent or _stem(one) != _stem(other) or one.newest > other.newest:
        return False
    shared = [tag for tag in after if tag in before and len(after[tag]) and len(before[tag])]
    if not shared or weights_in(one.config) != weights_in(other.config):
        return False
    tag = max(shared, key=lambda name: len(after[name]))
    old, new = before[tag].steps, after[tag].steps
    gap = float(np.median(np.diff(new if len(new) > 1 else old))) if max(len(new), len(old)) > 1 else 0.0
    return bool(gap > 0 and new[0] > old[0] and FIRST_STEPS * gap < new[0] <= old[-1] + PAUSE * gap)


def _first_step(curves: Curves) -> float:
    return min((float(curve.steps[0]) for curve in curves.values() if len(curve)), default=0.0)


def _stem(logs: RunLogs) -> str:
    return NUMBERED.split(logs.folder.name, maxsplit=1)[0]
