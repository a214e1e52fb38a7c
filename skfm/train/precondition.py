"""Coordinates that bend the objective about alike, whatever columns and penalties are, for L-BFGS."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import linalg, sparse

# Curvature of a loss where the model has learned something: a penalty bends the objective so much more.
_CURVATURE = 0.1
# A penalty as strong as this bends the objective as much as factors and dense weights may: were they believed
# to do less, the first steps would let them fit noise (benchmarks/cases/small.py, breast cancer).
_STEEP = 100.0
# Share of the most frequent column's curvature that the rarest is believed to have: where classes can be
# told apart, columns of few rows hardly bend the loss (benchmarks/cases/defaults.py, digits).
_LEAST = 0.1
# Of so many columns, the most frequent ones, correlations are known (benchmarks/cases/defaults.py, Adult).
_CORRELATED = 200
# Columns filled by more than this share are multiplied as a dense matrix, so many rows at once.
_DENSE, _ROWS_AT_ONCE = 1 / 8, 1 << 13
# Where the scale of a steep penalty is larger than this, first weights start no farther out.
_FARTHEST = 100.0


class Coordinates(NamedTuple):
    """A linear map between weights and what is optimised in their place.

    Attributes
    ----------
    scale : (D, W) what each number of the table is multiplied by
    dense_scale : what dense weights that are penalised are multiplied by
    correlated : rows of the table whose linear weights are told apart by their correlations
    root : lower triangular root of the correlations
    linear : (W,) which numbers of a row are linear weights
    """

    scale: np.ndarray
    dense_scale: float
    correlated: np.ndarray
    root: np.ndarray
    linear: np.ndarray

    def start(self, table: np.ndarray, dense: Any) -> tuple[np.ndarray, Any]:
        """Coordinates of first weights, which a narrow prior draws near."""

        def nearer(leaf, scale):
            with np.errstate(over="ignore"):
                return np.where(scale > _FARTHEST, np.clip(leaf * scale, -_FARTHEST, _FARTHEST), leaf * scale)

        weights = jax.tree.map(lambda leaf: nearer(leaf, self.dense_scale), dense["weights"])
        return self._turned(nearer(table, self.scale), self._root_times), dense | {"weights": weights}

    def weights(self, table: np.ndarray, dense: Any) -> tuple[np.ndarray, Any]:
        """Weights at these coordinates."""
        return self._scaled(self._turned(table, self._solved_transposed), dense)

    def gradient(self, table: np.ndarray, dense: Any) -> tuple[np.ndarray, Any]:
        """Gradient with respect to the coordinates, from that with respect to the weights."""
        table, dense = self._scaled(np.asarray(table), dense)
        return self._turned(table, self._solved), dense

    def _scaled(self, table, dense):
        weights = jax.tree.map(lambda leaf: np.asarray(leaf) / self.dense_scale, dense["weights"])
        return table / self.scale, dense | {"weights": weights}

    def _turned(self, table: np.ndarray, turn) -> np.ndarray:
        if not self.correlated.size:
            return table
        place = np.ix_(self.correlated, self.linear)
        out = table.copy()
        out[place] = turn(table[place])
        return out

    def _root_times(self, rows):
        return self.root.T @ rows

    def _solved(self, rows):
        return linalg.solve_triangular(self.root, rows, lower=True, check_finite=False)

    def _solved_transposed(self, rows):
        return linalg.solve_triangular(self.root, rows, lower=True, trans="T", check_finite=False)


def coordinates(
    X: sparse.csr_array, weight: np.ndarray, strength: np.ndarray, l2_dense: float, linear: np.ndarray
) -> Coordinates:
    """Coordinates for rows in standard units.

    Linear weights bend the objective as the columns' second moments say: those of the most frequent columns
    are told apart by their correlations, for two fields may say nearly the same. What factors and dense
    weights do depends on each other: their penalties alone are known.

    Parameters
    ----------
    X : rows, a column for each row of the table; these may be fewer
    weight : sample weights that sum to 1
    strength : (D, W) of the L2 penalty for each number of the table
    l2_dense : that of dense weights
    linear : (W,) which numbers of a row are linear weights
    """
    moments = np.zeros(strength.shape[0])
    moments[: X.shape[1]] = (X * X).T @ weight
    of_linear = moments[:, None] + _LEAST + strength / _CURVATURE
    curvature = np.where(linear, of_linear, _of_others(strength))
    scale = np.sqrt(curvature)
    correlated, root = np.empty(0, dtype=int), np.empty((0, 0))
    if linear.any() and np.isfinite(scale).all():
        correlated = np.sort(np.argsort(-moments[: X.shape[1]], kind="stable")[:_CORRELATED])
        products = _products(X[:, correlated], weight)
        np.fill_diagonal(products, curvature[correlated, np.argmax(linear)])
        divisor = scale[correlated, np.argmax(linear)]
        root = linalg.cholesky(products / divisor / divisor[:, None], lower=True)
    return Coordinates(scale, float(np.sqrt(_of_others(l2_dense))), correlated, root, linear)


def _of_others(strength):
    """Curvature at weights whose penalty alone is known."""
    return 1 + strength / _STEEP


def _products(X: sparse.csr_array, weight: np.ndarray) -> np.ndarray:
    """Weighted sums of the products of two columns each."""
    X = sparse.csr_array(X * np.sqrt(weight)[:, None])
    n_rows, n_columns = X.shape
    if X.nnz <= _DENSE * n_rows * n_columns:
        return (X.T @ X).toarray()
    products = np.zeros((n_columns, n_columns))
    for first in range(0, n_rows, _ROWS_AT_ONCE):
        rows = X[first : first + _ROWS_AT_ONCE].toarray()
        products += rows.T @ rows
    return products
