"""Running freely the plain way: the whole prior over again for every patch."""

from __future__ import annotations

import torch

from xtts.model.free_running import with_true_history
from xtts.model.xtts import Batch, Xtts


@torch.no_grad()
def run_anew(model: Xtts, batch: Batch, every: int) -> torch.Tensor:
    """Patches [batch, patches, values], each predicted from true latents before its start and own means since."""
    truth = with_true_history(model, batch).posterior.mean
    text, voice = model.text_at_patches(batch), model.voice(batch.reference, batch.reference_count)
    rows, patches, _ = truth.shape
    predicted = []
    for start in range(0, patches, every):
        latents = torch.zeros_like(truth)
        latents[:, :start] = truth[:, :start]
        for place in range(start, min(start + every, patches)):
            known = torch.ones(rows, place + 1, dtype=torch.bool)
            hidden, prior, _ = model.prior(latents[:, : place + 1], known, text[:, : place + 1], voice)
            latents[:, place] = prior.mean[:, -1]
            predicted.append(model.decoder(prior.mean[:, -1], hidden[:, -1]))
    return torch.stack(predicted, dim=1)
