"""Do two revisions learn the same? Small fits over all models, solvers and kinds of input, in both.

    python tools/compare_fits.py between REVISION REVISION
    python tools/compare_fits.py run FILE.npz

`between` checks both revisions out into temporary folders, runs this very file in each, and prints what
differs; it exits with 1 where that is more than the table `FITS` allows. `run` does the fits with the skfm
of the current directory. Both take ``--only TEXT``. Only the public API may be used here.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
    "attention",
    "gate_proba",
)
ATTRIBUTES = (
    "classes_",
    "coef_",
    "factors_",
    "higher_factors_",
    "intercept_",
    "pair_weights_",
    "field_pairs_",
    "gate_coef_",
    "gate_factors_",
    "gate_intercept_",
    "expert_coef_",
    "expert_factors_",
    "fields_",
    "n_iter_",
    "solver_",
    "wide_solver_",
)
# Times differ from run to run.
HISTORY = ("loss", "validation_loss", "validation_score", "learning_rate")
SIZES = (5, 12, 3, 30)


# ------------------------------------------------------------------------------------------- rows and targets


class Rows(NamedTuple):
    """Rows of categories with something to learn.

    Attributes
    ----------
    categories : (n, len(SIZES)) whole numbers
    signal : (n,) a mean that depends on single categories and on a pair
    noise : (n, 3)
    weight : (n,) sample weights, a fifth of them 0
    """

    categories: np.ndarray
    signal: np.ndarray
    noise: np.ndarray
    weight: np.ndarray


def make_rows(n: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    categories = np.column_stack([rng.integers(size, size=n) for size in SIZES])
    first, second, third, fourth = categories.T
    signal = np.sin(first) + 0.5 * np.cos(fourth) + np.where(second % 3 == third, 1.0, -0.5)
    return Rows(categories, signal, rng.standard_normal((n, 3)), np.arange(n) % 5 * rng.random(n))


def csr(rows: Rows) -> sparse.csr_array:
    """One-hot categories, and a column of numbers."""
    n, width = rows.categories.shape
    columns = (rows.categories + np.cumsum((0, *SIZES[:-1]))).ravel()
    one_hot = sparse.csr_array(
        (np.ones(columns.size), columns, np.arange(n + 1) * width), shape=(n, sum(SIZES))
    )
    numbers = np.where(rows.noise[:, :1] > 0.5, rows.noise[:, :1], 0)
    return sparse.csr_array(sparse.hstack([one_hot, numbers], format="csr"))


def csc(rows):
    return csr(rows).tocsc()


def coo(rows):
    return csr(rows).tocoo()


def dense(rows):
    return csr(rows).toarray()


def uneven(rows) -> sparse.csr_array:
    """Rows that hold different numbers of nonzeros, several in a field."""
    X = csr(rows)
    shifted = sparse.csr_array((X.data * 0.5, (X.indices + 7) % X.shape[1], X.indptr), shape=X.shape)
    keep = sparse.diags_array((rows.noise[:, 1] > 0).astype(float))
    return sparse.csr_array(X + keep @ shifted)


def columns_of(rows: Rows) -> dict[str, Any]:
    """Columns of a table: text and numbers with gaps, dates, lists."""
    first, second, third, fourth = rows.categories.T
    days = np.datetime64("2024-01-01T05:00:00", "ns") + (fourth * 29 + second) * np.timedelta64(1, "h")
    return {
        "city": [None if place == 4 else f"city {place}" for place in first],
        "visits": second,
        "price": np.where(third == 2, np.nan, np.exp(rows.noise[:, 0])),
        "day": days,
        "item": [f"i{item}" for item in second],
        "seen": [[f"i{item}" for item in range(second[i] % 4, 2 + fourth[i] % 5)] for i in range(len(first))],
        "tags": ["|".join(f"t{tag}" for tag in range(third[i], third[i] + 2)) for i in range(len(first))],
    }


def pandas_frame(rows):
    import pandas as pd

    frame = pd.DataFrame(columns_of(rows))
    return frame.astype({"item": "category"})


def pandas_numbers(rows):
    return pandas_frame(rows)[["visits", "price"]].fillna(0)


def polars_frame(rows):
    import polars as pl

    return pl.DataFrame(columns_of(rows))


def labels(rows):
    return rows.signal + rows.noise[:, 2] > 0


def names(rows):
    return np.array(["low", "middle", "high"])[np.digitize(rows.signal + 0.5 * rows.noise[:, 2], [-0.5, 0.8])]


def several_labels(rows):
    return (rows.signal[:, None] * [1, -0.5, 0.2] + rows.noise > 0).astype(int)


def numbers(rows):
    return 50 + 10 * rows.signal + 3 * rows.noise[:, 2]


def several_numbers(rows):
    return np.column_stack([numbers(rows), -0.01 * rows.signal + 0.005 * rows.noise[:, 1]])


def counts(rows):
    return np.floor(np.exp(0.5 * rows.signal + 0.3 * rows.noise[:, 2]))


def click_conversion(rows):
    click = rows.signal + rows.noise[:, 2] > -0.5
    return np.column_stack([click, click & (rows.signal + rows.noise[:, 1] > 0.3)]).astype(int)


# ------------------------------------------------------------------------------------------------------- fits

# Penalties are given, unless a fit is about the automatic ones.
L2 = {"l2_factors": 1e-3}
LINEAR_L2 = {"l2_linear": 2e-3}
FACTORS = L2 | LINEAR_L2 | {"n_factors": 4, "init_scale": 0.1}
NETWORK = L2 | {"l2_dense": 1e-3, "n_factors": 4, "init_scale": 0.1, "hidden_layer_sizes": (8, 4)}
STEPS = {"solver": "adagrad", "max_iter": 4, "batch_size": 64}
FEW_STEPS = STEPS | {"max_iter": 2}
FULL = {"solver": "lbfgs", "max_iter": 15}
HELD_OUT = {"early_stopping": True, "validation_fraction": 0.2, "max_iter": 8}


def results(model, X) -> dict[str, Any]:
    """Whatever a fitted estimator tells of itself and of the rows X."""
    found = {name: getattr(model, name)(X) for name in METHODS if hasattr(model, name)}
    found |= {name: getattr(model, name) for name in ATTRIBUTES if hasattr(model, name)}
    history = getattr(model, "history_", {})
    return found | {f"history_[{name!r}]": history[name] for name in HISTORY if name in history}


def fit(target, inputs=csr, *, n=400, given=None, **settings) -> Callable[[type], dict[str, Any]]:
    """The fit of an estimator to targets of n rows in a form; `given(rows)` are more arguments of fit."""

    def run(kind):
        rows = make_rows(n, 0)
        model = kind(**{"random_state": 0} | settings)
        model.fit(inputs(rows), target(rows), **given(rows) if given else {})
        return results(model, inputs(make_rows(100, 1)))

    return run


def weights(rows):
    return {"sample_weight": rows.weight}


def task_weights(rows):
    return {"sample_weight": np.column_stack([rows.weight, np.abs(rows.noise[:, 0])])}


def to_stop_on(target, inputs=csr, weighted=False):
    def given(rows):
        held = make_rows(120, 2)
        more = {"sample_weight_val": held.weight} if weighted else {}
        return {"X_val": inputs(held), "y_val": target(held)} | more

    return given


def brier(model, X, y, sample_weight=None):
    """A scorer that is a plain function."""
    return -float(np.average(np.square(model.predict_proba(X)[:, 1] - y), weights=sample_weight))


def task_scores(kind):
    from skfm.metrics import make_task_scorer

    settings = NETWORK | STEPS | HELD_OUT | {"tower": "fm", "scoring": make_task_scorer("conversion")}
    return fit(click_conversion, **settings)(kind)


def encoder_settings(**settings):
    """A fit to a table by an encoder of these settings."""

    def run(kind):
        from skfm import FieldEncoder

        return fit(labels, pandas_frame, encoder=FieldEncoder(**settings), **FACTORS, **STEPS)(kind)

    return run


def encoder_alone(kind):
    encoder = kind(shared={"item": ["item", "seen"]}, crosses=[("city", "item")], multi_hot={"tags": "|"})
    encoder.fit(pandas_frame(make_rows(300, 0)), sample_weight=make_rows(300, 0).weight)
    return encoded(encoder) | {
        f"after partial_fit {name}": value for name, value in encoded(grown(encoder)).items()
    }


def encoded(encoder):
    return {
        "transform": encoder.transform(pandas_frame(make_rows(100, 1))).toarray(),
        "names": encoder.get_feature_names_out(),
        "fields_": encoder.fields_,
        "table_rows_": encoder.table_rows_,
    }


def grown(encoder):
    return encoder.partial_fit(pandas_frame(make_rows(300, 3)))


def optax_transformation(kind):
    import optax

    return fit(labels, **FACTORS, **STEPS | {"solver": optax.adam(0.02)})(kind)


def rate_of_step(kind):
    import optax

    return fit(labels, **FACTORS, **STEPS, learning_rate_schedule=optax.cosine_decay_schedule(0.1, 20))(kind)


def shared_generator(kind):
    """The state that fits leave a generator in counts too."""
    rng = np.random.RandomState(5)
    found = fit(labels, **FACTORS, **STEPS | HELD_OUT, random_state=rng)(kind)
    return found | {"next random number": rng.random_sample()}


def parts(target, inputs, **settings):
    """partial_fit of three chunks, one with weights."""

    def run(kind):
        model = kind(random_state=0, **settings)
        for number in range(3):
            rows = make_rows(150, number)
            weight = rows.weight if number == 1 else None
            model.partial_fit(inputs(rows), target(rows), sample_weight=weight)
        return results(model, inputs(make_rows(100, 5)))

    return run


def parts_that_grow(kind):
    """partial_fit of tables whose later chunks bring new values."""
    model = kind(random_state=0, **FACTORS, **STEPS)
    for number in range(3):
        rows = make_rows(150, number)
        known = rows.categories[:, 0] != 2 if number == 0 else slice(None)
        model.partial_fit(pandas_frame(rows)[known], labels(rows)[known], classes=[False, True])
    return results(model, pandas_frame(make_rows(100, 5)))


def part_after_fit(kind):
    model = kind(random_state=0, **FACTORS, **STEPS).fit(csr(make_rows(300, 0)), labels(make_rows(300, 0)))
    model.partial_fit(csr(make_rows(300, 1)), labels(make_rows(300, 1)))
    return results(model, csr(make_rows(100, 5)))


def warm(target, inputs, **settings):
    """A second fit, to other rows."""

    def run(kind):
        model = kind(random_state=0, warm_start=True, **settings)
        for seed in (0, 1):
            model.fit(inputs(make_rows(300, seed)), target(make_rows(300, seed)))
        return results(model, inputs(make_rows(100, 5)))

    return run


def from_machine(target, machine, **settings):
    """A fit that starts from the tables of a fitted estimator."""

    def run(kind):
        import skfm

        rows = make_rows(300, 0)
        start = getattr(skfm, machine)(random_state=0, **FACTORS, **FULL).fit(csr(rows), target(rows))
        return fit(target, init_from=start, **settings)(kind)

    return run


def pretrained(target, **settings):
    """What the machine that training started from has learned counts too."""

    def run(kind):
        rows = make_rows(400, 0)
        model = kind(random_state=0, **NETWORK, **settings).fit(csr(rows), target(rows), rows.weight)
        X = csr(make_rows(100, 1))
        machine = {f"machine_.{name}": value for name, value in results(model.machine_, X).items()}
        return results(model, X) | machine

    return run


def stream(target, inputs, *, held=False, **settings):
    """Chunks, some with weights, few enough rows for memory; predictions of a stream too."""

    def chunk(n, seed, weighted):
        rows = make_rows(n, seed)
        return (inputs(rows), target(rows), rows.weight) if weighted else (inputs(rows), target(rows))

    def run(kind):
        chunks = [chunk(120, 0, False), chunk(150, 1, True), chunk(90, 2, False)]
        model = kind(random_state=0, **settings)
        model.fit(chunks, **{"X_val": [chunk(60, 3, True), chunk(70, 4, False)]} if held else {})
        found = results(model, inputs(make_rows(100, 5)))
        return found | {"predict of a stream": model.predict([(inputs(make_rows(100, 6)),)])}

    return run


def stream_on_disk(**settings):
    """More nonzeros than are put in memory: 9 chunks of 8,000 rows of 120."""

    def chunk(seed):
        rng = np.random.default_rng(seed)
        columns = rng.integers(50, size=(8_000, 120), dtype=np.int32) + 50 * np.arange(120, dtype=np.int32)
        start = np.arange(0, columns.size + 1, 120)
        X = sparse.csr_array((np.ones(columns.size, np.float32), columns.ravel(), start), (8_000, 6_000))
        return X, (columns[:, 0] + columns[:, 1] + rng.normal(0, 5, 8_000)) % 50 > 25

    def run(kind):
        model = kind(random_state=0, **settings)
        model.fit([chunk(seed) for seed in range(9)])
        return results(model, chunk(20)[0][:200])

    return run


# -------------------------------------------------------------------------------------------------- the table


class Within(NamedTuple):
    """Predictions may differ, by so much of the largest one, for a reason."""

    tolerance: float
    reason: str


class Fit(NamedTuple):
    """What is fitted, and how much its results may differ.

    Attributes
    ----------
    estimator : name of the class, with which `function` is called
    expected : "bits", or how far predictions may be from each other
    """

    estimator: str
    what: str
    function: Callable[[type], dict[str, Any]]
    expected: str | Within = "bits"

    @property
    def name(self) -> str:
        return f"{self.estimator}: {self.what}"


FROM_ALL_ROWS = Within(
    0.02, "automatic penalties are those of all rows, where they were those of the rows not held out"
)
# Probabilities of a model of another solver are far apart; predicted numbers are not.
ONE_PLAN = Within(
    0.7, "solver and penalties are those of all rows, where they were those of the 1,890 rows not held out"
)
ONE_PLAN_FOR_NUMBERS = ONE_PLAN._replace(tolerance=0.1)

FITS = (
    # -- solvers, penalties and kinds of matrices
    Fit("FMClassifier", "AdaGrad, CSR", fit(labels, **FACTORS, **STEPS)),
    Fit(
        "FMClassifier",
        "Adam, COO, nu = 1",
        fit(labels, coo, **FACTORS, **STEPS | {"solver": "adam"}, l2_frequency_power=1),
    ),
    Fit(
        "FMClassifier",
        "FTRL, CSC, L1, nu = 0.5",
        fit(labels, csc, **FACTORS, **STEPS | {"solver": "ftrl"}, l1_linear=3e-3, l2_frequency_power=0.5),
    ),
    Fit(
        "FMClassifier",
        "SGD, dense, constant rate",
        fit(
            labels,
            dense,
            **FACTORS,
            **STEPS | {"solver": "sgd"},
            learning_rate=0.05,
            learning_rate_schedule="constant",
        ),
    ),
    Fit("FMClassifier", "L-BFGS, nu = 0.5", fit(labels, **FACTORS, **FULL, l2_frequency_power=0.5)),
    Fit("FMClassifier", "an optax transformation", optax_transformation),
    Fit("FMClassifier", "rate by step", rate_of_step),
    Fit(
        "FMClassifier",
        "AdaGrad, cosine, rows of uneven length",
        fit(labels, uneven, **FACTORS, **STEPS, learning_rate_schedule="cosine"),
    ),
    Fit(
        "FMClassifier",
        "AdaGrad, one batch in float64",
        fit(labels, n=200, **FACTORS, **STEPS | {"batch_size": "auto"}),
    ),
    Fit("FMClassifier", "AdaGrad, forced to float64", fit(labels, **FACTORS, **STEPS, dtype="float64")),
    Fit("FMClassifier", "L-BFGS, forced to float32", fit(labels, **FACTORS, **FULL, dtype="float32")),
    Fit(
        "FMClassifier",
        "plateau to its end",
        fit(labels, **FACTORS, **STEPS | {"max_iter": 60, "early_stopping": "auto", "tol": 1e-2}),
    ),
    Fit(
        "FMClassifier",
        "no early stopping, no intercept",
        fit(labels, **FACTORS, **STEPS, early_stopping=False, fit_intercept=False),
    ),
    Fit(
        "LinearClassifier",
        "FTRL by L1, nu = 1",
        fit(labels, l1_linear=2e-3, l2_linear=1e-3, l2_frequency_power=1, max_iter=4),
    ),
    Fit("LinearClassifier", "L-BFGS, dense, to its optimum", fit(labels, dense, **LINEAR_L2)),
    # -- nothing set
    Fit("LinearClassifier", "defaults, 1,500 rows", fit(labels, n=1_500)),
    Fit("FMClassifier", "defaults, 1,500 rows", fit(labels, n=1_500)),
    Fit("FMRegressor", "defaults, 1,500 rows", fit(numbers, n=1_500)),
    Fit("FMClassifier", "defaults, 2,100 rows", fit(labels, n=2_100), ONE_PLAN),
    Fit("FMRegressor", "defaults, 2,100 rows", fit(numbers, n=2_100), ONE_PLAN_FOR_NUMBERS),
    Fit("FMClassifier", "defaults, 6,000 rows", fit(labels, n=6_000), FROM_ALL_ROWS),
    Fit("FMRegressor", "defaults, 6,000 rows", fit(numbers, n=6_000), FROM_ALL_ROWS),
    Fit("LinearClassifier", "defaults, 6,000 rows", fit(labels, n=6_000)),
    Fit("FMClassifier", "defaults but for penalties, 6,000 rows", fit(labels, n=6_000, **L2, **LINEAR_L2)),
    Fit(
        "DeepFMRegressor",
        "automatic penalties, 3,000 rows of a table, rows to stop on given",
        fit(numbers, pandas_frame, n=3_000, given=to_stop_on(numbers, pandas_frame), max_iter=6),
    ),
    # -- weights of rows and classes
    Fit("LinearRegressor", "weights, some 0", fit(numbers, given=weights, **LINEAR_L2)),
    Fit("FMClassifier", "weights, some 0", fit(labels, given=weights, **FACTORS, **STEPS)),
    Fit(
        "FMClassifier",
        "balanced classes and weights",
        fit(names, given=weights, class_weight="balanced", **FACTORS, **FULL),
    ),
    Fit(
        "LinearClassifier",
        "weights of classes, one 0",
        fit(names, class_weight={"low": 2.0, "high": 0.0}, **LINEAR_L2, **FULL),
    ),
    Fit(
        "LinearClassifier",
        "weights of several labels",
        fit(several_labels, class_weight=[{0: 1, 1: 3}, {0: 1, 1: 1}, {1: 0.5}], **LINEAR_L2, **STEPS),
    ),
    # -- kinds of targets
    Fit("FMClassifier", "three classes", fit(names, **FACTORS, **STEPS)),
    Fit("FMClassifier", "several labels", fit(several_labels, **FACTORS, **STEPS)),
    Fit("FMRegressor", "several numbers", fit(several_numbers, **FACTORS, **FULL)),
    Fit("FMRegressor", "Huber loss", fit(numbers, loss="huber", huber_delta=0.8, **FACTORS, **STEPS)),
    Fit("LinearRegressor", "absolute error", fit(numbers, loss="absolute_error", **LINEAR_L2, **STEPS)),
    Fit("LinearRegressor", "quantile", fit(numbers, loss="quantile", quantile=0.8, **LINEAR_L2, **STEPS)),
    Fit("LinearRegressor", "Poisson", fit(counts, loss="poisson", **LINEAR_L2, **FULL)),
    Fit("FMRegressor", "Poisson, several epochs", fit(counts, loss="poisson", **FACTORS, **STEPS)),
    Fit("FMRegressor", "no intercept", fit(numbers, fit_intercept=False, **FACTORS, **FULL)),
    # -- stopping
    Fit("FMClassifier", "rows held out", fit(labels, **FACTORS, **STEPS | HELD_OUT)),
    Fit("FMRegressor", "rows held out, L-BFGS", fit(numbers, **FACTORS, **FULL | HELD_OUT)),
    Fit(
        "FMClassifier",
        "rows held out, several labels and weights",
        fit(several_labels, given=weights, **FACTORS, **STEPS | HELD_OUT),
    ),
    Fit("FMClassifier", "rows to stop on given", fit(labels, given=to_stop_on(labels), **FACTORS, **STEPS)),
    Fit(
        "FMClassifier",
        "rows to stop on given, automatic penalties, second attempt",
        fit(labels, given=to_stop_on(labels), **STEPS),
    ),
    Fit(
        "FMClassifier",
        "rows to stop on given with weights, balanced, L-BFGS",
        fit(names, given=to_stop_on(names, weighted=True), class_weight="balanced", **FACTORS, **FULL),
    ),
    Fit("FMClassifier", "stopping by ROC AUC", fit(labels, scoring="roc_auc", **FACTORS, **STEPS | HELD_OUT)),
    Fit(
        "FMClassifier",
        "stopping by a function, weights",
        fit(labels, given=weights, scoring=brier, **FACTORS, **STEPS | HELD_OUT),
    ),
    Fit("FMRegressor", "stopping by R^2", fit(numbers, scoring="r2", **FACTORS, **STEPS | HELD_OUT)),
    Fit("FMClassifier", "generator as seed", shared_generator),
    # -- fits that go on
    Fit("FMClassifier", "parts", parts(labels, csr, **FACTORS, **STEPS)),
    Fit("FMRegressor", "parts", parts(numbers, csr, **FACTORS, **STEPS)),
    Fit("FMClassifier", "parts of a table that grows", parts_that_grow),
    Fit("FMClassifier", "part after fit", part_after_fit),
    Fit(
        "DeepFMClassifier",
        "parts, batch normalisation",
        parts(labels, csr, batch_norm=True, **NETWORK, **LINEAR_L2, **STEPS),
    ),
    Fit("FMClassifier", "warm start of a table", warm(labels, pandas_frame, **FACTORS, **STEPS)),
    Fit("FMRegressor", "warm start, L-BFGS", warm(numbers, csr, **FACTORS, **FULL)),
    Fit(
        "NFMClassifier",
        "start from a machine",
        from_machine(labels, "FMClassifier", **NETWORK, **LINEAR_L2, **FEW_STEPS),
    ),
    Fit(
        "MixtureFMRegressor",
        "start from a machine",
        from_machine(numbers, "FMRegressor", **FACTORS, **FEW_STEPS),
    ),
    # -- tables
    Fit("FieldEncoder", "shared tables, crosses, parts", encoder_alone),
    Fit("FMClassifier", "pandas", fit(labels, pandas_frame, **FACTORS, **STEPS)),
    Fit("FMClassifier", "polars", fit(labels, polars_frame, **FACTORS, **STEPS)),
    Fit("FMClassifier", "pandas, numbers alone", fit(labels, pandas_numbers, **FACTORS, **FULL)),
    Fit("FMClassifier", "encoder, hash", encoder_settings(hash=16, signed_hash=True)),
    Fit(
        "FwFMClassifier",
        "encoder, shared tables and crosses",
        encoder_settings(
            shared={"item": ["item", "seen"]},
            crosses=[("city", "item")],
            cross_slots=32,
            multi_hot={"tags": "|"},
        ),
    ),
    Fit(
        "DeepFMClassifier",
        "encoder, bins alone",
        encoder_settings(numeric_encoding="bins", bins=6, max_categories=8, min_frequency=0.02),
    ),
    # -- streams
    Fit("FMClassifier", "stream of matrices", stream(labels, csr, **FACTORS, **STEPS)),
    Fit(
        "FMRegressor",
        "stream of tables, rows held out",
        stream(numbers, pandas_frame, **FACTORS, **STEPS | HELD_OUT),
    ),
    Fit(
        "LinearClassifier",
        "stream of tables, stream to stop on",
        stream(names, polars_frame, held=True, **LINEAR_L2, **STEPS),
    ),
    Fit(
        "FMClassifier",
        "stream on disk, rows held out",
        stream_on_disk(**FACTORS, solver="adagrad", max_iter=2, early_stopping=True),
    ),
    # -- models
    Fit("FMClassifier", "degree 3", fit(names, degree=3, **FACTORS, **FULL)),
    Fit("FMRegressor", "degree 4, no linear term", fit(numbers, degree=4, fit_linear=False, **L2, **STEPS)),
    Fit("FFMClassifier", "AdaGrad", fit(names, **FACTORS, **STEPS)),
    Fit(
        "FFMRegressor",
        "rows of length 1, L-BFGS",
        fit(numbers, uneven, normalize_rows=True, **FACTORS, **FULL),
    ),
    Fit("FwFMRegressor", "L-BFGS", fit(several_numbers, l2_dense=1e-3, **FACTORS, **FULL)),
    Fit(
        "AFMClassifier", "dropout", fit(labels, dropout=0.2, n_attention=4, l2_dense=1e-3, **FACTORS, **STEPS)
    ),
    Fit("AFMRegressor", "L-BFGS", fit(numbers, n_attention=4, l2_dense=1e-3, **FACTORS, **FULL)),
    Fit(
        "NFMRegressor",
        "dropout, batch normalisation",
        fit(numbers, dropout=0.3, batch_norm=True, **NETWORK, **LINEAR_L2, **STEPS),
    ),
    Fit("DeepFMClassifier", "dropout", fit(labels, dropout=0.3, **NETWORK, **LINEAR_L2, **STEPS)),
    Fit(
        "DeepFMClassifier",
        "fields given, Adam, rows held out",
        fit(names, fields=np.arange(51) % 3, **NETWORK, **LINEAR_L2, **STEPS | HELD_OUT | {"solver": "adam"}),
    ),
    Fit(
        "DeepFMRegressor",
        "one field, L-BFGS",
        fit(numbers, fields=None, activation="tanh", **NETWORK, **LINEAR_L2, **FULL),
    ),
    Fit(
        "WideDeepClassifier",
        "FTRL for the wide part, crosses",
        fit(
            labels,
            pandas_frame,
            wide_solver="ftrl",
            wide_learning_rate=0.05,
            l1_linear=1e-4,
            crosses=[("city", "item")],
            cross_slots=64,
            **NETWORK,
            **LINEAR_L2,
            **STEPS,
        ),
    ),
    Fit(
        "WideDeepClassifier",
        "wide part alone",
        fit(labels, pandas_frame, parts="wide", crosses=[("city", "item")], **NETWORK, **LINEAR_L2, **FULL),
    ),
    Fit("WideDeepRegressor", "L-BFGS", fit(several_numbers, **NETWORK, **LINEAR_L2, **FULL)),
    Fit(
        "DCNClassifier",
        "version 2, experts, stacked",
        fit(labels, version=2, rank=2, n_experts=3, structure="stacked", **NETWORK, **STEPS),
    ),
    Fit("DCNRegressor", "version 1", fit(numbers, version=1, **NETWORK, **FULL)),
    Fit(
        "XDeepFMClassifier",
        "AdaGrad",
        fit(names, cin_layer_sizes=(5, 4), cin_activation="relu", **NETWORK, **LINEAR_L2, **FEW_STEPS),
    ),
    Fit("XDeepFMRegressor", "L-BFGS", fit(numbers, cin_layer_sizes=4, **NETWORK, **LINEAR_L2, **FULL)),
    Fit(
        "PNNClassifier",
        "both products, layer normalisation",
        fit(labels, product="both", layer_norm=True, **NETWORK, **STEPS),
    ),
    Fit("PNNRegressor", "dropout", fit(numbers, dropout=0.1, **NETWORK, **STEPS)),
    Fit("FNNClassifier", "machine first, three classes", pretrained(names, **FULL)),
    Fit(
        "FNNClassifier",
        "machine first, rows held out, dropout",
        pretrained(labels, dropout=0.2, **STEPS | HELD_OUT),
        FROM_ALL_ROWS,
    ),
    Fit("FNNRegressor", "machine first", pretrained(numbers, **STEPS)),
    Fit("FNNRegressor", "no machine", fit(numbers, pretrain=False, **NETWORK, **STEPS)),
    Fit("DeepCrossingClassifier", "batch normalisation", fit(labels, batch_norm=True, **NETWORK, **STEPS)),
    Fit("DeepCrossingRegressor", "L-BFGS", fit(numbers, activation="silu", **NETWORK, **FULL)),
    Fit(
        "FinalMLPClassifier",
        "gates by row, heads",
        fit(labels, gate="row", n_heads=2, second_layer_sizes=6, **NETWORK, **STEPS),
    ),
    Fit("FinalMLPRegressor", "no gates, L-BFGS", fit(numbers, gate=None, **NETWORK, **FULL)),
    Fit(
        "DINClassifier",
        "histories",
        fit(labels, pandas_frame, sequence_fields={"seen": "item"}, max_length=3, **NETWORK, **STEPS),
    ),
    Fit(
        "DINClassifier",
        "histories, Dice, polars",
        fit(
            labels,
            polars_frame,
            sequence_fields={"seen": "item"},
            activation="dice",
            attention_softmax=False,
            attention_layer_sizes=6,
            **NETWORK,
            **STEPS,
        ),
    ),
    Fit(
        "DINRegressor",
        "histories as text, L-BFGS",
        fit(
            numbers,
            pandas_frame,
            sequence_fields={"tags": "city"},
            sequence_separator="|",
            **NETWORK,
            **FULL | {"max_iter": 8},
        ),
    ),
    Fit(
        "ESMMClassifier",
        "weights of tasks by row",
        fit(click_conversion, given=task_weights, **NETWORK, **LINEAR_L2, **STEPS),
    ),
    Fit(
        "ESMMClassifier",
        "weights of tasks and classes, DCN",
        fit(
            click_conversion,
            given=weights,
            tower="dcn",
            task_weights=(1, 2),
            class_weight=[{1: 2}, {1: 3}],
            **NETWORK,
            **STEPS,
        ),
    ),
    Fit(
        "ESMMClassifier",
        "balanced, L-BFGS, rows to stop on given",
        fit(
            click_conversion,
            given=to_stop_on(click_conversion),
            tower="nfm",
            class_weight="balanced",
            **NETWORK,
            **FULL,
        ),
    ),
    Fit("ESMMClassifier", "stopping by conversions", task_scores),
    Fit("ESMMClassifier", "labels of one column", fit(names, tower="fm", **NETWORK, **STEPS)),
    Fit("ESMMClassifier", "parts", parts(click_conversion, csr, tower="mlp", **NETWORK, **STEPS)),
    Fit(
        "ESMMClassifier",
        "stream, rows held out",
        stream(click_conversion, pandas_frame, tower="fm", **NETWORK, **STEPS | HELD_OUT),
        FROM_ALL_ROWS,
    ),
    Fit("MixtureFMClassifier", "linear gates", fit(names, gate="linear", n_components=3, **FACTORS, **STEPS)),
    Fit(
        "MixtureFMClassifier",
        "factors in gates, scores mixed, L-BFGS",
        fit(labels, gate="fm", expert="linear", mixing="score", **FACTORS, **FULL),
    ),
    Fit("MixtureFMClassifier", "automatic penalties", fit(labels, n_factors=3)),
    Fit("MixtureFMRegressor", "Poisson", fit(counts, gate="linear+fm", loss="poisson", **FACTORS, **STEPS)),
)


# -------------------------------------------------------------------------------------------------------- run


def plain(value) -> np.ndarray:
    """The value as one array that NumPy stores without pickling."""
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return np.concatenate([plain(part).ravel() for part in value])
    value = np.asarray(value if isinstance(value, str | list | np.ndarray | float | int) else repr_of(value))
    return value.astype(str) if value.dtype == object else value


def repr_of(value) -> Any:
    """What stays the same of a value from process to process."""
    return value if isinstance(value, np.generic) else type(value).__name__


def chosen(options) -> list[Fit]:
    return [one for one in FITS if options.only.lower() in one.name.lower()]


def run(options) -> None:
    """Do the fits with the skfm of the current directory and store their results."""
    sys.path[0] = os.getcwd()
    from sklearn.exceptions import ConvergenceWarning

    import skfm

    if Path(skfm.__file__).parent.parent != Path.cwd():
        raise SystemExit(f"skfm is that of {skfm.__file__}: start in the root of a checkout.")
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", ConvergenceWarning)
    stored: dict[str, np.ndarray] = {}
    for one in chosen(options):
        began = time.perf_counter()
        try:
            found = one.function(getattr(skfm, one.estimator))
        except Exception:
            found = {"error": traceback.format_exc()}
        stored |= {f"{one.name}/{item}": plain(value) for item, value in found.items()}
        state = "failed" if "error" in found else f"{len(found)} results"
        print(f"{time.perf_counter() - began:6.1f} s  {state:>12}  {one.name}", flush=True)
    np.savez_compressed(options.file, allow_pickle=False, **stored)


# ---------------------------------------------------------------------------------------------------- between


def same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Largest difference, as a share of the largest number; infinite where there is none to take."""
    if first.shape != second.shape:
        return np.inf
    if "U" in first.dtype.kind + second.dtype.kind:
        return 0.0 if np.array_equal(first, second) else np.inf
    first, second = first.astype(np.float64), second.astype(np.float64)
    if np.array_equal(first, second, equal_nan=True):
        return 0.0
    largest = np.abs(first - second).max() / max(np.abs(first).max(), np.abs(second).max())
    return float(largest) if np.isfinite(largest) else np.inf


