"""Sequences of events, such as clicks, as rows of an item and what came before it."""

from __future__ import annotations

from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch, check_consistent_length, check_random_state, check_scalar

from skfm.data.frames import numbered

# The random keys that are held at once, for rows whose users have taken most items.
_MAX_KEYS = 1 << 22


def make_click_rows(
    user,
    item,
    time=None,
    *,
    n_negatives=1,
    n_test_negatives=99,
    min_history=1,
    max_length=50,
    item_features=None,
    random_state=None,
):
    """Make rows for training and evaluation from the events of users (leave-one-out).

    Each event becomes a positive row: the user, the item, and the items that the user took before. For each
    positive row there are negative rows, with the same user and history and another item. Of each user the
    last event is for the test, the one before for validation, the others are for training.

    Parameters
    ----------
    user, item : array-like of shape (n_events,)
        User and item of each event, of any type that can be a key of a dict; in any order.
    time : array-like of shape (n_events,), default=None
        Time of each event: numbers, dates or sortable text. Events of a user at one time, or all of them if
        None, are in the order given.
    n_negatives : int, default=1
        Negative rows for each positive row of `train`; may be 0.
    n_test_negatives : int, default=99
        Negative rows for each positive row of `valid` and `test`; may be 0.
    min_history : int, default=1
        Events with fewer events of the user before them make no row, but are in the history of later ones.
    max_length : int, default=50
        Length of a history at most: the latest items are kept.
    item_features : dict of name to dict or pandas Series, default=None
        For each name the value of each item, such as ``{"category": {"tea": "food", "mug": "kitchen"}}``.
    random_state : int, RandomState instance or None, default=None
        Draws the negative items.

    Returns
    -------
    rows : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with `train`, `valid` and `test`, each a Bunch with the following attributes.

        data : DataFrame
            Columns `user`, `item` and `history`, a list of items from the oldest to the latest. For each name
            in `item_features` a column of that name, of the item, and ``history_<name>``, of the history.
        target : ndarray of int8
            1 where the user took the item, 0 in negative rows.
        groups : ndarray of int64
            0, 1, ...: number of the positive row, also of its negative rows; for `group_hit_rate_score`.

    Raises
    ------
    ImportError
        If pandas is not installed.
    ValueError
        If a user, an item or a time is missing, no user has enough events for one of the parts, an item has
        no feature, or a user has taken so many items that there are too few to draw from.

    Notes
    -----
    Rows know nothing of what comes after them. A history holds earlier events only, and negative items are
    drawn evenly, without repetition in a group, from the items that the user has not taken up to and
    including the event. An item that the user takes only later can be a negative one, as it would be at that
    time: were it left out, a model could learn from its absence. For test rows these are the items that the
    user never takes. What the log as a whole tells is not held back: the items are those of the whole log,
    and the training event of one user may be later than the test event of another.

    An item of the history is never a negative one, so where users take items again a model learns that too.
    Drop repeated pairs of a user and an item first where only new items count.

    Users with fewer than 3 events, or `min_history` + 2 if that is more, make training rows only. Rows are in
    order of the user and the time, in a group the positive row is the first. Rows of a group share one list
    as their history.

    Scores among few negatives are not those among all items, and may rank models differently (Krichene and
    Rendle). O(n_events log(n_events)) plus the rows; where a user has taken most items, a draw costs
    O(n_items).

    References
    ----------
    X. He et al., "Neural collaborative filtering", WWW 2017. https://arxiv.org/abs/1708.05031

    W. Krichene and S. Rendle, "On sampled metrics for item recommendation", KDD 2020.
    https://doi.org/10.1145/3394486.3403226

    Examples
    --------
    >>> from skfm.datasets import make_click_rows
    >>> user = ["ann", "ann", "ann", "ann", "bob", "bob", "bob", "bob"]
    >>> item = ["tea", "mug", "jam", "cup", "mug", "tea", "pan", "jam"]
    >>> rows = make_click_rows(user, item, n_test_negatives=1, random_state=0)
    >>> positive = rows.train.target == 1
    >>> rows.train.data[positive]
      user item history
    0  ann  mug   [tea]
    2  bob  tea   [mug]
    >>> rows.test.data
      user item          history
    0  ann  cup  [tea, mug, jam]
    1  ann  pan  [tea, mug, jam]
    2  bob  jam  [mug, tea, pan]
    3  bob  cup  [mug, tea, pan]
    >>> rows.test.target, rows.test.groups
    (array([1, 0, 1, 0], dtype=int8), array([0, 0, 1, 1]))
    """
    for name, value, least in (
        ("n_negatives", n_negatives, 0),
        ("n_test_negatives", n_test_negatives, 0),
        ("min_history", min_history, 0),
        ("max_length", max_length, 1),
    ):
        check_scalar(value, name, Integral, min_val=least)
    pd = _pandas()
    log = _sorted_log(user, item, time)
    features = _features_of_items(item_features or {}, log.items)
    parts = _split(log, min_history)
    rng = check_random_state(random_state)
    made = Bunch()
    for name, events in parts.items():
        option, m = (
            ("n_negatives", n_negatives) if name == "train" else ("n_test_negatives", n_test_negatives)
        )
        items = np.column_stack([log.item[events], _draw(log, events, m, option, rng)])
        made[name] = _rows(pd, log, events, items, features, max_length)
    return made


