"""What holds for every estimator that was fitted on a case.

A property is a function of a case and the estimator fitted on it; a new one is a function here. Its name is
what it says. `check` also sees to errors, warnings and global state, see `tests.fuzz.watch`.
"""

import copy
import pickle

import numpy as np
from sklearn.base import clone, is_classifier

from skfm import FieldEncoder
from tests.fuzz import watch


def fit(case, X=None, y=None, weight=None, *, partial=False, **parameters):
    """A fitted estimator; raises `watch.Refused` where it says what it cannot learn from."""
    model = case.make(**parameters)
    X = case.held() if X is None else X
    y = case.y if y is None else y
    weight = case.weight if weight is None else weight
    with watch.refusals():
        call = model.partial_fit if partial else model.fit
        return call(X, sample_weight=weight) if y is None else call(X, y, sample_weight=weight)


def outputs(model, X):
    """Probabilities, numbers or encoded rows."""
    for method in ("predict_proba", "predict", "transform"):
        if hasattr(model, method):
            with watch.refusals():
                out = getattr(model, method)(X)
            return out.toarray() if hasattr(out, "toarray") else np.asarray(out)
    raise TypeError(f"{model} has no outputs")


def same(a, b):
    assert a.shape == b.shape, f"shapes {a.shape} and {b.shape}"
    assert a.tobytes() == b.tobytes(), f"not the same bits: off by {np.abs(a - b).max()}"


def close(a, b, model, tolerance=None):
    """Equal to the rounding of the precision that the model is in, relative to the largest value."""
    assert a.shape == b.shape, f"shapes {a.shape} and {b.shape}"
    if tolerance is None:
        tolerance = 1e-9 if getattr(model, "plan_", {}).get("dtype", "float64") == "float64" else 1e-4
    largest = np.abs(a).max(initial=1e-300)
    off = np.abs(a - b).max(initial=0) / largest
    assert off <= tolerance, f"off by {off:.1e} of the largest value {largest:.3g}"


def public(model):
    """Fitted attributes that are arrays of numbers."""
    found = {}
    for name in dir(type(model)):
        if name.endswith("_") and not name.startswith("_"):
            value = getattr(model, name, None)
            if isinstance(value, np.ndarray | float) and np.asarray(value).dtype.kind == "f":
                found[name] = np.asarray(value)
    return found


# -- properties ----------------------------------------------------------------------------------------


def finite(case, model):
    found = outputs(model, case.held())
    assert np.isfinite(found).all(), f"outputs are not finite: {found[~np.isfinite(found)][:3]}"
    for name, value in public(model).items():
        assert np.isfinite(value).all(), f"{name} is not finite"
    if hasattr(model, "predict_proba"):
        assert found.min() >= 0, f"a probability of {found.min()}"
        assert found.max() <= 1 + 1e-6, f"a probability of {found.max()}"
        if case.target not in ("clicks", "multilabel"):
            np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
            assert np.isin(model.predict(case.held()), model.classes_).all()
        assert np.isfinite(model.decision_function(case.held())).all(), "decision function not finite"


def same_seed_same_bits(case, model):
    again = fit(case)
    same(outputs(model, case.held()), outputs(again, case.held()))


def other_container(case, model):
    X = case.held()
    expected = outputs(model, X)
    other = case.rng.choice(case.containers)
    X = case.held(other)
    tolerance = 1e-4 if case.container in ("float32", "csr float32", "float16") else None
    with watch.other_names():
        close(expected, outputs(model, X), model, tolerance)
    again = fit(case, X)
    close(expected, outputs(again, X), model, tolerance)


def pieces(case, model):
    cut = case.rng.integers(2, case.n_rows)
    parts = [outputs(model, case.held(rows=rows)) for rows in (slice(1), slice(1, cut), slice(cut, None))]
    close(outputs(model, case.held()), np.concatenate(parts), model)


def permuted(case, model):
    order = case.rng.permutation(case.n_rows)
    close(outputs(model, case.held())[order], outputs(model, case.held(rows=order)), model)


def pickled(case, model):
    expected = outputs(model, case.held())
    for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        same(expected, outputs(copied, case.held()))
        assert repr(copied.get_params()) == repr(model.get_params())
    assert repr(clone(model).get_params()) == repr(case.make().get_params())
    same(expected, outputs(fit(case, **clone(model).get_params(deep=False)), case.held()))


