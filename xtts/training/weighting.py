"""Loss weights: fixed, or set during training by one of two methods that find the KL weight by themselves.

All keep the mel weight as it is set. Under AdamW only the ratio of the weights acts, and so the gradient clip keeps its
meaning: the methods differ from fixed weights in the KL weight alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from xtts.model.xtts import Xtts

_FIRST_SCALE, _SCALE_MEMORY, _LEAST_SCALE = 0.7, 0.95, 0.05
_NORM_MEMORY, _EPSILON = 0.999, 1e-12


class Weights(NamedTuple):
    """Of one step."""

    mel: float
    kl: float | Tensor


class Weighting(Protocol):
    """Chooses each step's weights; only `epoch_means` waits for the device."""

    def watching(self, model: Xtts) -> AbstractContextManager[object]:
        """The context in which the forward pass has to run."""
        ...

    def weights(self, losses: Mapping[str, Tensor]) -> Weights:
        """The weights of this step, from its raw losses `mel` and `kl`."""
        ...

    def backward(self, total: Tensor) -> None:
        """Give every parameter its gradient of the weighted total."""
        ...

    def epoch_means(self) -> tuple[float, float]:
        """Mean weights of mel and kl since the last call."""
        ...

    def state_dict(self) -> dict[str, object]:
        """What an exact resume between epochs needs."""
        ...

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Load a state_dict."""
        ...


def weighting_named(name: str, mel: float, kl: float, device: torch.device, dtype: torch.dtype) -> Weighting:
    """One of WEIGHTINGS, with the weights that a trial's settings name."""
    if name == "sigma_vae":
        return LearnedScale(mel, device, dtype)
    if name == "balancer":
        return Balancer(mel, kl, device, dtype)
    return FixedWeights(mel, kl)


