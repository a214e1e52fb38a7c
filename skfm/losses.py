"""Losses on the raw prediction: value per sample, inverse link, base score and target rule.

Conventions, those of scikit-learn's own losses:

- ``raw`` is the model's output before the link, shape (n_samples, n_outputs);
- ``y`` has shape (n_samples, n_outputs), but (n_samples,) class numbers for `Softmax`;
- ``value(y, raw)`` is summed over the outputs, shape (n_samples,); JAX, or NumPy for NumPy arrays;
- everything else is NumPy;
- numbers that a loss depends on are traced: losses are trees of JAX, and share a program whatever they are.

What a loss needs to know of the targets for its base score is computed by parts of the rows and merged.

A new loss is one class here and one line in `REGRESSION_LOSSES`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from scipy import optimize, special

from skfm.data.validate import place_of, powers_of_two, standardized_values

# Base scores of classes that are (nearly) never seen stay finite.
_MIN_SHARE = 1e-7
# A smaller `huber_delta` is this one, which float32 holds.
_LEAST_DELTA = 1e-30
# Points that stand for the targets of all rows so far, where more may come.
_MOST_POINTS = 4096


def _namespace(raw):
    return np if isinstance(raw, np.ndarray) else jnp


class Means(NamedTuple):
    """Weighted means of targets, and the weight behind each."""

    weight: np.ndarray
    mean: np.ndarray


class Distribution(NamedTuple):
    """Targets (n_samples, n_outputs) with their weights (n_samples,), in any order."""

    values: np.ndarray
    weight: np.ndarray

    def compact(self) -> Distribution:
        """The same in a bounded number of points: means of slices of equal weight, for each output."""
        if self.weight.size <= _MOST_POINTS:
            return self
        total = self.weight.sum()
        borders = np.linspace(0, total, _MOST_POINTS + 1)
        points = []
        for column in self.values.T:
            order = np.argsort(column, kind="stable")
            weight = self.weight[order]
            behind = np.append(0, np.cumsum(weight)), np.append(0, np.cumsum(weight * column[order]))
            points.append(np.diff(np.interp(borders, *behind)) * (_MOST_POINTS / total))
        return Distribution(np.stack(points, axis=1), np.full(_MOST_POINTS, total / _MOST_POINTS))


def standardized_statistics(statistics, location, scale):
    """What a loss knows of ``(y - location) / scale``, from what it knows of y."""
    if isinstance(statistics, Distribution):
        return statistics._replace(values=standardized_values(statistics.values, location, scale))
    return statistics._replace(mean=standardized_values(statistics.mean[None], location, scale)[0])


def merge_statistics(a, b):
    """What a loss knows of the targets of two parts of the rows, as of one."""
    if isinstance(a, Distribution):
        return Distribution(np.concatenate([a.values, b.values]), np.concatenate([a.weight, b.weight]))
    total = a.weight + b.weight
    share = b.weight / np.where(total > 0, total, 1)
    return Means(total, (1 - share) * a.mean + share * b.mean)


def _means(y: np.ndarray, weight: np.ndarray) -> Means:
    if not weight.any():
        return Means(np.zeros(y.shape[1:]), np.zeros(y.shape[1:]))
    unit = powers_of_two(y)
    mean, total = np.average(y / unit, axis=0, weights=weight, returned=True)
    return Means(total, mean * unit)


@dataclass(frozen=True)
class Loss:
    """Base class: squared-error-like losses with an identity link on a standardised target."""

    # How pieces of a mixture combine into one raw prediction, and how `predict` reads it.
    link: ClassVar[str] = "identity"
    # Train on (y - mean) / standard deviation: one learning rate for targets of any unit.
    standardizes_target: ClassVar[bool] = True

    def value(self, y, raw):
        """Loss of each sample."""
        raise NotImplementedError

    def inverse_link(self, raw: np.ndarray) -> np.ndarray:
        """Prediction from the raw prediction."""
        return raw

    def statistics(self, y: np.ndarray, weight: np.ndarray) -> Means | Distribution:
        """What the base score needs to know of the targets; see `merge_statistics`."""
        return _means(y, weight)

    def base_score(self, statistics, n_rows: int | None = None) -> np.ndarray:
        """The raw prediction, one an output, that minimises the weighted loss without any feature.

        Parameters
        ----------
        n_rows : number of rows behind the statistics where more may come: what was not among them then
            counts as half a row
        """
        return statistics.mean

    def check_target(self, y: np.ndarray) -> None:
        """Raise ValueError if the loss is not defined for some target."""


@register_dataclass
@dataclass(frozen=True)
class SquaredError(Loss):
    """``1/2 (y - raw)^2``."""

    def value(self, y, raw):
        return 0.5 * ((y - raw) ** 2).sum(-1)


@register_dataclass
@dataclass(frozen=True)
class Quantile(Loss):
    """Pinball loss ``max(q (y - raw), (q - 1) (y - raw))`` of the `quantile` q."""

    quantile: float = 0.5

    def value(self, y, raw):
        error = y - raw
        return _namespace(raw).maximum(self.quantile * error, (self.quantile - 1) * error).sum(-1)

    def statistics(self, y, weight):
        return Distribution(y, weight)

    def base_score(self, statistics, n_rows=None):
        columns = statistics.values.T
        return np.array([_weighted_quantile(column, statistics.weight, self.quantile) for column in columns])


@register_dataclass
@dataclass(frozen=True)
class AbsoluteError(Loss):
    """``|y - raw|``."""

    def value(self, y, raw):
        return abs(y - raw).sum(-1)

    def statistics(self, y, weight):
        return Distribution(y, weight)

    def base_score(self, statistics, n_rows=None):
        columns = statistics.values.T
        return np.array([_weighted_quantile(column, statistics.weight, 0.5) for column in columns])


@register_dataclass
@dataclass(frozen=True)
class Huber(Loss):
    """``1/2 e^2`` where ``|e| <= delta``, else ``delta (|e| - delta / 2)``, with ``e = y - raw``.

    Divided by a `delta` below 1: errors beyond it then count as in the absolute error, not for nothing.
    """

    delta: float = 1.35

    def value(self, y, raw):
        xp, size = _namespace(raw), abs(y - raw)
        delta = xp.maximum(self.delta, _LEAST_DELTA)
        small = xp.minimum(size, delta)
        return (small / xp.minimum(delta, 1) * (size - 0.5 * small)).sum(-1)

    def statistics(self, y, weight):
        return Distribution(y, weight)

    def base_score(self, statistics, n_rows=None):
        columns = statistics.values.T
        return np.array([_huber_center(column, statistics.weight, self.delta) for column in columns])


@register_dataclass
@dataclass(frozen=True)
class Poisson(Loss):
    """Half the Poisson deviance for ``exp(raw)``, up to a constant: ``exp(raw) - y raw``."""

    link: ClassVar[str] = "log"
    standardizes_target: ClassVar[bool] = False

    def value(self, y, raw):
        return (_namespace(raw).exp(raw) - y * raw).sum(-1)

    def inverse_link(self, raw):
        return np.exp(raw)

    def base_score(self, statistics, n_rows=None):
        if n_rows is None and not (statistics.mean > 0).all():
            raise ValueError("loss='poisson' needs at least one target above 0 in each column of y.")
        return np.log(np.where(statistics.mean > 0, statistics.mean, _least_share(n_rows)))

    def check_target(self, y):
        if (y < 0).any():
            position = int(np.argmax(y < 0))
            raise ValueError(
                f"loss='poisson' needs targets y >= 0, got {y.flat[position]} at {place_of(y, position)}. "
                f"Use another loss for targets that can be negative."
            )


@register_dataclass
@dataclass(frozen=True)
class Logistic(Loss):
    """Log loss of targets 0 and 1, ``log(1 + exp(raw)) - y raw``, for binary and multilabel targets."""

    link: ClassVar[str] = "logit"
    standardizes_target: ClassVar[bool] = False

    def value(self, y, raw):
        return (_namespace(raw).logaddexp(raw, 0.0) - y * raw).sum(-1)

    def inverse_link(self, raw):
        return special.expit(raw)

    def base_score(self, statistics, n_rows=None):
        return _log_odds(statistics.mean, n_rows)


@register_dataclass
@dataclass(frozen=True)
class Softmax(Loss):
    """Multinomial log loss ``logsumexp(raw) - raw[y]`` of class numbers y."""

    link: ClassVar[str] = "softmax"
    standardizes_target: ClassVar[bool] = False
    n_classes: int = field(default=3, metadata={"static": True})

    def value(self, y, raw):
        chosen = _namespace(raw).take_along_axis(raw, y.astype(np.int32)[:, None], axis=1)[:, 0]
        logsumexp = special.logsumexp if isinstance(raw, np.ndarray) else jax.nn.logsumexp
        return logsumexp(raw, axis=-1) - chosen

    def inverse_link(self, raw):
        return special.softmax(raw, axis=1)

    def statistics(self, y, weight):
        """Share of each class."""
        total = weight.sum()
        classes = np.bincount(y.astype(np.int64), weights=weight, minlength=self.n_classes)
        return Means(total, classes / (total or 1))

    def base_score(self, statistics, n_rows=None):
        score = np.log(np.maximum(statistics.mean, _least_share(n_rows)))
        return score - score.mean()


@register_dataclass
@dataclass(frozen=True)
class ClickConversionLoss(Loss):
    """Log loss of clicks, and of clicks with a conversion, over all rows (ESMM).

    ``raw`` holds the log odds of a click and of a conversion after it; the chance of both is the product. y
    has the columns click, conversion, and the weight of each of the two losses.
    """

    link: ClassVar[str] = "logit"
    standardizes_target: ClassVar[bool] = False

    def value(self, y, raw):
        xp = _namespace(raw)
        click = xp.logaddexp(raw[:, 0], 0.0) - y[:, 0] * raw[:, 0]
        both = log_both(raw)
        return y[:, 2] * click - y[:, 3] * (y[:, 1] * both + (1 - y[:, 1]) * log_complement(both))

    def inverse_link(self, raw):
        """Chances of a click, of a conversion after a click, and of both, (n_samples, 3)."""
        click, conversion = special.expit(raw).T
        return np.stack([click, conversion, click * conversion], axis=1)

    def statistics(self, y, weight):
        """Means of the click and the conversion with the weights of their losses, and with those of rows."""
        tasks = ((0, weight * y[:, 2]), (1, weight * y[:, 3]), (0, weight), (1, weight))
        return Means(*map(np.stack, zip(*(_means(y[:, task], own) for task, own in tasks), strict=True)))

    def base_score(self, statistics, n_rows=None):
        # A task may have no weight at all.
        click, both = np.where(statistics.weight[:2] > 0, statistics.mean[:2], statistics.mean[2:])
        conversion = both / max(click, _MIN_SHARE)
        clicks = None if n_rows is None else n_rows * click
        return np.array([_log_odds(click, n_rows), _log_odds(conversion, clicks)])


def _least_share(n_rows: float | None) -> float:
    """Share of a class that was not among the rows."""
    return _MIN_SHARE if n_rows is None else 0.5 / (n_rows + 1)


def _log_odds(share, n_rows: float | None):
    least = _least_share(n_rows)
    return special.logit(np.clip(share, least, 1 - least))


def log_both(raw):
    """Logarithm of the product of two chances, from their log odds (n_samples, 2)."""
    return -_namespace(raw).logaddexp(-raw, 0.0).sum(axis=1)


def log_complement(log_chance):
    """``log(1 - p)`` from ``log p``, accurate at both ends."""
    xp = _namespace(log_chance)
    # Chances that round to 1.
    log_chance = xp.minimum(log_chance, -1e-30)
    small = log_chance < -0.7
    # Each branch sees its own side alone: gradients of the other are infinite.
    far, near = xp.where(small, log_chance, -1.0), xp.where(small, -0.1, log_chance)
    return xp.where(small, xp.log1p(-xp.exp(far)), xp.log(-xp.expm1(near)))


def _weighted_quantile(y: np.ndarray, weight: np.ndarray, quantile: float) -> float:
    """Middle of the interval of minimisers, so that a weight of 2 is the row twice."""
    order = np.argsort(y, kind="stable")
    y, cumulative = y[order], np.cumsum(weight[order])
    target = quantile * cumulative[-1]
    slack = 1e-12 * cumulative[-1]
    low = np.searchsorted(cumulative, target - slack)
    high = np.searchsorted(cumulative, target + slack, side="right")
    return float(0.5 * (y[low] + y[min(high, y.size - 1)]))


def _huber_center(y: np.ndarray, weight: np.ndarray, delta: float) -> float:
    """Middle of the interval of minimisers, where the (rising) gradient is zero up to rounding."""
    slack = 1e-12 * delta * weight.sum()

    def gradient(center, target):
        return weight @ np.clip(center - y, -delta, delta) - target

    ends = y.min() - delta - abs(y.min()), y.max() + delta + abs(y.max())
    return float(np.mean([optimize.brentq(gradient, *ends, args=(target,)) for target in (-slack, slack)]))


REGRESSION_LOSSES = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "quantile": Quantile,
    "poisson": Poisson,
}
