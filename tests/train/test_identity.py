"""What a program depends on, in words: equal for equal values in every process, and for no others."""

import copy
import dataclasses
import os
import time
from collections import OrderedDict
from functools import partial

import jax
import numpy as np
import optax
import pytest

from skfm.layers.mlp import MLP
from skfm.losses import Huber, Logistic, Softmax
from skfm.models.base import Model
from skfm.models.fm import FM
from skfm.optim.solvers import NAMED, Adam, Optax, Split
from skfm.train import identity
from skfm.train.identity import NoIdentityError, of_tree, words
from skfm.train.predict import _map_rows
from skfm.train.state import Hyper
from tests.models.problems import MODELS

STATIC = [
    None, True, False, 0, 1, 1.0, 0.1, 1e-300, float("inf"), "", "1", "None", "1,1", b"1", (), (1,), ((1,),),
    (1, 1), [1, 1], ("1,1",), {}, {"a": 1}, {"b": 1}, {1: "a"}, np.int64(1), np.float32(1), np.float64(1),
    np.bool_(True), np.dtype(np.float32), np.dtype(np.float64), float, int, FM, Adam, Model.raw_prediction,
    *dict.fromkeys(MODELS.values()), *NAMED.values(), Split(Adam(), Adam(), 1), Split(Adam(), Adam(), 2),
    Adam(decay_mean=0.8), Hyper((1, 2), 3, 4, 5), Hyper((1, 2), 3, 4, "5"),
]  # fmt: skip


class OfAUser(FM):
    """A model that skfm does not know."""


class Text(str):
    """A text that may do anything."""


def of_a_user(x):
    return x


def test_different_values_have_different_words():
    found = [words(value) for value in STATIC]
    repeated = {each for each in found if found.count(each) > 1}
    assert {repr(value) for value in STATIC if words(value) in repeated} == set()
    assert found == [words(copy.deepcopy(value)) for value in STATIC]


@pytest.mark.parametrize(
    "value", [*MODELS.values(), *NAMED.values(), MLP(sizes=(3,)), Split(Adam(), Adam(), 1)]
)
def test_every_field_counts(value):
    for field in dataclasses.fields(value):
        other = copy.copy(value)
        object.__setattr__(other, field.name, "something else")
        assert words(other) != words(value)


@pytest.mark.parametrize(
    "value",
    [
        of_a_user, lambda x: x, partial(of_a_user, 1), OfAUser(n_factors=2), OfAUser, Text("a"),
        (1, [of_a_user]),
        Optax(optax.adam(0.1)), optax.cosine_decay_schedule(0.1, 5), np.ones(2), object(), {1}, len, np.sin,
    ],
)  # fmt: skip
def test_what_users_make_has_none(value):
    with pytest.raises(NoIdentityError):
        words(value)


def test_a_name_must_lead_to_what_it_names(monkeypatch):
    original = Model.raw_prediction
    monkeypatch.setattr(Model, "raw_prediction", of_a_user)
    with pytest.raises(NoIdentityError):
        words(original)


def test_programs_have_the_name_of_their_function():
    assert identity.name_of(_map_rows) == "skfm.train.predict._map_rows"


def test_structures_of_trees_are_told_apart():
    trees = [
        1, (), (1,), [1], (1, 1), (1, (1,)), ((1,), 1), None, (1, None), (None, 1), {"a": 1}, {"b": 1},
        {"a": 1, "b": 1}, {1: 1}, Huber(1.0), Logistic(), Softmax(2), Softmax(3), Hyper((1, 2), 3, 4, 5),
        ((1, 2), 3, 4, 5, None),
    ]  # fmt: skip
    found = [of_tree(jax.tree.structure(tree)) for tree in trees]
    assert len(set(found)) == len(found)
    with pytest.raises(NoIdentityError):
        of_tree(jax.tree.structure(OrderedDict(a=1)))


@pytest.fixture
def afresh():
    """Function that gives the words of the surroundings, as a new process would find them."""
    identity._of_process.cache_clear()
    yield lambda: identity._of_process.cache_clear() or identity.surroundings(jax.devices()[0])
    identity._of_process.cache_clear()


@pytest.mark.parametrize("change", ["jax", "jaxlib", "numpy", "XLA_FLAGS", "source", "machine", "cores"])
def test_surroundings_count(afresh, monkeypatch, change, tmp_path):
    before = afresh()
    assert afresh() == before
    if change in ("jax", "jaxlib", "numpy"):
        module = {"jax": jax, "jaxlib": identity.jaxlib, "numpy": np}[change]
        monkeypatch.setattr(module, "__version__", "0.0.1")
    elif change == "XLA_FLAGS":
        monkeypatch.setenv(change, "--xla_cpu_enable_fast_math=true")
    elif change == "source":
        (tmp_path / "skfm.py").write_text("changed")
        os.utime(tmp_path / "skfm.py", (0, 0))
        monkeypatch.setattr(identity, "_PACKAGE", tmp_path)
        monkeypatch.setattr(identity.native, "available", lambda: False)
    elif change == "machine":
        monkeypatch.setattr(identity, "_processor", lambda: "another")
    else:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(77), raising=False)
    assert afresh() != before


def test_settings_of_jax_count(afresh):
    plain = afresh()
    with jax.enable_x64(not jax.config.jax_enable_x64):
        assert afresh() != plain
    with jax.default_matmul_precision("tensorfloat32"):
        assert afresh() != plain
    assert afresh() == plain


def test_source_that_changed_since_the_import_is_not_what_runs(afresh, monkeypatch):
    monkeypatch.setattr(identity, "_IMPORTED", time.time() - 1e9)
    with pytest.raises(NoIdentityError):
        afresh()
