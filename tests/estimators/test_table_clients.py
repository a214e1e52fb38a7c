"""Tables that reach an estimator through scikit-learn: its output configuration, bags, boosting."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.feature_selection import RFE, RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_classifier_data_not_an_array, check_fit2d_predict1d

from skfm import (
    DeepFMClassifier,
    DINClassifier,
    FieldEncoder,
    FMClassifier,
    FMRegressor,
    LinearClassifier,
    LinearRegressor,
)
from skfm.data.readings import ReadingWarning


def table(n=400):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "shape": rng.choice(list("xyz"), n),
            "size": rng.normal(size=n),
            "count": rng.integers(0, 5, n),
        }
    )
    return X, ((X["shape"] == "x") ^ (rng.random(n) < 0.1)).to_numpy()


def model(**params):
    return FMClassifier(2, random_state=0, **params)


# -- output configuration ----------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["pandas", "polars", "default"])
@pytest.mark.parametrize("encoder", ["auto", FieldEncoder(), FieldEncoder(sparse_output=False)])
def test_output_configuration_is_of_no_concern(output, encoder):
    X, y = table()
    known = model(encoder=encoder).fit(X, y)
    with sklearn.config_context(transform_output=output):
        seen = model(encoder=encoder).fit(X, y)
        assert np.array_equal(seen.predict_proba(X), known.predict_proba(X))
        assert np.array_equal(np.asarray(seen.transform(X)), known.transform(X))
    seen = model(encoder=FieldEncoder().set_output(transform=output)).fit(X, y)
    assert np.array_equal(seen.predict_proba(X), model(encoder=FieldEncoder()).fit(X, y).predict_proba(X))


@pytest.mark.parametrize(("output", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_encoder_gives_frames_as_the_one_hot_encoder_does(output, frame):
    X, _ = table()
    known = FieldEncoder().fit(X)
    for encoder in (FieldEncoder(), OneHotEncoder()):
        with pytest.raises(ValueError, match=r"does not support sparse data. Set sparse_output=False"):
            encoder.set_output(transform=output).fit_transform(X[["shape"]])
    encoded = FieldEncoder(sparse_output=False).set_output(transform=output).fit_transform(X)
    assert isinstance(encoded, frame)
    assert list(encoded.columns) == known.get_feature_names_out().tolist()
    assert np.array_equal(encoded.to_numpy(), known.transform(X).toarray())


# -- arrays of objects -------------------------------------------------------------------------------------


def test_an_array_of_objects_is_a_table():
    X, y = table()
    known = model().fit(X, y)
    objects = X.to_numpy(dtype=object)
    assert np.array_equal(model().fit(objects, y).predict_proba(objects), known.predict_proba(X))
    passed = make_pipeline(ColumnTransformer([("all", "passthrough", list(X.columns))]), model())
    assert np.array_equal(passed.fit(X, y).predict_proba(X), known.predict_proba(X))


def test_numbers_in_an_array_of_objects_are_a_matrix():
    X, y = table()
    numbers = X[["size", "count"]].to_numpy()
    seen = model().fit(numbers.astype(object), y)
    assert seen.encoder_ is None
    assert np.array_equal(seen.predict_proba(numbers), model().fit(numbers, y).predict_proba(numbers))


def test_rows_that_are_lists_are_tables():
    X, y = table()
    rows = X.to_numpy(dtype=object).tolist()
    known = model().fit(X, y)
    assert np.array_equal(model().fit(rows, y).predict_proba(rows), known.predict_proba(X))
    encoded = FieldEncoder().fit(rows).transform(rows)
    assert (encoded != FieldEncoder().fit_transform(X)).nnz == 0


def test_text_where_numbers_are_expected():
    X, y = table()
    with pytest.raises(
        ValueError, match=r"Column 0 of X holds text.*'.' at row 0.*encoder=skfm.FieldEncoder\(\)"
    ):
        model(encoder=None).fit(X.to_numpy(dtype=object), y)


@pytest.mark.parametrize("missing", [pd.NA, pd.NaT])
@pytest.mark.parametrize(
    "wrap", [pd.DataFrame, lambda columns: np.array(list(zip(*columns.values(), strict=True)), object)]
)
def test_missing_values_that_are_no_floats(missing, wrap):
    X = wrap(
        {"size": pd.Series([1, 2, 3, 4], dtype=object), "count": pd.Series([5, missing, 7, 8], dtype=object)}
    )
    y = [0, 1, 0, 1]

    def message(name):
        return f"Column {name} of X has a missing value, {missing!r}, at row 1. Impute it first, or fit with"

    with pytest.raises(ValueError, match=message("'count'" if isinstance(X, pd.DataFrame) else 1)):
        model().fit(X, y)
    known = model().fit(np.arange(8.0).reshape(4, 2), y)
    with pytest.raises(ValueError, match=message(1)):
        known.predict(np.asarray(X))
    assert np.isfinite(model(encoder=FieldEncoder()).fit(X, y).predict_proba(X)).all()


@pytest.mark.parametrize(
    "name", [0, 2.5, None, np.nan, pd.NA, pd.NaT, ("a", 1), np.str_("c"), pd.Timestamp(0)]
)
def test_names_of_mixed_types_are_what_is_wrong(name):
    X, y = table()
    X.columns = pd.Index(["size", name, "count"], dtype=object)
    remedy = r"Column 1 of X is named .*'size'\. Make text of all: (X\.columns = .*)\.$"
    with pytest.raises(TypeError, match=remedy) as caught:
        model().fit(X, y)
    with pytest.raises(TypeError, match=remedy):
        FieldEncoder().fit(X)
    exec(re.search(remedy, str(caught.value))[1], {"X": X})
    assert X.columns.tolist() == ["size", str(name), "count"]
    assert model().fit(X, y).feature_names_in_.tolist() == X.columns.tolist()


def test_a_column_without_a_name():
    X, y = table()
    X.columns = ["size", None, "count"]
    with pytest.raises(TypeError, match=r"Column 1 of X is named (nan|None)"):
        model().fit(X, y)


class Lazy:
    """What a frame of Dask looks like to others."""

    columns = ("shape",)

    def compute(self):
        raise AssertionError


Lazy.__module__ = "dask.dataframe.core"


@pytest.mark.parametrize(
    ("X", "parts"),
    [
        (pl.LazyFrame({"shape": ["x", "y"]}), [".collect()"]),
        (Lazy(), [".compute()", "partial_fit"]),
    ],
)
def test_frames_that_are_not_computed(X, parts):
    known = model().fit(*table())
    for call in (lambda: model().fit(X, [0, 1]), lambda: known.predict(X), lambda: FieldEncoder().fit(X)):
        with pytest.raises(TypeError) as caught:
            call()
        assert all(part in str(caught.value) for part in parts), caught.value


# -- weights -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", "adagrad", "lbfgs"])
def test_weights_that_sum_to_one_fit_as_those_of_mean_one(solver):
    X, y = table()
    weight = np.random.default_rng(1).exponential(size=400)
    weight /= weight.mean()
    one = model(solver=solver).fit(X, y, sample_weight=weight)
    other = model(solver=solver).fit(X, y, sample_weight=weight / 400)
    assert np.allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-4)
    for name, value in one.plan_.items():
        same = value == other.plan_[name] or np.isclose(value, other.plan_[name], rtol=1e-9)
        assert same, name


@pytest.mark.parametrize("as_matrix", [False, True])
def test_boosting_and_bags(as_matrix):
    X, y = table()
    X = pd.get_dummies(X).astype(float) if as_matrix else X
    single = LinearClassifier(random_state=0)
    scores = [
        roc_auc_score(y, one.fit(X, y).predict_proba(X)[:, 1])
        for one in (
            single,
            AdaBoostClassifier(single, n_estimators=2, random_state=0),
            BaggingClassifier(single, n_estimators=2, random_state=0),
            BaggingClassifier(LinearClassifier(encoder=FieldEncoder(), random_state=0), n_estimators=2),
        )
    ]
    # The rows are told by their shape alone.
    oracle = roc_auc_score(y, table()[0]["shape"] == "x")
    assert min(scores) > oracle - 0.03


# -- tags and selection ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("encoder", "takes"), [("auto", False), (None, False), (FieldEncoder(), True)])
def test_tags_follow_the_encoder(encoder, takes):
    X, y = table()
    one = model(encoder=encoder)
    tags = get_tags(one).input_tags
    assert (tags.allow_nan, tags.string, tags.categorical) == (takes, takes, encoder is not None)
    holes = X[["size", "count"]].to_numpy()
    holes[::7, 0] = np.nan
    if takes:
        selector = SequentialFeatureSelector(one, n_features_to_select=1, cv=2).fit(holes, y)
        assert selector.get_support().sum() == 1
    else:
        with pytest.raises(ValueError, match="NaN"):
            one.fit(holes, y)


def test_selection_on_a_table_by_permutations():
    X, y = table()

    def importances(fitted):
        return permutation_importance(fitted, X, y, n_repeats=2, random_state=0).importances_mean

    selector = SelectFromModel(model(), importance_getter=importances).fit(X, y)
    assert selector.get_feature_names_out().tolist() == ["shape"]
    assert selector.transform(X).shape == (400, 1)


def test_selection_on_codes():
    X, y = table()
    codes = OrdinalEncoder(dtype=np.int64).fit_transform(X[["shape", "count"]])
    selector = SequentialFeatureSelector(model(encoder=FieldEncoder()), n_features_to_select=1, cv=2)
    assert selector.fit(codes, y).get_support().tolist() == [True, False]


def largest_weights(fitted):
    """Importance of the columns of a table, from its fitted attributes alone."""
    weights = np.abs(fitted.coef_).sum(axis=0)
    weights = weights + np.linalg.norm(fitted.factors_, axis=1) if hasattr(fitted, "factors_") else weights
    columns = fitted.encoder_.field_columns_[fitted.encoder_.fields_]
    return np.array([weights[columns == column].max() for column in range(fitted.n_features_in_)])


def test_a_row_of_weight_zero_may_hold_what_no_other_may():
    X, y = table(60)
    X["note"] = pd.Series([None] * 60, dtype=object)
    strange = X.copy()
    strange.at[30, "note"] = ["a", "b"]
    strange["size"] = strange["size"].astype(object)
    strange.at[10, "size"] = "none"
    weight = np.ones(60)
    weight[[10, 30]] = 0
    keep = weight > 0
    known = model().fit(X[keep], y[keep]).predict_proba(X)
    assert np.array_equal(model().fit(strange, y, sample_weight=weight).predict_proba(X), known)
    chunks = [(strange[:30], y[:30], weight[:30]), (strange[30:], y[30:], weight[30:])]
    kept = [(X[keep][:29], y[keep][:29]), (X[keep][29:], y[keep][29:])]
    assert np.array_equal(model().fit(chunks).predict_proba(X), model().fit(kept).predict_proba(X))
    going_on, known_parts = model(), model()
    for (X_part, y_part, of_part), (X_kept, y_kept) in zip(chunks, kept, strict=True):
        going_on.partial_fit(X_part, y_part, [False, True], of_part)
        known_parts.partial_fit(X_kept, y_kept, [False, True])
    assert np.array_equal(going_on.predict_proba(X), known_parts.predict_proba(X))
    held_out = {"X_val": strange, "y_val": y, "sample_weight_val": weight}
    stopped = model(solver="adam", learning_rate=0.1).fit(X, y, **held_out).predict_proba(X)
    known = model(solver="adam", learning_rate=0.1).fit(X, y, X_val=X[keep], y_val=y[keep]).predict_proba(X)
    assert np.array_equal(stopped, known)
    fitted = model().fit(X[keep], y[keep])
    nothing = [(strange[10:11], y[10:11], [0])]
    for given in ((strange, y, weight), (chunks,), (chunks + nothing,)):
        assert fitted.score(*given) == fitted.score(X[keep], y[keep])
    with pytest.raises(ValueError, match=r"at row 10 \('none'\)"):
        fitted.score(strange, y, np.where(np.arange(60) == 3, 0, weight + 1))


STRANGE_AMONG_NUMBERS = {
    "text among numbers": lambda numbers: numbers.astype(object).where(numbers.index != 10, "none"),
    "a fraction among identifiers": lambda numbers: pd.Series(
        [1.5 if row == 10 else row % 7 for row in range(60)], dtype=object, name="user_id"
    ),
    "a list among numbers": lambda numbers: pd.Series(
        [[1, 2] if row == 10 else row / 7 for row in range(60)], dtype=object
    ),
    "a missing number": lambda numbers: numbers.where(numbers.index != 10),
    "an infinite number": lambda numbers: numbers.where(numbers.index != 10, np.inf),
    "numbers that floats cannot tell apart": lambda numbers: pd.Series(
        [2**60 + 1 if row == 10 else 2**60 + 1000 * row for row in range(60)]
    ),
}


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame, np.ndarray, list])
@pytest.mark.parametrize("name", STRANGE_AMONG_NUMBERS)
@pytest.mark.filterwarnings("ignore::skfm.data.readings.ReadingWarning")
def test_a_row_of_weight_zero_does_not_make_a_table(name, container):
    values, y = STRANGE_AMONG_NUMBERS[name](table(60)[0]["size"]), np.arange(60) / 7
    weight = np.ones(60)
    weight[10] = 0

    def given(values):
        if container is pl.DataFrame:
            typed = pl.Object if values.dtype == object else None
            return pl.DataFrame({values.name or "a": pl.Series(values.tolist(), dtype=typed)})
        frame = values.to_frame(values.name or "a")
        if container is pd.DataFrame:
            return frame
        return frame.to_numpy() if container is np.ndarray else [[value] for value in values]

    X, kept = given(values), given(values[weight > 0])
    known = LinearRegressor().fit(kept, y[weight > 0])
    weighed = LinearRegressor().fit(X, y, sample_weight=weight)
    assert (weighed.encoder_ is None) == (known.encoder_ is None)
    np.testing.assert_array_equal(weighed.predict(kept), known.predict(kept))


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"])
def test_rows_of_weight_zero_of_every_sparse_format(format, kind):
    values = np.random.default_rng(0).integers(0, 3, (40, 4)).astype(float)
    y, weight = values[:, 0] * values[:, 1], np.arange(40) % 5 / 2
    X = getattr(scipy.sparse, f"{format}_{kind}")(values)
    known = LinearRegressor().fit(values[weight > 0], y[weight > 0], sample_weight=weight[weight > 0])
    weighed = LinearRegressor().fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(weighed.predict(values), known.predict(values))
    assert weighed.score(X, y, weight) == known.score(values, y, weight)


def test_rows_of_tables_are_numbered_as_they_were_given():
    X, y = table(60)
    X["size"] = X["size"].astype(object)
    X.at[10, "size"] = X.at[40, "size"] = "none"
    weight = np.ones(60)
    weight[10] = 0
    where = r"holds text at row 40 \('none'\)"
    with pytest.raises(ValueError, match=where):
        model().fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match=r"^Chunk 0 of the stream: .*" + where):
        model().fit([(X, y, weight)])
    fitted = model().fit(X[:10], y[:10])
    with pytest.raises(ValueError, match=where):
        fitted.partial_fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match=where):
        model(solver="adam").fit(X[:10], y[:10], X_val=X, y_val=y, sample_weight_val=weight)
    mixed = pd.DataFrame({"a": ["7", *map(str, range(58)), "n/a"]})
    for fit in (model().fit, model(solver="adam", learning_rate=0.1).partial_fit):
        with pytest.warns(ReadingWarning, match=r"holds 'n/a' at row 59, which is no number"):
            fit(mixed, y, sample_weight=weight)
    X["history"] = [["x"]] * 60
    X["size"] = [object() if row == 40 else "small" for row in range(60)]
    interest = DINClassifier(sequence_fields={"history": "shape"})
    with pytest.raises(TypeError, match=r"^Column 'size' holds <object .* at row 40, of type object"):
        interest.fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match=r"^Chunk 0 of the stream: Column 'size' .* at row 40, of type obj"):
        interest.fit([(X, y, weight)])


@pytest.mark.parametrize(
    "text",
    [
        "at row 3",
        "seat (row 3)",
        "it's (row 3)",
        'a "quote" at row 3',
        "Hmm... no!",
        "Well... (row 3)",
        "at row 3 " + "x" * 90,
        "at row 3 it's a " + '"' * 90,
        "at row 3 " + "\\'" * 90,
    ],
)
def test_names_and_values_that_name_rows_stay_as_they_are(text):
    X = pd.DataFrame({text: pd.Series([text, *np.arange(58.0), text], dtype=object)})
    weight = np.r_[0, np.ones(59)]
    shown = f"{repr(text)[:80]}...{repr(text)[0]}" if len(repr(text)) > 80 else repr(text)
    with pytest.raises(ValueError, match="holds text") as error:
        model().fit(X, np.arange(60) % 2, sample_weight=weight)
    start = f"Column {text!r} holds text at row 59 ({shown}), where numbers are expected."
    assert str(error.value).startswith(start)
    labels = np.array([text, *["a", "b"] * 30], dtype=object)[:60]
    fitted = model(solver="adam").fit
    with pytest.raises(ValueError, match="y_val") as error:
        fitted(np.ones((60, 1)), ["a", "b"] * 30, X_val=[(np.ones((60, 1)), labels[::-1].tolist(), weight)])
    assert f"{text!r} at row 59" in str(error.value)


@pytest.mark.parametrize("kind", [FMClassifier, LinearClassifier])
def test_selection_by_weights(kind):
    X, y = table()
    X.loc[::9, "shape"] = None
    selector = SelectFromModel(kind(random_state=0), importance_getter=largest_weights, threshold="mean")
    assert selector.fit(X, y).get_feature_names_out().tolist() == ["shape"]
    codes = OrdinalEncoder(dtype=np.int64, encoded_missing_value=-1).fit_transform(X[["count", "shape"]])
    one = kind(encoder=FieldEncoder(), random_state=0)
    for make_selector in (
        RFE,
        lambda *args, **params: RFECV(*args, cv=2, min_features_to_select=1, **params),
    ):
        selector = make_selector(one, importance_getter=largest_weights).fit(codes, y)
        assert selector.ranking_.argmin() == 1


@pytest.mark.parametrize("selector", [SelectFromModel, RFE])
def test_selection_of_encoded_columns(selector):
    X, y = table()
    steps = make_pipeline(FieldEncoder(), selector(model()), model()).fit(X, y)
    chosen = steps[:-1].get_feature_names_out()
    assert "shape=x" in chosen
    assert chosen.size < steps[0].fields_.size
    assert steps.score(X, y) > 0.85


@pytest.mark.parametrize(
    "params",
    [
        {"numeric_encoding": "value"},
        {"numeric_encoding": "bins", "bins": 0},
        {"hash": {"shape": 1}, "categorical": ["count"]},
        {"min_frequency": 10**6, "max_categories": 1, "numeric": ["count"]},
    ],
)
def test_no_mask_of_encoded_columns_fits_a_table(params):
    X, y = table()
    # Each column has a slot besides that of missing values.
    assert FieldEncoder(**params).fit(X).fields_.size >= 2 * X.shape[1]
    selector = SelectFromModel(model(encoder=FieldEncoder(**params))).fit(X, y)
    with pytest.raises(ValueError, match=r"give importance_getter=.*put a FieldEncoder before"):
        selector.transform(X)


def test_what_reads_weights_of_encoded_columns_is_told():
    X, y = table()
    codes = OrdinalEncoder(dtype=np.int64).fit_transform(X[["shape", "count"]])
    with pytest.raises(ValueError, match="put a FieldEncoder before"):
        RFE(LinearClassifier(encoder=FieldEncoder())).fit(codes, y)
    selector = SelectFromModel(FMClassifier(random_state=0), importance_getter="coef_").fit(codes * 1.0, y)
    assert selector.get_support().size == 2


@pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [LinearClassifier, FMClassifier, FMRegressor, DeepFMClassifier])
def test_tools_that_explain_linear_models_see_what_else_there_is(kind):
    X = np.random.default_rng(0).normal(size=(60, 3))
    known = kind(random_state=0, max_iter=3).fit(X, X[:, 0] > 0)
    # As shap's LinearExplainer looks for linear models.
    tool: dict = {"__name__": "shap.explainers._linear"}
    exec("def is_linear(model): return hasattr(model, 'coef_') and hasattr(model, 'intercept_')", tool)
    assert tool["is_linear"](known) == (kind is LinearClassifier)
    assert hasattr(known, "coef_")
    raw = known.decision_function(X) if hasattr(known, "classes_") else known.predict(X)
    np.testing.assert_array_equal(known(X), raw)


def test_partial_dependence_on_a_table():
    X, y = table()
    known = model().fit(X, y)
    found = partial_dependence(known, X, ["shape"], categorical_features=["shape"])
    x, y_, z = found["average"][0]
    assert x > max(y_, z)


def test_an_encoder_by_name_takes_what_arrays_are_made_of():
    for check in (check_classifier_data_not_an_array, check_fit2d_predict1d):
        check("FMClassifier", model(encoder=FieldEncoder()))
