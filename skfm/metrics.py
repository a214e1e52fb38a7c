"""Metrics of rankings, one per group of rows: the items that a user saw, the answers to a query."""

from __future__ import annotations

from functools import partial
from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy import special
from sklearn import config_context
from sklearn.metrics import average_precision_score, log_loss, make_scorer, roc_auc_score
from sklearn.utils import check_consistent_length, check_scalar

from skfm.data.frames import numbered
from skfm.data.validate import as_objects_if_text, first_no_number, shown


def group_roc_auc_score(y_true, y_score, *, groups, sample_weight=None, average="weighted"):
    r"""Area under the ROC curve within groups, averaged over them (GAUC).

    .. math:: GAUC = \frac{\sum_g w_g AUC_g}{\sum_g w_g}

    where :math:`AUC_g` is the share of pairs of a positive and a negative row of group g in which the
    positive row has the higher score. Ties count 1/2. Unlike the AUC of all rows it does not reward a model
    for knowing which users click a lot.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        0 and 1, booleans, or -1 and 1; 1 is positive.
    y_score : array-like of shape (n_samples,)
        Scores, such as raw predictions or probabilities.
    groups : array-like of shape (n_samples,)
        Group of each row, of any type that can be a key of a dict.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of rows. A weight of 2 is the row twice, a weight of 0 is no row.
    average : {"weighted", "macro"}, default="weighted"
        Weight :math:`w_g` of a group: "weighted" is the sum of the weights of its rows, hence their number
        without `sample_weight`; "macro" is 1.

    Returns
    -------
    score : float
        Between 0 and 1; 1/2 for scores that say nothing.

    Raises
    ------
    ValueError
        If no group has rows of both classes, a group is missing, a score is NaN, a target is not of two
        classes, a weight is negative, all are 0, or lengths differ.

    Notes
    -----
    Groups of one class have no AUC and are left out, of the weights too. O(n_samples log(n_samples)).

    References
    ----------
    G. Zhou et al., "Deep interest network for click-through rate prediction", KDD 2018.
    https://arxiv.org/abs/1706.06978

    Examples
    --------
    >>> from skfm.metrics import group_roc_auc_score
    >>> click = [1, 0, 0, 1, 0]
    >>> score = [0.9, 0.1, 0.2, 0.3, 0.4]
    >>> user = ["ann", "ann", "ann", "bob", "bob"]
    >>> group_roc_auc_score(click, score, groups=user)
    0.6
    >>> group_roc_auc_score(click, score, groups=user, average="macro")
    0.5
    """
    check_consistent_length(y_true, y_score, groups, sample_weight)
    if average not in ("weighted", "macro"):
        raise ValueError(f'average must be "weighted" or "macro", got {average!r}.')
    positive = _positive(y_true)
    weight = np.ones(positive.size) if sample_weight is None else _nonnegative("sample_weight", sample_weight)
    if not weight.any():
        raise ValueError("sample_weight is zero for every row. Give some row a weight above 0.")
    rows = _ranked(_vector("y_score", y_score), groups)
    positive, weight = positive[rows.order], weight[rows.order]
    positives, negatives = np.where(positive, weight, 0.0), np.where(positive, 0.0, weight)
    # Positives are summed up across groups: in units of each group's own, those of small weights keep digits.
    unit = np.maximum.reduceat(positives, rows.groups)
    positives /= np.where(unit > 0, unit, 1.0)[rows.number]

    in_run = np.add.reduceat(positives, rows.runs)
    above = np.cumsum(in_run) - in_run
    above -= above[rows.group_runs][rows.number[rows.runs]]
    right = np.add.reduceat(negatives, rows.runs) * (above + 0.5 * in_run)
    pairs = np.add.reduceat(positives, rows.groups) * np.add.reduceat(negatives, rows.groups)
    used = pairs > 0
    _check_some(used, "rows of both classes" + " with a weight above 0" * (sample_weight is not None))
    auc = np.add.reduceat(right, rows.group_runs)[used] / pairs[used]
    of_group = np.add.reduceat(weight, rows.groups)[used] if average == "weighted" else None
    return float(np.average(auc, weights=of_group))


