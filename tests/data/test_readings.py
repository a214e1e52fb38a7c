"""Which columns are read as names, quantities or text, without anyone saying so."""

import datetime
import decimal
import html
import re
import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.feature_extraction.text import CountVectorizer

from skfm import FieldEncoder
from skfm.data.frames import Column
from skfm.data.readings import ReadingWarning, why_identifier

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

N = 4000


def rng():
    return np.random.default_rng(0)


def uneven(n_values, seed=0):
    """Numbers of things, some of which are far more frequent than others."""
    odds = np.random.default_rng(seed).gamma(1.0, size=n_values)
    return rng().choice(n_values, N, p=odds / odds.sum())


def reading(name, values):
    """The reading of one column."""
    (row,) = FieldEncoder().fit(pd.DataFrame({name: values})).describe().to_dict("records")
    return row["reading"]


# -- names -------------------------------------------------------------------------------------------

IDENTIFIERS = [
    "id", "ID", "user_id", "userId", "UserID", "userid", "movieID", "PassengerId", "item", "customer",
    "zip_code", "zipcode", "Zip", "postal_code", "order_no", "phone_number", "invoice nr", "user_id_x",
    "categorical_7", "cat3",
    "item_idx", "user_index", "index", "device_ip", "id_user", "product.sku", "store",
    "level_id", "age_code", "occupation", "airline", "seller_key", "city",
]  # fmt: skip
QUANTITIES = [
    "age", "n_items", "num_users", "number_of_stores", "item_count", "user_age", "price", "year",
    "humid", "paid",
    "total", "items", "users", "rank", "x", "x0", "C14", "hours_per_week", "avg_city", "pixel_3", "valid",
    "bid", "number", "no", "max_code", "body_mass_index", "room_area",
]  # fmt: skip


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_names_of_identifiers(name):
    assert reading(name, [7, 3, 3, 12, 7, 5]) == "identifier"


@pytest.mark.parametrize("name", QUANTITIES)
def test_names_of_quantities(name):
    assert reading(name, [7, 3, 3, 12, 7, 5]) == "integer"


@pytest.mark.parametrize("name", [0, 7, ("a", "id"), 2.5])
def test_names_that_are_no_text_say_nothing(name):
    column = Column(name, "integer", np.array([7, 3, 3, 12]))
    assert why_identifier(column, np.ones(4)) is None


@pytest.mark.parametrize(
    "values",
    [
        [0, 1, 1, 0, 1, 1],  # one-hot, or yes and no
        [5, 5, 5, 5, 9, 9],
        [3, 3, 3, 3, 3, 3],
        [0, 0, 0, 0, 2, 3],  # words that are seldom there
        [-5, 3, 8, 12, 7, 5],
    ],
    ids=["0 and 1", "two values", "one value", "mostly 0", "negative"],
)
def test_values_that_are_none_of_ids_whatever_the_name(values):
    assert reading("user_id", 4 * values) == "integer"


def test_a_few_rows_overrule_no_name():
    assert reading("user_id", [0, 1, 0]) == "identifier"
    assert reading("user_id", [5]) == "identifier"
    assert reading("visits", [0, 1, 0]) == "integer"


def test_hashes_may_be_negative_and_minus_one_is_no_id():
    assert reading("user_id", [-(2**62), 2**61 + 7, 12, 2**62 + 1]) == "identifier"
    assert reading("user_id", [-1, -1, 4, 5, 6]) == "identifier"


# -- values ------------------------------------------------------------------------------------------


def rounded(period, spread=150):
    """Half of the numbers are rounded; one generator, or those would be the small ones."""
    generator = rng()
    values = generator.uniform(0, spread, N)
    return np.where(generator.random(N) < 0.5, np.round(values / period) * period, values)


