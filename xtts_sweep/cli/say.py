"""Speak a text with the best model of a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from xtts_sweep.arguments import add_output, add_storage
from xtts_sweep.run_lookup import found_folder
from xtts_sweep.terminal import warn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="+", metavar="[NAME] TEXT", help="the run (default: the newest) and the text")
    parser.add_argument("-o", dest="file", required=True, metavar="FILE", help="the wav file to write")
    parser.add_argument("--voice", help="a speaker of the training data")
    add_output(parser)
    add_storage(parser)


def run(options: argparse.Namespace) -> int:
    """Write a wav file."""
    from sweeps.common.program import command
    from sweeps.run.folder import RunFolder, check_name
    from xtts.audio.mel import SAMPLE_RATE
    from xtts.errors import SpeechError
    from xtts.inference.samples import write_wav
    from xtts.inference.synthesis import Speaker

    if len(options.words) > 2:
        raise SpeechError(f"{len(options.words)} words: put the text in quotes, with the run's name before it or none")
    name, text = (None, options.words[0]) if len(options.words) == 1 else options.words
    known = RunFolder(Path(options.output) / check_name(name)) if name else None  # a train run speaks, too
    folder = known if known is not None and known.best.is_dir() else found_folder(name, options.output, options.storage)
    if not folder.best.is_dir():
        raise SpeechError(
            f"run {folder.name} has no {folder.best.name}/: {command(f'resume {folder.in_command}')} writes it from "
            "the checkpoints, if they are still there"
        )
    speaker = Speaker.load(folder.best)
    samples = speaker.say(text, options.voice)
    unknown = speaker.vocabulary.unknown(text)
    if unknown:
        warn(f"not said, because no training text has them: {' '.join(unknown)}")
    try:
        write_wav(Path(options.file), samples)
    except OSError as error:
        raise SpeechError(f"-o {options.file}: cannot be written ({error.strerror or error})") from error
    print(f"{options.file}: {len(samples) / SAMPLE_RATE:.2f} s by the best model of {folder.name}")
    return 0
