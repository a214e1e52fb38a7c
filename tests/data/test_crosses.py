"""Crossed columns of FieldEncoder."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.data.encoders import fitted, names, pd, pl

TABLE = {"a": ["x", "y", None, "x", "xy"], "b": ["u", "u", "v", "v", "z"], "n": [1, 2, 3, 1, 2]}
FRAME = pd.DataFrame(TABLE)


def slots_of(encoder, X):
    """Slot of each row in the last field."""
    last = encoder.transform(X).toarray()[:, encoder.fields_ == encoder.fields_.max()]
    assert np.all(np.count_nonzero(last, axis=1) == 1)
    return np.argmax(last != 0, axis=1)


def test_pairs_of_values_are_a_field_behind_all_others():
    encoder = fitted(FRAME, crosses=[("a", "b"), ("b", "n")], cross_slots=1000)
    plain = fitted(FRAME)
    n_plain = plain.fields_.size
    assert encoder.fields_.max() == plain.fields_.max() + 2
    assert encoder.field_columns_[-2:].tolist() == [3, 4]
    assert names(encoder)[:n_plain] == names(plain)
    assert names(encoder)[n_plain] == "a*b#0"
    assert names(encoder)[-1] == "b*n:missing"
    assert_array_equal(encoder.transform(FRAME).toarray()[:, :n_plain], plain.transform(FRAME).toarray())
    assert len(set(slots_of(encoder, FRAME).tolist())) == 5


def test_a_pair_with_a_missing_value_is_missing():
    encoder = fitted(FRAME, crosses=[("a", "b")], cross_slots=1000)
    assert slots_of(encoder, FRAME).tolist().index(1000) == 2


def test_equal_pairs_share_a_slot_and_joined_text_is_not_a_pair():
    encoder = fitted(FRAME, crosses=[("a", "b")], cross_slots=10**6)
    table = pd.DataFrame({"a": ["q", "q", "qr", "q"], "b": ["rs", "rs", "s", "s"], "n": [1, 1, 1, 1]})
    slots = slots_of(encoder, table)
    assert slots[0] == slots[1]
    assert len(set(slots.tolist())) == 3


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, lambda table: np.array(list(table.values()), object).T]
)
def test_every_kind_of_table_hashes_alike(make):
    by_name = fitted(FRAME, crosses=[("a", "b")], cross_slots=50)
    encoder = fitted(make(TABLE), crosses=[(0, 1)], cross_slots=50)
    assert_array_equal(slots_of(encoder, make(TABLE)), slots_of(by_name, FRAME))


def test_numbers_are_crossed_by_their_value():
    ints = pd.DataFrame({"a": [1, 2, 1], "b": [True, False, True]})
    floats = pd.DataFrame({"a": [1.0, 2.0, 1.0], "b": [1, 0, 1]})
    slots = [slots_of(fitted(X, crosses=[("a", "b")], cross_slots=99), X).tolist() for X in (ints, floats)]
    assert slots[0] == slots[1]
    assert slots[0][0] == slots[0][2] != slots[0][1]


def test_values_come_back_without_crosses():
    encoder = fitted(FRAME, crosses=[("a", "b")], cross_slots=9)
    assert encoder.inverse_transform(encoder.transform(FRAME))[:, :2].tolist() == [
        list(pair) for pair in zip(TABLE["a"], TABLE["b"], strict=True)
    ]


def test_copies_signs_and_growing_tables():
    encoder = fitted(FRAME, crosses=[("a", "b")], cross_slots=9, signed_hash=True)
    known = encoder.transform(FRAME).toarray()
    assert {-1.0, 1.0} >= set(known[:, -10:].ravel().tolist()) - {0.0}
    assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(FRAME).toarray(), known)
    more = pd.DataFrame({"a": ["new"], "b": ["w"], "n": [1]})
    encoder.partial_fit(more)
    assert_array_equal(encoder.transform(FRAME).toarray()[:, : known.shape[1]], known)
    assert names(encoder).index("a=new") == known.shape[1]
    assert encoder.transform(more).toarray()[0, known.shape[1]] == 1


@pytest.mark.parametrize(
    ("crosses", "message"),
    [
        (["ab"], "holds 'ab'; expected pairs of columns"),
        ([("a", "b", "n")], "expected pairs of columns"),
        ([("a", "c")], "crosses= names 'c', which is no column of X"),
        ([("a", "a")], "crosses column 'a' with itself"),
        ([("a", "l")], "crosses= names column 'l', which holds lists"),
    ],
)
def test_what_is_no_cross(crosses, message):
    table = FRAME.assign(l=[["p"], [], ["p", "q"], None, ["q"]])
    with pytest.raises(ValueError, match=message):
        fitted(table, crosses=crosses)
