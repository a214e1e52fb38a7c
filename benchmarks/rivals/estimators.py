"""Tasks of libraries whose models are scikit-learn estimators."""

import time

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import cross_val_score

# Stem of the classes by the benchmarks' name of a model.
MODELS = {
    "fm": "FM",
    "ffm": "FFM",
    "fwfm": "FwFM",
    "afm": "AFM",
    "nfm": "NFM",
    "deepfm": "DeepFM",
    "wide_deep": "WideDeep",
    "fnn": "FNN",
    "pnn": "PNN",
    "dcn": "DCN",
    "xdeepfm": "XDeepFM",
    "deep_crossing": "DeepCrossing",
    "final_mlp": "FinalMLP",
}


def make_tasks(make):
    """The tasks ``quality``, ``predict`` and ``cross_validate``.

    Parameters
    ----------
    make : function of the options ``model``, ``epochs``, ``threads``, ``seed`` and ``settings``
        Returns an estimator that trains so many epochs.
    """

    def quality(parts, *, epochs, **options):
        found = {"log_loss": [], "AUC": [], "fit_seconds": []}
        for number in epochs:
            start = time.perf_counter()
            estimator = make(epochs=number, **options).fit(*parts["train"])
            found["fit_seconds"].append(time.perf_counter() - start)
            X, y = parts["test"]
            probability = np.asarray(estimator.predict_proba(X), dtype=np.float64)[:, 1]
            found["log_loss"].append(float(log_loss(y, probability)))
            found["AUC"].append(float(roc_auc_score(y, probability)))
        return found

    def predict(parts, *, repeats, **options):
        estimator = make(epochs=1, **options).fit(*parts["train"])
        X, _ = parts["test"]
        row = X[:1]
        times = [seconds_of(estimator.predict_proba, X) for _ in range(repeats)]
        row_times = [seconds_of(estimator.predict_proba, row) for _ in range(100)]
        return {"seconds": times, "row_seconds": float(np.median(row_times))}

    def cross_validate(parts, **options):
        estimator = make(**options)
        X, y = parts["train"]
        times, score = [], None
        for _ in range(2):
            start = time.perf_counter()
            score = cross_val_score(estimator, X, y, cv=5, scoring="roc_auc").mean()
            times.append(time.perf_counter() - start)
        return {"seconds": times, "AUC": float(score)}

    return quality, predict, cross_validate


def seconds_of(function, *arguments):
    """Seconds that a call takes."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def choose_class(module, model):
    """Classifier of a module for the benchmarks' name of a model."""
    return getattr(module, f"{MODELS[model]}Classifier")
