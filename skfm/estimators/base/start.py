"""Tables of a fitted estimator as the start of another one."""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import check_is_fitted


def tables_of(other, model) -> dict[str, np.ndarray]:
    """Tables of the fitted estimator `other` that the model can start from, by name.

    Raises
    ------
    ValueError
        If there is none.
    """
    check_is_fitted(other)
    source = other._named_tables() if hasattr(other, "_named_tables") else {}
    wanted = model.tables()
    tables = {}
    for name, table in wanted.items():
        # Experts of a mixture may all start from the tables of one machine.
        given = source.get(name, source.get(name.removeprefix("expert_")))
        if given is not None:
            tables[name] = _reshaped(given, table.shape)
    if not tables:
        raise ValueError(
            f"init_from={other!r} has none of the tables {sorted(wanted)} that this model "
            f"starts from. Give a fitted skfm estimator that has."
        )
    return tables


def _reshaped(table: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The table with rows of `shape` where the numbers allow it: same numbers, or repeated for each piece."""
    if table[:1].size == np.prod(shape, dtype=int) * table[:1].shape[0]:
        return table.reshape(-1, *shape)
    if table.shape[1:] == shape[1:]:
        return np.broadcast_to(table[:, None], (table.shape[0], *shape))
    return table


def check_tables(model, tables: dict[str, np.ndarray], n_features: int) -> None:
    """Raise ValueError if a table to start from has not the shape that the model needs."""
    for name, table in model.tables().items():
        expected = (n_features, *table.shape)
        if name in tables and tables[name].shape != expected:
            raise ValueError(
                f"The table {name!r} to start from has shape {tables[name].shape}, expected {expected}: "
                f"n_factors, the columns and the number of outputs must be the same."
            )
