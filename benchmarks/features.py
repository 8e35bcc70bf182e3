"""How fast recordings become features, and how soon a large data set that was prepared before is ready again.

    python benchmarks/features.py                          # the demo speech
    python benchmarks/features.py --data DIR --clips 20000

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

from xtts.corpus.feature_cache import usable_cores  # noqa: E402
from xtts.corpus.prepared import PreparedSpeech, prepare_speech  # noqa: E402
from xtts.demo_speech import demo_speech  # noqa: E402

REPEATS = 3


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
        speech = show("features from nothing", lambda: prepare_speech(data))
    large = multiply(speech, clips, scratch / "large")
    show("large set, features from nothing", lambda: prepare_speech(large))
    for _ in range(REPEATS):
        prepared = show("large set, from the cache", lambda: prepare_speech(large))
    for _ in range(REPEATS):
        show("large set, opened by a worker", lambda: PreparedSpeech.open(prepared.folder))
    for _ in range(REPEATS):
        show("large set, in a new process", lambda: prepare_in_new_process(large, prepared))
    show("large set, deep check", lambda: prepare_speech(large, deep=True))


def show(what: str, prepare: Callable[[], PreparedSpeech]) -> PreparedSpeech:
    """Print the time of one preparation."""
    started = time.perf_counter()
    speech = prepare()
    seconds = time.perf_counter() - started
    spoken = float(speech.figures.seconds.sum())
    print(f"{what:32}{len(speech):8,}{spoken / 3600:8.2f}{seconds:9.3f}{spoken / seconds:13,.0f}", flush=True)
    return speech


def multiply(speech: PreparedSpeech, clips: int, folder: Path) -> Path:
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


def prepare_in_new_process(data: Path, speech: PreparedSpeech) -> PreparedSpeech:
    """What a command pays at its start, Python and imports included."""
    program = f"from pathlib import Path\nfrom xtts.corpus.prepared import *\nprepare_speech(Path({str(data)!r}))"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
    return speech


if __name__ == "__main__":
    main()
