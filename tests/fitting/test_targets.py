"""Targets: kinds of y, terms of the loss, and label sets that merge."""

from functools import reduce

import numpy as np
import pytest

from skfm.fitting.targets import ClickConversion, Labels, Numbers, label_set, merge_label_sets

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("labels", [[3, 1, 2], ["b", "a", "c"], [True, False], [2.0, -1.0]])
def test_label_sets_of_parts_merge_to_that_of_all(labels):
    y = RNG.choice(labels, 40)
    for cuts in ([1], [5, 6, 30], [39]):
        parts = np.split(y, cuts)
        merged = reduce(merge_label_sets, map(label_set, parts))
        np.testing.assert_array_equal(merged, np.unique(y))
        learned = Labels().learn(*parts)
        np.testing.assert_array_equal(learned.classes, np.unique(y))
        assert learned.n_outputs == (3 if len(labels) == 3 else 1)


@pytest.mark.parametrize(
    ("targets", "y"),
    [
        (Labels(), RNG.choice(["x", "y", "z"], 30)),
        (Labels(), RNG.choice(["no", "yes"], 30)),
        (Labels(), RNG.integers(2, size=(30, 4))),
        (Numbers(), RNG.standard_normal(30)),
        (Numbers(loss_name="poisson"), RNG.poisson(2.0, (30, 3)).astype(float)),
        (ClickConversion(), np.cumprod(RNG.integers(2, size=(30, 2)), axis=1)),
        (ClickConversion(), RNG.integers(2, size=30)),
    ],
)
def test_y_comes_back_from_the_terms_of_the_loss(targets, y):
    learned = targets.learn(y)
    terms, weight = learned.encode(y, np.ones(30))
    np.testing.assert_array_equal(learned.decode(terms), y)
    np.testing.assert_array_equal(weight, 1)
    scaled = learned.standardized(learned.seen(terms, weight))
    raw = scaled.standardize(terms)
    if isinstance(targets, Numbers):
        np.testing.assert_allclose(scaled.in_units(raw), terms, rtol=1e-12)
    # A later call takes what the first has learned.
    assert type(learned) is type(targets.resume(scaled))
    assert targets.resume(scaled).n_outputs == scaled.n_outputs


def test_targets_are_values():
    unlearned = Labels()
    learned = unlearned.learn(np.array([1, 2, 1]))
    assert unlearned.classes is None
    with pytest.raises(AttributeError):
        learned.n_outputs = 3
    with pytest.raises(ValueError, match="label 5 at row 1, which is none of the classes"):
        learned.encode(np.array([1, 5]), np.ones(2))


def test_kinds_of_rows():
    terms = np.repeat([0.0, 1.0, 2.0], [20, 8, 2])
    labels = Labels(n_outputs=3, classes=np.arange(3))
    np.testing.assert_array_equal(labels.kinds(terms), terms)
    clicks = np.array([[0, 0, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1.0]])
    np.testing.assert_array_equal(ClickConversion().kinds(clicks), [0, 1, 2])
    for alike in (Labels(n_outputs=3, multilabel=True), Numbers()):
        np.testing.assert_array_equal(alike.kinds(np.ones((4, 3))), np.zeros(4))


def test_balanced_tasks_count_the_weights_of_tasks():
    y = np.array([[0, 0], [1, 0], [1, 1], [1, 1]])
    of_tasks = np.array([[3.0, 1.0], [1, 1], [1, 1], [1, 1]])
    terms, _ = ClickConversion(class_weight="balanced").encode(y, np.ones(4), of_tasks)
    for task in (0, 1):
        share = [terms[y[:, task] == label, 2 + task].sum() for label in (0, 1)]
        assert share[0] == pytest.approx(share[1])


def test_weights_of_tasks_stay_beside_y():
    y = np.cumprod(RNG.integers(2, size=(6, 2)), axis=1)
    targets = ClickConversion(task_weights=(1.0, 2.0)).learn(y)
    weight, of_tasks = targets.weights(np.column_stack([np.ones(6), 3 * np.ones(6)]), y)
    np.testing.assert_array_equal(weight, 2)
    np.testing.assert_array_equal(of_tasks, [[0.5, 1.5]] * 6)
    terms, same = targets.encode(y, weight, of_tasks)
    np.testing.assert_array_equal(terms, np.column_stack([y, [[0.5, 3.0]] * 6]))
    assert same is weight
    with pytest.raises(ValueError, match="y has 4 columns"):
        targets.encode(terms, weight)
