"""The plan: every "auto" is resolved once, from facts about all rows."""

import numpy as np
import optax
import pytest

from skfm import (
    DCNClassifier,
    DCNRegressor,
    DeepFMClassifier,
    ESMMClassifier,
    FMClassifier,
    FNNClassifier,
    LinearClassifier,
    MixtureFMClassifier,
    WideDeepClassifier,
)
from skfm.fitting.plan import Continued, Facts, make_plan

FM, LINEAR = FMClassifier()._settings(), LinearClassifier()._settings()


def facts(n_rows, *, weight=None, n_entries=None, evidence=1e9, **others):
    n_entries = 10 * n_rows if n_entries is None else n_entries
    return Facts(n_rows, n_entries, float(n_rows if weight is None else weight), evidence, **others)


@pytest.mark.parametrize("n_rows", [1, 1_999, 2_000, 2_001, 2_100, 2_222, 2_223, 30_000, 10**6])
def test_rows_are_held_out_for_solvers_that_use_them_alone(n_rows):
    """All choices look at the same number of rows: that before any are held out."""
    plan = make_plan(FM, facts(n_rows))
    assert (plan.solver == "lbfgs") == (n_rows <= 2_000)
    assert (plan.n_held_out > 0) == (n_rows > 2_000)
    assert plan.schedule.stops_early
    assert plan.dtype == (np.float64 if n_rows <= 2_000 else np.float32)
    linear = make_plan(LINEAR, facts(n_rows))
    assert (linear.solver == "lbfgs") == (n_rows <= 300_000)
    assert (linear.n_held_out > 0) == (n_rows > 300_000)


@pytest.mark.parametrize("n_rows", [10, 2_001, 25_000, 27_000, 10**6])
def test_held_out_rows_are_those_that_scikit_learn_would_take(n_rows):
    from sklearn.model_selection import train_test_split

    settings = FM._replace(early_stopping=True, validation_fraction=0.13)
    plan = make_plan(settings, facts(n_rows))
    train, held_out = train_test_split(np.arange(n_rows), test_size=0.13)
    assert plan.n_held_out == held_out.size
    assert plan.schedule.batch_size == make_plan(FM, facts(train.size, has_given=True)).schedule.batch_size
    # Penalties are those of the rows that are trained on.
    assert plan.priors[0].l2_linear * train.size == pytest.approx(1)


def test_holding_out_all_rows_is_refused():
    with pytest.raises(ValueError, match=r"1 of 1 rows.*early_stopping=False"):
        make_plan(FM._replace(early_stopping=True, solver="adam"), facts(1))


def test_given_rows_are_stopped_on_in_place_of_others():
    plan = make_plan(FM, facts(5_000, has_given=True))
    assert plan.n_held_out == 0
    assert plan.priors[0].l2_linear == 1 / 5_000


def test_calls_that_go_on_keep_solver_precision_and_prior():
    first = make_plan(FM, facts(100, incremental=True))
    assert (first.solver, first.schedule.max_iter, first.n_held_out) == ("adagrad", 1, 0)
    for name, value in (("solver", "adam"), ("dtype", "float32"), ("dtype", np.float32)):
        other = FM._replace(**{name: value})
        with pytest.raises(ValueError, match=f"goes on with {name}=.* Set it back, or call fit"):
            make_plan(other, facts(100, incremental=True), Continued(first, True, 0))
        later = make_plan(other, facts(100, incremental=True), Continued(first, False, 0))
        assert getattr(later, name) == value
    later = make_plan(
        FM._replace(solver="adagrad"), facts(9_000, incremental=True), Continued(first, True, 0)
    )
    assert (later.solver, later.dtype) == ("adagrad", np.float64)
    narrow, tried = facts(100, evidence=1.0, incremental=True), make_plan(FM, facts(5_000, has_given=True))
    priors = [make_plan(FM, narrow, Continued(tried, True, prior)).priors for prior in (0, 1)]
    assert [len(one) for one in priors] == [1, 1]
    assert priors[0][0].l2_factors > priors[1][0].l2_factors


