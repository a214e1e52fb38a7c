"""A training problem, and what a method makes of it. No JAX: methods decide what computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from skfm.data.batches import Samples
from skfm.data.fields import Fields
from skfm.data.statistics import ColumnStatistics, Evidence
from skfm.data.table import Recoding
from skfm.data.units import Units
from skfm.data.validate import row_pieces
from skfm.runtime import some_cores

_PLAIN = Units()
# A share of the loss that training has gained and that no prediction shows.
_NEGLIGIBLE = 1e-6
# In units of `tol`: where the last tenth of the iterations gained a larger share of what the model gains on a
# constant prediction, it is too early to stop.
_STILL_LEARNING = 100.0
_NEARLY_ALL = 0.9
# The rows of the largest batch.
_MOST_BEHIND = 4096
# A `tol` as large as what a model gains on a constant.
LOOSE = 0.1


class Prior(NamedTuple):
    """What is known of the weights before the rows are seen: strengths of penalties, and first values.

    Attributes
    ----------
    l2_frequency_power : how much less a rare column is penalised, see `skfm.optim.penalty`
    init_scale : standard deviation of the first factors
    normalizes : whether it is for hidden layers that are normalised over the batch: of embeddings only
        directions count then
    """

    l1_linear: float
    l2_linear: float
    l2_factors: float
    l2_dense: float
    l2_frequency_power: float
    init_scale: float
    normalizes: bool = False

    def beside(self, share: float) -> Prior:
        """The same prior beside this share of the rows, whose loss is a mean."""
        l2 = {name: getattr(self, name) / share for name in ("l2_linear", "l2_factors", "l2_dense")}
        return self._replace(**l2)


class Schedule(NamedTuple):
    """How fast and how long to train; see the estimators' parameters of the same names.

    Attributes
    ----------
    learning_rate : first step size
    linear_learning_rate : that of the linear weights, where they have a solver of their own; else None
    shape : "constant", "plateau", "cosine" or a callable: `learning_rate_schedule`
    horizon : epochs that the cosine schedule is spread over
    stops_early : whether to stop when the monitored value stops improving
    """

    learning_rate: float
    shape: str | Callable
    max_iter: int
    horizon: int
    batch_size: int
    tol: float
    n_iter_no_change: int
    stops_early: bool
    linear_learning_rate: float | None = None

    @property
    def rate_name(self) -> str:
        """What messages call the rate: a function of the step replaces `learning_rate`."""
        if callable(self.shape):
            return "rate of learning_rate_schedule"
        return f"learning_rate (={self.learning_rate:.2g})"


class Start(NamedTuple):
    """What the first weights are made of, where not at random.

    Attributes
    ----------
    tables : tables to take over, (d, *shape) by name; rows of zeros were never trained
    units : of the columns that the tables are for
    evidence : of the rows that they were learned from
    dense, averages : dense weights and running averages to take over, or None
    """

    tables: dict[str, np.ndarray]
    units: Units
    evidence: Evidence
    dense: Any = None
    averages: Any = None

    def trained(self, n_columns: int) -> Trained:
        """The columns of the tables among so many."""
        known = np.any([table.reshape(len(table), -1).any(axis=1) for table in self.tables.values()], axis=0)
        n_touching = np.zeros(n_columns)
        # What earlier fits were given has been forgotten.
        least = np.maximum(self.evidence.in_rows[0], 1)
        n_touching[: known.size] = np.where(known, least, 0)
        return Trained(self.units, n_touching)

    def recoded(self, recoding: Recoding) -> Start:
        """The same for the columns that an encoder has made of those of the tables."""
        origin, slope, offset = recoding
        n_known, known = self.evidence.touched.size, origin >= 0
        same_values = bool((slope == 1).all() and (offset == 0).all())
        if same_values and np.array_equal(origin, np.arange(n_known)):
            return self

        def taken(values: np.ndarray) -> np.ndarray:
            out = np.zeros((origin.size, *values.shape[1:]), values.dtype)
            out[known] = values[origin[known]]
            return out

        center, scale = map(taken, self.units.arrays(n_known))
        center, scale = (center - offset) / slope, np.where(known, scale, 1) / slope
        is_plain = self.units.scale is None and same_values
        return self._replace(
            tables={name: taken(table) for name, table in self.tables.items()},
            units=Units(center if center.any() else None, None if is_plain else scale),
            evidence=self.evidence._replace(touched=taken(self.evidence.touched)),
        )

    def statistics(self, n_columns: int) -> ColumnStatistics:
        """Of the rows that they were learned from, with so many columns."""
        return self.evidence.statistics(self.units).grown(n_columns)


class Trained(NamedTuple):
    """Columns that have weights.

    Attributes
    ----------
    units : that they were trained in
    n_touching : (n_columns,) how many rows have touched each; 0 for columns without weights
    """

    units: Units
    n_touching: np.ndarray


class Behind(NamedTuple):
    """Rows that the weights of a fit were learned from.

    Attributes
    ----------
    touching : (n_columns,) how many touch each column, or those that share its row of the tables
    n_rows : how many there are
    """

    touching: np.ndarray
    n_rows: float

    def ahead_of(self, touching: np.ndarray, n_rows: float) -> Behind | None:
        """How many more these are than the rows since; None where they are not.

        No more than some thousand: what has been learned from more is not to stand still for as long.

        Parameters
        ----------
        touching, n_rows : the same of these rows and those since, which may have more columns
        """
        before = np.zeros(touching.size)
        before[: self.touching.size] = self.touching
        ahead = np.minimum(before, _MOST_BEHIND) - np.maximum(touching - before, 0)
        n_ahead = min(self.n_rows, _MOST_BEHIND) - max(n_rows - self.n_rows, 0)
        return Behind(np.maximum(ahead, 0), n_ahead) if n_ahead > 0 else None


@dataclass
class Progress:
    """What happened, epoch by epoch.

    Attributes
    ----------
    history : dict of lists
    n_iter : epochs run
    best_score : highest monitored score
    interrupted : whether it was ended from outside
    label : what tells it from other trainings of the same fit, for a report; "" where there are none
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    n_iter: int = 0
    best_score: float = -np.inf
    interrupted: bool = False
    label: str = ""

    def add(self, **values) -> None:
        """Append one value to each list; lists without one get NaN."""
        n_before = n_entries(self.history)
        for name in [*self.history, *(name for name in values if name not in self.history)]:
            entries = self.history.setdefault(name, [np.nan] * n_before)
            entries.append(float(values.get(name, np.nan)))


