"""Rows of events: histories, parts and negative rows, found again one by one."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skfm import FieldEncoder, LinearClassifier
from skfm.datasets import _clicks, make_click_rows

pd = pytest.importorskip("pandas")
PARTS = ("train", "valid", "test")


def random_log(seed=0, n=200, n_users=12, n_items=40):
    """Events in random order, with repeated items and ties in time."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, n_users, n) * rng.integers(1, 3, n)
    return user, rng.integers(0, n_items, n), rng.integers(0, 30, n)


def sequences(user, item, time):
    """Items of each user in order of time; Python's sort keeps the order of ties."""
    rows = sorted(range(len(user)), key=lambda row: time[row])
    found = {}
    for row in rows:
        found.setdefault(user[row], []).append(item[row])
    return {key: found[key] for key in sorted(found)}


def expected_positives(log, min_history, max_length):
    parts = {name: [] for name in PARTS}
    for user, items in sequences(*log).items():
        split = len(items) >= max(3, min_history + 2)
        for place, item in enumerate(items):
            left = len(items) - place
            name = {1: "test", 2: "valid"}.get(left, "train") if split else "train"
            if name != "train" or place >= min_history:
                parts[name].append(
                    (user, item, items[max(0, place - max_length) : place], set(items[: place + 1]))
                )
    return parts


@pytest.mark.parametrize("min_history", [0, 1, 4])
@pytest.mark.parametrize("max_length", [1, 3, 50])
@pytest.mark.parametrize("few", [False, True])
def test_rows_are_those_of_a_loop_over_users(monkeypatch, min_history, max_length, few):
    """`few` items make most draws the other way, in several pieces."""
    monkeypatch.setattr(_clicks, "_MAX_KEYS", 1 << 8)
    user, item, time = random_log(n_items=26 if few else 60)
    m = {"train": 2, "valid": 5, "test": 5}
    options = {"n_negatives": 2, "n_test_negatives": 5, "min_history": min_history, "max_length": max_length}
    rows = make_click_rows(user, item, time, random_state=0, **options)
    assert list(rows) == list(PARTS)
    for name, positives in expected_positives((user, item, time), min_history, max_length).items():
        part, size = rows[name], m[name] + 1
        data = part.data
        assert list(data) == ["user", "item", "history"]
        assert_array_equal(data.index, np.arange(len(positives) * size))
        assert_array_equal(part.groups, np.repeat(np.arange(len(positives)), size))
        assert part.target.dtype == np.int8
        assert_array_equal(part.target, np.tile([1] + [0] * m[name], len(positives)))
        for group, (who, what, history, taken) in enumerate(positives):
            mine = data[group * size : (group + 1) * size]
            assert set(mine["user"]) == {who}
            assert mine["item"].iloc[0] == what
            assert all(one == history for one in mine["history"])
            negatives = set(mine["item"].iloc[1:])
            assert len(negatives) == m[name]
            assert not negatives & taken
            assert negatives <= set(item.tolist())


@pytest.mark.parametrize("n_items", [6, 60])
def test_negatives_are_even_over_items_not_taken_yet(n_items):
    """Items that are taken only later are drawn as often as those that never are."""
    n_users = 500
    user = [*np.repeat(np.arange(n_users), 6), *[n_users] * n_items]
    item = [*[0, 1, 0, 2, 3, 4] * n_users, *range(n_items)]
    rows = make_click_rows(user, item, n_negatives=2, n_test_negatives=0, random_state=0)
    drawn = rows.train.data["item"].to_numpy()[: 9 * n_users].reshape(n_users, 3, 3)
    assert_array_equal(drawn[:, :, 0], np.tile([1, 0, 2], (n_users, 1)))
    for event, taken in enumerate([[0, 1], [0, 1], [0, 1, 2]]):
        found = np.bincount(drawn[:, event, 1:].ravel(), minlength=n_items)
        assert not found[taken].any()
        mean = 2 * n_users / (n_items - len(taken))
        # Without repetition counts vary less than those of Poisson.
        assert (abs(np.delete(found, taken) - mean) < 4 * np.sqrt(mean)).all()