def test_linear_weights_keep_their_solver():
    plain, ftrl, rate, same = (
        WideDeepClassifier(**one)._settings()
        for one in ({}, {"wide_solver": "ftrl"}, {"wide_learning_rate": 0.3}, {"wide_solver": "adagrad"})
    )
    few = facts(100, incremental=True)
    for before, after, match in (
        (plain, ftrl, "'adagrad' as the"),
        (ftrl, same, "'ftrl' as the"),
        (plain, rate, "one rate"),
    ):
        with pytest.raises(ValueError, match=match):
            make_plan(after, few, Continued(make_plan(before, few), True, 0))
    for before, after, solver in ((plain, same, None), (ftrl, plain, "ftrl"), (rate, plain, "adagrad")):
        later = make_plan(after, few, Continued(make_plan(before, few), True, 0))
        assert later.linear_solver == solver
        assert (later.schedule.linear_learning_rate is None) == (solver is None)


def strengths(settings, facts):
    """The penalties of each prior, in units of a standard normal one."""
    weight = facts.weight
    return [
        (round(prior.l2_linear * weight, 9), round(prior.l2_factors * weight, 9))
        for prior in make_plan(settings, facts).priors
    ]


def test_products_are_tried_under_several_priors_where_rows_tell_which_is_best():
    narrow = facts(1_000, evidence=1.0, prior_precision=4.0)
    assert strengths(FM, narrow) == [(4, 240), (4, 20), (4, 7), (2.5, 2.5), (1, 1)]
    assert strengths(FM, facts(1_000)) == [(1, 60), (1, 20), (1, 7), (1, 2.5), (1, 1)]
    # Half of what factors have, and as much as linear weights have without pieces.
    mixture = MixtureFMClassifier()._settings()
    assert strengths(mixture, narrow) == [(10, 240), (10, 20), (4, 7), (2.5, 2.5), (1, 1)]
    # Of networks, and of mini-batches, the narrow one and a wide one.
    deep = DeepFMClassifier()._settings()
    assert strengths(deep, narrow) == [(4, 80), (4, 3)]
    dcn = DCNRegressor()._settings()
    assert strengths(dcn, narrow) == [(0, 40), (0, 20), (0, 10), (0, 6), (0, 3)]
    assert strengths(FM._replace(solver="adam"), facts(5_000, evidence=1.0, has_given=True)) == [
        (1, 60),
        (1, 3),
    ]


@pytest.mark.parametrize(
    ("settings", "known"),
    [
        (FM._replace(l2_factors=1e-3), {}),
        (FM._replace(init_scale=0.0), {}),
        (FM._replace(solver="adam"), {}),
        (FM, {"weight": 99.0}),
        (FM, {"incremental": True}),
        (LINEAR, {}),
    ],
)
def test_one_prior_where_nothing_tells_which_is_best(settings, known):
    (prior,) = make_plan(settings, facts(1_000, evidence=1.0, prior_precision=4.0, **known)).priors
    assert prior.l2_linear == 4 / known.get("weight", 1_000)
    # Nothing wider is tried, so factors are no narrower than usual.
    if settings.l2_factors == "auto":
        assert prior.l2_factors == 20 / known.get("weight", 1_000)


def test_calls_that_go_on_keep_the_precision():
    first = make_plan(LINEAR, facts(1_000, prior_precision=4.0))
    later = make_plan(LINEAR, facts(2_000, incremental=True), Continued(first, False, 0))
    assert (later.prior_precision, later.priors[0].l2_linear) == (4, 4 / 2_000)
    given = LINEAR._replace(l2_linear=0.5)
    assert make_plan(given, facts(1_000, prior_precision=4.0)).priors[0].l2_linear == 0.5


