"""Validation of a Coqui model in process: over all clips, with one fixed seed, also with each text swapped for another.

Coqui's own epoch average leaves out the first batch, and draws other random segments and noise each epoch.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

VALIDATION_SEED = 20  # the same for all trials and epochs: random segments then differ by the model alone
SPLITS = ("validation", "test")


def split_of(samples: Sequence[Any], name: str) -> list[Any]:
    """The search's half of Coqui's evaluation samples (validation) or the one that only a confirmation opens (test)."""
    return list(samples) if len(samples) < 2 else list(samples[SPLITS.index(name) :: 2])


@dataclass(frozen=True)
class Evaluation:
    """Mean losses over the clips; by how much foreign texts raise one of them, in the mean and by batch."""

    losses: Mapping[str, float]
    text_use: float
    by_batch: Sequence[float]


class Validation:
    """The batches of a split, kept for all epochs, and the same clips with texts of others."""

    def __init__(self, coqui: Any, text_keys: tuple[str, str]) -> None:
        self._coqui = coqui
        with own_seed(VALIDATION_SEED):
            self._batches = list(coqui.get_eval_dataloader(coqui.eval_samples, verbose=False))
        self._swapped = with_foreign_texts(self._batches, *text_keys)

    def evaluate(self, text_loss: str) -> Evaluation:
        """All of Coqui's losses, and what a foreign text does to `text_loss`."""
        own, foreign = self._by_batch(self._batches), self._by_batch(self._swapped)
        losses = self._mean(own)
        differences = [there[text_loss] - here[text_loss] for (_, here), (_, there) in zip(own, foreign, strict=True)]
        return Evaluation(losses, self._mean(foreign)[text_loss] - losses[text_loss], differences)

    def _by_batch(self, batches: Sequence[Mapping[str, Any]]) -> list[tuple[int, dict[str, float]]]:
        """Clips and losses of each batch; every batch begins with the same seed, whatever text went before."""
        import torch

        coqui, found = self._coqui, []
        coqui.model.eval()
        with torch.inference_mode():
            for number, given in enumerate(batches):
                with own_seed(VALIDATION_SEED + number):
                    size = next(len(value) for value in given.values() if isinstance(value, torch.Tensor))
                    _, losses = coqui.eval_step(coqui.format_batch(dict(given)), number)
                found.append((size, {name: float(value) for name, value in (losses or {}).items()}))
        return found

    @staticmethod
    def _mean(batches: Sequence[tuple[int, Mapping[str, float]]]) -> dict[str, float]:
        clips = sum(size for size, _ in batches)
        return {name: sum(size * losses[name] for size, losses in batches) / clips for name in batches[0][1]}


def with_foreign_texts(batches: Sequence[Mapping[str, Any]], tokens: str, lengths: str) -> list[dict[str, Any]]:
    """The batches with each text replaced by the one of another clip that is nearest to it in length."""
    import torch

    texts = [row[: int(length)] for batch in batches for row, length in zip(batch[tokens], batch[lengths], strict=True)]
    foreign = []
    for own in texts:
        others = [text for text in texts if not torch.equal(text, own)]
        foreign.append(min(others or [own], key=lambda text: abs(len(text) - len(own))))
    found, at = [], 0
    for batch in batches:
        rows = foreign[at : at + len(batch[lengths])]
        at += len(rows)
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        counts = torch.tensor([len(row) for row in rows], dtype=batch[lengths].dtype)
        found.append({**batch, tokens: padded, lengths: counts})
    return found


def seed_all(seed: int) -> None:
    """Python's, NumPy's and torch's generators."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def own_seed(seed: int) -> Iterator[None]:
    """A seed of its own, and the generators of the training afterwards as they were."""
    import numpy as np
    import torch

    python, array, tensor = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    seed_all(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(array)
        torch.set_rng_state(tensor)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