def n_entries(history: Mapping[str, list[float]]) -> int:
    """Length of each list of a history.

    Raises
    ------
    ValueError
        If they have different lengths.
    """
    lengths = {name: len(entries) for name, entries in history.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"All lists of a training method's history must have one length, got {lengths}: record each "
            f"epoch with skfm.train.problem.Progress.add."
        )
    return max(lengths.values(), default=0)


def joined(histories: Iterable[Mapping[str, list[float]]]) -> dict[str, list[float]]:
    """One history after the other, NaN where one has not a list of another."""
    histories = list(histories)
    names = dict.fromkeys(name for history in histories for name in history)
    lists: dict[str, list[float]] = {name: [] for name in names}
    for history in histories:
        missing = [np.nan] * n_entries(history)
        for name, entries in lists.items():
            entries += history.get(name, missing)
    return lists


def silent(progress: Progress, max_iter: int) -> None:
    """A report to nobody."""


Naming = Callable[[], AbstractContextManager]


class Problem(NamedTuple):
    """What is to be learned, from which rows, and how long.

    Attributes
    ----------
    model : `skfm.models.base.Model`
    loss : `skfm.losses.Loss`
    train : rows to learn from
    held_out : rows to stop on, or None
    fields : field of each column for models that need it, and its row of the tables where columns share
        these; else None
    priors : the prior, and others, from narrow to wide, that are tried too: they count if rows that are held
        out score better
    dropout : share of units that a step leaves out
    schedule : how fast and how long
    start : tables to start from, or None
    score : score of the raw predictions on the held-out rows, higher is better; None: minus the loss
    report : called with the progress and `max_iter` before the first epoch and after each
    dtype : precision of the weights
    seed : of all that is random
    keeps_session : whether a later call is to go on from the end
    behind : rows of a fit that this call goes on from, or None
    base_score : raw prediction without features, one an output; None: the best for the rows to learn from
    base_moved : by how much it has changed since the session to go on from ended; None: not at all
    name_column : what a message calls a column, by its number; None where users cannot change its values
    naming_held_out : lets errors name a held-out row as users do; None where these have no number for it
    """

    model: Any
    loss: Any
    train: Samples
    held_out: Samples | None
    fields: Fields | None
    priors: tuple[Prior, ...]
    dropout: float
    schedule: Schedule
    dtype: np.dtype
    seed: int
    start: Start | None = None
    score: Callable[[np.ndarray], float] | None = None
    report: Callable[[Progress, int], None] = silent
    keeps_session: bool = False
    behind: Behind | None = None
    base_score: np.ndarray | None = None
    base_moved: np.ndarray | None = None
    name_column: Callable[[int], str] | None = None
    naming_held_out: Naming | None = None

    def under(self, prior: Prior) -> Problem:
        """The same with the model that is trained under a prior."""
        return self._replace(model=self.model.normalized()) if prior.normalizes else self


