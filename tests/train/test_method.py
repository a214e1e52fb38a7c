"""Training methods: one check words every refusal, and a new method needs no change elsewhere."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import optax
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import InvalidParameterError

from skfm import FMRegressor, LinearRegressor
from skfm.data.pack import table_rows
from skfm.names import ELEMENT_WISE_SOLVERS, FULL_BATCH, MINIBATCH, SOLVERS, Abilities
from skfm.optim.solvers import NAMED
from skfm.train.method import Demands, abilities_of, check_demands, method_of
from skfm.train.problem import Parameters, Progress, Result


@dataclass(frozen=True)
class ClosedFormRidge:
    """The minimum of squared errors of a linear model, from the normal equations."""

    abilities: ClassVar[Abilities] = FULL_BATCH

    def fit(self, problem, session=None):
        (X, y, weight), model = problem.train, problem.model
        share = weight / weight.sum()
        columns = np.concatenate([np.ones((X.shape[0], 1)), X.toarray()], axis=1)
        penalty = np.diag([0.0, *np.full(X.shape[1], problem.priors[0].l2_linear)])
        weights = np.linalg.solve(
            columns.T @ (columns * share[:, None]) + penalty, columns.T @ (y * share[:, None])
        )
        table = np.zeros((table_rows(X.shape[1]), model.width))
        table[: X.shape[1]] = weights[1:]
        loss = share @ problem.loss.value(y, columns @ weights)
        dense = {"weights": {}, "offsets": {"intercept": weights[0]}}
        return Result(Parameters(table, dense, {}), Progress({"loss": [float(loss)]}, n_iter=1))


RNG = np.random.default_rng(0)
X, WEIGHT = RNG.standard_normal((80, 5)) * (RNG.random((80, 5)) < 0.7), RNG.integers(0, 4, 80)
Y = X @ RNG.standard_normal((5, 2)) + 3 + 0.1 * RNG.standard_normal((80, 2))


@pytest.mark.parametrize("y", [Y[:, 0], Y], ids=["vector", "two outputs"])
def test_a_method_of_a_user_is_a_solver(y):
    model = LinearRegressor(solver=ClosedFormRidge(), l2_linear=0.1).fit(X, y, sample_weight=WEIGHT)
    # The target is standardised before the penalty is taken.
    deviation = np.sqrt(
        np.cov(y.T, aweights=WEIGHT, ddof=0).diagonal() if y.ndim > 1 else np.cov(y, aweights=WEIGHT, ddof=0)
    )
    oracle = Ridge(alpha=0.1 * WEIGHT.sum(), solver="cholesky").fit(X, y / deviation, WEIGHT)
    np.testing.assert_allclose(model.predict(X), oracle.predict(X) * deviation, rtol=1e-9)
    np.testing.assert_allclose(
        model.coef_, oracle.coef_ * np.reshape(deviation, (-1, *[1] * (y.ndim - 1))), rtol=1e-9
    )
    assert model.solver_ == ClosedFormRidge()
    assert list(model.history_) == ["attempt", "epoch", "loss"]


def test_it_is_tuned_like_any_other():
    model = LinearRegressor(solver=ClosedFormRidge())
    search = GridSearchCV(model, {"l2_linear": [1e-3, 1e-2, 1.0]}, cv=3, error_score="raise").fit(X, Y)
    assert search.best_params_ == {"l2_linear": 1e-3}


def test_it_is_refused_what_it_cannot_do():
    with pytest.raises(ValueError, match=r"solver=ClosedFormRidge\(\) does not"):
        LinearRegressor(solver=ClosedFormRidge()).partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"solver=ClosedFormRidge\(\) cannot minimise an L1 penalty"):
        LinearRegressor(solver=ClosedFormRidge(), l1_linear=0.1).fit(X, Y)


def test_what_is_no_solver_is_refused():
    with pytest.raises(InvalidParameterError, match=r"'solver' .* a training method, which has `abilities`"):
        FMRegressor(solver=Ridge()).fit(X, Y)

    @dataclass(frozen=True)
    class Forgetful(ClosedFormRidge):
        def fit(self, problem, session=None):
            return None

    with pytest.raises(TypeError, match=r"Forgetful\(\) must return a .*Result, got None"):
        LinearRegressor(solver=Forgetful()).fit(X, Y)


def test_histories_of_unequal_lists_are_refused():
    @dataclass(frozen=True)
    class Ragged(ClosedFormRidge):
        def fit(self, problem, session=None):
            result = super().fit(problem, session)
            result.progress.history["gap"] = [1.0, 0.5]
            return result

    with pytest.raises(ValueError, match=r"must have one length, got {'loss': 1, 'gap': 2}: .*Progress.add"):
        LinearRegressor(solver=Ragged()).fit(X, Y)


@pytest.mark.parametrize("solver", [*SOLVERS, optax.adam(0.1)], ids=[*SOLVERS, "optax"])
def test_each_solver_has_a_method_with_the_abilities_that_its_name_says(solver):
    method = method_of(solver)
    assert method.abilities == abilities_of(solver)
    assert method.solver is solver


def test_names_of_solvers_stand_once():
    assert set(NAMED) == set(ELEMENT_WISE_SOLVERS)


@pytest.mark.parametrize(
    ("demand", "ability"),
    [
        ({"goes_on": True}, "goes_on"),
        ({"l1": True}, "l1"),
        ({"stochastic": True}, "stochastic"),
        ({"linear_solver": "ftrl"}, "element_wise"),
    ],
)
def test_each_demand_needs_one_ability(demand, ability):
    for able in (False, True):
        method = type("Method", (), {"abilities": MINIBATCH._replace(**{ability: able}), "fit": None})()
        if able and ability != "element_wise":
            check_demands(method, Demands(**demand))
        else:
            with pytest.raises(ValueError, match=r"use|choose"):
                check_demands(method, Demands(**demand))
    needs = type("Method", (), {"abilities": Abilities(), "fit": None})()
    with pytest.raises(ValueError, match="the stream has 7"):
        check_demands(needs, Demands(n_streamed=7))
