"""How fast recordings become features, and how soon a large data set that was prepared before is ready again.

    python benchmarks/features.py                          # the demo speech
    python benchmarks/features.py --data DIR --clips 20000

The last lines are memory: what each of several workers that have read every clip holds of its own, and what all share.

Works in a cache of its own, which is removed at the end. The clips of the large set are hard links to those of DIR
(copies where links cannot be), each with a text of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from xtts.data.build_dataset import build_dataset  # noqa: E402
from xtts.data.dataset import Dataset  # noqa: E402
from xtts.data.features.cache import usable_cores  # noqa: E402
from xtts.prepare.demo_speech import demo_speech  # noqa: E402

REPEATS = 3
WORKERS = 4
DISTINCT = 2000
"""Clips of which no two are alike: features of the same sound are kept once"""
WORKER = """
import sys
from pathlib import Path
from xtts.data.dataset import Dataset  # noqa: E402

def kilobytes(*kinds):
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(kinds))

own = ("Private_Clean:", "Private_Dirty:")
before, all_before = kilobytes(*own), kilobytes("Rss:")
speech = Dataset.open(Path(sys.argv[1]))
sum(float(speech.clip_mel(clip)[-1, -1]) + float(speech.clip_mel(clip).sum()) for clip in range(len(speech)))
print("read", flush=True)
sys.stdin.readline()  # until all have: what one has read alone would count as its own
private = kilobytes(*own) - before
print(private, kilobytes("Rss:") - all_before - private, flush=True)
sys.stdin.readline()
"""


def main() -> None:
    """Print a row for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of speech (default: the demo speech)")
    parser.add_argument("--clips", type=int, default=20_000, help="clips of the large set (default %(default)s)")
    options = parser.parse_args()
    data = (options.data or demo_speech()).absolute()
    with tempfile.TemporaryDirectory(prefix="features-") as scratch:
        measure(data, options.clips, Path(scratch))


def measure(data: Path, clips: int, scratch: Path) -> None:
    """All measurements, in a scratch folder."""
    os.environ["XTTS_SWEEP_CACHE"] = str(scratch / "cache")
    print(f"{usable_cores()} cores; {data}")
    print(f"{'':32}{'clips':>8}{'hours':>8}{'seconds':>9}{'x real time':>13}")
    # The first reading also brings the recordings into the operating system's memory.
    for _ in range(1 + REPEATS):
        shutil.rmtree(scratch / "cache", ignore_errors=True)
        speech = show("features from nothing", lambda: build_dataset(data))
    large = multiply(speech, clips, scratch / "large")
    show("large set, features from nothing", lambda: build_dataset(large))
    for _ in range(REPEATS):
        prepared = show("large set, from the cache", lambda: build_dataset(large))
    for _ in range(REPEATS):
        show("large set, opened by a worker", lambda: Dataset.open(prepared.folder))
    for _ in range(REPEATS):
        show("large set, in a new process", lambda: prepare_in_new_process(large, prepared))
    show("large set, deep check", lambda: build_dataset(large, deep=True))
    if sys.platform == "linux":
        distinct = made_distinct(speech, min(clips, DISTINCT), scratch / "distinct")
        print(memory_of_workers(build_dataset(distinct)))


def show(what: str, prepare: Callable[[], Dataset]) -> Dataset:
    """Print the time of one preparation."""
    started = time.perf_counter()
    speech = prepare()
    seconds = time.perf_counter() - started
    spoken = float(speech.figures.seconds.sum())
    print(f"{what:32}{len(speech):8,}{spoken / 3600:8.2f}{seconds:9.3f}{spoken / seconds:13,.0f}", flush=True)
    return speech


def multiply(speech: Dataset, clips: int, folder: Path) -> Path:
    """A data folder of `clips` recordings, linked to those of `speech` again and again."""
    (folder / "wavs").mkdir(parents=True)
    for clip in range(clips):
        source = speech.audio_path(clip % len(speech))
        target = folder / "wavs" / f"clip{clip:06d}{source.suffix}"
        try:
            target.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, target)
    lines = (f"clip{clip:06d}|{speech.texts[clip % len(speech)]} {clip}\n" for clip in range(clips))
    (folder / "metadata.csv").write_text("".join(lines), "utf-8")
    return folder


def made_distinct(speech: Dataset, clips: int, folder: Path) -> Path:
    """A data folder of `clips` recordings, those of `speech` again and again, each a little less loud."""
    import soundfile

    multiply(speech, 0, folder)
    for clip in range(clips):
        sound, rate = soundfile.read(speech.audio_path(clip % len(speech)), dtype="float32")
        soundfile.write(folder / "wavs" / f"clip{clip:06d}.wav", sound * (1.0 - 1e-4 * clip), rate)
    lines = (f"clip{clip:06d}|{speech.texts[clip % len(speech)]} {clip}\n" for clip in range(clips))
    (folder / "metadata.csv").write_text("".join(lines), "utf-8")
    return folder


def memory_of_workers(speech: Dataset) -> str:
    """What WORKERS processes hold that have all read every clip."""
    command = [sys.executable, "-c", WORKER, str(speech.folder)]
    pipe = subprocess.PIPE
    workers = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) for _ in range(WORKERS)]
    for worker in workers:
        _line(worker)
    for worker in workers:
        _continue(worker)
    answers = [_line(worker).split() for worker in workers]
    for worker in workers:
        worker.communicate("\n")
    own, shared = (max(int(answer[place]) for answer in answers) / 1e3 for place in (0, 1))
    hours = float(speech.figures.seconds.sum()) / 3600.0
    return (
        f"memory of {hours:.2f} hours: {shared:.0f} MB ({shared / hours:.0f} an hour) once for all {WORKERS} workers, "
        f"and {own:.0f} MB in each"
    )


def _line(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline()


def _continue(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()


def prepare_in_new_process(data: Path, speech: Dataset) -> Dataset:
    """What a command pays at its start, Python and imports included."""
    program = (
        "from pathlib import Path\nfrom xtts.data.build_dataset import build_dataset\n"
        f"build_dataset(Path({str(data)!r}))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
    return speech


if __name__ == "__main__":
    main()