def _bad_calls(case):
    """Calls that fail, by what is wrong."""
    good, y, n = case.held(), case.y, case.n_rows
    targets = (y,) if y is not None else ()
    calls = {
        "text as weights": lambda model: model.fit(good, *targets, sample_weight=["a"] * n),
        "negative weights": lambda model: model.fit(good, *targets, sample_weight=-np.ones(n)),
        "NaN in weights": lambda model: model.fit(good, *targets, sample_weight=np.full(n, np.nan)),
        "no weight": lambda model: model.fit(good, *targets, sample_weight=np.zeros(n)),
        "too few weights": lambda model: model.fit(good, *targets, sample_weight=np.ones(n - 1)),
        "one dimension": lambda model: model.fit(np.ones(n), *targets),
        "three dimensions": lambda model: model.fit(np.ones((n, 2, 2)), *targets),
        "None": lambda model: model.fit(None, *targets),
        "a string": lambda model: model.fit("table.csv", *targets),
        "no rows": lambda model: model.fit(case.held(rows=slice(0, 0)), *targets),
        "predict None": lambda model: outputs_of(model)(None),
        "predict one row of one dimension": lambda model: outputs_of(model)(np.ones(len(case.columns))),
        "predict a column more": lambda model: outputs_of(model)(_wider(case)),
        "a wrong parameter": lambda model: _with_wrong_parameter(model, good, targets),
    }
    if y is not None:
        calls |= {
            "y too short": lambda model: model.fit(good, y[: n - 1]),
            "y is None": lambda model: model.fit(good, None),
            "y of dicts": lambda model: model.fit(good, [{}] * n),
            "NaN in y": lambda model: model.fit(good, np.full(n, np.nan)),
            "infinity in y": lambda model: model.fit(good, np.full(n, np.inf)),
        }
        if case.parameters.get("early_stopping") is not False:
            calls |= {
                "X_val without y_val": lambda model: model.fit(good, y, X_val=good),
                "wider X_val": lambda model: model.fit(good, y, X_val=_wider(case), y_val=y),
            }
        if case.parameters.get("solver") != "lbfgs":
            calls |= {
                "partial_fit, wider": lambda model: model.partial_fit(_wider(case), y),
                "partial_fit, y too short": lambda model: model.partial_fit(good, y[:2]),
            }
    if case.name.endswith("Classifier"):
        calls["a label that is new"] = lambda model: model.partial_fit(case.held(rows=slice(3)), ["new"] * 3)
    if not case.is_table:
        bad = {"NaN": np.nan, "infinity": np.inf, "text": "a", "complex": 1j}
        for what, value in bad.items():
            X = np.zeros((n, len(case.columns)), dtype=object)
            X[n // 2, -1] = value
            X = X if what == "text" else X.astype(complex if what == "complex" else float)
            calls[f"{what} in X"] = lambda model, X=X: model.fit(X, *targets)
            calls[f"predict, {what} in X"] = lambda model, X=X: outputs_of(model)(X)
    return calls


def outputs_of(model):
    return next(getattr(model, name) for name in ("predict", "transform") if hasattr(model, name))


def _wider(case):
    if case.is_table:
        frame = case.held("polars").with_columns(more=0.5)
        return frame if case.container.startswith("polars") else frame.to_pandas()
    return np.column_stack([case.content, case.content[:, :1]])


def _with_wrong_parameter(model, X, targets):
    wrong = {"max_iter": -1} if hasattr(model, "max_iter") else {"bins": -1}
    kept = {name: getattr(model, name) for name in wrong}
    try:
        return model.set_params(**wrong).fit(X, *targets)
    finally:
        model.set_params(**kept)


def failed_calls_change_nothing(case, model):
    expected, state = outputs(model, case.held()), dict(vars(model))
    calls = _bad_calls(case)
    for what in case.rng.choice(list(calls), size=3, replace=False):
        try:
            with watch.refusals(), watch.other_names():
                calls[what](model)
        except watch.Refused:
            pass
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from error
        else:
            raise AssertionError(f"{what}: no error")
        same(expected, outputs(model, case.held()))
        assert vars(model).keys() == state.keys(), f"{what}: attributes changed"
        assert all(vars(model)[key] is state[key] for key in state), f"{what}: attributes changed"


def _exact(case):
    """Parameters with which a fit depends on nothing but the objective."""
    known = case.make().get_params()
    exact = {
        "early_stopping": False,
        "batch_size": "auto",
        "dropout": 0.0,
        "batch_norm": False,
        "dtype": "float64",
        "tol": 0,
        "learning_rate": "auto",
        "encoder": FieldEncoder(min_frequency=1) if case.is_table else "auto",
        "min_frequency": 1,
    }
    return {name: value for name, value in exact.items() if name in known}


def _agree(case, one, other):
    """Two fits, ``(X, y, weight)`` and parameters of each, predict the same, or both are refused."""
    found = []
    for (X, y, weight), parameters in (one, other):
        try:
            model = fit(case, X, y, weight, **(_exact(case) | parameters))
            found.append(outputs(model, case.held()))
        except watch.Refused as refused:
            found.append(refused)
    refused = [one for one in found if isinstance(one, watch.Refused)]
    assert len(refused) != 1, f"one of two equal fits was refused: {refused[0]}"
    if not refused:
        close(*found, model, 1e-5)


def _rows(y, rows):
    if y is None:
        return None
    return y[rows] if isinstance(y, np.ndarray) else np.asarray(y)[rows]


def weight_is_repetition(case, model):
    """Of rows twice, and of rows left out."""
    if case.parameters.get("activation") == "dice":
        return
    times = case.rng.integers(0, 3, size=case.n_rows)
    times[:2] = 1
    rows = np.repeat(np.arange(case.n_rows), times)
    weighed = case.held(), case.y, times.astype(float)
    repeated = case.held(rows=rows), _rows(case.y, rows), np.ones(rows.size)
    _agree(case, (weighed, {}), (repeated, {}))


def scaled_weights(case, model):
    """With penalties that do not depend on the sum of the weights. In tables those of at least 1 are rows."""
    if case.parameters.get("activation") == "dice":
        return
    penalties = {name: 0.01 for name in case.make().get_params() if name.startswith("l2_")}
    penalties.pop("l2_frequency_power", None)
    weight = case.rng.integers(1, 4, size=case.n_rows)
    # Powers of two round nothing: L-BFGS that is cut short may go another way after any rounding.
    scale = 2.0 ** case.rng.choice([-20, -5, -1, 2, 20])
    if case.is_table:
        weight, scale = weight / weight.sum(), 2.0 ** case.rng.choice([-20, -1, 0])
    X = case.held()
    _agree(case, ((X, case.y, weight), penalties), ((X, case.y, weight * scale), penalties))


def partial_fit_by_pieces(case, model):
    """Finite whatever the first piece holds, and the same bits again."""
    found = []
    for _ in range(2):
        model = case.make()
        for start in range(0, case.n_rows, 10):
            rows = slice(start, start + 10)
            X, y = case.held(rows=rows), _rows(case.y, rows)
            classes = {"classes": _classes(case)} if is_classifier(model) and start == 0 else {}
            try:
                with watch.refusals():
                    model.partial_fit(X, **({} if y is None else {"y": y}), **classes)
            except watch.Refused:
                return
        found.append(outputs(model, case.held()))
    assert np.isfinite(found[0]).all(), "outputs are not finite"
    same(*found)


def _classes(case):
    y = np.asarray(case.y)
    return np.unique(y) if y.ndim == 1 else None


def fitted_again(case, model):
    """A second fit forgets the first; with warm_start it goes on, and a third time too."""
    expected = outputs(model, case.held())
    with watch.refusals():
        model.fit(case.held(), *(() if case.y is None else (case.y,)), sample_weight=case.weight)
    if not getattr(model, "warm_start", False):
        same(expected, outputs(model, case.held()))
    assert np.isfinite(outputs(model, case.held())).all(), "outputs are not finite"


PROPERTIES = {
    one.__name__: one
    for one in (
        finite,
        same_seed_same_bits,
        other_container,
        pieces,
        permuted,
        pickled,
        failed_calls_change_nothing,
        weight_is_repetition,
        scaled_weights,
        partial_fit_by_pieces,
        fitted_again,
    )
}


def check(case):
    """Check a case; says whether the property "held" or the fit was "refused" in words."""
    X = case.held()
    with watch.alone(X, case.y, case.weight):
        try:
            model = fit(case, X)
        except watch.Refused as refused:
            return f"refused: {refused}"
        try:
            PROPERTIES[case.checked](case, model)
        except watch.Refused as refused:
            raise AssertionError(f"refused after the same fit was not: {refused}") from refused
    return "held"