def test_test_negatives_are_items_that_the_user_never_takes():
    user, item, time = random_log(3)
    rows = make_click_rows(user, item, time, n_test_negatives=10, random_state=0)
    ever = sequences(user, item, time)
    negative = rows.test.data[rows.test.target == 0]
    assert not any(what in ever[who] for who, what in zip(negative["user"], negative["item"], strict=True))


def test_later_events_change_nothing_of_the_rows_before():
    user, item = ["a"] * 6 + ["b"] * 3, list("uvwxyzuvw")
    rows = make_click_rows(user, item, n_negatives=0, n_test_negatives=0)
    longer = make_click_rows([*user, "a"], [*item, "u"], n_negatives=0, n_test_negatives=0)
    first = rows.train.data[rows.train.data["user"] == "a"]
    pd.testing.assert_frame_equal(longer.train.data[: len(first)], first)
    assert longer.test.data["history"][0] == list("uvwxyz")


def test_order_without_time_is_that_of_the_rows():
    user, item, _ = random_log(1)
    options = {"n_test_negatives": 3, "random_state": 0}
    rows = make_click_rows(user, item, **options)
    for time in (np.arange(user.size), np.zeros(user.size), [f"{i:05}" for i in range(user.size)]):
        timed = make_click_rows(user, item, time, **options)
        for name in PARTS:
            pd.testing.assert_frame_equal(timed[name].data, rows[name].data)


def test_dates_and_text_as_times():
    user, item, time = random_log(2)
    options = {"n_test_negatives": 3, "random_state": 0}
    rows = make_click_rows(user, item, time, **options)
    dates = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(time, unit="h")
    for other in (pd.Series(dates), pd.Series(dates.tz_localize(None)), [str(date) for date in dates]):
        pd.testing.assert_frame_equal(make_click_rows(user, item, other, **options).test.data, rows.test.data)


def test_users_and_items_of_any_type():
    user, item, time = random_log(4)
    options = {"n_test_negatives": 3, "random_state": 0}
    rows = make_click_rows(user, item, time, **options)
    names = np.array([f"user {i:02}" for i in range(40)])
    for index in (None, np.arange(user.size)[::-1]):
        text = make_click_rows(
            pd.Series(names[user], index=index), pd.Series(item, index=index), time, **options
        )
        assert sorted(text.test.data["user"].unique()) == sorted(names[rows.test.data["user"].unique()])
        mine = text.test.data[text.test.target == 1].set_index("user")["history"]
        for who, history in rows.test.data[rows.test.target == 1].set_index("user")["history"].items():
            assert mine[names[who]] == history


def test_the_same_seed_gives_the_same_rows():
    log = random_log()
    made = [
        make_click_rows(*log, n_test_negatives=9, random_state=state)
        for state in (1, 1, np.random.RandomState(1), 2)
    ]
    for name in PARTS:
        for other in made[1:3]:
            pd.testing.assert_frame_equal(made[0][name].data, other[name].data)
        assert not made[0][name].data["item"].equals(made[3][name].data["item"])
        pd.testing.assert_series_equal(made[0][name].data["history"], made[3][name].data["history"])


def test_users_with_few_events_make_training_rows_only():
    user, item = ["few"] * 2 + ["one"] + ["many"] * 4, [1, 2, 3, 1, 2, 3, 4]
    rows = make_click_rows(user, item, n_negatives=0, n_test_negatives=0)
    assert rows.train.data["user"].tolist() == ["few", "many"]
    for name in ("valid", "test"):
        assert rows[name].data["user"].tolist() == ["many"]


def test_features_are_those_of_the_items():
    user, item, time = random_log(5)
    features = {"kind": {i: f"kind {i % 3}" for i in range(40)}, "price": pd.Series(np.arange(50) / 4)}
    rows = make_click_rows(user, item, time, n_test_negatives=4, item_features=features, random_state=0)
    for name in PARTS:
        data = rows[name].data
        assert list(data) == ["user", "item", "history", "kind", "history_kind", "price", "history_price"]
        assert data["kind"].tolist() == [f"kind {i % 3}" for i in data["item"]]
        assert data["price"].dtype == np.float64
        assert_array_equal(data["price"], data["item"] / 4)
        for history, kinds, prices in data[["history", "history_kind", "history_price"]].itertuples(
            index=False
        ):
            assert kinds == [f"kind {i % 3}" for i in history]
            assert prices == [i / 4 for i in history]