class _Log(NamedTuple):
    """Events by user and time; users and items are numbers, of `users` and `items`."""

    user: np.ndarray
    item: np.ndarray
    position: np.ndarray  # of each event among those of its user, from 0
    n_events: np.ndarray  # of each user
    users: np.ndarray | list
    items: np.ndarray | list


def _sorted_log(user, item, time) -> _Log:
    check_consistent_length(user, item, time)
    users, user = numbered("user", user)
    items, item = numbered("item", item)
    if not user.size:
        raise ValueError("user and item hold no events.")
    keys = (user,) if time is None else (_sortable(time), user)
    order = np.lexsort(keys)
    user, item = user[order], item[order]
    n_events = np.bincount(user)
    position = np.arange(user.size) - (np.cumsum(n_events) - n_events)[user]
    return _Log(user, item, position, n_events, users, items)


def _sortable(time) -> np.ndarray:
    found, codes = numbered("time", time)
    if isinstance(found, np.ndarray):
        return codes
    try:
        order = sorted(range(len(found)), key=found.__getitem__)
    except TypeError as error:
        raise ValueError(
            f"time holds values that cannot be ordered: {error}. Convert them to one type."
        ) from error
    rank = np.empty(len(found), dtype=np.int64)
    rank[order] = np.arange(len(found))
    return rank[codes]


def _split(log: _Log, min_history: int) -> dict[str, np.ndarray]:
    """Events of each part."""
    enough = max(3, min_history + 2)
    left = log.n_events[log.user] - log.position  # 1 for the last event of a user
    held_out = np.where(log.n_events[log.user] >= enough, left, 3)
    parts = {
        "train": (held_out > 2) & (log.position >= min_history),
        "valid": held_out == 2,
        "test": held_out == 1,
    }
    for name, chosen in parts.items():
        if not chosen.any():
            most = int(np.argmax(log.n_events))
            raise ValueError(
                f"There are no rows for {name}: no user has enough events. With min_history={min_history}, "
                f"validation and test need a user of {enough} events, training beside them one of "
                f"{min_history + 3}; user {log.users[most]} has the most, {log.n_events[most]}. Give more "
                f"events or lower min_history."
            )
    return {name: np.flatnonzero(chosen) for name, chosen in parts.items()}


class _Taken(NamedTuple):
    """Pairs of a user and an item that occur."""

    pairs: np.ndarray  # user * n_items + item, sorted
    first: np.ndarray  # the first event of each
    n_items: int