class Verdict(NamedTuple):
    """What came of a fit in two revisions.

    Attributes
    ----------
    text : "equal", or the largest difference and where it is
    passed : whether that is allowed
    """

    text: str
    passed: bool


def judge(one: Fit, first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> Verdict:
    """Compare the results of a fit, by name."""
    for found in (first, second):
        if "error" in found:
            return Verdict(f"failed: {str(found['error']).strip().splitlines()[-1]}", False)
    prediction = "predict_proba" if "predict_proba" in first else "predict"
    if not isinstance(one.expected, str):
        # Another solver records other things.
        first, second = (
            {item: value for item, value in found.items() if not item.startswith("history_")}
            for found in (first, second)
        )
    if not first or first.keys() != second.keys():
        lone = sorted(first.keys() ^ second.keys()) or ["everything"]
        return Verdict(f"missing in one of both: {', '.join(lone)}", False)
    differing = {
        item: difference(first[item], second[item])
        for item in first
        if not same_bits(first[item], second[item])
    }
    if not differing:
        return Verdict("equal", True)
    if isinstance(one.expected, str):
        worst = max(differing, key=differing.__getitem__)
        return Verdict(f"{differing[worst]:.1e} in {worst} ({len(differing)} of {len(first)})", False)
    largest = differing.get(prediction, 0.0)
    return Verdict(
        f"{largest:.1e} in {prediction}, {one.expected.tolerance:.0e} allowed: {one.expected.reason}",
        largest <= one.expected.tolerance,
    )


def read(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Results by fit and name."""
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(path) as stored:
        for key in stored.files:
            name, item = key.split("/", 1)
            found.setdefault(name, {})[item] = stored[key]
    return found


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A temporary folder with the files of a revision."""
    with tempfile.TemporaryDirectory(prefix="skfm-compare-") as folder:
        tree = Path(folder).resolve() / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], check=True)