def test_estimators_take_the_rows():
    user, item, time = random_log()
    rows = make_click_rows(user, item, time, n_test_negatives=5, min_history=0, random_state=0)
    encoder = FieldEncoder(categorical=["user"], shared={"item": ["item", "history"]})
    model = LinearClassifier(encoder=encoder, random_state=0).fit(rows.train.data, rows.train.target)
    assert model.predict_proba(rows.test.data).shape == (len(rows.test.target), 2)


# ------------------------------------------------------------------------------------------------- errors


def test_bad_events():
    good = {"user": [1, 1, 1, 1], "item": [1, 2, 3, 4], "time": [1, 2, 3, 4]}
    for change, message in (
        ({"user": [1, None, 1, 1]}, "user is missing at row 1"),
        ({"item": ["a", "b", np.nan, "c"]}, "item is missing at row 2"),
        ({"time": [1, 2, 3, np.nan]}, "time is missing at row 3"),
        ({"time": [1, "b", 3, None]}, "time is missing at row 3"),
        ({"time": np.array([1, "b", 3, 4], dtype=object)}, "time holds values that cannot be ordered"),
        ({"item": [1, 2, 3]}, "inconsistent numbers of samples"),
        ({"time": [1, 2, 3]}, "inconsistent numbers of samples"),
        ({"item": [[1], [2], [3], [4]]}, r"item must have one value a row, got an array of shape \(4, 1\)"),
        ({"user": [], "item": [], "time": []}, "hold no events"),
        ({"user": [1, 1, 2, 2]}, "no rows for valid: no user has enough events.*user 1 has the most, 2"),
        ({"user": [1, 1, 1, 2]}, "no rows for train: no user has enough events.*one of 4; user 1 .* most, 3"),
    ):
        with pytest.raises(ValueError, match=message):
            make_click_rows(**{**good, **change}, n_test_negatives=0)


def test_bad_options():
    for option, least in (("n_negatives", 0), ("n_test_negatives", 0), ("min_history", 0), ("max_length", 1)):
        with pytest.raises(ValueError, match=f"{option} == {least - 1}, must be >= {least}"):
            make_click_rows([1] * 4, [1, 2, 3, 4], **{option: least - 1})
        with pytest.raises(TypeError, match=f"{option} must be an instance of"):
            make_click_rows([1] * 4, [1, 2, 3, 4], **{option: 1.5})


def test_too_few_items_to_draw_from():
    user, item = ["ann"] * 4 + ["bob"] * 3, [1, 2, 3, 4, 5, 6, 7]
    made = make_click_rows(user, item, n_test_negatives=3)
    assert sorted(made.test.data["item"][:4]) == [4, 5, 6, 7]
    message = (
        r"User ann has taken 4 of the 7 items, which leaves 3 for n_test_negatives=4 negative rows. Lower"
    )
    with pytest.raises(ValueError, match=message):
        make_click_rows(user, item, n_test_negatives=4)
    with pytest.raises(
        ValueError, match=r"leaves 5 for n_negatives=6 negative rows\. Lower n_negatives to 5"
    ):
        make_click_rows(user, item, n_negatives=6, n_test_negatives=0)


def test_bad_features():
    user, item = [1] * 4, [1, 2, 3, 4]
    full = dict.fromkeys(item, "x")
    for features, message in (
        ({"kind": {1: "x"}}, "'kind' has no value for item 2"),
        ({"item": full}, "there is a column 'item' already"),
        ({"kind": full, "history_kind": full}, "there is a column 'history_kind' already"),
        ({"history_kind": full, "kind": full}, "there is a column 'history_kind' already"),
    ):
        with pytest.raises(ValueError, match=message):
            make_click_rows(user, item, n_negatives=0, n_test_negatives=0, item_features=features)


def test_pandas_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"make_click_rows needs pandas: install skfm\[pandas\]"):
        make_click_rows([1] * 4, [1, 2, 3, 4], n_test_negatives=0)
