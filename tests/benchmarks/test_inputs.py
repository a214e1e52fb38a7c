"""Generators and data sets of the benchmarks."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import PolynomialFeatures
from sklearn.utils.fixes import parse_version

from benchmarks import datasets, rivals, synthetic
from benchmarks.cases import (
    chains,
    piecewise,
    sequences,
)
from benchmarks.rivals.fields import field_ids

# --- generators


def test_piecewise_needs_the_region():
    problem = synthetic.make_piecewise(6000, random_state=1)
    n_train = 4000
    y_test = problem.y[n_train:]
    pairs = PolynomialFeatures(2, interaction_only=True, include_bias=False).fit_transform(problem.X)
    model = LogisticRegression(C=0.1, max_iter=300).fit(pairs[:n_train], problem.y[:n_train])

    assert roc_auc_score(y_test, problem.log_odds[n_train:]) > 0.98
    assert roc_auc_score(y_test, model.predict_proba(pairs[n_train:])[:, 1]) < 0.6
    assert problem.region.mean() == pytest.approx(0.5, abs=0.03)
    assert (problem.X.sum(axis=1) == 7).all()


def test_piecewise_gate_is_linear_and_regions_are_opposite():
    problem = synthetic.make_piecewise(4000, random_state=0)
    gate = LogisticRegression(C=1e3, max_iter=2000).fit(problem.X, problem.region)
    assert gate.score(problem.X, problem.region) > 0.99
    first = problem.region == 0
    pairs = PolynomialFeatures(2, interaction_only=True, include_bias=False).fit_transform(problem.X[:, -16:])
    expert = LogisticRegression(max_iter=300).fit(pairs[first], problem.y[first]).decision_function(pairs)
    assert roc_auc_score(problem.y[first], expert[first]) > 0.97
    assert roc_auc_score(problem.y[~first], expert[~first]) < 0.03


@pytest.mark.parametrize("law", chains.LAWS)
def test_logs_have_conversions_of_all_impressions(law):
    log = chains.make_log(chains.LAWS[law], 30_000, 0)
    clicked = log.click == 1
    assert log.click_chance.mean() == pytest.approx(0.07)
    assert np.average(log.conversion_chance, weights=log.click_chance) == pytest.approx(0.25)
    assert log.conversion[clicked].mean() == pytest.approx(0.25, abs=0.03)
    assert log.conversion.mean() == pytest.approx(log.conversion_chance.mean(), abs=0.01)
    assert log.X.nunique().tolist() == [500, 500, 10]
    assert roc_auc_score(log.conversion, log.conversion_chance) > 0.75
    few = log.rows(np.arange(10))
    assert few.X.equals(log.X[:10])
    assert few.conversion.tolist() == log.conversion[:10].tolist()


def test_gate_agreement_takes_the_better_order():
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    assert piecewise.gate_agreement(proba, np.array([1, 1, 0, 1])) == 1.0
    assert piecewise.gate_agreement(proba, np.array([0, 0, 1, 1])) == 0.75


def test_power_law_rows_are_the_same_at_any_column_count():
    few, y_few = synthetic.make_power_law_rows(300, 3_900, n_categories=100)
    many, y_many = synthetic.make_power_law_rows(300, 39_000, n_categories=100)
    np.testing.assert_array_equal(few.indices * 10, many.indices)
    np.testing.assert_array_equal(y_few, y_many)


@pytest.mark.parametrize("n_columns", [500, 39_000])
def test_power_law_rows_have_one_column_a_field(n_columns):
    X, y = synthetic.make_power_law_rows(300, n_columns)
    fields = X.indices.reshape(300, 39) // (n_columns // 39)
    assert (fields == np.arange(39)).all()
    assert X.shape == (300, n_columns)
    assert set(y) == {0, 1}


# --- data sets


def test_log_bins():
    binned = datasets.log_bins([np.nan, -1, 0, 2, 3, 100])
    assert binned.tolist() == ["missing", "-1", "0", "2", "log 1", "log 21"]


@pytest.mark.parametrize("name", ["adult", "mushroom", "frappe", "sms_spam", "criteo", "avazu", "movielens"])
def test_encoded_splits_of_the_data_folder(name, data_path):
    if name == "adult" and parse_version(sklearn.__version__) < parse_version("1.7"):
        pytest.skip("bins by averaged quantiles need scikit-learn 1.7")
    dataset = datasets.LOADERS[name](data_path)
    X_train, y_train, X_test, y_test = next(dataset.encoded_splits())
    assert X_train.shape == (len(y_train), X_test.shape[1])
    assert X_test.shape[0] == len(y_test) > 0
    assert X_train.dtype.kind == "f"


def test_frappe_rows(data_path):
    X, y = datasets.load_frappe(data_path, "test")
    assert X.shape == (28_860, 5382)
    assert X.dtype == np.float32
    assert (np.diff(X.indptr) == 10).all()
    assert y.mean() == pytest.approx(1 / 3, abs=0.01)


def test_an_adapter_that_cannot_run_is_left_out():
    def measure_one(adapter):
        if adapter == "native":
            raise rivals.UnavailableError("no compiler")
        return {"version": "1", "seconds": [1.0, 2.0]}

    results, saved = {}, []
    rivals.in_turn(["skfm", "native"], 2, measure_one, results, "k=4", lambda: saved.append(len(results)))
    assert list(results) == ["skfm k=4"]
    assert rivals.rounds_of(results["skfm k=4"], "seconds") == [1.5, 1.5]
    assert saved == [1, 1]


def test_field_ids_are_counted_from_0_in_each_field():
    X = csr_matrix(np.array([[1, 0, 0, 1, 0], [0, 0, 1, 0, 1]]))
    (ids,), sizes = field_ids(X)
    np.testing.assert_array_equal(ids, [[0, 0], [2, 1]])
    np.testing.assert_array_equal(sizes, [3, 2])
    with pytest.raises(ValueError, match="different numbers of nonzeros"):
        field_ids(csr_matrix(np.array([[1, 1], [0, 1]])))
    with pytest.raises(ValueError, match="share columns"):
        field_ids(csr_matrix(np.array([[1, 1, 0], [0, 1, 1]])))


def test_hillstrom_is_a_chain(data_path):
    X, y = datasets.load_hillstrom(data_path)
    assert X.shape == (64_000, 9)
    assert y.sum(axis=0).tolist() == [9394, 578]
    assert (y[:, 1] <= y[:, 0]).all()


def test_histories_as_ids_are_padded_behind():
    X = pd.DataFrame(
        {"item": ["b"], "category": ["k"], "history": [["a", "b"]], "history_category": [["k"] * 2]}
    )
    ids = sequences.as_ids(X, {"item": {"a": 1, "b": 2}, "category": {"k": 1}}).toarray()[0]
    histories = ids[2:].reshape(2, sequences.MAX_LENGTH)
    assert ids[:2].tolist() == [2, 1]
    assert histories[:, :2].tolist() == [[1, 2], [1, 1]]
    assert not histories[:, 2:].any()
