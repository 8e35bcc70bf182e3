"""A Gaussian process over rungs and ends together, which learns how much a rung's value says about the end.

With independent processes g and h of one kernel (Matern 5/2, a length scale for each dimension):

    end(x)  = c   + a g(x)                 + noise
    rung(x) = c_r + a s_r g(x) + b_r h_r(x) + noise_r        for each rung r

Kennedy and O'Hagan, Predicting the Output from a Complex Computer Code When Fast Approximations Are Available (2000);
Bonilla et al., Multi-task Gaussian Process Prediction (2008). Where rungs only mislead, s_r tends to 0 or noise_r
grows, and what is left is an ordinary process over the ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

END = 0  # the level of an end; rungs are 1, 2, ...
MOST_EVALUATIONS = 60
CONSTANT_VARIANCE = 4.0  # of each level's unknown constant, in units of that level's variance
JITTER = 1e-6
# Centres and deviations of normal priors: amplitude and noise of the ends; slope, own part and noise of a rung.
END_PRIORS = np.array([[0.0, -5.0], [1.0, 1.5]])
RUNG_PRIORS = np.array([[0.8, 0.7], [-1.0, 1.0], [-1.5, 1.2]])
MEMORY_PRIORS = np.array([[0.8, 0.7], [-0.7, 0.25], [-2.3, 0.4]])


@dataclass(frozen=True)
class Observations:
    """Values at points [n, dimensions] of the unit cube; levels [n] are END or 1, 2, ... for the rungs."""

    points: np.ndarray
    levels: np.ndarray
    values: np.ndarray
    remembered: bool = False
    """Whether the last level holds ends of other data, which may have their best elsewhere"""

    @property
    def rungs(self) -> int:
        """How many rungs there are."""
        return int(self.levels.max(initial=END))


@dataclass(frozen=True)
class Scales:
    """The process's parameters, each a logarithm but `slope`; the rungs' are [rungs], `length` [dimensions]."""

    length: np.ndarray
    amplitude: float
    noise: float
    slope: np.ndarray
    own: np.ndarray
    rung_noise: np.ndarray

    @staticmethod
    def from_flat(flat: np.ndarray, dimensions: int) -> Scales:
        """The parameters from one vector, in this class's order."""
        rungs = flat[dimensions + 2 :].reshape(3, -1)
        return Scales(flat[:dimensions], float(flat[dimensions]), float(flat[dimensions + 1]), *rungs)

    @property
    def shared(self) -> np.ndarray:
        """How much of g is in each level, [1 + rungs]."""
        return np.concatenate([[1.0], self.slope]) * math.exp(self.amplitude)

    @property
    def own_variance(self) -> np.ndarray:
        """The variance of h in each level, [1 + rungs]."""
        return np.concatenate([[0.0], np.exp(2 * self.own)])

    @property
    def noise_variance(self) -> np.ndarray:
        """The variance of the noise in each level, [1 + rungs]."""
        variance: np.ndarray = np.exp(2 * np.concatenate([[self.noise], self.rung_noise]))
        return variance


