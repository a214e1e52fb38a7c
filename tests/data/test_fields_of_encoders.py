"""What ``fields="auto"`` finds in the output of scikit-learn's encoders."""

import warnings
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler

from skfm import FMClassifier
from skfm.data.fields import find_fields, resolve_fields
from skfm.data.validate import canonical_csr

DROPS = [None, "first", "if_binary", "an array"]
POOLED = "pooled"


def smallest_number(nonzero):
    """Of contiguous blocks in which no row has two nonzeros, by the shortest path over all blocks."""
    best = np.full(nonzero.shape[1] + 1, nonzero.shape[1])
    best[0] = 0
    for start in range(nonzero.shape[1]):
        ends = start + 1 + np.flatnonzero(nonzero[:, start:].cumsum(axis=1).max(axis=0) <= 1)
        best[ends] = np.minimum(best[ends], best[start] + 1)
    return best[-1]


def found(X):
    """Fields as the estimators find them, or POOLED, after a check of all that holds of any matrix."""
    X = canonical_csr(X)
    nonzero = X.toarray() != 0
    blocks = find_fields(X)
    assert blocks[0] == 0
    assert set(np.diff(blocks)) <= {0, 1}
    assert (nonzero @ np.eye(blocks[-1] + 1, dtype=int)[blocks]).max() <= 1
    n_blocks = smallest_number(nonzero)
    assert blocks[-1] + 1 == n_blocks
    too_many = n_blocks > max(64, 2 * nonzero.sum(axis=1).mean())
    fields, n_pooled = resolve_fields("auto", X)
    assert n_pooled == (n_blocks if too_many else 0)
    np.testing.assert_array_equal(fields, 0 * blocks if too_many else blocks)
    return POOLED if too_many else fields.tolist()


def variables(encoder):
    """The variable of each column, counted over the variables that have columns."""
    names = [name.split("_")[0] for name in encoder.get_feature_names_out()]
    return np.unique(names, return_inverse=True)[1].tolist()


def skewed_table(n_rows, sizes, seed=0):
    """Categories of falling frequency, in another order in each variable."""
    rng = np.random.default_rng(seed)
    shares = [rng.permutation(0.6 ** np.arange(size)) for size in sizes]
    return np.stack([rng.choice(share.size, n_rows, p=share / share.sum()) for share in shares], axis=1)


def dropped(drop, table):
    """An array names the most frequent category of each variable: infrequent ones cannot be dropped."""
    return [np.bincount(column).argmax() for column in table.T] if drop == "an array" else drop


@pytest.mark.parametrize("drop", DROPS)
@pytest.mark.parametrize("handle_unknown", ["error", "ignore", "infrequent_if_exist", "warn"])
@pytest.mark.parametrize(
    "grouping", [{}, {"min_frequency": 200}, {"min_frequency": 0.15}, {"max_categories": 3}], ids=str
)
def test_the_fields_of_a_one_hot_encoder_are_its_variables(drop, handle_unknown, grouping):
    table = skewed_table(2000, [4, 2, 7, 2, 6, 1, 3])
    encoder = OneHotEncoder(drop=dropped(drop, table), handle_unknown=handle_unknown, **grouping)
    assert found(encoder.fit_transform(table)) == variables(encoder)
    assert any("infrequent" in name for name in encoder.get_feature_names_out()) == bool(grouping)
    if handle_unknown != "error":
        # Values that are encoded as an empty, infrequent or dropped category.
        table[np.random.default_rng(1).random(table.shape) < 0.2] = 99
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            assert found(encoder.transform(table)) == variables(encoder)


