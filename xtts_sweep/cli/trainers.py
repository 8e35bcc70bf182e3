"""List the specs of external trainers that ship, and what each can search."""

from __future__ import annotations

import argparse
import json

from xtts_sweep.arguments import add_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """A paragraph a spec. Its template may be missing: it is the user's own."""
    from sweeps.external.spec import SHIPPED_FOLDER, described_specs

    specs = described_specs()
    if options.json:
        print(json.dumps(specs, ensure_ascii=False))
        return 0
    for spec in specs:
        print(f"{spec['spec']:<16} {spec['description']}")
        for parameter in spec["params"]:
            reason = f"  ({parameter['reason']})" if parameter["reason"] else ""
            print(f"  {parameter['name']:<24} {parameter['range']}{reason}")
    print(f"files: {SHIPPED_FOLDER}")
    return 0
