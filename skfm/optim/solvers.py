"""Element-wise solvers with an implicit penalty.

A solver updates parameters of any shape: rows of a table, or dense weights. The penalty of a parameter is
charged implicitly: the step ``w - step * g`` is followed by the proximal map of
``step * (l1 |w| + l2 / 2 w^2)``, so no rate and no charge, however large, makes it diverge.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from types import FunctionType
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skfm.data.units import QUITE, largest_factor
from skfm.layers.native import Segment
from skfm.names import SOLVERS

Array = Any

_ELEMENT_WISE = (
    "Give one that is, such as optax.adam or optax.adagrad, or the name of one of skfm's own: 'adam', "
    "'adagrad', 'ftrl', 'sgd', or 'lbfgs' for all weights at once."
)


class Step(NamedTuple):
    """Which step of training this is.

    Attributes
    ----------
    rate : learning rate
    count : number of the step, from 1
    """

    rate: Array
    count: Array


class Solver:
    """Base class.

    Attributes
    ----------
    per_sample : bool
        Whether gradients and charges are summed over the samples of a batch rather than averaged. What
        a gradient of size 1 means to AdaGrad and FTRL then does not depend on the batch size.
    """

    per_sample: bool = False
    code: ClassVar[int | None] = None

    def segments(self, width: int, step: Step, shares: tuple[Any, Any]) -> list[Segment]:
        """What native code is told of the solver of rows of `width` numbers, where it is native.

        Parameters
        ----------
        shares : factors of gradients and of charges
        """
        assert self.code is not None
        return [Segment(self.code, width, [step.rate, *shares, *self._numbers(step)])]

    def _numbers(self, step: Step) -> tuple[Any, ...]:
        """Numbers of its own that native code takes."""
        return ()

    @property
    def is_native(self) -> bool:
        """Whether native code has this solver."""
        return self.code is not None

    @property
    def dense(self) -> Solver:
        """The solver of dense weights; this one updates rows of a table."""
        return self

    def for_step(self, first_rate: Array, batch_rows: Array) -> Solver:
        """The solver of one step; see `Split`."""
        return self

    def init(self, parameters: Array, rate: Array) -> Any:
        """State: arrays whose leading axis is that of `parameters`, and scalars."""
        raise NotImplementedError

    def init_weights(self, parameters: Array, rate: Array, batch_rows: Array) -> Any:
        """The same of dense weights, in which all rows of a batch have a part."""
        return self.init(parameters, rate)

    def moved(self, state: Any, before: np.ndarray, after: np.ndarray, ratio: Any = 1.0) -> Any:
        """State of parameters after somebody else has changed them; NumPy.

        Gradients are in standard units, whatever these are: what is known of their size stays.

        Parameters
        ----------
        before, after : the parameters
        ratio : new scale of the column of each row over the old one, (n, 1)
        """
        return state

    def held(self, state, parameters, curvature, step, batch_rows):
        """State of parameters that rows behind them hold: no step is longer than Newton's on these rows.

        Parameters
        ----------
        step : the next one
        curvature : that of the loss at the parameters, summed over these rows; 0 where there are none
        batch_rows : mean number of rows of a batch
        """
        return state

    def update(self, parameters, gradient, state, step, l1, l2):
        """New parameters and state; `step` is a `Step`, l1 and l2 are the charges of the penalty."""
        raise NotImplementedError


def _square(size):
    """Square of a positive number, or a large one where it is none."""
    return jnp.square(jnp.minimum(size, largest_factor(size.dtype)))


def _held_squares(squares, curvature, step):
    """Sums of squared gradients, no less than as if the rows behind the parameters had been steps.

    Where a loss is a likelihood, the squares of gradients add up to its curvature.
    """
    return jnp.maximum(squares, curvature + _square(step.rate * curvature))


def proximal(parameters, step, l1, l2):
    """Minimiser of ``(w - parameters)^2 / (2 step) + l1 |w| + l2 / 2 w^2``."""
    shrunk = jnp.sign(parameters) * jnp.maximum(jnp.abs(parameters) - step * l1, 0)
    return shrunk / (1 + step * l2)


@dataclass(frozen=True)
class SGD(Solver):
    """Stochastic gradient descent with momentum.

    The velocity takes up what the penalty moved as well, as in iPiano (Ochs 2014): momentum multiplies
    gradient and penalty alike, so that the limit minimises the objective. A weight at zero has no velocity.
    """

    code = 0
    momentum: float = 0.9

    def _numbers(self, step):
        return (self.momentum,)

    def init(self, parameters, rate):
        return {"velocity": jnp.zeros_like(parameters)}

    def update(self, parameters, gradient, state, step, l1, l2):
        velocity = self.momentum * state["velocity"] + gradient
        updated = proximal(parameters - step.rate * velocity, step.rate, l1, l2)
        velocity = jnp.where(updated == 0, 0, velocity + l1 * jnp.sign(updated) + l2 * updated)
        return updated, {"velocity": velocity}


@dataclass(frozen=True)
class AdaGrad(Solver):
    """AdaGrad (Duchi 2011); the sum of squares starts at 1, as in libffm.

    Dense weights have the gradient of a whole batch, hundreds of times that of a row. Next to it 1 is
    nothing: each of them first moves by the whole rate, up or down.

    Attributes
    ----------
    small_first_steps : start theirs at the square of half the rows of a batch, 1/4 for a mean gradient
    """

    per_sample = True
    code = 1
    small_first_steps: bool = False

    def init(self, parameters, rate):
        return {"squares": jnp.ones_like(parameters)}

    def init_weights(self, parameters, rate, batch_rows):
        if not self.small_first_steps:
            return self.init(parameters, rate)
        return {"squares": jnp.full_like(parameters, jnp.square(batch_rows / 2))}

    def held(self, state, parameters, curvature, step, batch_rows):
        return {"squares": _held_squares(state["squares"], curvature, step)}

    def update(self, parameters, gradient, state, step, l1, l2):
        squares = state["squares"] + jnp.square(gradient)
        size = step.rate * jax.lax.rsqrt(squares)
        return proximal(parameters - size * gradient, size, l1, l2), {"squares": squares}


@dataclass(frozen=True)
class Adam(Solver):
    """Adam (Kingma 2015). On rows of a table it is lazy: moments of untouched rows wait."""

    code = 2
    decay_mean: float = 0.9
    decay_squares: float = 0.999
    epsilon: float = 1e-8

    def _numbers(self, step):
        decays = self.decay_mean, self.decay_squares
        count = step.count.astype(step.rate.dtype)
        return *decays, self.epsilon, *(1 - decay**count for decay in decays)

    def init(self, parameters, rate):
        return {"mean": jnp.zeros_like(parameters), "squares": jnp.zeros_like(parameters)}

    def held(self, state, parameters, curvature, step, batch_rows):
        # Gradients are means over a batch.
        least = _square(step.rate * curvature / batch_rows)
        least *= 1 - self.decay_squares ** step.count.astype(parameters.dtype)
        return state | {"squares": jnp.maximum(state["squares"], least)}

    def update(self, parameters, gradient, state, step, l1, l2):
        mean = self.decay_mean * state["mean"] + (1 - self.decay_mean) * gradient
        squares = self.decay_squares * state["squares"] + (1 - self.decay_squares) * jnp.square(gradient)
        count = step.count.astype(parameters.dtype)
        size = step.rate / (jnp.sqrt(squares / (1 - self.decay_squares**count)) + self.epsilon)
        direction = mean / (1 - self.decay_mean**count)
        return proximal(parameters - size * direction, size, l1, l2), {"mean": mean, "squares": squares}


@dataclass(frozen=True)
class FTRL(Solver):
    """FTRL-proximal (McMahan 2013): L1 gives exact zeros.

    Charges add up over the steps as gradients do (the composite form of McMahan's regret analysis), so its
    limit minimises the same objective as the other solvers. The sum `z` is kept in units of the rate, so
    that a schedule does not rescale the weights.
    """

    per_sample = True
    code = 3
    beta: float = 1.0

    def _numbers(self, step):
        return (self.beta,)

    def init(self, parameters, rate):
        # Arrays of their own: they are donated.
        names = ("squares", "l1", "l2")
        return {"z": -self.beta * parameters} | {name: jnp.zeros_like(parameters) for name in names}

    def moved(self, state, before, after, ratio=1.0):
        # Charges are for parameters in the units of X.
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            l1, l2 = state["l1"] / ratio, state["l2"] / ratio / ratio
            z = -(after * (self.beta + np.sqrt(state["squares"]) + l2) + np.sign(after) * l1)
        is_same = (after == before) & (ratio == 1)
        return state | {"z": np.where(is_same | (after == 0), state["z"], z), "l1": l1, "l2": l2}

    def held(self, state, parameters, curvature, step, batch_rows):
        squares = _held_squares(state["squares"], curvature, step)
        # The same parameters, of more squares.
        more = jnp.sqrt(squares) - jnp.sqrt(state["squares"])
        return state | {"squares": squares, "z": state["z"] - more * parameters}

    def update(self, parameters, gradient, state, step, l1, l2):
        squares = state["squares"] + jnp.square(gradient)
        sigma = jnp.sqrt(squares) - jnp.sqrt(state["squares"])
        z = state["z"] + step.rate * gradient - sigma * parameters
        l1, l2 = state["l1"] + step.rate * l1, state["l2"] + step.rate * l2
        size = jnp.maximum(jnp.abs(z) - l1, 0)
        updated = -jnp.sign(z) * size / (self.beta + jnp.sqrt(squares) + l2)
        return updated, {"z": z, "squares": squares, "l1": l1, "l2": l2}


def _made_of(value: Any, within: tuple[Any, ...] = ()) -> Any:
    """What a value is made of, hashable: that of two functions with equal code and settings is equal."""
    if isinstance(value, FunctionType) and value not in within:
        closed = inspect.getclosurevars(value).nonlocals
        parts = value.__defaults__, value.__kwdefaults__, closed
        return value.__code__, _made_of(parts, (*within, value))
    if isinstance(value, partial):
        return _made_of((value.func, value.args, value.keywords), within)
    if isinstance(value, dict):
        return _made_of(tuple(value.items()), within)
    if isinstance(value, tuple | list):
        return type(value), *(_made_of(part, within) for part in value)
    try:
        hash(value)
    except TypeError:
        return id(value)
    return type(value), value


def _holds(leaf, part) -> bool:
    """Whether a part of a state, with a name of its own, has a leaf."""
    return hasattr(part, "_fields") and any(one is leaf for one in jax.tree.leaves(part))


@contextmanager
def _explaining_optax():
    """Say which parameter it is whose transformation fails."""
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"The optax transformation given as solver takes more than the gradients and values of single "
            f"weights: {str(error).splitlines()[0]} {_ELEMENT_WISE}"
        ) from error


class Optax(Solver):
    """Any element-wise optax transformation; those with equal settings are equal.

    The penalty is added to the gradient, and the rate scales the updates.
    """

    def __init__(self, transformation: Any):
        self.transformation = transformation
        self._made_of = _made_of(transformation)

    def __hash__(self):
        return hash(self._made_of)

    def __eq__(self, other):
        return isinstance(other, Optax) and self._made_of == other._made_of

    def init(self, parameters, rate):
        with _explaining_optax():
            state = self.transformation.init(parameters)
        for leaf in jax.tree.leaves(state):
            if jnp.ndim(leaf) and jnp.shape(leaf)[0] != parameters.shape[0]:
                owners = jax.tree.leaves(state, is_leaf=partial(_holds, leaf))
                names = [type(part).__name__ for part in owners if hasattr(part, "_fields")]
                raise ValueError(
                    f"The optax transformation given as solver is not element-wise: for weights of shape "
                    f"{parameters.shape} it keeps an array of shape {leaf.shape} "
                    f"({', '.join(names) or 'its state'}). {_ELEMENT_WISE}"
                )
        # Copies, since leaves that share memory cannot be donated.
        return jax.tree.map(jnp.copy, state)

    def moved(self, state, before, after, ratio=1.0):
        # Its gradients hold the penalty, which is in the units of X.
        quite = np.broadcast_to(np.maximum(ratio, 1 / ratio) > QUITE, (*after.shape[:1], 1))[..., 0]
        if not quite.any():
            return state

        def begun_anew(first, known):
            if known.shape[:1] != quite.shape:
                return known
            known = known.copy()
            known[quite] = first[quite]
            return known

        return jax.tree.map(begun_anew, jax.tree.map(np.asarray, self.transformation.init(after)), state)

    def update(self, parameters, gradient, state, step, l1, l2):
        gradient = gradient + l2 * parameters + l1 * jnp.sign(parameters)
        with _explaining_optax():
            updates, state = self.transformation.update(gradient, state, parameters)
        return parameters + step.rate * updates, state


@dataclass(frozen=True)
class Split(Solver):
    """One solver for the first numbers of each row of a table, another for the rest and for dense weights.

    Attributes
    ----------
    width : how many numbers are the first
    first_rate : their learning rate in units of that of the rest, traced
    batch_rows : mean number of rows of a batch, traced
    """

    first: Solver
    rest: Solver
    width: int
    first_rate: Array = None
    batch_rows: Array = None
    per_sample: bool = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "per_sample", self.rest.per_sample)

    @property
    def dense(self):
        return self.rest

    def for_step(self, first_rate, batch_rows):
        return replace(self, first_rate=first_rate, batch_rows=batch_rows)

    @property
    def is_native(self):
        return self.first.is_native and self.rest.is_native

    def segments(self, width, step, shares):
        samples = self._samples
        of_first = step._replace(rate=step.rate * self.first_rate)
        first = self.first.segments(self.width, of_first, tuple(s * samples for s in shares))
        return first + self.rest.segments(width - self.width, step, shares)

    @property
    def _samples(self):
        """Gradients and charges come as the second solver takes them: as sums over a batch, or means."""
        return self.batch_rows ** (int(self.first.per_sample) - int(self.rest.per_sample))

    def init(self, parameters, rate):
        first, rest = parameters[:, : self.width], parameters[:, self.width :]
        return {"first": self.first.init(first, rate), "rest": self.rest.init(rest, rate)}

    def moved(self, state, before, after, ratio=1.0):
        first, rest = np.s_[:, : self.width], np.s_[:, self.width :]
        return {
            "first": self.first.moved(state["first"], before[first], after[first], ratio),
            "rest": self.rest.moved(state["rest"], before[rest], after[rest], ratio),
        }

    def held(self, state, parameters, curvature, step, batch_rows):
        first, rest = np.s_[:, : self.width], np.s_[:, self.width :]
        of_first = step._replace(rate=step.rate * self.first_rate)
        return {
            "first": self.first.held(
                state["first"], parameters[first], curvature[first], of_first, batch_rows
            ),
            "rest": self.rest.held(state["rest"], parameters[rest], curvature[rest], step, batch_rows),
        }

    def update(self, parameters, gradient, state, step, l1, l2):
        samples = self._samples
        first, rest = np.s_[:, : self.width], np.s_[:, self.width :]
        new_first, first_state = self.first.update(
            parameters[first],
            gradient[first] * samples,
            state["first"],
            step._replace(rate=step.rate * self.first_rate),
            l1[first] * samples,
            l2[first] * samples,
        )
        new_rest, rest_state = self.rest.update(
            parameters[rest], gradient[rest], state["rest"], step, l1[rest], l2[rest]
        )
        return jnp.concatenate([new_first, new_rest], axis=1), {"first": first_state, "rest": rest_state}


NAMED: dict[str, Solver] = {
    name: globals()[facts.rule]() for name, facts in SOLVERS.items() if facts.rule is not None
}
