"""Scores of steps against tokens do not depend on what a clip is padded with."""

from __future__ import annotations

import pytest
import torch

from xtts.alignment.durations import DurationPredictor
from xtts.alignment.network import AlignerNetwork, with_neighbours


@pytest.fixture(scope="module")
def aligner():
    torch.manual_seed(0)
    return AlignerNetwork(symbols=9, speakers=3, mels=6, width=16)


def test_padding_changes_no_score(aligner):
    draw = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 9, (2, 12), generator=draw)
    steps = torch.randn(2, 20, 12, generator=draw)
    token_count, step_count, speaker = torch.tensor([12, 5]), torch.tensor([20, 9]), torch.tensor([0, 2])
    batch = aligner(tokens, token_count, steps, step_count, speaker)
    alone = aligner(tokens[1:, :5], token_count[1:], steps[1:, :9], step_count[1:], speaker[1:])
    torch.testing.assert_close(batch[1:, :9, :5], alone, atol=1e-5, rtol=0)


def test_an_even_pace_is_preferred_where_the_sound_says_nothing(aligner):
    one = torch.zeros(1, 40, 12)
    scores = aligner(
        torch.zeros(1, 10, dtype=torch.int64), torch.tensor([10]), one, torch.tensor([40]), torch.tensor([0])
    )
    # All tokens but those near the ends have the same neighbours, hence the same sound: only the pace tells them apart.
    inside = scores[0, :, 3:7]
    assert (inside[:, 0] - inside[:, -1])[:10].min() > 0
    assert (inside[:, -1] - inside[:, 0])[-10:].min() > 0


def test_speakers_sound_different(aligner):
    draw = torch.Generator().manual_seed(1)
    tokens, steps = torch.randint(0, 9, (1, 5), generator=draw), torch.randn(1, 9, 12, generator=draw)
    scores = [aligner(tokens, torch.tensor([5]), steps, torch.tensor([9]), torch.tensor([who])) for who in (0, 1)]
    assert (scores[0] - scores[1]).abs().max() > 1e-3


def test_neighbours_stand_in_order_with_zeros_past_the_ends():
    states = torch.arange(1.0, 5.0).view(1, 4, 1)
    assert with_neighbours(states, 1)[0].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 0]]


def test_padding_changes_no_duration():
    torch.manual_seed(0)
    predictor = DurationPredictor(symbols=9, speakers=3)
    tokens = torch.randint(0, 9, (2, 12), generator=torch.Generator().manual_seed(1))
    batch = predictor(tokens, torch.tensor([12, 5]), torch.tensor([0, 2]))
    alone = predictor(tokens[1:, :5], torch.tensor([5]), torch.tensor([2]))
    torch.testing.assert_close(batch[1:, :5], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("pace", [0.3, 1.0, 3.0])
def test_predicted_steps_never_fall_and_fill_whole_patches(pace):
    torch.manual_seed(0)
    predictor = DurationPredictor(symbols=9, speakers=2)
    predictor.pace.copy_(torch.tensor([1.0, pace]))
    tokens = torch.randint(0, 9, (30,), generator=torch.Generator().manual_seed(1)).numpy()
    steps = predictor.step_tokens(tokens, 1)
    wanted = torch.expm1(predictor(torch.from_numpy(tokens)[None], torch.tensor([30]), torch.tensor([1])))[0] * pace
    assert len(steps) % 2 == 0
    assert abs(len(steps) - float(wanted.sum().detach())) <= 1.0
    assert (steps[1:] >= steps[:-1]).all()
    assert steps[0] >= 0
    assert steps[-1] <= 29
    counts = torch.bincount(torch.from_numpy(steps).long(), minlength=30)
    assert (counts - wanted).abs().max() <= 1.01


def test_the_shortest_text_still_fills_a_patch():
    predictor = DurationPredictor(symbols=9, speakers=1)
    predictor.pace.fill_(1e-3)
    assert predictor.step_tokens(torch.tensor([0, 1, 0]).numpy(), 0).shape == (2,)
