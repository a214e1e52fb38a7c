"""From a matrix to parameters: units of columns, sessions, validation."""

import numpy as np
import pytest
from scipy import sparse

from skfm.data.batches import Samples
from skfm.data.fields import Fields
from skfm.layers.mlp import MLP
from skfm.losses import Logistic, SquaredError
from skfm.models.dcn import DCN
from skfm.models.deepfm import DeepFM
from skfm.models.fm import FM
from skfm.models.fnn import FNN
from skfm.models.linear import Linear
from skfm.train.method import method_of
from skfm.train.problem import Progress
from tests import reference
from tests.cases import sparse_rows
from tests.train.problems import pose


def samples_of(seed=0, n=40, **kind):
    rng = np.random.default_rng(seed)
    X = sparse_rows(rng, n=n, **kind)
    return Samples(sparse.csr_array(X), rng.integers(2, size=(n, 1)).astype(float), 0.2 + rng.random(n))


def fit(model, samples, solver="adagrad", fields=None, session=None, **settings):
    return method_of(solver).fit(pose(model, Logistic(), samples, fields, **settings), session)


@pytest.mark.parametrize("solver", ["adagrad", "adam", "ftrl", "sgd"])
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_batches_and_full_batch_have_one_minimum(solver, power):
    """All rows a batch and a rate that falls to zero: the minimum that L-BFGS finds, in the units of X."""
    samples = samples_of()
    samples.X.data *= 1 + samples.X.indices  # columns of different units
    rate = {"adagrad": 1.0, "adam": 0.3, "ftrl": 3.0, "sgd": 1.0}[solver]
    loop = {"batch_size": 40, "max_iter": 1200, "shape": "cosine", "learning_rate": rate}
    ours = fit(Linear(), samples, solver, power=power, **loop).parameters
    best = fit(Linear(), samples, "lbfgs", power=power, max_iter=500, tol=1e-8).parameters

    def objective(parameters):
        tables = {"linear": parameters.table[:12].astype(float)}
        X, y, weight = samples.X.toarray(), samples.y, samples.weight
        raw = reference.linear(X, tables, parameters.dense)
        return reference.data_term(reference.logistic, y, raw, weight) + reference.penalty(
            X, weight, tables, {"linear": 0.1}, power
        )

    assert objective(ours) == pytest.approx(objective(best), abs=1e-8)
    np.testing.assert_allclose(ours.table, best.table, atol=2e-3)


@pytest.mark.parametrize(
    ("model", "start"), [(DCN, (40 / 3 / 2) ** 2), (FNN, (40 / 3 / 2) ** 2), (DeepFM, 1)]
)
def test_adagrad_starts_dense_weights_of_some_models_at_the_rows_of_a_mean_batch(model, start):
    """40 rows in three batches; the gradients of some weights of each matrix are small."""
    samples, numbers = samples_of(), np.arange(12) % 3
    settings = {"batch_size": 16, "max_iter": 1, "more": {"keeps_session": True}}
    model = model(n_fields=3, n_factors=2, network=MLP(sizes=(4, 4)))
    session = fit(model, samples, fields=Fields(numbers, 3), **settings).session
    weights, offsets = (session.state.dense_state[role] for role in ("weights", "offsets"))
    for leaf in weights.values():
        assert np.all(leaf["squares"] >= start * (1 - 1e-12))
        assert leaf["squares"].min() < start + 9
    assert all(leaf["squares"].min() < 9 for name, leaf in offsets.items() if name != "intercept")


@pytest.mark.parametrize("solver", ["adagrad", "adam"])
def test_sessions_go_on_as_if_never_left(solver):
    samples = samples_of()
    whole = fit(FM(n_factors=2), samples, solver, max_iter=3)
    session = None
    for _ in range(3):
        more = {"keeps_session": True}
        result = fit(FM(n_factors=2), samples, solver, session=session, max_iter=1, more=more)
        session = result.session
    assert session.n_epochs == 3
    assert whole.session is None
    # Charges of a session count all weights seen, here the same rows again: the same shares.
    np.testing.assert_allclose(result.parameters.table, whole.parameters.table, rtol=1e-9, atol=1e-12)


def test_a_session_takes_a_smaller_batch_after_a_larger_one():
    """Every row that a small batch touches moves, though the first, large batch needed no marks."""
    rng = np.random.default_rng(0)

    def samples(n, width):
        X = np.zeros((n, 200))
        for row, x in enumerate(X):
            x[(7 * row + np.arange(width)) % 200] = 1
        return Samples(sparse.csr_array(X), rng.integers(2, size=(n, 1)).astype(float), np.ones(n))

    large, small = samples(300, 8), samples(3, 2)
    settings = {"batch_size": 256, "max_iter": 1, "more": {"keeps_session": True}}
    first = fit(Linear(), large, **settings)
    second = fit(Linear(), small, session=first.session, **settings)
    moved = np.flatnonzero(np.any(first.parameters.table != second.parameters.table, axis=1))
    np.testing.assert_array_equal(moved, np.unique(small.X.indices))