def group_ndcg_score(y_true, y_score, *, groups, k=10):
    r"""Normalised discounted cumulative gain of the first k rows of each group, averaged over groups.

    .. math:: NDCG@k = \frac{DCG@k}{\max DCG@k}, \quad DCG@k = \sum_{r=1}^{k} \frac{y_{(r)}}{\log_2(r + 1)}

    where :math:`y_{(r)}` is the gain of the row with the r-th highest score of its group and the maximum is
    over all orders. Tied scores count as the average over their orders, as in
    :func:`sklearn.metrics.ndcg_score`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Gains, 0 or more: 0 and 1, or grades of relevance.
    y_score : array-like of shape (n_samples,)
        Scores.
    groups : array-like of shape (n_samples,)
        Group of each row, of any type that can be a key of a dict.
    k : int or None, default=10
        Rows of each group that count; all if None.

    Returns
    -------
    score : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If no group has a gain above 0, a group is missing, a score is NaN, a gain is negative, or lengths
        differ.

    Notes
    -----
    Groups without a gain above 0 are left out; ``sklearn.metrics.ndcg_score`` counts them as 0. Each group
    weighs 1. O(n_samples log(n_samples)).

    References
    ----------
    K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002.
    https://doi.org/10.1145/582415.582418

    F. McSherry and M. Najork, "Computing information retrieval performance measures efficiently in the
    presence of tied scores", ECIR 2008. https://doi.org/10.1007/978-3-540-78646-7_38

    Examples
    --------
    >>> from skfm.metrics import group_ndcg_score
    >>> click = [1, 0, 0, 0, 1, 0, 0]
    >>> score = [0.9, 0.1, 0.2, 0.7, 0.5, 0.6, 0.1]
    >>> user = ["ann", "ann", "ann", "bob", "bob", "bob", "bob"]
    >>> group_ndcg_score(click, score, groups=user)  # ann's click is first, bob's third: (1 + 1/2) / 2
    0.75
    >>> group_ndcg_score(click, score, groups=user, k=2)
    0.5
    """
    check_consistent_length(y_true, y_score, groups)
    if k is not None:
        check_scalar(k, "k", Integral, min_val=1)
    gain = _nonnegative("y_true", y_true)
    rows = _ranked(_vector("y_score", y_score), groups)
    discount = 1 / np.log2(rows.rank + 2)
    discount[rows.rank >= (gain.size if k is None else k)] = 0
    best = gain[_falling_by_group(gain, rows.codes)]
    gain = gain[rows.order]

    # Sums come first: within a run of ties every order of the rows is as likely.
    size = np.diff(rows.runs, append=gain.size)
    of_run = np.add.reduceat(gain, rows.runs) * np.add.reduceat(discount, rows.runs) / size
    of_group = np.add.reduceat(of_run, rows.group_runs)
    largest = np.add.reduceat(best * discount, rows.groups)
    used = largest > 0
    _check_some(used, "a gain above 0")
    return float(np.mean(of_group[used] / largest[used]))


def group_hit_rate_score(y_true, y_score, *, groups, k=10):
    """Share of groups with a positive row among the k highest scores (HR@k).

    With one positive row in each group it is the recall at k.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        0 and 1, booleans, or -1 and 1; 1 is positive.
    y_score : array-like of shape (n_samples,)
        Scores.
    groups : array-like of shape (n_samples,)
        Group of each row, of any type that can be a key of a dict.
    k : int, default=10
        Rows of each group that count.

    Returns
    -------
    score : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If no group has a positive row, a group is missing, a score is NaN, a target is not of two classes,
        or lengths differ.

    Notes
    -----
    Groups without a positive row are left out. Tied rows count as in random order: where j of m tied rows
    are among the first k and p of the m are positive, the chance of none is the hypergeometric
    ``C(m - p, j) / C(m, j)``. Equal scores for all rows are as good as chance. O(n_samples log(n_samples)).

    References
    ----------
    X. He et al., "Neural collaborative filtering", WWW 2017. https://arxiv.org/abs/1708.05031

    Examples
    --------
    >>> from skfm.metrics import group_hit_rate_score
    >>> click = [1, 0, 0, 0, 1, 0, 0]
    >>> score = [0.9, 0.1, 0.2, 0.7, 0.5, 0.6, 0.1]
    >>> user = ["ann", "ann", "ann", "bob", "bob", "bob", "bob"]
    >>> group_hit_rate_score(click, score, groups=user, k=2)
    0.5
    >>> group_hit_rate_score(click, [0.5] * 7, groups=user, k=1)  # (1/3 + 1/4) / 2
    0.2916...
    """
    check_consistent_length(y_true, y_score, groups)
    check_scalar(k, "k", Integral, min_val=1)
    positive = _positive(y_true)
    rows = _ranked(_vector("y_score", y_score), groups)
    size = np.diff(rows.runs, append=positive.size)
    positives = np.add.reduceat(positive[rows.order], rows.runs, dtype=np.int64)
    drawn = np.clip(k - rows.rank[rows.runs], 0, size)
    no_hit = np.multiply.reduceat(_chance_of_none(size, positives, drawn), rows.group_runs)
    used = np.add.reduceat(positives, rows.group_runs) > 0
    _check_some(used, "a positive row")
    return float(np.mean(1 - no_hit[used]))


