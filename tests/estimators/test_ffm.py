"""Rows of length 1, the option of field-aware machines alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skfm import FieldEncoder
from tests.estimators.problems import LABELS, N, X, Y, make

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("settings", [{}, {"solver": "adam", "batch_size": 16, "early_stopping": True}])
def test_normalized_rows_are_those_of_a_normalizer(settings):
    X_given = X.copy()
    model = make("FFMClassifier", normalize_rows=True, **settings).fit(X, LABELS)
    expected = make_pipeline(Normalizer(), make("FFMClassifier", **settings)).fit(X, LABELS)
    assert_allclose(model.predict_proba(3 * X), expected.predict_proba(X), rtol=1e-5)
    np.testing.assert_array_equal(X, X_given)
    going_on = make("FFMRegressor", normalize_rows=True).partial_fit(X, Y).partial_fit(5 * X, Y)
    assert_allclose(going_on.predict(X), going_on.predict(2 * X), rtol=1e-5)


def test_tables_and_streams_are_normalized_once_encoded():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.choice(["x", "y"], N), "b": rng.normal(size=N)})
    rows = FieldEncoder().fit_transform(table)
    fields = FieldEncoder().fit(table).fields_
    expected = make("FFMClassifier", normalize_rows=True, fields=fields).fit(rows, LABELS)
    for given in ((table, LABELS), ([(table, LABELS)], None)):
        model = make("FFMClassifier", normalize_rows=True).fit(*given)
        assert_allclose(model.predict_proba(table), expected.predict_proba(rows), rtol=1e-5)
