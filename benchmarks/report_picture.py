"""Make docs/report.png: the first screens of report.html of a real sweep on demo speech, by a headless Chromium.

    python benchmarks/report_picture.py                    # runs the demo sweep first
    python benchmarks/report_picture.py --run runs/NAME    # of a run that is there

Needs Chromium (Debian: chromium); with Pillow the picture is stored with a palette, at a third of its size.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT = 1200, 1265
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Run the sweep unless one is given, and take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="the folder of a run (default: a new sweep on demo speech)")
    parser.add_argument("-o", type=Path, default=ROOT / "docs" / "report.png", dest="target")
    options = parser.parse_args()
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"there is no browser here: install one of {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory() as scratch:
        run = options.run or demo_sweep(Path(scratch))
        take(browser, run / "report.html", options.target, Path(scratch))
    print(f"{options.target}: {options.target.stat().st_size:,} bytes")


def demo_sweep(folder: Path) -> Path:
    """The sweep of the README's first command, run in `folder` so that the page names it as a user would."""
    program = str(ROOT / "run_sweep.py")
    command = [sys.executable, program, "--space", "safe_weights", "--wandb", "off", "--name", "demo"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "runs" / "demo"


def take(browser: str, page: Path, target: Path, scratch: Path) -> None:
    """Take a picture of the upper part of the page."""
    raw = scratch / "report.png"
    flags = ["--headless", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={scratch / 'profile'}"]
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox does not run as root
    size = f"--window-size={WIDTH},{HEIGHT}"
    command = [browser, *flags, size, f"--screenshot={raw}", page.resolve().as_uri()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
    if find_spec("PIL") is not None:
        from PIL import Image

        Image.open(raw).convert("RGB").quantize(64).save(target, optimize=True)
    else:
        shutil.copyfile(raw, target)


if __name__ == "__main__":
    main()
