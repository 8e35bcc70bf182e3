"""All that a GPU has to show, in one command of under nine minutes, on a machine with torch and nothing else of ours.

    python benchmarks/gpu.py --pack FOLDER --data DIR       # where the audio packages are: the speech to carry, < 40 MB
    python benchmarks/gpu.py --prepared FOLDER -o gpu.json  # on the GPU machine: measures, prints, writes the JSON
    python benchmarks/gpu.py --table gpu.json               # the table of docs/results.md, from that JSON
    python benchmarks/gpu.py --prepared FOLDER --small      # on a CPU, in two minutes, to see that it works

Needs torch, NumPy, SciPy, numba and safetensors; no Ray, audio package, Optuna, W&B or pydantic. Sections run in the
order of what matters most; the file is written after each, and what no time is left for is named in it as skipped:

presets      every preset trains: loss of the first and the last steps, peak memory against the estimate
precision    bf16 autocast against float32 after the same 200 steps
determinism  two equal runs: are the parameters equal bit by bit?
speed        step time, frames and patches a second, share of the time in which kernels run, and the arithmetic of a
             step over that of a matrix product measured in the same run (goodput)
waits        how often the host waits for the device in an epoch, by torch's sync debug mode
learning     objective and text_use of `tiny` and `small` on GPU and CPU over the same seeds
packed       1, 2 and 4 processes on one card
levers       the same steps with pinned memory, copies on a side stream, batches on the device, as a CUDA graph, with
             torch.compile: options that no trial uses; to be adopted only where this measured a gain
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from benchmarks.gpu_sections.bench import Bench, Found, on_gpu  # noqa: E402
from benchmarks.gpu_sections.correctness import determinism, learned, learning, precision, presets, waits  # noqa: E402
from benchmarks.gpu_sections.levers import levers  # noqa: E402
from benchmarks.gpu_sections.speed import packed, speed  # noqa: E402
from benchmarks.gpu_sections.table import table  # noqa: E402
from xtts.alignment.aligned import AlignedDataset  # noqa: E402
from xtts.training.training import Training  # noqa: E402

MOST_BYTES = 40 << 20
SECONDS = 510.0
SECTIONS: Mapping[str, Callable[[Bench], Found]] = {
    "presets": presets,
    "precision": precision,
    "determinism": determinism,
    "speed": speed,
    "waits": waits,
    "learning": learning,
    "packed": packed,
    "levers": levers,
}


def about(handle: str) -> Found:
    """Where and with what it was measured."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": torch.cuda.get_device_name() if on_gpu() else f"CPU, {len(os.sched_getaffinity(0))} cores",
        "gpu": on_gpu(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "memory_bytes": torch.cuda.get_device_properties(0).total_memory if on_gpu() else None,
        "data": handle.rpartition("#")[2],
    }


def measure(bench: Bench, names: list[str], file: Path | None) -> Found:
    """The sections, one after the other; the file is written after each."""
    found: Found = {"about": about(bench.handle)}
    print(json.dumps(found["about"]), flush=True)
    for name in names:
        begun = time.perf_counter()
        if bench.left() < 20.0:
            found[name] = {"skipped": "no time left"}
        else:
            try:
                found[name] = SECTIONS[name](bench)
            except Exception as error:  # what one section cannot do must not lose the others
                found[name] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
        found[name]["section_seconds"] = round(time.perf_counter() - begun, 1)
        print(f"{name}: {json.dumps(found[name])}", flush=True)
        if file is not None:
            file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return found


def pack(data: str | None, folder: Path) -> str:
    """Copy prepared speech into a folder to carry; its handle."""
    from xtts.data.build_dataset import no_progress
    from xtts.prepare.prepare_data import data_folder, prepare_data

    prepared = prepare_data(data, progress=no_progress)
    source = data_folder(prepared.data)
    size = sum(file.stat().st_size for file in source.rglob("*") if file.is_file())
    if size > MOST_BYTES:
        raise SystemExit(
            f"{data}: prepared it has {size >> 20} MB; give at most 20 minutes of speech ({MOST_BYTES >> 20} MB)"
        )
    shutil.copytree(source, folder, dirs_exist_ok=True)
    print(f"{folder}: {size / 1e6:.1f} MB, {prepared.health.clips} clips, {60 * prepared.health.hours:.1f} minutes")
    return handle_of(folder)


def handle_of(folder: Path) -> str:
    """The handle that trials are given, of a folder that was carried here."""
    return f"{folder}#{AlignedDataset.open(folder).speech.fingerprint[:16]}"


def main() -> int:
    """Pack, measure or print the table; 1 where a preset did not learn or a section failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, metavar="FOLDER", help="prepare --data (or the demo speech) to carry")
    parser.add_argument("--data", metavar="DIR")
    parser.add_argument("--prepared", metavar="FOLDER", help="what --pack wrote")
    parser.add_argument("--sections", default=",".join(SECTIONS), help="default: %(default)s")
    parser.add_argument("--small", action="store_true", help="few steps, small presets")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="to be done within (default: %(default)s)")
    parser.add_argument("-o", dest="file", type=Path, metavar="FILE", help="JSON with everything that was measured")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print the table of such a file")
    parser.add_argument("--learn", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.table is not None:
        print(table(json.loads(options.table.read_text("utf-8"))))
        return 0
    if options.pack is not None:
        print(pack(options.data, options.pack))
        return 0
    if options.prepared is None:
        parser.error("give --prepared FOLDER, --pack FOLDER or --table FILE")
    if options.learn is not None:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        model, seed, epochs = json.loads(options.learn)
        print(json.dumps(learned(Training({"model": model, "device": "cpu"}, options.prepared, seed), epochs)))
        return 0
    folder = Path(options.prepared).resolve()
    bench = Bench(handle_of(folder), options.small, options.seconds)
    found = measure(bench, options.sections.split(","), options.file)
    print(f"\n{table(found)}")
    learns = all(one["falls"] for one in found.get("presets", {}).values() if isinstance(one, dict))
    return int(not learns or any("error" in found[name] for name in SECTIONS if name in found))


if __name__ == "__main__":
    raise SystemExit(main())