OF_VALUES = {
    "numbers of things": (uneven(150), "identifier"),
    "from 100000": (100_000 + uneven(150), "identifier"),
    "in order": (np.sort(uneven(150)), "identifier"),
    "hashes of 64 bits": (rng().integers(-(2**63), 2**63 - 1, N), "identifier"),
    "few things": (uneven(60), "integer"),
    "few rows of each": (rng().integers(0, 3000, N), "integer"),
    "equally frequent": (rng().integers(0, 150, N), "integer"),
    "gaps": (7 * uneven(150), "integer"),
    "row numbers": (np.arange(N), "integer"),
    "shuffled row numbers": (rng().permutation(N), "integer"),
    "years": (rng().integers(1900, 2024, N), "integer"),
    "ages": (rng().normal(40, 14, N).clip(17, 90), "integer"),
    "measures": (rng().normal(500, 30, N), "integer"),
    "rounded to 10": (rounded(10), "integer"),
    "rounded to 5": (rounded(5), "integer"),
    "rounded to 2": (rounded(2), "integer"),
    "rounded to 60": (rounded(60, 300), "integer"),
    "counts": (rng().poisson(rng().gamma(0.5, 40, N)), "integer"),
    "long tails": (np.exp(rng().normal(3, 2, N)), "integer"),
    "cents": (rng().choice([199, 299, 999, 1999, 2499], N), "integer"),
    "population": (np.exp(rng().normal(10, 1.5, N)), "integer"),
    "seconds": (1.6e9 + rng().integers(0, 10**7, N), "integer"),
    "nanoseconds": (10**18 + rng().integers(0, 10**17, N), "integer"),
    "latitudes": (rng().normal(45, 10, N), "integer"),
    "survey": (rng().integers(1, 6, N), "integer"),
    "hours": (rng().integers(0, 24, N), "integer"),
    "flags": (rng().integers(0, 2, N), "integer"),
    "minutes of the day": (rng().normal(780, 200, N) % 1440, "integer"),
}


@pytest.mark.parametrize("what", OF_VALUES)
def test_values_of_a_column_whose_name_says_nothing(what):
    values, expected = OF_VALUES[what]
    assert reading("x", np.asarray(values).astype(np.int64)) == expected


def test_names_of_quantities_outweigh_values():
    assert reading("n_clicks", uneven(150)) == "integer"


@pytest.mark.parametrize("load", [load_digits, load_wine, load_breast_cancer])
def test_no_column_of_measures_is_an_identifier(load):
    X = load().data
    for scale in (1, 100):
        columns = [Column("x", "integer", np.round(scale * values).astype(np.int64)) for values in X.T]
        assert [why_identifier(column, np.ones(len(X))) for column in columns] == [None] * len(columns)


# -- types -------------------------------------------------------------------------------------------

MAKERS = {
    "int8": lambda values: pd.DataFrame({"id": np.array(values, np.int8)}),
    "Int64": lambda values: pd.DataFrame({"id": pd.Series([*values, None], dtype="Int64")}),
    "floats with NaN": lambda values: pd.DataFrame({"id": [*map(float, values), np.nan]}),
    "objects": lambda values: pd.DataFrame({"id": pd.Series([*values, None], dtype=object)}),
    "floats in objects": lambda values: pd.DataFrame(
        {"id": pd.Series([*map(float, values), np.nan], dtype=object)}
    ),
    "decimals": lambda values: pd.DataFrame({"id": [*map(decimal.Decimal, values), None]}),
    "several": lambda values: pd.DataFrame({"id": pd.Series([*values, 7.0, None], dtype=object)}),
    "arrow": lambda values: pa.table({"id": pa.array([*values, None])}),
    "polars": lambda values: pl.DataFrame({"id": [*values, None]}),
}
NEW = {
    "floats": pd.DataFrame({"id": [3.0, np.nan, 99.0]}),
    "integers": pd.DataFrame({"id": pd.Series([3, None, 99], dtype="Int64")}),
    "objects": pd.DataFrame({"id": pd.Series([3, None, 99], dtype=object)}),
}


