"""The size of a model is known before it is built."""

from __future__ import annotations

import pytest
import torch

from xtts.audio.mel import MELS, PATCH_FRAMES
from xtts.model.model_config import PRESETS
from xtts.model.size import parameter_count
from xtts.model.xtts import Xtts


@pytest.mark.parametrize("name", ["tiny", "small", "base"])
@pytest.mark.parametrize("symbols", [7, 100])
def test_parameters_are_counted_without_building_the_model(name, symbols):
    with torch.device("meta"):
        model = Xtts(PRESETS[name], symbols, MELS, PATCH_FRAMES)
    assert parameter_count(PRESETS[name], symbols, MELS * PATCH_FRAMES) == sum(p.numel() for p in model.parameters())
