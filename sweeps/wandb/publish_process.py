"""The process that turns uploaded runs into a W&B sweep and saves a workspace for them."""

from __future__ import annotations

import json
import sys
from typing import Any

from sweeps.wandb.child_process import answer, claim_output
from sweeps.wandb.run_opener import one_line
from sweeps.wandb.workspace import MISSING, save_workspace


def main() -> None:
    """Adopt, save, and answer with what came of each."""
    claim_output()
    task = json.loads(sys.stdin.readline())
    sys.stdin.readline()
    try:
        answer(_publish(task))
    except Exception as error:
        answer({"problem": one_line(error)})


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
        found["workspace_problem"] = f"the workspace was not saved ({one_line(error)})"
    return found


if __name__ == "__main__":
    main()