@pytest.mark.parametrize("new", NEW)
@pytest.mark.parametrize("maker", MAKERS)
def test_identifiers_of_any_type_are_the_same_names(maker, new):
    encoder = FieldEncoder(min_frequency=1).fit(MAKERS[maker]([3, 12, 12, 7]))
    (row,) = encoder._table.describe()
    assert row["reading"] == "identifier"
    X = NEW[new] if maker not in ("polars", "arrow") else {
        "polars": pl.from_pandas, "arrow": pa.Table.from_pandas
    }[maker](NEW[new])  # fmt: skip
    named = encoder.get_feature_names_out()[encoder.transform(X).indices]
    assert named.tolist() == ["id=3", "id:missing", "id:other"]


def test_floats_without_a_missing_one_are_quantities():
    assert reading("id", [3.0, 5.0, 7.0, 7.0]) == "number"
    assert reading("id", [3.5, 5.0, np.nan, 7.0]) == "number"


@pytest.mark.parametrize("dtype", ["m8[s]", object])
def test_durations_are_no_identifiers(dtype):
    minutes = [None if minute == 3 else datetime.timedelta(minutes=minute) for minute in range(30)]
    assert reading("flight", pd.Series(minutes, dtype=dtype)) == "number"


def test_identifiers_are_encoded_as_categorical_says():
    X = pd.DataFrame({"user_id": uneven(50), "clicks": uneven(9)})
    found, named = FieldEncoder().fit(X), FieldEncoder(categorical=["user_id"]).fit(X)
    assert found.get_feature_names_out().tolist() == named.get_feature_names_out().tolist()
    np.testing.assert_array_equal(found.transform(X).toarray(), named.transform(X).toarray())


@pytest.mark.parametrize("said", [{"numeric": ["id"]}, {"bins": {"id": 4}}])
def test_parameters_overrule_identifiers(said):
    X = pd.DataFrame({"id": [3, 12, 12, 7]})
    assert FieldEncoder(**said).fit(X).describe()["reading"][0] in ("number", "integer")


def test_identifiers_are_hashed_where_all_names_are():
    X = pd.DataFrame({"id": [3, 12, 12, 7], "n": [1, 2, 3, 4]})
    encoder = FieldEncoder(hash=8).fit(X)
    assert [name.split(":")[0].split("#")[0] for name in encoder.get_feature_names_out()[:9]] == ["id"] * 9


def test_weights_are_rows():
    values, weight = uneven(150), rng().integers(0, 4, N)
    X = pd.DataFrame({"x": values, "name": [f"the {value} th of words" for value in values]})
    weighted = FieldEncoder().fit(X, sample_weight=weight).describe()
    repeated = FieldEncoder().fit(X.loc[np.repeat(np.arange(N), weight)]).describe()
    pd.testing.assert_frame_equal(weighted, repeated)


def test_readings_stay_in_partial_fit():
    encoder = FieldEncoder(min_frequency=1).partial_fit(pd.DataFrame({"id": [3, 12, 12, 7]}))
    encoder.partial_fit(pd.DataFrame({"id": [0, 0, 0, 1]}))
    assert encoder.describe()["reading"].tolist() == ["identifier"]
    assert encoder.get_feature_names_out().tolist()[-2:] == ["id=0", "id=1"]


# -- text --------------------------------------------------------------------------------------------

WORDS = ["the", "a", "of", "red", "blue", "green", "fast", "slow", "car", "boat", "tree", "house", "runs"]


def sentences(n=60, n_words=6, seed=0):
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, n_words)) for _ in range(n)]


def codes(make, n=60):
    return [make(number) for number in range(n)]


