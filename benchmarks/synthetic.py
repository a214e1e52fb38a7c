"""Problems made by a known law, so that the best possible score is known too."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Piecewise:
    """One sample of the piecewise problem.

    Attributes
    ----------
    X : csr_matrix of float32, shape (n_samples, n_columns)
        One-hot rows: the region fields first, then the two interacting fields.
    y : ndarray of int, shape (n_samples,)
    region : ndarray of int, shape (n_samples,)
        0 or 1: which piece made the row's label.
    log_odds : ndarray, shape (n_samples,)
        The true log-odds of y = 1; their AUC is the best that any model can reach.
    """

    X: csr_matrix
    y: np.ndarray
    region: np.ndarray
    log_odds: np.ndarray


def make_piecewise(n_samples=30_000, *, n_region_fields=5, strength=4.0, random_state=0):
    """Two regions whose pairwise interactions are opposite.

    Every field has 8 categories. Each region field carries a weight a category, and the sign of the weights'
    sum is the row's region, so a linear gate can learn it. In region 0 the log-odds are ``strength * <u_a,
    v_b>``, where a and b are the categories of two more fields and u, v run over the eight corners of the
    cube {-1, 1}^3; in region 1 they are the negative of that. The product is odd, so the log-odds are never
    nearer to 0 than ``strength``: little noise.

    Over both regions together y is independent of every pair of fields, so a factorization machine of degree
    2, which sees pairs only, learns nothing; in each region alone it is exact with three factors. Three
    dimensions and not one, since sign(region) * u_a * v_b looks the same whichever of its three parts a gate
    takes; with three, only the region explains all of the label.

    Parameters
    ----------
    n_samples : int, default=30_000
    n_region_fields : int, default=5
        Fields that decide the region.
    strength : float, default=4.0
        Least magnitude of the log-odds; the greatest is three times it.
    random_state : int, default=0
        Decides the law and the rows.

    Returns
    -------
    Piecewise
    """
    rng = np.random.default_rng(random_state)
    corners = 2 * ((np.arange(8)[:, None] >> np.arange(3)) & 1) - 1
    u, v = rng.permutation(corners), rng.permutation(corners)
    half = rng.uniform(0.5, 1.5, size=(n_region_fields, 4))
    weights = rng.permuted(np.concatenate([half, -half], axis=1), axis=1)

    n_fields = n_region_fields + 2
    categories = rng.integers(8, size=(n_samples, n_fields))
    gate = weights[np.arange(n_region_fields), categories[:, :n_region_fields]].sum(axis=1)
    region = (gate < 0).astype(np.int64)
    interaction = (u[categories[:, -2]] * v[categories[:, -1]]).sum(axis=1)
    log_odds = strength * interaction * np.where(region == 0, 1, -1)
    y = (rng.random(n_samples) < 1 / (1 + np.exp(-log_odds))).astype(np.int64)

    ids = (categories + 8 * np.arange(n_fields)).astype(np.int32)
    indptr = np.arange(0, ids.size + 1, n_fields, dtype=np.int32)
    X = csr_matrix((np.ones(ids.size, np.float32), ids.ravel(), indptr), shape=(n_samples, 8 * n_fields))
    return Piecewise(X, y, region, log_odds)


def make_power_law_rows(
    n_samples, n_columns, *, n_fields=39, n_categories=None, exponent=1.1, random_state=0
):
    """One-hot rows whose categories follow a power law, for timing at any column count.

    In every field the category of rank r has probability proportional to (r + 1)^-exponent. Ranks are
    scattered over the field's columns, as an encoder that sorts names would leave them. The same seed draws
    the same quantiles at every column count, so only the length of the tail differs.

    Parameters
    ----------
    n_samples : int
    n_columns : int
        Rounded down to a multiple of ``n_fields``; the columns left over stay empty.
    n_fields : int, default=39
    n_categories : int, default=None
        Categories that occur in a field, evenly spread over its columns; None: every column is one. With the
        same number, rows at any column count are equal but for the names of the columns.
    exponent : float, default=1.1
    random_state : int, default=0

    Returns
    -------
    X : csr_matrix of float32, shape (n_samples, n_columns)
    y : ndarray of int, shape (n_samples,)
    """
    rng = np.random.default_rng(random_state)
    field_size = n_columns // n_fields
    n_categories = n_categories or field_size
    cumulative = np.cumsum(np.arange(1, n_categories + 1) ** -exponent)
    stride = next(
        s for s in range(int(n_categories * 0.618), 2 * n_categories) if np.gcd(s, n_categories) == 1
    )
    gap = field_size // n_categories
    ids = np.empty((n_samples, n_fields), np.int32)
    log_odds = np.full(n_samples, -1.0)
    for field in range(n_fields):
        quantiles = rng.random(n_samples)
        ranks = np.searchsorted(cumulative, quantiles * cumulative[-1])
        ids[:, field] = field * field_size + ranks * stride % n_categories * gap
        log_odds += rng.normal(scale=0.3) * np.cos(ranks)
    y = (rng.random(n_samples) < 1 / (1 + np.exp(-log_odds))).astype(np.int64)
    indptr = np.arange(0, ids.size + 1, n_fields, dtype=np.int32)
    return csr_matrix((np.ones(ids.size, np.float32), ids.ravel(), indptr), shape=(n_samples, n_columns)), y
