"""Losses: values, gradients, extremes, base scores, links and targets."""

from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from skfm import losses
from skfm.runtime import precision
from tests import reference

# name -> (loss, naive loss of one target and one raw prediction, kind of target)
CASES = {
    "squared_error": (losses.SquaredError(), reference.squared_error, "real"),
    "absolute_error": (losses.AbsoluteError(), reference.absolute_error, "real"),
    "huber": (losses.Huber(0.7), lambda y, raw: reference.huber(y, raw, 0.7), "real"),
    "quantile": (losses.Quantile(0.8), lambda y, raw: reference.quantile(y, raw, 0.8), "real"),
    "poisson": (losses.Poisson(), reference.poisson, "count"),
    "logistic": (losses.Logistic(), reference.logistic, "binary"),
    "softmax": (losses.Softmax(n_classes=3), reference.softmax_loss, "class"),
}


def targets(kind, rng, n=9, n_outputs=2):
    if kind == "class":
        return np.append([0.0, 1.0, 2.0], rng.integers(3, size=n - 3))
    draw = {
        "real": lambda size: rng.normal(size=size),
        "count": lambda size: rng.poisson(2.0, size=size),
        "binary": lambda size: rng.integers(2, size=size),
    }[kind]
    return draw((n, n_outputs)).astype(np.float64)


def base_score(loss, y, weight):
    return loss.base_score(loss.statistics(y, weight))


def raw_for(kind, rng, n=9):
    return 1.5 * rng.normal(size=(n, 3 if kind == "class" else 2))