TEXTS = {
    "sentences": (sentences(), "text"),
    "with missing ones": ([*sentences(), None, None, ""], "text"),
    "three times each": (sentences() * 3, "category"),
    "few": (sentences(19), "category"),
    "two words": (codes(lambda number: f"Anna{number} Smith{number}"), "category"),
    "hashes": (codes(lambda number: f"{number * 7919:032x}"), "category"),
    "uuids": (codes(lambda number: f"{number:08x}-aaaa-bbbb-cccc-{number:012x}"), "category"),
    "addresses of mail": (codes(lambda number: f"name{number}@example.com"), "category"),
    "numbers and units": (codes(lambda number: f"{number} - {number + 1} kg"), "category"),
}


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
@pytest.mark.parametrize("what", TEXTS)
def test_text_is_told_from_names(what, dtype):
    values, expected = TEXTS[what]
    assert reading("x", pd.Series(values, dtype=dtype)) == expected


def test_a_category_of_many_rows_is_no_text():
    titles = sentences(40)
    assert reading("title", [titles[number % 40] for number in range(400)]) == "category"


WRITTEN = {
    "dates": (codes(lambda number: f"2024-01-{number % 28 + 1:02d}"), "datetimes"),
    "times": (codes(lambda number: f"2024-01-01T10:{number:02d}:00Z"), "datetimes"),
    "dollars": (codes(lambda number: f"${number},500.25"), "floats"),
    "euros": (codes(lambda number: f"{number}.10 €"), "floats"),
    "per cent": (codes(lambda number: f"{number}%"), "floats"),
    "thousands": (codes(lambda number: f"{number + 1},000"), "floats"),
    "decimals": (codes(lambda number: f"-{number}.5"), "floats"),
}


def frame(values, dtype=None):
    return pd.DataFrame({"x0": pd.Series(values, dtype=dtype)})


def array(values, dtype=object):
    return np.array([[value] for value in values], dtype=dtype)


# Tables of one column of text, and what such a table is once the remedy is followed.
TABLES = {
    "str": (partial(frame, dtype="str"), frame),
    "object": (partial(frame, dtype="object"), frame),
    "category": (partial(frame, dtype="category"), frame),
    "polars": (lambda values: pl.DataFrame({"x0": values}),) * 2,
    "pyarrow": (lambda values: pa.table({"x0": values}),) * 2,
    "array": (array, array),
    "array of text": (partial(array, dtype=str), array),
    "list": (lambda values: [[value] for value in values],) * 2,
}


def converted(text, what):
    if text is None:
        return None
    if what == "datetimes":
        return datetime.datetime.fromisoformat(text)
    try:
        return float(re.sub("[^0-9.e-]", "", text))
    except ValueError:
        return np.nan


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("what", WRITTEN)
def test_numbers_and_dates_written_as_text_are_pointed_out(what, table):
    """The remedy is what it says, whatever holds the column."""
    values, type_ = WRITTEN[what]
    hold, hold_mended = TABLES[table]
    X = hold(values)
    with pytest.warns(ReadingWarning) as caught:
        FieldEncoder().fit(X)
    assert [str(one.message) for one in caught] == [
        f"Column 'x0' holds {'dates' if type_ == 'datetimes' else 'numbers'} written as text "
        f"({values[0]!r}), which are read as names. Make {type_} of them, in a frame or an array of objects. "
        f"Names they stay, without this warning, with FieldEncoder(categorical=['x0'])."
    ]
    assert caught[0].filename == __file__
    mended = hold_mended([converted(value, type_) for value in values])
    expected = ("date",) if type_ == "datetimes" else ("number", "integer")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert FieldEncoder().fit(mended).describe()["reading"][0] in expected
        assert FieldEncoder(categorical=["x0"]).fit(X).describe()["reading"][0] == "category"


@pytest.mark.parametrize(
    "values",
    [
        codes(str),  # a code, for all that is known
        codes(lambda number: f"0{number}"),
        [*codes(lambda number: f"${number}.50"), "free"],
        ["1.5", "2.5", None] * 9,
        codes(lambda number: f"1.{number}.0"),
        codes(lambda number: f"10.0.0.{number}"),
    ],
)
def test_codes_are_no_numbers_written_as_text(values):
    assert reading("x", values) == "category"


