"""Tables of known schemas, as they come, through the estimators that are made for them."""

import numpy as np
import pandas as pd
import pytest

from skfm import DINClassifier, ESMMClassifier, FieldEncoder
from skfm.datasets import make_click_rows

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

SMALL = {"n_factors": 3, "hidden_layer_sizes": (4,), "max_iter": 5, "random_state": 0}
CHAINS = {
    "ali_ccp_train_sample": ["click", "purchase"],
    "aliexpress_train_sample": ["click", "conversion"],
}


@pytest.fixture(scope="module")
def read(data_path):
    """Function of the name of a sample: its table; the test is skipped where the file is absent."""

    def read(name):
        path = data_path / "tiny_schema_samples" / f"{name}.csv.gz"
        if not path.exists():
            pytest.skip(f"no {path.parent.name}/{path.name} in {data_path}: name a folder with it by --data")
        return pd.read_csv(path)

    return read


@pytest.mark.parametrize("encoder", [None, FieldEncoder()], ids=["as numbers", "encoded"])
@pytest.mark.parametrize("name", CHAINS)
def test_clicks_and_conversions_as_they_come(name, encoder, read):
    table = read(name)
    targets = CHAINS[name]
    X, y = table.drop(columns=targets), table[targets]
    model = ESMMClassifier(encoder=encoder, **SMALL).fit(X, y)
    other = read(name.replace("train", "test"))
    for rows in (X, other[X.columns]):
        proba = model.predict_proba(rows)
        assert proba.shape == (len(rows), 3)
        assert np.isfinite(model.predict_log_proba(rows)).all()
        np.testing.assert_allclose(proba[:, 2], proba[:, 0] * proba[:, 1], rtol=1e-6)
        assert model.predict(rows).shape == (len(rows), 2)
    assert model.feature_names_in_.tolist() == X.columns.tolist()


def test_a_conversion_without_a_click_is_refused_until_it_is_masked(read):
    """The samples have none, so one is made of every row without a click."""
    table = read("aliexpress_train_sample")
    X, y = table.drop(columns=["click", "conversion"]), table[["click", "conversion"]]
    late = y.assign(conversion=y["conversion"].where(y["click"] == 1, 1))
    alone = int((y["click"] == 0).sum())
    with pytest.raises(ValueError, match=rf"conversion without a click at row .* \({alone} such rows\)"):
        ESMMClassifier(encoder=None, **SMALL).fit(X, late)
    masked = late.assign(conversion=late["conversion"] * late["click"])
    proba = ESMMClassifier(encoder=None, **SMALL).fit(X, masked).predict_proba(X)
    np.testing.assert_array_equal(proba, ESMMClassifier(encoder=None, **SMALL).fit(X, y).predict_proba(X))


def test_events_of_items_with_a_category(read):
    events = read("amazon_electronics_sample")
    category = events.drop_duplicates("item_id").set_index("item_id")["cate_id"]
    rows = make_click_rows(
        events["user_id"],
        events["item_id"],
        events["time"],
        n_test_negatives=9,
        item_features={"category": category},
        random_state=0,
    )
    of_items = {"history": "item", "history_category": "category"}
    # A hundred rows say too little for penalties to be chosen by them.
    model = DINClassifier(sequence_fields=of_items, l2_factors=1e-3, l2_dense=1e-3, **SMALL)
    model.fit(rows.train.data, rows.train.target)
    for part in (rows.valid, rows.test):
        proba = model.predict_proba(part.data)
        assert proba.shape == (len(part.target), 2)
        assert np.isfinite(proba).all()