@pytest.fixture(autouse=True)
def in_float64():
    with precision(np.float64):
        yield


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name):
    loss, naive, kind = CASES[name]
    rng = np.random.default_rng(0)
    y, raw = targets(kind, rng), raw_for(kind, rng)
    value = loss.value(jnp.asarray(y), jnp.asarray(raw))
    assert value.shape == (9,)
    np.testing.assert_allclose(value, reference.loss_values(naive, y, raw), rtol=1e-12)

    gradient = jax.grad(lambda raw: loss.value(y, raw).sum())(jnp.asarray(raw))
    numeric = reference.finite_differences(lambda: reference.loss_values(naive, y, raw).sum(), raw)
    np.testing.assert_allclose(gradient, numeric, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_extreme_raw_predictions(name, dtype):
    loss, _, kind = CASES[name]
    y = jnp.asarray(targets(kind, np.random.default_rng(0)), dtype=dtype)
    raw = np.zeros((9, 3 if kind == "class" else 2), dtype=dtype)
    raw[:, 0] = np.where(np.arange(9) < 5, -1e9, 1e9)
    value = np.asarray(loss.value(y, jnp.asarray(raw)))
    gradient = np.asarray(jax.grad(lambda raw: loss.value(y, raw).sum())(jnp.asarray(raw)))
    assert value.dtype == gradient.dtype == dtype
    # exp(1e9) is infinite; the loop sees it and takes smaller steps.
    bounded = slice(5) if name == "poisson" else slice(None)
    assert np.all(np.isfinite(value[bounded]))
    assert np.all(np.isfinite(gradient[bounded]))
    assert not np.any(np.isnan(value) | np.isnan(gradient).any(axis=1))


def test_extreme_log_losses_are_the_distance_to_the_target():
    raw = jnp.asarray([[1e9], [-1e9], [1e9], [-1e9]])
    np.testing.assert_array_equal(
        losses.Logistic().value(jnp.asarray([[1.0], [0], [0], [1]]), raw), [0, 0, 1e9, 1e9]
    )
    raw = jnp.asarray([[1e9, 0.0, 0.0], [-1e9, 0.0, 0.0]])
    value = losses.Softmax(3).value(jnp.asarray([0.0, 0.0]), raw)
    np.testing.assert_allclose(value, [0, 1e9 + np.log(2)])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_base_score_minimises_the_loss_of_a_constant(name, weighted):
    loss, naive, kind = CASES[name]
    rng = np.random.default_rng(1)
    y = targets(kind, rng, n=12)
    weight = rng.random(12) if weighted else np.ones(12)
    score = base_score(loss, y, weight)

    def mean_loss(constant):
        return reference.data_term(naive, y, np.tile(constant, (12, 1)), weight)

    if kind == "class":
        best = optimize.minimize(lambda rest: mean_loss([0, *rest]), np.zeros(2), method="BFGS").fun
    else:
        best = sum(
            optimize.minimize_scalar(
                lambda c: reference.data_term(naive, column[:, None], np.full((12, 1), c), weight),  # noqa: B023
                bounds=(-10, 10),
                method="bounded",
                options={"xatol": 1e-10},
            ).fun
            for column in y.T
        )
    assert score.shape == (3 if kind == "class" else 2,)
    assert mean_loss(score) <= best + 1e-9


@pytest.mark.parametrize("name", CASES)
def test_base_score_of_a_weight_of_two_is_that_of_the_row_twice(name):
    loss, _, kind = CASES[name]
    rng = np.random.default_rng(2)
    y = targets(kind, rng, n=10)
    times = rng.integers(1, 4, size=10)
    once = base_score(loss, y, times.astype(np.float64))
    order = rng.permutation(times.sum())
    np.testing.assert_allclose(
        once, base_score(loss, np.repeat(y, times, axis=0)[order], np.ones(times.sum())), rtol=1e-9
    )


@pytest.mark.parametrize("cuts", [(0,), (4,), (1, 2, 11), (3, 3, 12)])
@pytest.mark.parametrize("name", [*CASES, "click and conversion"])
def test_parts_cut_anywhere_have_the_base_score_of_the_whole(name, cuts):
    rng = np.random.default_rng(3)
    if name == "click and conversion":
        loss = losses.ClickConversionLoss()
        y = np.column_stack([targets("binary", rng, n=12), rng.random((12, 2))])
        y[4:, 3] = 0  # all rows of some parts have no weight in a task
    else:
        loss, _, kind = CASES[name]
        y = targets(kind, rng, n=12)
    weight = rng.random(12)
    counted = [loss.statistics(*part) for part in zip(np.split(y, cuts), np.split(weight, cuts), strict=True)]
    expected = base_score(loss, y, weight)
    assert np.ptp(expected) > 0
    for merged in (
        reduce(losses.merge_statistics, counted),
        reduce(lambda a, b: losses.merge_statistics(b, a), counted[::-1]),
    ):
        np.testing.assert_allclose(loss.base_score(merged), expected, rtol=1e-9)


def test_a_task_without_weight_has_the_base_score_of_all_rows():
    y = np.array([[1.0, 1, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0]])
    loss = losses.ClickConversionLoss()
    known = loss.inverse_link(base_score(loss, y, np.array([1.0, 2, 3]))[None])[0]
    np.testing.assert_allclose(known, [1 / 2, 1 / 3, 1 / 6])


@pytest.mark.parametrize("loss", [losses.Logistic(), losses.Softmax(3)])
def test_base_score_of_a_class_never_seen_is_finite(loss):
    y = np.zeros((4, 2)) if isinstance(loss, losses.Logistic) else np.zeros(4)
    score = base_score(loss, y, np.ones(4))
    assert np.all(np.isfinite(score))
    share = loss.inverse_link(score[None])[0]
    assert np.max(share[:1] if isinstance(loss, losses.Logistic) else share[1:]) < 1e-6


@pytest.mark.parametrize(
    ("quantile", "expected"),
    # the middle of the interval of minimisers, where there is one
    [(0.5, 2.5), (0.25, 1.5), (0.3, 2.0), (0.99, 4.0), (0.01, 1.0)],
)
def test_base_score_is_the_middle_of_the_minimisers(quantile, expected):
    y = np.array([[4.0], [1.0], [3.0], [2.0]])
    assert base_score(losses.Quantile(quantile), y, np.ones(4)) == pytest.approx(expected)
    if quantile == 0.5:
        assert base_score(losses.AbsoluteError(), y, np.ones(4)) == pytest.approx(expected)
        assert base_score(losses.Huber(0.1), y, np.ones(4)) == pytest.approx(expected)


def test_softmax_of_two_classes_is_the_log_loss():
    rng = np.random.default_rng(0)
    raw, y = rng.normal(size=(6, 2)), np.array([0.0, 1, 1, 0, 1, 0])
    two = losses.Softmax(2).value(jnp.asarray(y), jnp.asarray(raw))
    one = losses.Logistic().value(jnp.asarray(y[:, None]), jnp.asarray(raw[:, 1:] - raw[:, :1]))
    np.testing.assert_allclose(two, one, rtol=1e-12)
    weight = rng.random(6)
    scores = base_score(losses.Softmax(2), y, weight)
    np.testing.assert_allclose(scores[1] - scores[0], base_score(losses.Logistic(), y[:, None], weight)[0])


@pytest.mark.parametrize(
    ("name", "naive"),
    [
        ("identity", lambda row: row),
        ("log", lambda row: [np.exp(score) for score in row]),
        ("logit", lambda row: [reference.sigmoid(score) for score in row]),
        ("softmax", reference.softmax),
    ],
)
def test_inverse_links(name, naive):
    raw = np.random.default_rng(0).normal(size=(5, 3))
    same = [loss for loss, *_ in CASES.values() if loss.link == name]
    assert same
    for loss in same:
        np.testing.assert_allclose(loss.inverse_link(raw), [naive(row) for row in raw], rtol=1e-12)


def test_poisson_refuses_negative_targets():
    y = np.array([[1.0, 0.0], [2.0, 3.0], [0.0, -0.5]])
    with pytest.raises(ValueError, match=r"needs targets y >= 0, got -0.5 at row 2"):
        losses.Poisson().check_target(y)
    none = np.array([[1.0, 0.0], [2.0, 0.0]])
    losses.Poisson().check_target(none)
    with pytest.raises(ValueError, match="at least one target above 0 in each column"):
        base_score(losses.Poisson(), none, np.ones(2))


def test_names_of_regression_losses():
    assert set(losses.REGRESSION_LOSSES) == set(CASES) - {"logistic", "softmax"}
    for name, kind in losses.REGRESSION_LOSSES.items():
        assert type(CASES[name][0]) is kind


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clicks_and_conversions(dtype):
    """Log losses of the click and of the product of both chances, each with its weight."""
    rng = np.random.default_rng(0)
    click = rng.integers(2, size=40)
    y = np.column_stack([click, click * rng.integers(2, size=40), rng.random(40), rng.random(40)])
    raw = rng.normal(size=(40, 2)).astype(dtype)
    loss = losses.ClickConversionLoss()
    first, after, both = loss.inverse_link(raw.astype(np.float64)).T
    np.testing.assert_allclose(both, first * after)
    expected = sum(
        -y[:, 2 + task] * np.where(y[:, task] == 1, np.log(chance), np.log1p(-chance))
        for task, chance in enumerate((first, both))
    )
    rtol = 1e-10 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(loss.value(y, raw), expected, rtol=rtol)
    np.testing.assert_allclose(loss.value(jnp.asarray(y), jnp.asarray(raw)), expected, rtol=rtol)
    gradient = jax.grad(lambda raw: loss.value(y, raw).sum())(jnp.asarray(raw, jnp.float64))
    wide = raw.astype(np.float64)
    numeric = reference.finite_differences(lambda: loss.value(y, wide).sum(), wide)
    np.testing.assert_allclose(gradient, numeric, atol=1e-7)
    known = loss.inverse_link(base_score(loss, y, np.ones(40))[None])[0]
    np.testing.assert_allclose(known[0], np.average(y[:, 0], weights=y[:, 2]))
    np.testing.assert_allclose(known[2], np.average(y[:, 1], weights=y[:, 3]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_clicks_and_conversions(dtype):
    """Finite values and gradients, and as large as the log odds are."""
    raw = np.array([[a, b] for a in (-300, 0, 300) for b in (-300, 0, 300)], dtype)
    loss = losses.ClickConversionLoss()
    for click, conversion in ((0, 0), (1, 0), (1, 1)):
        y = np.tile(np.array([click, conversion, 1, 1], dtype), (9, 1))
        assert np.isfinite(loss.value(y, raw)).all()
        assert np.isfinite(jax.grad(lambda raw, y=y: loss.value(y, raw).sum())(jnp.asarray(raw))).all()
    unlikely = np.array([[-20.0, -15.0]], dtype)
    nothing = np.array([[0.0, 0, 0, 1]], dtype)
    np.testing.assert_allclose(loss.value(nothing, unlikely), np.exp(-35.0), rtol=1e-4)