def with_others(values, *others):
    """The values with others from row 5 on, a missing one before."""
    return [*values[:4], None, *others, *values[4:]]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("write", [str, lambda number: f" {number / 8:.3f}", lambda number: f"{number}e2"])
def test_text_among_numbers_is_pointed_out(write, table):
    """As a reader leaves a column with a few values that are no numbers; the remedy is what it says."""
    hold, hold_mended = TABLES[table]
    values = with_others(codes(write), "oops", "-")
    if table == "array of text":  # which holds no missing values
        values[4] = "1"
    X = hold(values)
    n = sum(value is not None for value in values)
    with pytest.warns(ReadingWarning) as caught:
        FieldEncoder().fit(X)
    assert [str(one.message) for one in caught] == [
        f"Column 'x0' holds 'oops' at row 5, which is no number, as {n - 2} of {n} values of the column are, "
        f"and so all are read as names. Mend it, or make floats of the column, NaN of such text, in a frame "
        f"or an array of objects. Names they stay, without this warning, with "
        f"FieldEncoder(categorical=['x0'])."
    ]
    assert caught[0].filename == __file__
    mended = hold_mended([converted(value, "floats") for value in values])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert FieldEncoder().fit(mended).describe()["reading"][0] in ("number", "integer")
        assert FieldEncoder(categorical=["x0"]).fit(X).describe()["reading"][0] == "category"


def test_a_value_of_many_rows_that_is_no_number():
    X = pl.DataFrame({"x": [*map(str, range(5001)), "oops", *map(str, range(5001))]})
    with pytest.warns(ReadingWarning, match="'oops' at row 5001, .* as 10002 of 10003 values") as caught:
        encoder = FieldEncoder().fit(X)
    assert len(caught) == 1
    again = FieldEncoder.from_state(encoder.get_state())
    assert again.describe().equals(encoder.describe())


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("user_id", with_others(codes(str), "oops")),
        ("x", with_others(codes(str)[:19], "oops")),
        ("x", with_others(codes(str)[:40], *(f"a{number}" for number in range(5)))),
        ("x", with_others([str(2**53 + number) for number in range(40)], "oops")),
    ],
)
def test_names_among_which_are_numbers_are_not_pointed_out(name, values):
    assert reading(name, values) == "category"


# -- descriptions --------------------------------------------------------------------------------------


def test_describe_counts_values_and_shares():
    X = pd.DataFrame(
        {
            "user_id": [7, 7, 7, 8, 9, 9, 9, 9, 1, 2],
            "site": ["a", "a", "a", None, "b", "c", "c", "c", "c", None],
            "clicks": pd.Series([1, 1, 1, None, 5, 6, 7, 8, 9, 10], dtype="Int64"),
            "price": [0.5, np.nan, *range(8)],
            "when": [pd.NaT, *pd.date_range("2024-01-01", periods=9)],
            "tags": [["x"], ["x", "y"], ["x"], None, *[[]] * 6],
        }
    )
    found = FieldEncoder(min_frequency=3).fit(X).describe()
    assert found.columns.tolist() == ["column", "reading", "why", "values", "rare", "missing"]
    assert found["column"].tolist() == list(X)
    assert found["reading"].tolist() == ["identifier", "category", "integer", "number", "date", "list"]
    assert found["values"].tolist() == [2, 2, 1, 0, 0, 1]
    np.testing.assert_allclose(found["rare"], [0.3, 0.1, 0.6, np.nan, np.nan, 0.2])
    np.testing.assert_allclose(found["missing"], [0, 0.2, 0.1, 0.1, 0.1, 0.1])


