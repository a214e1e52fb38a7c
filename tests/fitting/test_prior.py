"""The precision of the prior of linear weights, against the same computed with dense rows."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import OneHotEncoder

from skfm import LinearClassifier
from skfm.data.spool import RowSpool
from skfm.fitting.prior import Scores, prior_precision
from skfm.fitting.targets import ClickConversion, Labels, Numbers

RNG = np.random.default_rng(0)
N = 60


def rows(n=N, n_columns=12, n_fields=3):
    """One-hot rows, and a column of numbers."""
    size = n_columns // n_fields
    codes = RNG.integers(size, size=(n, n_fields)) + size * np.arange(n_fields)
    X = np.zeros((n, n_columns + 1))
    np.put_along_axis(X, codes, 1.0, axis=1)
    X[:, -1] = RNG.normal(size=n)
    return X


def by_dense_rows(X, scores, weight):
    """The formulas of the docstrings, column by column and row by row."""
    residuals, curvature, dispersion, power = scores
    touched = (X != 0).T @ weight
    X = X - np.where((X != 0).all(axis=0), weight @ X / weight.sum(), 0)
    usual = (touched > 0) & (np.square(X).T @ weight <= 16 * touched)
    X = X[:, usual]
    score = np.einsum("ij,i,ik->jk", X, weight, residuals)
    total = weight @ curvature
    mean = np.einsum("ij,i,ik->jk", X, weight, curvature) / total
    distance = X[:, :, None] - mean
    information = np.einsum("ijk,i,ik->jk", distance**2, weight, curvature)

    def log_likelihood(a):
        variance = information + information**2 / a
        return -0.5 * (np.log(variance) + score**2 / variance).sum() - abs(np.log(a))

    a = max(2.0 ** (np.arange(-40, 41) / 4), key=log_likelihood)
    others = np.zeros_like(residuals)
    for i, x in enumerate(X):
        one = min(weight[i], 1)
        left = score - one * np.outer(x, residuals[i])
        known = np.maximum(information - one * np.outer(x**2, curvature[i]), 0)
        others[i] = (x[:, None] * left / (known + a)).sum(axis=0)
    curved = weight[:, None] * curvature
    centred = others - (curved * others).sum(axis=0) / curved.sum(axis=0)
    shared = (weight[:, None] * residuals * others).sum()
    slope = min(shared / (curved * centred**2).sum(), 1)
    explained = slope * shared / (weight[:, None] * residuals**2 / curvature).sum()
    if shared <= 0:
        slope = explained = 0
    a *= dispersion * (1 - min(explained, 1)) ** power / max(slope, 0.05)
    return 2 ** (np.round(4 * np.log2(np.clip(a, 1 / 16, 1024))) / 4)


def effects(strength, X=None):
    X = rows() if X is None else X
    return X, X @ (strength * RNG.normal(size=X.shape[1]))


def labels(raw):
    return (RNG.random(raw.size) < 1 / (1 + np.exp(-raw))).astype(int)


@pytest.mark.parametrize("strength", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("kind", ["labels", "classes", "several", "numbers", "counts", "conversions"])
def test_sparse_rows_in_pieces_are_dense_rows(kind, strength, tmp_path, monkeypatch):
    X, raw = effects(strength)
    weight = RNG.integers(1, 4, size=N) / 2.0
    clicks = labels(raw)
    targets, y = {
        "labels": (Labels(), clicks),
        "classes": (Labels(), clicks + labels(raw)),
        "several": (Labels(), np.stack([clicks, labels(-raw)], axis=1)),
        "numbers": (Numbers(), np.stack([raw, RNG.normal(size=N)], axis=1)),
        "counts": (Numbers(loss_name="poisson"), RNG.poisson(np.exp(raw.clip(-3, 3)))),
        "conversions": (ClickConversion(), np.stack([clicks, clicks * labels(raw)], axis=1)),
    }[kind]
    targets = targets.learn(y)
    terms, weight = targets.encode(y, weight)
    scores = targets.scores(terms, weight)
    if kind == "conversions":
        # Rows without a click tell nothing of conversions, and dense rows divide by their curvature.
        scores = Scores(*(part[:, :1] for part in scores[:2]), *scores[2:])
    expected = by_dense_rows(X, scores, weight)
    assert prior_precision(sparse.csr_array(X), scores, weight) == pytest.approx(expected)
    monkeypatch.setattr("skfm.fitting.prior._ENTRIES", 50)
    assert prior_precision(sparse.csr_array(X), scores, weight) == pytest.approx(expected)
    spool = RowSpool(tmp_path / "rows", X.shape[1], 16)
    for piece in np.array_split(np.arange(N), 3):
        spool.append(sparse.csr_array(X[piece]))
    spool.flush()
    assert prior_precision(spool, scores, weight) == pytest.approx(expected)


@pytest.mark.parametrize("kind", [Labels, Numbers])
def test_a_weight_of_two_is_the_row_twice(kind):
    X, raw = effects(1.0)
    y = labels(raw) if kind is Labels else raw
    twice = np.repeat(np.arange(N), RNG.integers(1, 3, size=N))
    found = []
    for chosen, weight in ((twice, np.ones(twice.size)), (np.arange(N), np.bincount(twice) * 1.0)):
        targets = kind().learn(y[chosen])
        terms, weight = targets.encode(y[chosen], weight)
        found.append(prior_precision(sparse.csr_array(X[chosen]), targets.scores(terms, weight), weight))
    assert found[0] == pytest.approx(found[1])


def test_columns_that_share_a_row_are_one():
    X, raw = effects(1.0)
    targets = Numbers().learn(raw)
    scores, weight = targets.scores(raw[:, None], np.ones(N)), np.ones(N)
    rows_of = np.r_[0, 0, 2 : X.shape[1]]
    shared = X.copy()
    shared[:, 0] += shared[:, 1]
    found = prior_precision(sparse.csr_array(X), scores, weight, rows_of)
    assert found == prior_precision(sparse.csr_array(shared[:, [0, *range(2, X.shape[1])]]), scores, weight)


def test_columns_in_other_units_tell_nothing():
    X, raw = effects(0.1)
    targets = Labels().learn(y := labels(raw))
    terms, weight = targets.encode(y, np.ones(N))
    scores = targets.scores(terms, weight)
    others = np.column_stack([X, 1e6 * RNG.normal(size=(N, 40)), np.full(N, 1e200), np.zeros(N)])
    alone, beside = (prior_precision(sparse.csr_array(one), scores, weight) for one in (X, others))
    assert alone == beside > 1
    assert prior_precision(sparse.csr_array(others[:, -42:]), scores, weight) == 1
    assert prior_precision(sparse.csr_array((N, 3)), scores, weight) == 1


def test_a_shift_of_a_column_changes_nothing():
    X, raw = effects(0.1, RNG.normal(size=(200, 20)))
    targets = Labels().learn(y := labels(raw))
    terms, weight = targets.encode(y, np.ones(200))
    scores = targets.scores(terms, weight)
    found = [prior_precision(sparse.csr_array(X + shift), scores, weight) for shift in (0, 2, 5, 1e6)]
    assert found == [found[0]] * 4
    assert found[0] > 1


def test_of_many_rows_some_are_predicted_by_the_others(monkeypatch):
    X, raw = effects(0.3, rows(3000))
    targets = Numbers().learn(raw)
    given = sparse.csr_array(X), targets.scores(raw[:, None], np.ones(3000)), np.ones(3000)
    of_all = prior_precision(*given)
    monkeypatch.setattr("skfm.fitting.prior._MOST_ENTRIES", 3000)
    assert 0.5 < prior_precision(*given) / of_all < 2


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_effects_that_are_large_are_left_as_large(load):
    X, y = load(return_X_y=True)
    assert 1 / 16 <= LinearClassifier().fit(X, y).plan_["l2_linear"] * len(y) < 1


def test_rows_in_another_order_have_the_same_prior():
    X, raw = effects(1.0)
    targets = Numbers().learn(raw)
    orders = np.arange(N), RNG.permutation(N)
    found = [
        prior_precision(sparse.csr_array(X[order]), targets.scores(raw[order, None], np.ones(N)), np.ones(N))
        for order in orders
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("n_told", [0, 5, 40])
def test_the_prior_is_near_the_best_of_a_grid(n_told):
    """Many columns that tell little, of which some tell more, by LogisticRegression on other rows."""
    rng = np.random.default_rng(1)
    codes = rng.integers(8, size=(4000, 40))
    effect = rng.normal(size=(40, 8)) * (np.arange(40) < n_told)[:, None] * 0.5
    y = (rng.random(4000) < 1 / (1 + np.exp(1 - effect[np.arange(40), codes].sum(axis=1)))).astype(int)
    X = OneHotEncoder().fit_transform(codes)
    seen, unseen = slice(1000), slice(1000, None)

    def loss(l2):
        model = LogisticRegression(C=1 / (1000 * l2), max_iter=1000).fit(X[seen], y[seen])
        return log_loss(y[unseen], model.predict_proba(X[unseen]))

    model = LinearClassifier(random_state=0).fit(X[seen], y[seen])
    chosen = model.plan_["l2_linear"]
    best = min(map(loss, 2.0 ** np.arange(0, 11) / 1000))
    assert loss(chosen) - best < 0.1 * (loss(1 / 1000) - best)
    assert log_loss(y[unseen], model.predict_proba(X[unseen])) == pytest.approx(loss(chosen), abs=1e-3)