@pytest.mark.parametrize(
    ("settings", "known", "match"),
    [
        (FM, {"incremental": True}, "solver='lbfgs' does not|needs a solver that goes on"),
        (FM._replace(l1_linear=1.0), {}, "cannot minimise an L1 penalty"),
        (FM._replace(is_stochastic=True), {}, "cannot train dropout"),
        (FM, {"in_memory": False, "n_held_out": 0}, "needs all rows in memory, and the stream has 100"),
        (WideDeepClassifier(wide_solver="ftrl")._settings(), {}, "takes all weights at once.*'ftrl'"),
    ],
)
def test_one_check_words_what_a_solver_refuses(settings, known, match):
    with pytest.raises(ValueError, match=match):
        make_plan(settings._replace(solver="lbfgs"), facts(100, **known))
    make_plan(settings._replace(solver="adam"), facts(100, **known))


@pytest.mark.parametrize(
    ("parameters", "solver", "rate"),
    [
        ({}, None, None),
        ({"wide_learning_rate": 0.3}, None, None),
        ({"solver": "adam"}, None, None),
        ({"solver": "adam", "wide_solver": "ftrl"}, "ftrl", 0.1),
        ({"solver": "adam", "wide_learning_rate": 0.3}, "adam", 0.3),
        ({"wide_solver": "ftrl", "wide_learning_rate": 0.3}, "ftrl", 0.3),
        ({"solver": "adam", "wide_learning_rate": 0.3, "parts": "deep"}, None, None),
    ],
)
def test_solver_of_the_linear_weights(parameters, solver, rate):
    plan = make_plan(WideDeepClassifier(**parameters)._settings(), facts(100))
    assert (plan.linear_solver, plan.schedule.linear_learning_rate) == (solver, rate)


def test_what_kinds_of_models_imply():
    assert make_plan(FNNClassifier(dropout=0.1)._settings(), facts(100)).solver == "adagrad"
    assert make_plan(LINEAR._replace(l1_linear=1.0), facts(100)).solver == "ftrl"
    assert make_plan(FM._replace(l1_linear=1.0), facts(100)).solver == "adagrad"
    assert ESMMClassifier(tower="mlp")._settings().has_linear_term is False
    assert ESMMClassifier(tower="fm")._settings().has_linear_term is True
    own = optax.sgd(0.1)
    plan = make_plan(FM._replace(solver=own), facts(100))
    assert (plan.solver, plan.schedule.learning_rate) == (own, 1.0)


@pytest.mark.parametrize(
    ("estimator", "is_alone"),
    [
        (DCNClassifier(), True),
        (FNNClassifier(), True),
        (WideDeepClassifier(parts="deep"), True),
        (ESMMClassifier(tower="pnn"), True),
        (WideDeepClassifier(), False),
        (DeepFMClassifier(), False),
        (DCNRegressor(), False),
        (FMClassifier(), False),
    ],
)
def test_classifiers_of_a_network_alone_stop_on_held_out_rows_of_few(estimator, is_alone):
    settings = estimator._settings()
    plans = [make_plan(settings, facts(n_rows)) for n_rows in (150, 151, 2_000, 2_001)]
    solvers = [plan.solver for plan in plans]
    n_held_out = [plan.n_held_out for plan in plans]
    if is_alone:
        assert solvers == ["lbfgs", "adagrad", "adagrad", "adagrad"]
        assert n_held_out == [0, 31, 400, 201]
    else:
        assert solvers == ["lbfgs", "lbfgs", "lbfgs", "adagrad"]
        assert n_held_out == [0, 0, 0, 201]
    # Rows to stop on may be given, or not be wanted.
    given = make_plan(settings, facts(50, has_given=True))
    assert given.solver == ("adagrad" if is_alone else "lbfgs")
    for no in (False, np.False_):
        whole = make_plan(settings._replace(early_stopping=no), facts(1_000))
        assert (whole.solver, whole.n_held_out) == ("lbfgs", 0)
    assert make_plan(settings._replace(solver="lbfgs"), facts(1_000)).n_held_out == 0