def make_group_scorer(metric, *, k=10):
    """Scorer of a metric of groups, for ``scoring=`` of `GridSearchCV`, `cross_validate` and the like.

    The scorer asks for `groups` through scikit-learn's metadata routing, which must be switched on when it
    is used, not when it is made.

    Parameters
    ----------
    metric : {"roc_auc", "ndcg", "hit_rate"}
        `group_roc_auc_score`, `group_ndcg_score` or `group_hit_rate_score`.
    k : int, default=10
        Rows of each group that count; "roc_auc" has no use for it. May be None for "ndcg".

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, groups=groups)``. Scores are those of ``decision_function``, else
        ``predict_proba``, else ``predict``, as of a regressor.

    Raises
    ------
    ValueError
        If `metric` is none of the three.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn import config_context
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV, GroupKFold
    >>> from skfm.metrics import make_group_scorer
    >>> rng = np.random.default_rng(0)
    >>> X, user = rng.normal(size=(200, 3)), np.repeat(np.arange(20), 10)
    >>> y = X[:, 0] > 0
    >>> search = GridSearchCV(
    ...     LogisticRegression(), {"C": [0.1, 1]}, scoring=make_group_scorer("ndcg", k=5), cv=GroupKFold(2)
    ... )
    >>> with config_context(enable_metadata_routing=True):
    ...     _ = search.fit(X, y, groups=user)
    ...     search.score(X, y, groups=user)
    1.0
    """
    metrics = {"roc_auc": group_roc_auc_score, "ndcg": group_ndcg_score, "hit_rate": group_hit_rate_score}
    if metric not in metrics:
        raise ValueError(f"metric must be one of {list(metrics)}, got {metric!r}.")
    options = {} if metric == "roc_auc" else {"k": k}
    methods = ("decision_function", "predict_proba", "predict")
    with config_context(enable_metadata_routing=True):
        scorer = make_scorer(metrics[metric], response_method=methods, **options)
        return scorer.set_score_request(groups=True)


_TASKS = ("click", "conversion", "click_conversion")
_TASK_METRICS = {
    "roc_auc": roc_auc_score,
    "average_precision": average_precision_score,
    "neg_log_loss": partial(log_loss, labels=[0, 1]),
}


def make_task_scorer(task, metric="roc_auc"):
    """Scorer of one task of `ESMMClassifier`, for ``scoring=`` of `GridSearchCV` and the like.

    Parameters
    ----------
    task : {"click", "conversion", "click_conversion"}
        What is predicted: a click; a conversion after a click, on the clicked rows alone; or a click with a
        conversion.
    metric : {"roc_auc", "average_precision", "neg_log_loss"}, default="roc_auc"
        scikit-learn's metric of that name. Higher is better.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y)`` and with ``sample_weight=``; y has the columns click and conversion.

    Raises
    ------
    ValueError
        If there is no such task or metric; by the scorer if y has no clicked rows, where the task needs them.

    Examples
    --------
    >>> import numpy as np
    >>> from skfm import ESMMClassifier
    >>> from skfm.metrics import make_task_scorer
    >>> X = np.eye(4)[[0, 1, 2, 3] * 10]
    >>> y = np.array([[0, 0], [1, 0], [1, 1], [0, 0]] * 10)
    >>> model = ESMMClassifier(tower="fm", random_state=0).fit(X, y)
    >>> make_task_scorer("conversion")(model, X, y)
    1.0
    """
    for value, known, name in ((task, _TASKS, "task"), (metric, tuple(_TASK_METRICS), "metric")):
        if value not in known:
            raise ValueError(f"{name} must be one of {list(known)}, got {value!r}.")
    return make_scorer(
        _task_score,
        response_method="predict_proba",
        greater_is_better=not metric.startswith("neg_"),
        task=task,
        metric=metric,
    )