def score_is_constant(problem: Problem, progress: Progress) -> str | None:
    """What to say of a training that ended early on a score that was the same after each epoch; else None."""
    scores, losses = (progress.history.get(name, []) for name in ("validation_score", "validation_loss"))
    has_ended = problem.schedule.stops_early and progress.n_iter < problem.schedule.max_iter
    if not has_ended or len(scores) < 2 or len(set(scores)) > 1 or len(set(losses)) < 2:
        return None
    return (
        f"the weights are those of the first of {len(scores)} epochs, for scoring gave {scores[0]:.4g} after "
        f"each, while the loss of the held-out rows changed. Give scoring='loss', or another that changes "
        f"with the predictions of these rows, or early_stopping=False and no X_val."
    )


def last_tenth(n_iter: int) -> int:
    """How many iterations are the last tenth."""
    return -(-n_iter // 10)


def still_learning(
    gained: float,
    learned: float,
    n_iter: int,
    schedule: Schedule,
    remedy: str = "",
    what: str = "the objective",
) -> str | None:
    """What to say where `max_iter` ended training; None where more iterations would gain little.

    Parameters
    ----------
    gained : by how much the last tenth of the iterations lowered what is minimised
    learned : what the model gains on the best constant prediction
    n_iter : iterations that were run
    remedy : what else can be increased
    what : what is minimised
    """
    share = schedule.tol * _STILL_LEARNING
    if gained <= share * max(learned, _NEGLIGIBLE):
        return None
    return (
        f"training stopped after {n_iter} iterations while it was learning: the last {last_tenth(n_iter)} "
        f"lowered {what} by {gained:.2g}, more than {share:.2g} of what the model gains on a "
        f"constant. Increase max_iter (={schedule.max_iter}){remedy}, or tol (={schedule.tol:g}) if the "
        f"model is good enough."
    )


def _rows_are_alike(X) -> bool:
    """Whether all rows, in memory or on disk, are the same."""
    ranges = [(piece.max(axis=0).toarray(), piece.min(axis=0).toarray()) for _, piece in row_pieces(X)]
    largest, least = zip(*ranges, strict=True)
    return np.array_equal(np.max(largest, axis=0), np.min(least, axis=0))


def _creeps(losses: list[float]) -> bool:
    """Whether nearly each epoch lowered the loss: steps that are too large raise it as often."""
    return len(losses) > 1 and bool(np.mean(np.diff(losses) < 0) > _NEARLY_ALL)


def learned_nothing(problem: Problem, prior: Prior, progress: Progress, base_loss: float) -> str | None:
    """What to say of a training whose loss is no less than that of the best constant prediction; else None.

    Parameters
    ----------
    prior : the one that the weights were learned under
    """
    # L-BFGS does not begin where the gradient is 0.
    loss = (progress.history.get("loss") or [base_loss])[-1]
    if not problem.model.fit_intercept and loss - base_loss > _NEGLIGIBLE * max(1, abs(base_loss)):
        return (
            f"the loss in training, {loss:.4g}, is above that of a constant prediction, {base_loss:.4g}, "
            f"which no model without an intercept makes. Give fit_intercept=True."
        )
    if base_loss - loss > _NEGLIGIBLE * abs(base_loss) or abs(base_loss) < _NEGLIGIBLE:
        return None
    if _rows_are_alike(problem.train.X):
        return (
            "nothing was learned, for the rows to learn from are the same in all columns: a constant says "
            "nothing of y, nor do values of which each is too rare to learn from. Give columns whose values "
            "differ, and come back in other rows."
        )
    if problem.schedule.tol >= LOOSE:
        return (
            f"nothing was learned, for training stopped where nothing changed by more than tol. Give a "
            f"smaller tol than {problem.schedule.tol:.2g}."
        )
    if loss - base_loss > _NEGLIGIBLE * abs(base_loss):
        remedies = [f"a smaller init_scale than {prior.init_scale:.2g}"]
        if "learning_rate" in progress.history:
            size = "larger" if _creeps(progress.history["loss"]) else "smaller"
            remedies.insert(0, f"a {size} {problem.schedule.rate_name}")
        return (
            f"nothing was learned: the loss in training, {loss:.4g}, is above that of a constant prediction, "
            f"{base_loss:.4g}. Give {', or '.join(remedies)}."
        )
    penalties = {name: getattr(prior, name) for name in ("l2_linear", "l2_factors", "l2_dense")}
    strengths = [f"{name}={value:.2g}" for name, value in penalties.items() if value > 0]
    remedies = [f"smaller penalties than {', '.join(strengths)}"] if strengths else []
    if any(table.penalty == "factors" for table in problem.model.tables().values()):
        remedies += [f"a larger init_scale than {prior.init_scale:.2g}", "more factors"]
    if "learning_rate" in progress.history:
        remedies.append(f"a larger {problem.schedule.rate_name}")
    if problem.start is not None:
        remedies.insert(0, "random first weights, with neither warm_start nor init_from")
    return (
        f"nothing was learned: predictions are the same for all rows. If X tells something about y, give "
        f"{', or '.join(remedies) or 'more iterations'}."
    )


class Parameters:
    """Parameters of a fitted model in NumPy, with a copy on the device made at the first prediction.

    The device copy is no part of the value: it is left out of pickles and copies.

    Attributes
    ----------
    table : (D, W), all tables side by side; the last row is the dummy row, all zero
    dense, averages : dicts of arrays
    units : those that columns are in when they meet the table
    """

    def __init__(self, table: np.ndarray, dense: Any, averages: Any, units: Units = _PLAIN):
        self.table = table
        self.units = units
        self.dense = dense
        self.averages = averages
        # At most one copy on the device, shared with the same parameters in other units.
        self._placed: list[Any] = []

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_placed"}

    def __setstate__(self, state):
        self.__init__(**state)  # type: ignore[misc]

    def in_units(self, units: Units) -> Parameters:
        """The same for columns in other units, with the same copy on the device."""
        other = Parameters(self.table, self.dense, self.averages, units)
        other._placed = self._placed
        return other

    def on_device(self) -> tuple[Any, Any, Any]:
        """``(table, dense, averages)`` as arrays of the device in use."""
        from skfm.train.state import on_device

        device = some_cores.device
        if not self._placed or self._placed[0][0] is not device:
            self._placed[:] = [(device, on_device((self.table, self.dense, self.averages)))]
        return self._placed[0][1]


class Result(NamedTuple):
    """What a method makes of a problem.

    Attributes
    ----------
    parameters : those learned, with the units of the columns
    progress : what happened
    session : what `partial_fit` goes on from, if it was asked for; its `dtype` is that of the weights
    message : that the method stopped before its end, why, and what to do; or None
    prior : number of the prior that the parameters were learned under
    attempts : what happened under each prior that was tried, by its number; None: one was
    """

    parameters: Parameters
    progress: Progress
    session: Any = None
    message: str | None = None
    prior: int = 0
    attempts: Mapping[int, Progress] | None = None
