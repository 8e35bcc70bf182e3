"""The built-in data set: Persian and English sentences of our own, spoken on first use by two synthetic voices."""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import filelock

from xtts.cache_folder import cache_folder
from xtts.data.build_dataset import no_progress
from xtts.data.features.cache import Progress
from xtts.errors import SpeechError

_VERSION = 1
_SPEAKERS = {"mina": "f2", "daniel": "m3"}
"""Speakers and the variants of eSpeak NG that are their voices; each speaks both languages."""
_LANGUAGES = {"en": "en-us", "fa": "fa"}
_SENTENCES = Path(__file__).parent / "demo_sentences"
_VOICE_SCRIPT = Path(__file__).with_name("demo_voice.py")
_MANIFEST = "manifest.json"
_TIME_LIMIT_SECONDS = 300.0


@dataclass(frozen=True)
class _Sentence:
    name: str
    text: str
    speaker: str
    voice: str


def demo_speech(progress: Progress = no_progress) -> Path:
    """Folder with the demo speech in Coqui's layout, made if it is not there or damaged; the same bytes every time.

    SpeechError if eSpeak NG is not installed or cannot speak, or the cache cannot be written.
    """
    sentences = _sentences()
    folder = cache_folder() / f"demo_speech-{_version(sentences)}"
    if _is_whole(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.with_suffix(".lock")):
            if not _is_whole(folder):
                _make(folder, sentences, progress)
    except OSError as error:
        complaint = f"{folder}: demo speech cannot be written: {error.strerror or error}"
        raise SpeechError(f"{complaint}: free some space, or name another folder in XTTS_SWEEP_CACHE") from error
    return folder


def _sentences() -> list[_Sentence]:
    """Each sentence once, the speakers taking turns."""
    sentences = []
    for language, voice in _LANGUAGES.items():
        for number, text in enumerate((_SENTENCES / f"{language}.txt").read_text("utf-8").splitlines()):
            speaker = list(_SPEAKERS)[number % len(_SPEAKERS)]
            name = f"{language}_{number + 1:03d}_{speaker}"
            sentences.append(_Sentence(name, text, speaker, f"{voice}+{_SPEAKERS[speaker]}"))
    return sentences


def _version(sentences: list[_Sentence]) -> str:
    described = json.dumps([_VERSION, *(vars(sentence) for sentence in sentences)])
    return hashlib.sha256(described.encode()).hexdigest()[:8]


def _is_whole(folder: Path) -> bool:
    """Whether every file is as the manifest says."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text("utf-8"))
        return bool(manifest) and all(_sha256(folder / name) == sha256 for name, sha256 in manifest.items())
    except (OSError, ValueError, AttributeError):
        return False


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _make(folder: Path, sentences: list[_Sentence], progress: Progress) -> None:
    """Speak into a neighbouring folder and rename it into place."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        (temporary / "wavs").mkdir()
        _speak(temporary, sentences, progress)
        rows = [f"wavs/{sentence.name}.wav|{sentence.text}|{sentence.speaker}" for sentence in sentences]
        lines = ["audio_file|text|speaker_name", *rows]
        (temporary / "metadata.csv").write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
        files = [temporary / "metadata.csv", *sorted((temporary / "wavs").iterdir())]
        manifest = {file.relative_to(temporary).as_posix(): _sha256(file) for file in files}
        (temporary / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _speak(folder: Path, sentences: list[_Sentence], progress: Progress) -> None:
    if importlib.util.find_spec("espeakng_loader") is None:
        raise SpeechError("the demo speech wants eSpeak NG: pip install xtts-sweep[demo], or give --data DIR")
    import espeakng_loader

    request = {
        "library": espeakng_loader.get_library_path(),
        "data": espeakng_loader.get_data_path(),
        "sentences": [
            {"file": str(folder / "wavs" / f"{sentence.name}.wav"), "text": sentence.text, "voice": sentence.voice}
            for sentence in sentences
        ],
    }
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as asked,
        tempfile.TemporaryFile("w+", encoding="utf-8") as complaints,
    ):
        json.dump(request, asked)
        asked.seek(0)
        command = [sys.executable, "-I", str(_VOICE_SCRIPT)]
        process = subprocess.Popen(command, stdin=asked, stdout=subprocess.PIPE, stderr=complaints, text=True)
        heartbeat = threading.Timer(_TIME_LIMIT_SECONDS, process.kill)
        heartbeat.start()
        try:
            assert process.stdout is not None
            for done, _ in enumerate(process.stdout, 1):
                progress(done, len(sentences), "speaking demo sentences")
            status = process.wait()
        finally:
            heartbeat.cancel()
            process.kill()
            process.wait()
        if status != 0:
            complaints.seek(0)
            last = (complaints.read().strip().splitlines() or [f"it ended with status {status}"])[-1]
            raise SpeechError(f"eSpeak NG could not speak the demo sentences: {last}: give --data DIR instead")