def _draw(log: _Log, events: np.ndarray, m: int, option: str, rng) -> np.ndarray:
    """For each event m different items that its user has not taken so far, shape (n_events, m)."""
    n_items = len(log.items)
    if not m:
        return np.empty((events.size, 0), dtype=np.int64)
    # Events are in order of time, and np.unique gives the first of equal ones.
    taken = _Taken(*np.unique(log.user * n_items + log.item, return_index=True), n_items)
    is_new = np.zeros(log.user.size, dtype=np.int64)
    is_new[taken.first] = 1
    n_new = np.cumsum(is_new)
    n_taken = (n_new - (n_new - is_new)[np.arange(n_new.size) - log.position])[events]
    worst = int(np.argmax(n_taken))
    if n_taken[worst] + m > n_items:
        left = n_items - n_taken[worst]
        raise ValueError(
            f"User {log.users[log.user[events[worst]]]} has taken {n_taken[worst]} of the {n_items} items, "
            f"which leaves {left} for {option}={m} negative rows. Lower {option} to {left}, or drop users "
            f"with so many items."
        )
    drawn = np.empty((events.size, m), dtype=np.int64)
    # Drawing again what is taken is quick as long as at least half of the items are not.
    many = 2 * (n_taken + m) > n_items
    drawn[~many] = _draw_again(log, taken, events[~many], m, rng)
    size = max(1, _MAX_KEYS // n_items)
    rows = np.flatnonzero(many)
    for some in (rows[start : start + size] for start in range(0, rows.size, size)):
        drawn[some] = _draw_of_few(log, taken, events[some], m, rng)
    return drawn


def _draw_again(log, taken, events, m, rng) -> np.ndarray:
    """Draw from all items, and again where an item is taken or another of the row."""
    drawn = np.empty((events.size, m), dtype=np.int64)
    rows, columns = (index.ravel() for index in np.indices(drawn.shape))
    while rows.size:
        drawn[rows, columns] = rng.randint(taken.n_items, size=rows.size)
        rows = np.unique(rows)
        bad = _is_taken(log, taken, events[rows, None], drawn[rows]) | _repeats(drawn[rows])
        found, columns = np.nonzero(bad)
        rows = rows[found]
    return drawn


def _draw_of_few(log, taken, events, m, rng) -> np.ndarray:
    """The items of the m smallest of random keys, of items that are not taken."""
    keys = rng.uniform(size=(events.size, taken.n_items))
    keys[_is_taken(log, taken, events[:, None], np.arange(taken.n_items))] = 2
    return np.argsort(keys, axis=1)[:, :m]


def _is_taken(log, taken, events, items) -> np.ndarray:
    """Whether the user of each event has taken the item then or before."""
    pairs = log.user[events] * taken.n_items + items
    at = np.minimum(np.searchsorted(taken.pairs, pairs), taken.pairs.size - 1)
    return (taken.pairs[at] == pairs) & (taken.first[at] <= events)


def _repeats(drawn: np.ndarray) -> np.ndarray:
    """Whether an item is in its row before."""
    order = np.argsort(drawn, axis=1, kind="stable")
    ordered = np.take_along_axis(drawn, order, axis=1)
    repeats = np.zeros(drawn.shape, dtype=bool)
    np.put_along_axis(repeats, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return repeats


def _features_of_items(item_features, items) -> dict[str, list]:
    """Values of the items, by name of the column."""
    columns = {"item": items if isinstance(items, list) else items.tolist()}
    taken = {"user", "item", "history"}
    for name, source in item_features.items():
        clash = taken & {name, f"history_{name}"}
        if clash:
            raise ValueError(f"item_features {name!r}: there is a column {min(clash)!r} already. Rename it.")
        taken |= {name, f"history_{name}"}
        values = source.to_dict() if hasattr(source, "to_dict") else source
        for item in columns["item"]:
            if item not in values:
                raise ValueError(
                    f"item_features {name!r} has no value for item {item!r}. Add one; None is allowed."
                )
        columns[name] = [values[item] for item in columns["item"]]
    return columns


def _rows(pd, log: _Log, events, items, features, max_length) -> Bunch:
    """Rows of some events; items has one row an event, the item taken first."""
    n_rows = items.shape[1]
    starts = events - np.minimum(log.position[events], max_length)
    bounds = list(zip(starts.tolist(), events.tolist(), strict=True))
    columns = {"user": pd.Series(log.users).take(np.repeat(log.user[events], n_rows)).array}
    for name, values in features.items():
        past = [values[number] for number in log.item.tolist()]
        histories = np.fromiter((past[start:end] for start, end in bounds), dtype=object, count=len(bounds))
        of_item = pd.Series(log.items if name == "item" else values)
        columns[name] = of_item.take(items.ravel()).array
        columns["history" if name == "item" else f"history_{name}"] = np.repeat(histories, n_rows)
    target = np.zeros(items.shape, dtype=np.int8)
    target[:, 0] = 1
    groups = np.repeat(np.arange(len(bounds)), n_rows)
    return Bunch(data=pd.DataFrame(columns), target=target.ravel(), groups=groups)


def _pandas():
    try:
        import pandas
    except ImportError as error:
        raise ImportError("make_click_rows needs pandas: install skfm[pandas].") from error
    return pandas