def test_rows_of_uneven_length_train_on_every_column(several_widths):
    """Blocks with fewer slots than the table has rows stand beside blocks with more."""
    rng = np.random.default_rng(0)
    X = np.zeros((200, 150))
    for row, x in enumerate(X):
        x[rng.choice(150, size=60 if row % 40 == 0 else 1, replace=False)] = 1
    samples = Samples(sparse.csr_array(X), rng.integers(2, size=(200, 1)).astype(float), np.ones(200))
    ours = fit(Linear(), samples, batch_size=32, max_iter=400, learning_rate=0.5).parameters.table[:150, 0]
    best = fit(Linear(), samples, "lbfgs", max_iter=500, tol=1e-8).parameters.table[:150, 0]
    assert np.all(ours[X.any(axis=0)] != 0)
    assert np.abs(ours - best).max() < 0.1 * np.abs(best).max()


def test_columns_of_any_unit_train_alike():
    samples = samples_of()
    unit = 10.0 ** np.arange(-6, 6)
    other = samples._replace(X=sparse.csr_array(samples.X.toarray() * unit))
    loop = {"batch_size": 8, "max_iter": 3, "l2": 0.0}
    here = fit(FM(n_factors=2), samples, **loop).parameters.table[:12]
    there = fit(FM(n_factors=2), other, **loop).parameters.table[:12]
    np.testing.assert_allclose(there * unit[:, None], here, rtol=1e-8)


@pytest.mark.parametrize("solver", ["adagrad", "adam"])
@pytest.mark.parametrize("unit", [1e-30, 1e30, 1e37])
def test_columns_of_extreme_units_train_in_float32(unit, solver):
    """Their charges are beyond the range of float32."""
    samples = samples_of()
    other = samples._replace(X=sparse.csr_array(samples.X.toarray() * unit))
    loop = {"batch_size": 8, "max_iter": 3, "l2": 0.0}
    here, there = (
        fit(Linear(), rows, solver, dtype=np.float32, **loop).parameters.table[:12]
        for rows in (samples, other)
    )
    np.testing.assert_allclose(there * unit, here, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("solver", ["adagrad", "lbfgs"])
def test_validation_is_the_loss_of_the_rows_held_out(solver):
    samples, held = samples_of(0), samples_of(1)
    held = held._replace(X=held.X[:25], y=held.y[:25], weight=held.weight[:25])
    model = FM(n_factors=2)
    more = {"held_out": held}
    result = fit(model, samples, solver, max_iter=4, stops_early=True, n_iter_no_change=10, more=more)
    history = result.progress.history["validation_loss"]
    parameters = result.parameters
    raw = reference.fm(held.X.toarray(), model.split(parameters.table[:12]), parameters.dense)
    value = reference.data_term(reference.logistic, held.y, raw, held.weight)
    assert value == pytest.approx(min(history), rel=1e-9)


def test_scores_see_raw_predictions_in_the_order_of_the_rows():
    samples, held = samples_of(0), samples_of(1)
    seen = []
    more = {"held_out": held, "loss": SquaredError(), "score": lambda raw: seen.append(raw) or 0.5}
    result = fit(Linear(), samples, max_iter=1, more=more)
    assert result.progress.history["validation_score"] == [0.5]
    tables = {"linear": result.parameters.table[:12]}
    expected = reference.linear(held.X.toarray(), tables, result.parameters.dense)
    np.testing.assert_allclose(seen[0], expected, rtol=1e-9)


@pytest.mark.parametrize(("second", "prior"), [(-0.996, 0), (-0.994, 1)])
def test_a_second_attempt_must_be_better_by_half_a_percent(second, prior, monkeypatch):
    scores = [-1.0, second]

    def descend(epochs, schedule, watch, first_epoch):
        epochs.start()
        return Progress({"loss": [1.0]}, 1, best_score=scores.pop(0))

    monkeypatch.setattr("skfm.train.minibatch.descend", descend)
    problem = pose(FM(n_factors=2), Logistic(), samples_of())
    narrow, wide = problem.priors[0], problem.priors[0]._replace(init_scale=0.5)
    assert method_of("adagrad").fit(problem._replace(priors=(narrow, wide)), None).prior == prior


def test_an_interruption_after_divergence_keeps_nothing(monkeypatch):
    def descend(epochs, schedule, watch, first_epoch):
        epochs.start()
        epochs.state = epochs.state._replace(table=epochs.state.table.at[0].set(np.nan))
        return Progress({"loss": [1.0]}, 1, interrupted=True)

    monkeypatch.setattr("skfm.train.minibatch.descend", descend)
    with pytest.raises(KeyboardInterrupt, match="nothing is kept"):
        fit(Linear(), samples_of())
