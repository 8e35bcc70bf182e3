"""A model is judged on test sentences from text alone, the same ones for every model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from xtts.alignment.aligned import AlignedDataset
from xtts.data.splits import TEST
from xtts.errors import SpeechError
from xtts.inference.speech_figures import speech_figures, spoken_clips

ERRORS = ("mcd_db", "f0_cents", "voicing_error", "duration_error")


@pytest.fixture(scope="module")
def figures(talker):
    return talker[1].speech_figures()


def test_only_test_clips_are_said(talker, figures):
    speech = talker[0].aligned.speech
    test = {speech.ids[clip] for clip in speech.indices(TEST)}
    assert set(figures["per_clip"]["id"]) == test
    assert figures["clips"] == len(test)
    assert figures["split"] == "test"
    assert figures["unspeakable"] == []


def test_means_are_over_the_values_of_the_clips(figures):
    for name in ERRORS:
        values = figures["per_clip"][name]
        assert len(values) == figures["clips"]
        known = [value for value in values if value is not None]
        assert figures[name]["mean"] == pytest.approx(np.mean(known))
        assert figures[name]["clips"] == len(known)
        assert figures[name]["low"] <= figures[name]["mean"] <= figures[name]["high"]


def test_the_same_model_gets_the_same_figures_and_json_holds_them(talker, figures):
    torch.rand(3)
    again = talker[1].speech_figures()
    assert again == figures
    assert json.loads(json.dumps(figures)) == figures


class TrueDurations:
    """Says how long each token lasted in the recording: the durations of this speech have learned nothing."""

    def __init__(self, aligned: AlignedDataset) -> None:
        speech = aligned.speech
        self._steps = {
            (speech.clip_tokens(clip).tobytes(), int(speech.speaker_index[clip])): aligned.clip_steps(clip)
            for clip in range(len(speech))
        }

    def step_tokens(self, tokens: np.ndarray, speaker: int) -> np.ndarray:
        return self._steps[tokens.tobytes(), speaker]


def test_a_model_that_learned_is_nearer_to_the_recordings_than_one_that_did_not(talker):
    speech, trained = talker
    found = []
    for trainer in (trained, speech.trainer()):
        speaker = trainer.speaker()
        speaker.durations = TrueDurations(speech.aligned)
        found.append(speech_figures(speaker, speech.aligned))
    learned, not_learned = found
    assert learned["per_clip"]["id"] == not_learned["per_clip"]["id"]
    pairs = zip(learned["per_clip"]["mcd_db"], not_learned["per_clip"]["mcd_db"], strict=True)
    nearer = [near < 0.9 * far for near, far in pairs]
    assert sum(nearer) >= 0.9 * len(nearer)
    assert learned["duration_error"]["mean"] < 0.05


def test_durations_are_the_data_sets_and_equal_for_all_models(talker, figures):
    untrained = talker[0].trainer().speech_figures()
    assert untrained["per_clip"]["duration_error"] == figures["per_clip"]["duration_error"]


def test_texts_that_cannot_be_said_are_named_and_left_out(talker, figures, monkeypatch):
    speech, trainer = talker
    longest = max(len(speech.aligned.speech.clip_tokens(clip)) for clip in speech.aligned.speech.indices(TEST))
    monkeypatch.setattr("xtts.inference.synthesis.LONGEST_TEXT", longest - 1)
    found = trainer.speech_figures()
    assert found["unspeakable"]
    assert sorted(found["unspeakable"] + found["per_clip"]["id"]) == sorted(figures["per_clip"]["id"])


def test_a_model_that_diverged_is_an_error_in_one_line(learnable):
    trainer = learnable.trainer(weight_average=0)
    with torch.no_grad():
        trainer.training.model.decoder.out.bias.fill_(torch.nan)
    with pytest.raises(SpeechError, match="diverged") as raised:
        speech_figures(trainer.speaker(), trainer.training.aligned)
    assert "\n" not in str(raised.value)


def test_at_most_40_clips_are_said_as_many_of_each_voice(talker):
    speech = talker[0].aligned.speech
    all_for_test = replace(speech, split=np.full(len(speech), TEST, np.uint8))
    clips = spoken_clips(all_for_test)
    assert len(clips) == len(set(clips.tolist())) == 40
    assert np.bincount(speech.speaker_index[clips]).tolist() == [20, 20]
    assert clips.max() > 0.9 * len(speech)
