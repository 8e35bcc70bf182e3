"""A run from Python, cell by cell: `# %%` starts a cell in VS Code, Spyder and Jupytext.

python examples/python_api.py [FOLDER]      # runs go to FOLDER (default: runs)
"""

# %% A small sweep on demo speech, without a confirmation
import csv
import sys
from pathlib import Path

from xtts_sweep.api import confirm, resume, sweep

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else "runs"


def main() -> None:
    """All cells in order; in a notebook, run the lines one by one."""
    # %% Two trials of two epochs: the default and one other config
    result = sweep(trials=2, epochs=2, confirm_seeds=0, name="api", output=OUTPUT, wandb="off", log=print)

    # %% What came out
    assert result.best is not None
    print("best:", result.best.trial_id, dict(result.best.params), result.best.objective)

    # %% One more trial; finished ones are not run again
    result = resume("api", trials=3, output=OUTPUT, wandb="off")
    print("trials:", [(record.trial_id, record.status) for record in result.records])

    # %% Best against default over three fresh seeds
    result = confirm("api", seeds=3, output=OUTPUT, wandb="off")
    assert result.verdict is not None
    print("verdict:", result.verdict.word)

    # %% The files of the run
    with Path(result.folder.trials_csv).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            print(row["trial_id"], row["role"], row["objective"])
    print(result.folder.report)


if __name__ == "__main__":
    main()