def test_describe_says_what_was_said():
    X = pd.DataFrame(
        {"a": [1, 1, 3], "b": ["x y", "z", None], "c": [1, 2, 3], "d": [3, 2, 1], "e": ["x|y"] * 3}
    )
    encoder = FieldEncoder(
        min_frequency=1,
        categorical=["a"],
        text=["b"],
        numeric=["c"],
        multi_hot={"e": "|"},
        crosses=[("a", "d")],
    )
    found = encoder.fit(X).describe()
    assert found["reading"].tolist() == ["category", "text", "number", "integer", "list"]
    assert found["why"].tolist()[:3] == ["named in categorical=", "named in text=", "named in numeric="]


@pytest.mark.parametrize(("min_frequency", "rare"), [("auto", 0), (3, 1)])
def test_describe_points_out_that_nothing_comes_again(min_frequency, rare):
    X = pd.DataFrame({"order_no": np.arange(50), "age": np.arange(50)})
    found = FieldEncoder(min_frequency=min_frequency).fit(X).describe()
    assert "nothing to learn" in found["why"][0]
    assert found["rare"][0] == rare
    assert "nothing" not in found["why"][1].replace("neither", "")


def test_shares_are_those_of_all_calls():
    parts = [pd.DataFrame({"a": [*"xxxy", None]}), pd.DataFrame({"a": [*"yyzz", None]})]
    encoder = FieldEncoder()
    for part in parts:
        encoder.partial_fit(part)
    whole = FieldEncoder(min_frequency=3).fit(pd.concat(parts, ignore_index=True))
    pd.testing.assert_frame_equal(encoder.describe(), whole.describe())


def test_describe_comes_back_from_a_state():
    X = pd.DataFrame({"id": [3, 12, 12, 7], "x": [1.5, None, 2, 2], "t": ["a b", "b", None, "a"]})
    encoder = FieldEncoder(min_frequency=1, text=["t"]).fit(X)
    again = FieldEncoder.from_state(encoder.get_state())
    pd.testing.assert_frame_equal(again.describe(), encoder.describe())


def test_notebooks_show_the_readings():
    encoder = FieldEncoder(min_frequency=1)
    assert "Readings" not in encoder._repr_html_()
    encoder.fit(pd.DataFrame({"<b>": [1, 2], "site": ["x", "y"]}))
    for shown in (encoder._repr_html_(), encoder._repr_mimebundle_()["text/html"]):
        assert "<summary>Readings</summary>" in shown
        assert f"<td>{html.escape('<b>')}</td><td>integer</td>" in shown
    assert "Readings" not in clone(encoder)._repr_html_()


def test_counts_of_words_are_no_identifiers():
    words = CountVectorizer().fit([*sentences(), "user item code id city"])
    counts = words.transform(sentences()).toarray()
    X = pd.DataFrame(counts, columns=words.get_feature_names_out())
    assert set(FieldEncoder().fit(X).describe()["reading"]) == {"integer"}


def test_a_column_that_is_no_longer_of_whole_numbers_is_named():
    first, later = pd.DataFrame({"p": np.arange(40)}), pd.DataFrame({"p": np.arange(40) / 3})
    encoder = FieldEncoder().partial_fit(first)
    encoder.partial_fit(first.astype(float))
    with pytest.warns(ReadingWarning, match=r"'p' held whole numbers.*numeric=\['p'\]"):
        encoder.partial_fit(later)
    known = FieldEncoder(numeric=["p"])
    known.partial_fit(first).partial_fit(later)
    FieldEncoder().partial_fit(pd.concat([first, later])).partial_fit(later)


@pytest.mark.parametrize("weight", [1e18, 1e20, 1e300, 1.7e308])
@pytest.mark.parametrize(
    "values", [[0, 5, 2**40, 2**61], list(range(4)), ["a b c", "d e f", "g h i", "j k l"]], ids=str
)
def test_readings_under_weights_of_any_size(weight, values):
    """Neither memory for all numbers of the range, nor a sum beyond floats."""
    table = pd.DataFrame({"x": values})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = FieldEncoder().fit(table, sample_weight=np.full(4, weight)).describe()
    assert list(found["reading"]) == list(FieldEncoder().fit(table).describe()["reading"])
