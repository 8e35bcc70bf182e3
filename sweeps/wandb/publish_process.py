"""The process that turns uploaded runs into a W&B sweep and saves a workspace for them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from sweeps.common.errors import named_reason
from sweeps.wandb.child_process import answer, claim_output

CURVES = ("objective", "loss", "train/mel", "train/kl", "val/next", "text_use", "train/clip_fraction")
COLUMNS = ("objective", "best_epoch", "status", "stop_reason", "epochs_to_target", "speedup", "seconds")
MISSING = "wandb-workspaces is not installed, so no workspace was saved (pip install wandb-workspaces)"


def main() -> None:
    """Adopt, save, and answer with what came of each."""
    claim_output()
    task = json.loads(sys.stdin.readline())
    sys.stdin.readline()
    try:
        answer(_publish(task))
    except Exception as error:
        answer({"problem": named_reason(error)})


def _publish(task: dict[str, Any]) -> dict[str, object]:
    import wandb

    entity = task["entity"] or wandb.Api().default_entity
    if not entity:
        return {"problem": "the account has no entity; give one"}
    found: dict[str, object] = {key: task[key] for key in ("sweep_id", "workspace")} | {"entity": entity}
    if task["sweep_id"] is None:
        found["sweep_id"] = wandb.sweep(
            task["config"], entity=entity, project=task["project"], prior_runs=task["run_ids"]
        )
    if task["workspace"] is not None:
        return found
    try:
        found["workspace"] = save_workspace(entity, task["project"], task["group"], task["parameters"], task["metrics"])
    except ImportError:
        found["workspace_problem"] = MISSING
    except Exception as error:
        found["workspace_problem"] = f"the workspace was not saved ({named_reason(error)})"
    return found


def save_workspace(
    entity: str, project: str, group: str, parameters: Mapping[str, bool], metrics: Sequence[str]
) -> str:
    """Save a workspace of the runs in `group` and return its address; ImportError without wandb-workspaces.

    `parameters` are config keys, with whether they are searched in logarithms; `metrics` those that trials reported.
    """
    ws = import_module("wandb_workspaces.workspaces")  # optional, so neither a checker nor --help needs it
    wr = import_module("wandb_workspaces.reports.v2")

    saved = ws.Workspace(
        entity=entity,
        project=project,
        name=group,
        sections=[
            ws.Section(name="Search", panels=_search(wr, parameters), is_open=True, pinned=True),
            ws.Section(name="Curves", panels=_curves(wr, metrics), is_open=True),
            ws.Section(name="Table", panels=[wr.WeavePanelSummaryTable(table_name="trials")]),
        ],
        settings=ws.WorkspaceSettings(x_axis="epoch", max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=[ws.Metric("Group") == group],
            order=[ws.Ordering(ws.Summary("objective"), ascending=True)],
            pinned_columns=[f"config:{name}" for name in parameters] + [f"summary:{name}" for name in COLUMNS],
        ),
        auto_generate_panels=True,  # whatever else was logged, samples among it
    ).save()
    return str(saved.url)


def _search(wr: Any, parameters: Mapping[str, bool]) -> list[Any]:
    columns = [
        wr.ParallelCoordinatesPlotColumn(wr.Config(name), log=logarithmic or None)
        for name, logarithmic in parameters.items()
    ]
    columns.append(wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric("objective")))
    return [
        wr.ParallelCoordinatesPlot(columns=columns, title="Configs"),
        wr.ParameterImportancePlot(with_respect_to="objective"),
    ]


def _curves(wr: Any, metrics: Sequence[str]) -> list[Any]:
    return [wr.LinePlot(title=name, x="epoch", y=[name]) for name in CURVES if name in metrics]


if __name__ == "__main__":
    main()