def between(options) -> None:
    """Run the fits in both revisions and print what differs."""
    both = []
    with ExitStack() as stack:
        for number, revision in enumerate((options.first, options.second)):
            tree = stack.enter_context(checkout(revision))
            file = tree.parent / f"{number}.npz"
            command = [sys.executable, Path(__file__).resolve(), "run", file, "--only", options.only]
            print(f"{revision} ..", file=sys.stderr, flush=True)
            subprocess.run(command, cwd=tree, stdout=sys.stderr, check=True)
            both.append(read(file))
    verdicts = {one.name: judge(one, *(found.get(one.name, {}) for found in both)) for one in chosen(options)}
    width = max(map(len, verdicts), default=0)
    for name, verdict in verdicts.items():
        print(f"{'    ' if verdict.passed else 'NOT '}{name:{width}}  {verdict.text}")
    equal = sum(verdict.text == "equal" for verdict in verdicts.values())
    bad = sum(not verdict.passed for verdict in verdicts.values())
    print(
        f"\n{len(verdicts)} fits of {options.first} and {options.second}: {equal} equal bit for bit, ", end=""
    )
    print(f"{len(verdicts) - equal - bad} within what is allowed, {bad} not.")
    raise SystemExit(bool(bad))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    alone = commands.add_parser("run", help="do the fits with the skfm of the current directory")
    alone.add_argument("file", type=Path, help="where to store the results, .npz")
    alone.set_defaults(command=run)
    two = commands.add_parser("between", help="do the fits in two revisions and compare")
    two.add_argument("first", help="revision that git knows")
    two.add_argument("second", help="the other one")
    two.set_defaults(command=between)
    for command in (alone, two):
        command.add_argument("--only", default="", metavar="TEXT", help="fits whose name has this text")
    options = parser.parse_args()
    options.command(options)


if __name__ == "__main__":
    main()
