"""Memory that training takes at least, known before it is taken."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skfm.data.pack import table_rows
from skfm.data.validate import row_pieces
from skfm.models.base import Model
from skfm.runtime import check_fits

# Bytes a column that statistics, scales and fields take at least, of ones and of other values.
_OF_ONES, _OF_VALUES = 22, 48


def check_memory(X, model: Model, dtype: np.dtype) -> None:
    """Raise ValueError if a table and the optimizer's state, or the columns' statistics, do not fit.

    Parameters
    ----------
    X : rows to learn from, a matrix or on disk
    model : one of as many fields as the rows have, or of fewer while these are not known
    """
    width, n_rows, of_statistics = model.width, table_rows(X.shape[1]), _OF_ONES
    if not all(bool(np.all(piece.data == 1)) for _, piece in row_pieces(X)):
        of_statistics = _OF_VALUES
    of_row = width * dtype.itemsize
    check_fits(
        n_rows * max(2 * of_row, of_row + of_statistics),
        f"The weights of {n_rows} columns, {width} numbers each or more, the optimizer's state and the "
        f"columns' statistics take",
        f"Give fewer {model.hints.width_of}, or fewer columns, with FieldEncoder(hash=...) or "
        "sklearn.feature_extraction.FeatureHasher(n_features=...) for instance.",
    )


def check_memory_of_weights(model: Model, of_number: int, n_others: int = 0, remedy: str = "") -> None:
    """Raise ValueError if dense weights, with what is kept for each, do not fit.

    Parameters
    ----------
    model : one of as many fields as the rows have, or of fewer while these are not known
    of_number : bytes of a weight, its gradient and what the optimizer keeps of it
    n_others : weights besides
    remedy : what else could be given
    """
    counted: Any = _Counted(of_number, n_others, remedy)
    model.init(counted, np.zeros(model.n_outputs))


class _Counted:
    """In place of a random generator: no number is drawn, and all fit into memory."""

    def __init__(self, of_number: int, n_others: int, remedy: str):
        self._of_number, self._remedy, self._n = of_number, remedy, 0
        self._count(n_others)

    def uniform(self, low, high, size) -> np.ndarray:
        return self.normal(size=size)

    def normal(self, *, size) -> np.ndarray:
        self._count(math.prod(size))
        return np.broadcast_to(0.0, size)

    def _count(self, n_more: int) -> None:
        self._n += n_more
        check_fits(
            self._of_number * self._n,
            f"The weights, {self._n} numbers or more, their gradients and the optimizer's state take",
            f"Give fewer or smaller layers, such as hidden_layer_sizes=(128, 64), or fewer "
            f"factors{self._remedy}.",
        )