@pytest.mark.parametrize("drop", DROPS)
@pytest.mark.parametrize("n_rows", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("seed", range(3))
def test_few_rows_give_the_variables_unless_a_category_is_dropped(drop, n_rows, seed):
    table = skewed_table(n_rows, [3, 2, 5, 2, 4], seed)
    table = np.vstack([table, table.max(axis=0) + 1])  # no variable loses all of its columns
    encoder = OneHotEncoder(drop=dropped(drop, table))
    fields = found(encoder.fit_transform(table))
    # The row of a variable's first category has some category of the variable before it, if none is dropped.
    assert fields == variables(encoder) if drop is None else fields[-1] <= variables(encoder)[-1]


def test_neighbours_that_no_row_has_both_are_one_field():
    table = np.array([[0, 0, 0], [1, 0, 1], [0, 1, 1], [0, 1, 0]])
    assert found(OneHotEncoder(drop="first").fit_transform(table)) == [0, 0, 1]
    # A number that is zero in each row of a variable's first categories takes these, though no others.
    number, variable = [[0], [0], [7], [0]], OneHotEncoder().fit_transform([[0], [1], [2], [3]])
    assert found(sparse.hstack([number, variable])) == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(("unseen", "expected"), [("z", [0, 0, 0, 1, 1, 1]), ("A", [0, 0, 0, 0, 1, 1])])
def test_a_category_that_no_row_has_joins_the_columns_before_it(unseen, expected):
    encoder = OneHotEncoder(categories=[sorted(["a", "b", unseen])] * 2)
    assert found(encoder.fit_transform([["a", "a"], ["b", "b"], ["a", "b"]])) == expected


def transformed(order, kind, n_rows, texts=None):
    """Two numbers, two variables (of 4 and 3 categories) and a text in each row, encoded in this order."""
    rng = np.random.default_rng(0)
    table = np.empty((n_rows, 5), dtype=object)
    table[:, :2] = rng.normal(3.0, 2.0, (n_rows, 2))
    # The last word of all is in the last row, so this must have the first category to be told from it.
    table[:, 2], table[:, 3], table[:, 4] = np.arange(n_rows)[::-1] % 4, rng.permutation(n_rows) % 3, texts
    encoders = {
        "numbers": (StandardScaler(), [0, 1]),
        "variables": (OneHotEncoder(), [2, 3]),
        "text": (TfidfVectorizer(), 4),
    }
    encode = ColumnTransformer([(name, *encoders[name]) for name in order], sparse_threshold=kind == "sparse")
    X = encode.fit_transform(table)
    assert sparse.issparse(X) == (kind == "sparse")
    return X


@pytest.mark.parametrize("kind", ["sparse", "dense"])
def test_each_number_and_each_variable_of_a_column_transformer_is_a_field(kind):
    assert found(transformed(["numbers", "variables"], kind, 60)) == [0, 1, 2, 2, 2, 2, 3, 3, 3]
    assert found(transformed(["variables", "numbers"], kind, 60)) == [0, 0, 0, 0, 1, 1, 1, 2, 3]


@pytest.mark.parametrize("kind", ["sparse", "dense"])
@pytest.mark.parametrize("n_words", [60, 61, 400])
def test_a_column_transformer_with_many_words_has_one_pooled_field(kind, n_words):
    # A row has two consecutive words: each word is a block, beside the four of the other columns.
    texts = [f"w{i:03} w{i + 1:03}" for i in range(n_words - 1)]
    words = list(range(n_words))
    X = transformed(["text", "variables", "numbers"], kind, n_words - 1, texts)
    others = n_words + np.array([0, 0, 0, 0, 1, 1, 1, 2, 3])
    assert found(X) == ([*words, *others] if n_words == 60 else POOLED)
    X = transformed(["numbers", "variables", "text"], kind, n_words - 1, texts)
    others = [0, 1, 2, 2, 2, 2, 3, 3, 3]
    assert found(X) == ([*others, *np.add(words, 4)] if n_words == 60 else POOLED)


@pytest.mark.parametrize(
    ("n_words", "words_per_text", "pooled"),
    [(40, 6, False), (300, 12, True), (100, 49, True), (100, 50, False), (100, 100, False)],
)
def test_texts_are_pooled_unless_their_words_are_few_or_half_of_them_in_each(n_words, words_per_text, pooled):
    rng = np.random.default_rng(0)
    words = np.array([f"w{i:03}" for i in range(n_words)])
    texts = [" ".join(rng.choice(words, words_per_text, replace=False)) for _ in range(500)]
    assert (found(TfidfVectorizer(vocabulary=words).fit_transform(texts)) == POOLED) == pooled


@pytest.mark.parametrize("alternate_sign", [False, True])
@pytest.mark.parametrize("n_features", [4, 16, 64, 256])
def test_hashed_variables_have_the_smallest_number_of_blocks_or_are_pooled(alternate_sign, n_features):
    table = np.random.default_rng(0).integers(30, size=(300, 12))
    rows = [[f"{i}={value}" for i, value in enumerate(row)] for row in table]
    X = FeatureHasher(n_features, input_type="string", alternate_sign=alternate_sign).transform(rows)
    assert X.nnz < table.size  # some rows have two values in one bucket
    if n_features == 4:
        assert (0 in X.data) == alternate_sign  # is stored where such values cancel, and is no nonzero
    assert (found(X) == POOLED) == (n_features == 256)


# Not "quantile", whose default method warns in some releases of scikit-learn.
@pytest.mark.parametrize("strategy", ["uniform", "kmeans"])
@pytest.mark.parametrize("encode", ["onehot", "onehot-dense"])
def test_the_fields_of_bins_are_their_variables(strategy, encode):
    table = np.random.default_rng(0).exponential(size=(200, 4))
    X = KBinsDiscretizer([2, 30, 3, 8], encode=encode, strategy=strategy).fit_transform(table)
    assert np.all(X.sum(axis=0)) == (strategy == "kmeans")  # uniform bins may be empty
    assert found(X) == [0] * 2 + [1] * 30 + [2] * 3 + [3] * 8


@cache
def all_partitions(n_columns):
    """Block number of each column, for each way to put borders between columns."""
    borders = np.arange(2 ** (n_columns - 1))[:, None] >> np.arange(n_columns - 1) & 1
    return np.insert(borders, 0, 0, axis=1).cumsum(axis=1)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(0, 8), st.integers(0, 10)),
        elements=st.sampled_from([0.0, 0.0, 0.0, 0.0, -1.0, 2.0]),
    ),
    st.randoms(use_true_random=False),
)
def test_no_partition_has_fewer_blocks_whatever_the_order_of_the_rows(X, random):
    n_rows, n_columns = X.shape
    fields = find_fields(sparse.csr_array(X))
    assert fields.shape == (n_columns,)
    if n_columns:
        partitions = all_partitions(n_columns)
        in_block = partitions[:, :, None] == np.arange(n_columns)
        n_in_block = np.einsum("rc,pcb->prb", (X != 0).astype(int), in_block.astype(int))
        allowed = partitions[n_in_block.max(axis=(1, 2), initial=0) <= 1]
        assert fields.tolist() in allowed.tolist()
        assert fields[-1] == allowed[:, -1].min()
    again = random.choices(range(n_rows), k=3) if n_rows else []
    rows = np.vstack([X, X[again], np.zeros((2, n_columns))])
    order = random.sample(range(len(rows)), len(rows))
    np.testing.assert_array_equal(find_fields(sparse.csr_array(rows[order])), fields)


def test_the_fields_are_found_anew_in_each_fold():
    table = skewed_table(90, [3, 4, 2])
    # Three categories in the first fold only, one in the second.
    table[0], table[40, 1] = [7, 8, 9], 7
    classifier = FMClassifier(2, fields="auto", max_iter=1, solver="adagrad", early_stopping=False)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), classifier)
    result = cross_validate(model, table, np.arange(90) % 2, cv=KFold(3), return_estimator=True)
    for fold, n_columns in zip(result["estimator"], [9 + 1, 9 + 3, 9 + 4], strict=True):
        assert fold[-1].fields_.tolist() == variables(fold[0])
        assert fold[-1].fields_.size == n_columns
