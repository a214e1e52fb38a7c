"""Columns that say less than they could: why, and what to do, in the words of a warning."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skfm.data.batches import Samples
from skfm.data.statistics import ColumnStatistics
from skfm.data.units import Units, standardized
from skfm.data.validate import row_pieces
from skfm.train.predict import map_matrix
from skfm.train.problem import Parameters, Prior, Problem
from skfm.train.start import in_own_units

# A column whose unit in training is so many times its deviation is nearly constant.
_ALIKE = 4.0
# What such a column would explain, heard: this share of what there is, and so many standard errors.
_LEFT_SHARE, _LEFT_ERRORS = 0.01, 5.0
# Rows that may make the unit of a column of ten times as many: without them its root mean square would be a
# smaller share of that unit than the first of these, and its deviation than the second.
_FEW_ROWS, _UNIT_LEFT, _DEVIATION_LEFT = 3, 0.2, 0.03
# Rows and columns that are asked for it.
_MOST_ROWS, _MOST_COLUMNS = 1 << 12, 32
_STEP = 1e-3
# Penalties are those of columns of about 1. Beside a loss of curvature 1 or less, one that is so steep for a
# column that is so small takes much of its weight; one a million times as steep as the loss leaves nothing.
# Of a column that has had its say, in part, little more is what a penalty is for.
_SMALL, _STEEP, _CRUSHING = 0.2, 0.1, 1e6
_MUCH_LEFT_SHARE = 0.05
_POWERS = {"l1_linear": 1, "l2_linear": 2, "l2_factors": 2}
_MOST_NAMED = 3
# Scale of a column whose variance is no float.
_NO_VARIANCE = 1e-150


class Small(NamedTuple):
    """Columns so small that penalties, which are those of weights in the units of X, take much of them.

    Attributes
    ----------
    columns : (k,)
    steepness : (k,) of the steepest of the penalties in standard units
    penalties : strengths by name
    """

    columns: np.ndarray
    steepness: np.ndarray
    penalties: dict[str, float]


class Alike(NamedTuple):
    """Columns whose nonzeros differ by little beside the unit that they are trained in.

    Attributes
    ----------
    columns : (k,)
    means, deviations : (k,) of the nonzeros, but for those of the few rows that make the unit
    largest : (k,) largest absolute value of these nonzeros
    outliers : (k,) that of the other rows; 0 where there are none
    """

    columns: np.ndarray
    means: np.ndarray
    deviations: np.ndarray
    largest: np.ndarray
    outliers: np.ndarray

    def take(self, chosen: np.ndarray) -> Alike:
        """Some of the columns."""
        return Alike(*(values[chosen] for values in self))


_NONE_ALIKE = Alike(np.empty(0, dtype=int), *(np.empty(0) for _ in range(4)))


def alike(problem: Problem, statistics: ColumnStatistics, units: Units) -> Alike:
    """These columns of a problem; none where other calls have a say in the units."""
    if units.scale is None or problem.keeps_session or statistics.squares is None:
        return _NONE_ALIKE
    means, deviations = statistics.of_nonzeros()
    may_be = ~in_own_units(problem)
    suspect = (deviations > 0) & (deviations < np.minimum(units.scale, np.abs(means)) / _ALIKE)
    found = np.flatnonzero(suspect & may_be)[:_MOST_COLUMNS]
    plain = [(column, means[column], deviations[column], np.inf, 0.0) for column in found.tolist()]
    # Squares are those of shares of the largest value.
    few = statistics.squares <= 2 * _FEW_ROWS * statistics.mean_weight
    many = statistics.touched > 10 * statistics.mean_weight
    made_by_few = np.flatnonzero(few & many & may_be)[:_MOST_COLUMNS]
    outlying = [_without_outliers(problem, units, column) for column in made_by_few.tolist()]
    columns = [*plain, *(one for one in outlying if one is not None)]
    return Alike(*map(np.array, zip(*columns, strict=True))) if columns else _NONE_ALIKE


def _without_outliers(problem: Problem, units: Units, column: int) -> tuple | None:
    """A column of `Alike` whose unit is made by a few rows; None where it is made by many."""
    center, scale = (values[column] for values in units.arrays(problem.train.X.shape[1]))
    values = np.concatenate([piece[:, [column]].data for _, piece in row_pieces(problem.train.X)])
    values = values[np.argsort(-np.abs(values))].astype(np.float64)
    for n_outliers in range(1, min(_FEW_ROWS, values.size // 10) + 1):
        rest, outlier = values[n_outliers:], values[0]
        left = np.sqrt(np.mean(((rest - center) / scale) ** 2))
        if left < _UNIT_LEFT and 0 < rest.std() < _DEVIATION_LEFT * scale:
            return column, rest.mean(), rest.std(), abs(rest[0]), outlier
    return None


def unheard(
    problem: Problem, prior: Prior, parameters: Parameters, suspects: Alike, *, ended: bool
) -> str | None:
    """What to say of columns that were hardly heard and have more to say; None where there are none.

    Parameters
    ----------
    prior : the one that the weights were learned under
    parameters : those learned
    suspects : what `alike` found before training
    ended : whether training had no more to learn: else what was not heard may still be
    """
    if problem.name_column is None:
        return None
    small = _small(problem, prior, parameters.units)
    if not (small.columns.size or suspects.columns.size):
        return None
    rows = _some_rows(problem)
    slopes = _Slopes.of(problem, parameters, rows)
    standard = standardized(rows.X, parameters.units)
    partners = [np.ones((rows.y.shape[0], 1))]
    if any(table.penalty == "factors" for table in problem.model.tables().values()):
        partners.append(_filled_columns(standard))
    Z = standard[:, small.columns].toarray()
    # Values of a word are small for another reason.
    rare = np.count_nonzero(Z, axis=0) <= Z.shape[0] / 2
    shares = np.where(rare | (not ended), np.inf, _MUCH_LEFT_SHARE)
    shares[small.steepness > _CRUSHING] = _LEFT_SHARE
    found = slopes.left(Z, partners, shares)
    if found.any():
        return _of_small(problem, small, found, parameters.units)
    shares = np.full(suspects.columns.size, _LEFT_SHARE if ended else np.inf)
    found = slopes.left(_between(rows.X, suspects), partners, shares)
    if not found.any():
        return None
    outlying = found & (suspects.outliers != 0)
    if outlying.any():
        return _of_outlying(problem, suspects.take(outlying))
    return _of_alike(problem, suspects.take(found))


def _small(problem: Problem, prior: Prior, units: Units) -> Small:
    if units.scale is None:
        return Small(np.empty(0, dtype=int), np.empty(0), {})
    # One that is strong in any unit was meant so.
    strengths = {name: value for name in _POWERS if 0 < (value := getattr(prior, name)) <= 1}
    kinds = {table.penalty for table in problem.model.tables().values()}
    penalties = {name: value for name, value in strengths.items() if name.rpartition("_")[2] in kinds}
    columns = np.sort(np.argsort(units.scale, kind="stable")[:_MOST_COLUMNS])
    scale, steepness = units.scale[columns], np.zeros(columns.size)
    for name, value in penalties.items():
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            steepness = np.maximum(steepness, value / scale ** _POWERS[name])
    chosen = (scale < _SMALL) & (steepness > _STEEP)
    return Small(columns[chosen], steepness[chosen], penalties)


def _of_small(problem: Problem, small: Small, found: np.ndarray, units: Units) -> str:
    assert units.scale is not None
    columns, penalties = small.columns[found], small.penalties
    crushed = small.steepness[found].max() > _CRUSHING
    how = "counted for nothing, or nearly so" if crushed else "said less than possible"
    given = " and ".join(f"{name}={strength:.2g}" for name, strength in penalties.items())
    without = " and ".join(f"{name}=0" for name in penalties)
    size = "standard deviation, as StandardScaler does"
    if units.scale[columns].min() < _NO_VARIANCE:
        size = "largest absolute value"
    return (
        f"{_named(problem, columns)} {how}: the penalty of weights in the units of X, {given}, "
        f"outweighs what values of about {units.scale[columns[0]]:.2g} tell. Divide such a column by its "
        f"{size}, or give {without}."
    )


def _of_alike(problem: Problem, found: Alike) -> str:
    mean, deviation = found.means[0], found.deviations[0]
    means = ", ".join(f"{mean:.4g}" for mean in found.means[:_MOST_NAMED])
    means += ", ..." * (found.columns.size > _MOST_NAMED)
    of_first = " (in the first)" * (found.columns.size > 1)
    without_linear = problem.model.hints.without_linear
    wanted = [] if problem.model.fit_intercept else ["fit_intercept=True"]
    wanted += [without_linear] if without_linear else []
    remedy = f"Give {' and '.join(wanted)}: then columns are trained less their means."
    if not wanted:
        remedy = (
            f"Columns that some rows have no entry in, or that share weights, are not trained less the mean "
            f"of their entries: take {means} off, and let another column of 1 and 0 say which rows "
            f"have one."
        )
    return (
        f"{_named(problem, found.columns)} said less than possible: values of about {mean:.4g} that differ "
        f"by {deviation:.2g} only{of_first} are hard to tell apart. {remedy}"
    )


def _of_outlying(problem: Problem, found: Alike) -> str:
    return (
        f"{_named(problem, found.columns)} said less than possible: next to values as large as "
        f"{found.outliers[0]:.4g} the others, which are about {found.means[0]:.4g} and differ by "
        f"{found.deviations[0]:.2g}, are all alike. Clip such a column, or take its logarithm."
    )


class _Slopes(NamedTuple):
    """Derivatives of the loss of each row with respect to each output.

    Attributes
    ----------
    weight : (n,) of the rows
    now, without : (n_outputs, n) at the predictions, and at the best constant one
    """

    weight: np.ndarray
    now: np.ndarray
    without: np.ndarray

    @classmethod
    def of(cls, problem: Problem, parameters: Parameters, rows: Samples) -> _Slopes:
        (X, y, weight), model, loss = rows, problem.model, problem.loss
        raw = map_matrix(type(model).raw_prediction, model, parameters, X, problem.fields).astype(np.float64)
        constant = np.tile(loss.base_score(loss.statistics(y, weight)), (y.shape[0], 1))
        steps = _STEP * np.eye(raw.shape[1])

        def slopes(raw):
            rises = [loss.value(y, raw + step) - loss.value(y, raw - step) for step in steps]
            return np.array(rises) / (2 * _STEP)

        return cls(weight, slopes(raw), slopes(constant))

    def left(self, Z: np.ndarray, partners: list[np.ndarray], shares: np.ndarray) -> np.ndarray:
        """Which of the columns Z (n, k) have more to say, in a product with one of the partners or of Z.

        Parameters
        ----------
        shares : (k,) of what there is to explain that would be more
        """
        weight, left = self.weight, np.zeros(Z.shape[1], dtype=bool)
        noise = ((self.now - (self.now @ weight)[:, None]) ** 2) @ weight / weight.size
        there_is = self.without**2 @ weight
        # Where y is constant the first factors, or a chance that is as near to 0 or 1 as chances go, are all
        # that there is to explain, and no column would.
        varies = np.ptp(self.without, axis=1) > 0
        there_is = np.where(varies & (self.now**2 @ weight < 2 * there_is), there_is, np.inf)
        for number, share in enumerate(shares):
            least = np.maximum(share * there_is, _LEFT_ERRORS**2 * noise)
            others = partners if len(partners) == 1 else [*partners, np.delete(Z, number, axis=1)]
            features = Z[:, [number]] * np.hstack(others)
            said = (weight * self.now) @ features
            squares = weight @ features**2
            explained = np.divide(said**2, squares, out=np.zeros_like(said), where=squares > 0)
            left[number] = (explained > least[:, None]).any()
        return left


def _between(X: sparse.csr_array, columns: Alike) -> np.ndarray:
    """Nonzeros of these columns less their means, in units of their deviations; 0 for outliers."""
    values = X[:, columns.columns].toarray()
    values = np.where(np.abs(values) > columns.largest, 0, values)
    return np.where(values == 0, 0, (values - columns.means) / columns.deviations)


def _filled_columns(X: sparse.csr_array) -> np.ndarray:
    """The first columns that most rows have."""
    filled = np.bincount(X.indices, minlength=X.shape[1]) > X.shape[0] / 2
    return X[:, np.flatnonzero(filled)[:_MOST_COLUMNS]].toarray()


def _some_rows(problem: Problem) -> Samples:
    """Rows to learn from, all or some thousands, with weights that sum to 1."""
    first, piece = next(row_pieces(problem.train.X))
    rows = np.arange(0, piece.shape[0], -(-piece.shape[0] // _MOST_ROWS))
    weight = problem.train.weight[first + rows]
    return Samples(sparse.csr_array(piece[rows]), problem.train.y[first + rows], weight / weight.sum())


def _named(problem: Problem, columns: np.ndarray) -> str:
    """The first of these columns, and how many more there are."""
    assert problem.name_column is not None
    shown = [problem.name_column(column) for column in columns[:_MOST_NAMED].tolist()]
    if columns.size > _MOST_NAMED:
        shown.append(f"{columns.size - _MOST_NAMED} more")
    return f"column{'s' * (len(columns) > 1)} {', '.join(shown)}"
