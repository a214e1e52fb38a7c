"""Charges of the penalty: what each sample that touches a column pays for it.

The objective's penalty ``1/2 sum_j f_j^nu l2 w_j^2`` equals a charge of ``f_j^(nu - 1) l2 / 2 w_j^2`` on
each sample that touches column j, f_j being the share of the weight that does. So a mini-batch pays for
the rows it touches and for no others, and the gradient is exact in expectation.
"""

from __future__ import annotations

import numpy as np


def charges(frequency: np.ndarray, power: float, scale: np.ndarray | None) -> np.ndarray:
    """Charge of the L1 and L2 penalty for each column; 0 for unseen columns.

    Parameters
    ----------
    frequency : (n_columns,) share of the weight that touches each column
    power : nu
    scale : (n_columns,) scale of each column or None. Parameters are trained on ``x / scale`` but
        penalised in the units of x.

    Returns
    -------
    charges : ndarray of shape (n_columns, 2), or (n_columns, 1) where both are the same
    """
    charge = np.zeros((frequency.size, 1))
    np.power(frequency[:, None], power - 1, out=charge, where=frequency[:, None] > 0)
    if scale is None:
        return charge
    # A column of tiny values may cost more than a number can say.
    with np.errstate(over="ignore", divide="ignore", under="ignore"):
        divisor = np.stack([scale, scale**2], axis=1)
        paid = np.divide(charge, divisor, out=np.zeros_like(divisor), where=charge > 0)
    # And sums of it over a batch must stay finite.
    return np.minimum(paid, 1e280)