class FixedWeights:
    """The two weights of the settings in every step."""

    def __init__(self, mel: float, kl: float) -> None:
        self._weights = Weights(mel, kl)

    def watching(self, model: Xtts) -> AbstractContextManager[object]:
        """Nothing to watch."""
        del model
        return nullcontext()

    def weights(self, losses: Mapping[str, Tensor]) -> Weights:
        """The two numbers."""
        del losses
        return self._weights

    def backward(self, total: Tensor) -> None:
        """The plain backward pass."""
        total.backward()

    def epoch_means(self) -> tuple[float, float]:
        """The two numbers."""
        return self._weights.mel, float(self._weights.kl)

    def state_dict(self) -> dict[str, object]:
        """Nothing is remembered."""
        return {}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Nothing is remembered."""


class LearnedScale:
    """sigma-VAE (Rybkin et al. 2021) with a Laplace likelihood, whose scale b is learned: weight * (mel + b * kl).

    The likelihood's mel / b + ln(2 b), times b, is mel and what has no gradient; the b that fits best is the mean error
    itself. So b follows it: a step is weighted with the current b, then b becomes .95 b + .05 mel, at least .05; it
    begins at .7. kl_loss_weight is not used.
    """

    def __init__(self, weight: float, device: torch.device, dtype: torch.dtype) -> None:
        self._weight = weight
        self._scale = torch.tensor(_FIRST_SCALE, device=device, dtype=dtype)
        self._seen = _Mean(device)

    def watching(self, model: Xtts) -> AbstractContextManager[object]:
        """Nothing to watch."""
        del model
        return nullcontext()

    def weights(self, losses: Mapping[str, Tensor]) -> Weights:
        """With the current b, which then follows this step's mel."""
        kl = self._weight * self._scale
        follows = _SCALE_MEMORY * self._scale + (1.0 - _SCALE_MEMORY) * losses["mel"].detach()
        self._scale = follows.clamp(min=_LEAST_SCALE)
        self._seen.add(kl)
        return Weights(self._weight, kl)

    def backward(self, total: Tensor) -> None:
        """The plain backward pass."""
        total.backward()

    def epoch_means(self) -> tuple[float, float]:
        """Mean weights of mel and kl since the last call."""
        return self._weight, self._seen.take()

    def state_dict(self) -> dict[str, object]:
        """b."""
        return {"scale": self._scale}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Load a state_dict."""
        self._scale = _tensor_like(self._scale, state["scale"])


class Balancer:
    """EnCodec's gradient balancer (Defossez et al. 2022, section 3.4): the two weights are shares of the gradient.

    EnCodec divides each loss's gradient with respect to the model's output, the one place where losses and model meet,
    by the running mean (decay .999) of its norm and multiplies it by the loss's share. Here the losses meet the model
    in two places, taken as one vector: the posterior's output and the prior's hidden states. What lies beyond, the
    decoder and the prior's last layer, belongs to one loss each. With the mel weight held, as a common factor is
    nothing to AdamW, that comes to kl weight = kl_loss_weight * mean norm of mel's gradient / mean norm of kl's.

    Norms are of the whole batch (EnCodec's per_batch_item=False): batches hold like numbers of frames, not of clips.
    """

    def __init__(self, mel: float, kl: float, device: torch.device, dtype: torch.dtype) -> None:
        self._mel, self._kl = mel, kl
        # Not freed of their start at zero: in the ratio of the two that cancels.
        self._norms = torch.zeros(2, device=device, dtype=dtype)
        self._seen = _Mean(device)
        self._cuts: list[_Cut] = []

    @contextmanager
    def watching(self, model: Xtts) -> Iterator[None]:
        """Cuts the graph where losses and model meet."""
        self._cuts = [_Cut(), _Cut()]  # in the order of the forward pass
        with ExitStack() as hooks:
            for cut, module in zip(self._cuts, (model.posterior.out, model.prior.norm), strict=True):
                hooks.callback(module.register_forward_hook(cut).remove)
            yield

    def weights(self, losses: Mapping[str, Tensor]) -> Weights:
        """From the running norms, this step's included."""
        meeting = [cut.above for cut in self._cuts]
        norms = []
        for name in ("mel", "kl"):
            gradients = torch.autograd.grad(losses[name], meeting, retain_graph=True)
            # Under autocast some are bfloat16, too coarse for a norm.
            norms.append(torch.nn.utils.get_total_norm([one.to(self._norms.dtype) for one in gradients]))
        self._norms = _NORM_MEMORY * self._norms + torch.stack(norms)
        kl = self._kl * self._norms[0] / (self._norms[1] + _EPSILON)
        self._seen.add(kl)
        return Weights(self._mel, kl)

    def backward(self, total: Tensor) -> None:
        """Down to the cuts, then from each on to what it was made from, the last first."""
        # The posterior's sample is above one cut and below the other: its buffers are needed twice.
        total.backward(retain_graph=True)
        for cut in reversed(self._cuts):
            cut.below.backward(cut.above.grad)
        self._cuts = []

    def epoch_means(self) -> tuple[float, float]:
        """Mean weights of mel and kl since the last call."""
        return self._mel, self._seen.take()

    def state_dict(self) -> dict[str, object]:
        """The running norms."""
        return {"norms": self._norms}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Load a state_dict."""
        self._norms = _tensor_like(self._norms, state["norms"])


class _Cut:
    """A forward hook: what comes after the module sees its output as a leaf, and gradients stop there."""

    below: Tensor
    """The output as the module made it."""
    above: Tensor
    """The same values, for what comes after."""

    def __call__(self, module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        del module, inputs
        self.below, self.above = output, output.detach().requires_grad_()
        return self.above


class _Mean:
    """A mean of numbers on the device, read once an epoch."""

    def __init__(self, device: torch.device) -> None:
        self._sum, self._count = torch.zeros((), device=device), 0

    def add(self, value: Tensor) -> None:
        """One more."""
        self._sum, self._count = self._sum + value, self._count + 1

    def take(self) -> float:
        """The mean of the values added since the last call."""
        mean = float(self._sum) / max(1, self._count)
        self._sum, self._count = torch.zeros_like(self._sum), 0
        return mean


def _tensor_like(ours: Tensor, given: object) -> Tensor:
    return torch.as_tensor(given, device=ours.device, dtype=ours.dtype).clone()
