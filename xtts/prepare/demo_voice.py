"""Speaks sentences with eSpeak NG: run as a script, in a process of its own, with nothing but the standard library.

eSpeak keeps state between sentences, seeds its noise from the clock and ends the process when it cannot find its
data. A fresh process with a fixed seed and order gives the same bytes each time, and outlives nothing.
"""

import ctypes
import json
import sys
import tempfile
import wave
from pathlib import Path

SAMPLE_RATE = 22_050
_SYNCHRONOUS = 2
_UTF8 = 1
_END_PAUSE = 0x1000
_VOLUME = 2
_LOUDNESS = 70
"""Per cent; at eSpeak's own 100 the loudest vowels clip."""
_LONGEST_DATA_PATH = 120
"""eSpeak cuts longer paths to its data short."""

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def speak_all(library: str, data: str, sentences: list[dict[str, str]]) -> None:
    """Write each sentence's `file` as a 16-bit wav, spoken by `voice`; prints a line for each; RuntimeError if mute."""
    espeak = ctypes.CDLL(library)
    rate = espeak.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), 0)
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"eSpeak NG did not start: {rate}")
    spoken: list[bytes] = []

    def collect(samples: ctypes.c_void_p, count: int, events: object) -> int:
        del events
        if samples and count > 0:
            spoken.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = _Callback(collect)
    espeak.espeak_SetSynthCallback(callback)
    espeak.espeak_SetParameter(_VOLUME, _LOUDNESS, 0)
    for sentence in sentences:
        spoken.clear()
        if espeak.espeak_SetVoiceByName(sentence["voice"].encode()) != 0:
            raise RuntimeError(f"eSpeak NG has no voice {sentence['voice']}")
        espeak.espeak_ng_SetRandSeed(1)
        text = sentence["text"].encode()
        espeak.espeak_Synth(text, len(text) + 1, 0, 0, 0, _UTF8 | _END_PAUSE, None, None)
        if not spoken:
            raise RuntimeError(f"eSpeak NG said nothing for {sentence['text']!r}")
        with wave.open(sentence["file"], "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(b"".join(spoken))
        print("spoken", flush=True)


def main() -> None:
    """Speak what standard input asks for: {"library", "data", "sentences"} as JSON."""
    request = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as short:
        data = request["data"]
        if len(data.encode()) > _LONGEST_DATA_PATH:
            link = Path(short) / "espeak-ng-data"
            link.symlink_to(data)
            data = str(link)
        speak_all(request["library"], data, request["sentences"])


if __name__ == "__main__":
    main()