@dataclass(frozen=True)
class GaussianProcess:
    """A fitted process; its observations are standardised by level, `mean` and `scale` are those of the ends."""

    given: Observations
    scales: Scales
    mean: float
    scale: float

    def ends(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation [points] of the noise-free end, in the objective's own units."""
        across = _kernel(self.scales, points, self.given.points)
        across *= self.scales.shared[END] * self.scales.shared[self.given.levels]
        across += CONSTANT_VARIANCE * (self.given.levels == END)
        unexplained = solve_triangular(self._root, across.T, lower=True, check_finite=False)
        explained = np.einsum("ij,ij->j", unexplained, unexplained)
        variance = self.scales.shared[END] ** 2 + CONSTANT_VARIANCE - explained
        mean = across @ self._weights
        return mean * self.scale + self.mean, np.sqrt(np.maximum(variance, 1e-10)) * self.scale

    def joint_ends(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean [points] and covariance [points, points] of the noise-free ends, in the objective's own units."""
        levels = np.full(len(points), END)
        across = _covariance(self.scales, points, levels, self.given.points, self.given.levels)
        explained = solve_triangular(self._root, across.T, lower=True)
        covariance = _covariance(self.scales, points, levels, points, levels) - explained.T @ explained
        mean = across @ self._weights
        return mean * self.scale + self.mean, covariance * self.scale**2

    @property
    def end_noise(self) -> float:
        """The variance of an end's noise, in the objective's own units."""
        return (float(self.scales.noise_variance[END]) + JITTER) * self.scale**2

    def left_out(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each observed end with the mean and the standard deviation that the others predict for it, [ends] each.

        Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), equations 5.10 to 5.12.
        """
        inverse = cho_solve((self._root, True), np.eye(len(self.given.values)))
        ends = self.given.levels == END
        variance = 1 / inverse.diagonal()
        mean = self.given.values - (inverse @ self.given.values) * variance
        found = self.given.values[ends], mean[ends], np.sqrt(variance[ends])
        return found[0] * self.scale + self.mean, found[1] * self.scale + self.mean, found[2] * self.scale

    def with_lengths(self, factor: float) -> GaussianProcess:
        """The process with the same observations and length scales that are `factor` times as long."""
        return replace(self, scales=replace(self.scales, length=self.scales.length + math.log(factor)))

    def believing(self, points: np.ndarray) -> GaussianProcess:
        """The process as if it had seen the ends that it expects at `points` (of trials that still run)."""
        if not len(points):
            return self
        believed = replace(
            self.given,
            points=np.vstack([self.given.points, points]),
            levels=np.concatenate([self.given.levels, np.full(len(points), END)]),
            values=np.concatenate([self.given.values, (self.ends(points)[0] - self.mean) / self.scale]),
        )
        return replace(self, given=believed)

    @cached_property
    def _root(self) -> np.ndarray:
        return _root(self.scales, self.given)

    @cached_property
    def _weights(self) -> np.ndarray:
        weights: np.ndarray = cho_solve((self._root, True), self.given.values)
        return weights


def fit(given: Observations) -> GaussianProcess:
    """The process whose parameters are most probable after `given`, which holds at least one end."""
    means, spreads = _standards(given)
    standard = replace(given, values=(given.values - means[given.levels]) / spreads[given.levels])
    dimensions = given.points.shape[1]
    squares = _squares(given.points)
    start, low, high = _start_and_bounds(dimensions, given.rungs, remembered=given.remembered)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        return _improbability(Scales.from_flat(flat, dimensions), standard, squares)

    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxfun": MOST_EVALUATIONS},
    ).x
    return GaussianProcess(standard, Scales.from_flat(found, dimensions), float(means[END]), float(spreads[END]))


def _improbability(scales: Scales, given: Observations, squares: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus the log posterior of the parameters, up to a constant, and its gradient in the order of the flat vector.

    `squares` [dimensions, n * n] are the squared differences of the points.
    """
    levels, count = given.levels, len(given.levels)
    scaled = 5 * np.exp(-2 * scales.length)
    distance = np.sqrt(scaled @ squares).reshape(count, count)
    fall = np.exp(-distance)
    kernel = (1 + distance + distance**2 / 3) * fall
    shared, own = scales.shared[levels], scales.own_variance[levels]
    same = levels[:, None] == levels[None]
    linked = np.outer(shared, shared)
    between = linked + same * own
    covariance = kernel * between + CONSTANT_VARIANCE * same
    covariance[np.diag_indices(count)] += scales.noise_variance[levels] + JITTER
    root = cholesky(covariance, lower=True, check_finite=False)
    weights = cho_solve((root, True), given.values, check_finite=False)
    value = 0.5 * float(given.values @ weights) + float(np.log(root.diagonal()).sum())

    lower = dpotri(root, lower=1)[0]
    inverse = np.tril(lower) + np.tril(lower, -1).T
    pull = inverse - np.outer(weights, weights)
    by_length = 0.5 * scaled * (squares @ (pull * between * (1 + distance) * fall / 3).ravel())
    pulled = pull * kernel
    per_trial_slope = math.exp(scales.amplitude) * (pulled @ shared)
    per_trial_own = (pulled * same).sum(axis=1) * own
    per_trial_noise = pull.diagonal() * scales.noise_variance[levels]
    rungs = range(1, len(scales.slope) + 1)
    gradient = [
        *by_length,
        float((pulled * linked).sum()),
        per_trial_noise[levels == END].sum(),
        *(per_trial_slope[levels == rung].sum() for rung in rungs),
        *(per_trial_own[levels == rung].sum() for rung in rungs),
        *(per_trial_noise[levels == rung].sum() for rung in rungs),
    ]
    prior, of_prior = _prior(scales, remembered=given.remembered)
    return value + prior, np.array(gradient) + of_prior


def _prior(scales: Scales, *, remembered: bool = False) -> tuple[float, np.ndarray]:
    """Minus the log of normal priors (smooth ends with hardly any noise, rungs that say much), and its gradient.

    Other data has its best a little aside: a part of its own that a good correlation must not make vanish, or the
    search would look at the old best alone.
    """
    flat = np.concatenate(
        [scales.length, [scales.amplitude, scales.noise], scales.slope, scales.own, scales.rung_noise]
    )
    ones = np.ones(len(scales.length))
    lengths = [ones * math.log(0.5 * _wider(len(ones))), ones * 0.8]
    per_rung = np.repeat(RUNG_PRIORS[:, :, None], len(scales.slope), axis=2)
    if remembered:
        per_rung[:, :, -1] = MEMORY_PRIORS
    centre, spread = np.hstack([lengths, END_PRIORS, per_rung.transpose(1, 0, 2).reshape(2, -1)])
    off = (flat - centre) / spread
    return 0.5 * float(off @ off), off / spread


def _wider(dimensions: int) -> float:
    """How much longer the length scales are expected to be than in three dimensions, where points are nearer."""
    return math.sqrt(max(dimensions / 3, 1.0))


def _start_and_bounds(
    dimensions: int, rungs: int, *, remembered: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lengths = np.repeat([[math.log(0.4)], [math.log(0.05)], [math.log(5.0)]], dimensions, axis=1)
    lengths += math.log(_wider(dimensions))
    shared = np.array([[0.0, -3.0, 3.0], [-4.0, -6.9, 0.0]]).T
    per_rung = np.repeat(np.array([[0.8, -3.0, 3.0], [-1.0, -5.0, 1.5], [-1.5, -6.9, 1.0]])[:, :, None], rungs, axis=2)
    if remembered:
        per_rung[:, 0, -1] = MEMORY_PRIORS[:, 0]
    start, low, high = np.hstack([lengths, shared, per_rung.transpose(1, 0, 2).reshape(3, -1)])
    return start, low, high


def _standards(given: Observations) -> tuple[np.ndarray, np.ndarray]:
    means, spreads = np.zeros(given.rungs + 1), np.ones(given.rungs + 1)
    for level in range(given.rungs + 1):
        values = given.values[given.levels == level]
        if len(values):
            means[level] = values.mean()
        if len(values) > 1 and values.std() > 0:
            spreads[level] = values.std()
    return means, spreads


def _squares(points: np.ndarray) -> np.ndarray:
    """The squared differences of points [n, dimensions], [dimensions, n * n]."""
    columns = points.T
    return np.asarray(((columns[:, :, None] - columns[:, None]) ** 2).reshape(len(columns), -1))


def _kernel(scales: Scales, points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Matern 5/2, [points, others], in place: it is most of what a suggestion costs."""
    scaled, other_scaled = points * np.exp(-scales.length), others * np.exp(-scales.length)
    square: np.ndarray = scaled @ (-10 * other_scaled.T)
    square += 5 * (scaled**2).sum(axis=1)[:, None]
    square += 5 * (other_scaled**2).sum(axis=1)
    np.maximum(square, 0.0, out=square)
    distance = np.sqrt(square)
    fall = np.exp(-distance)
    square /= 3
    square += distance
    square += 1
    square *= fall
    return square


def _covariance(
    scales: Scales, points: np.ndarray, levels: np.ndarray, others: np.ndarray, other_levels: np.ndarray
) -> np.ndarray:
    """Of the noise-free values, [points, others]."""
    same = levels[:, None] == other_levels[None]
    linked = np.outer(scales.shared[levels], scales.shared[other_levels])
    kernel = _kernel(scales, points, others)
    covariance: np.ndarray = kernel * (linked + same * scales.own_variance[other_levels]) + CONSTANT_VARIANCE * same
    return covariance


def _root(scales: Scales, given: Observations) -> np.ndarray:
    covariance = _covariance(scales, given.points, given.levels, given.points, given.levels)
    covariance[np.diag_indices_from(covariance)] += scales.noise_variance[given.levels] + JITTER
    root: np.ndarray = cholesky(covariance, lower=True)
    return root
