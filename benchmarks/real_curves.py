"""Unstopped curves of real training runs, which the benchmarks of the verdict and of the search resample.

    python benchmarks/real_curves.py --data DIR --output runs/curves                 # all of it
    python benchmarks/real_curves.py --data DIR --output runs/curves --only seeds    # 3 configs over 12 seeds
    python benchmarks/real_curves.py --output runs/demo --only curves --configs 12 --curve-seeds 4

Writes run folders with run_sweep.py: `seeds-s1` to `seeds-s12` hold three configs of the safe region with one seed
each (so a seed's runs are paired, as the verdict pairs them); `curves-s1` and on hold Sobol configs of `safe_weights`
with one seed each. All are controls, so that nothing stops them. What is there already is not run again. The demo
speech is trained on with the settings of a sweep on it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.recorded_runs import finished_run  # noqa: E402
from sweeps.search.sampler import Sampler  # noqa: E402
from sweeps.space.limits import load_limits  # noqa: E402
from sweeps.space.space_file import load_space  # noqa: E402
from xtts.training.settings import DEMO_SETTINGS  # noqa: E402

SEEDED: dict[str, dict[str, float]] = {
    "default": {"mel_loss_weight": 2.5, "kl_loss_weight": 1.0, "gradient_clip_norm": 0.5},
    "much KL": {"mel_loss_weight": 1.2, "kl_loss_weight": 1.8, "gradient_clip_norm": 0.4},
    "little KL": {"mel_loss_weight": 5.0, "kl_loss_weight": 0.7, "gradient_clip_norm": 0.9},
}


def sobol_configs(count: int) -> dict[str, dict[str, object]]:
    """The default and the first Sobol configs of safe_weights, by label."""
    space, limits = load_space("safe_weights"), load_limits()
    sampler = Sampler(space, limits, seed=1, cohort=count - 1)
    found: dict[str, dict[str, object]] = {}
    for number in range(1, count + 1):
        proposal = sampler.propose(number, [])
        if proposal is not None:
            found[f"{proposal.origin} {number}"] = dict(proposal.config.params)
    return found


def write_space(path: Path, configs: dict[str, Any]) -> Path:
    """A space file that runs the configs as they stand."""
    trials = [{"label": label, "params": params} for label, params in configs.items()]
    content = {"name": path.stem, "controls": True, "trials": trials}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def main() -> int:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a folder of speech (default: the demo speech)")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", choices=("seeds", "curves"))
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--configs", type=int, default=20)
    parser.add_argument("--curve-seeds", type=int, default=1, help="so many seeds of the Sobol configs (default 1)")
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of every run")
    given = parser.parse_args()
    # Spaces of controls leave the demo's settings out; the test split is what a verdict is about.
    settings = {"evaluate_on": "test", **({} if given.data else DEMO_SETTINGS), **dict(s.split("=") for s in given.set)}
    common = {"data": given.data, "output": given.output, "epochs": given.epochs, "settings": settings}
    if given.only != "seeds":
        space = write_space(given.output / "curves.yaml", sobol_configs(given.configs))
        for seed in range(1, given.curve_seeds + 1):
            finished_run(f"curves-s{seed}", space, seed=seed, **common)
    if given.only != "curves":
        space = write_space(given.output / "seeds.yaml", SEEDED)
        for seed in range(1, given.seeds + 1):
            finished_run(f"seeds-s{seed}", space, seed=seed, **common)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