def _task_score(y_true, y_proba, *, task, metric, sample_weight=None):
    y_true, y_proba = np.asarray(y_true), np.asarray(y_proba)
    if y_true.ndim != 2 or y_proba.shape != (y_true.shape[0], 3):
        raise ValueError(
            f"A task is scored on y of the columns click and conversion and probabilities of ESMMClassifier; "
            f"got shapes {y_true.shape} and {y_proba.shape}."
        )
    rows = y_true[:, 0] == 1 if task == "conversion" else np.ones(y_true.shape[0], dtype=bool)
    if not rows.any():
        raise ValueError("y has no clicked rows, and conversions after a click are scored on these.")
    truth, chance = y_true[rows, 0 if task == "click" else 1], y_proba[rows, _TASKS.index(task)]
    weight = None if sample_weight is None else np.asarray(sample_weight)[rows]
    return float(_TASK_METRICS[metric](truth, chance, sample_weight=weight))


def _chance_of_none(size, positives, drawn) -> np.ndarray:
    """Chance that rows drawn from a run without putting them back are all negative."""
    chance = np.where((positives > 0) & (drawn > 0), 0.0, 1.0)
    some = (chance == 0) & (drawn <= size - positives)
    size, positives, drawn = size[some], positives[some], drawn[some]
    log = special.gammaln
    chance[some] = np.exp(
        log(size - positives + 1) + log(size - drawn + 1) - log(size - positives - drawn + 1) - log(size + 1)
    )
    return chance


_OF_LABELS = "Pass np.asarray(y_true) == positive_class."


def _vector(name: str, values) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        found = first_no_number(as_objects_if_text(np.asarray(values)))
        if found is None:
            raise
        remedy = _OF_LABELS if name == "y_true" else "Give one number a row."
        raise ValueError(
            f"{name} holds {shown(found[1])} at row {found[0]}, which is no number. {remedy}"
        ) from None
    if array.ndim != 1:
        raise ValueError(f"{name} must have one number a row, got an array of shape {array.shape}.")
    if not array.size:
        raise ValueError(f"{name} has no rows; a metric needs one at least.")
    if np.isnan(array).any():
        raise ValueError(f"{name} is NaN at row {int(np.argmax(np.isnan(array)))}. Drop or fill such rows.")
    return array


def _nonnegative(name: str, values) -> np.ndarray:
    array = _vector(name, values)
    bad = (array < 0) | np.isinf(array)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{name} must be finite and 0 or more, got {array[row]:g} at row {row}.")
    return array


def _positive(y_true) -> np.ndarray:
    y = _vector("y_true", y_true)
    bad = (y != 1) & (y != (-1 if (y < 0).any() else 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"y_true must hold 0 and 1, or -1 and 1, got {y[row]:g} at row {row}. {_OF_LABELS}")
    return y == 1


def _check_some(used: np.ndarray, what: str) -> None:
    if not used.any():
        raise ValueError(
            f"None of the {used.size} groups has {what}, so there is nothing to average. Groups should be "
            f"users or queries with several rows."
        )


class _Ranked(NamedTuple):
    """Rows by group and, within a group, by falling score; a run is rows of a group with one score."""

    codes: np.ndarray  # group of each row, in the order of the input
    order: np.ndarray  # position of each sorted row in the input
    number: np.ndarray  # group of each sorted row: 0, 1, ...
    rank: np.ndarray  # position of each sorted row in its group, from 0
    groups: np.ndarray  # first row of each group
    runs: np.ndarray  # first row of each run
    group_runs: np.ndarray  # first run of each group


def _ranked(score: np.ndarray, groups) -> _Ranked:
    """Rows by group and falling score."""
    codes = numbered("groups", groups)[1]
    order = _falling_by_group(score, codes)
    score, group = score[order], codes[order]
    first = np.ones(score.size, dtype=bool)
    first[1:] = group[1:] != group[:-1]
    first_of_run = first.copy()
    first_of_run[1:] |= score[1:] != score[:-1]
    starts, runs = np.flatnonzero(first), np.flatnonzero(first_of_run)
    number = np.cumsum(first) - 1
    rank = np.arange(score.size) - starts[number]
    return _Ranked(codes, order, number, rank, starts, runs, np.searchsorted(runs, starts))


def _falling_by_group(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Order of rows by group and then by falling value; those of equal value in any order."""
    order = np.argsort(-values)
    # NumPy sorts 16 bits in linear time: four times as fast as np.lexsort.
    for shift in range(0, int(codes.max()).bit_length(), 16):
        digit = (codes >> shift).astype(np.uint16)
        order = order[np.argsort(digit[order], kind="stable")]
    return order
