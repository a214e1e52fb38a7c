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


class Scores:
    """Scores of a growing number of epochs: lists ``log_loss`` and ``AUC`` of the rows "test", those of the
    rows "valid", where there are any, as ``valid_log_loss`` and ``valid_AUC``, and ``fit_seconds``.
    """

    def __init__(self, parts):
        self.rows = {part: parts[part] for part in ("valid", "test") if part in parts}
        self.found = {"fit_seconds": []}

    def add(self, fit_seconds, probability):
        """Score the function `probability` of a part's name and its X."""
        self.found["fit_seconds"].append(fit_seconds)
        for part, (X, y) in self.rows.items():
            p = np.asarray(probability(part, X), dtype=np.float64)
            prefix = "" if part == "test" else "valid_"
            self.found.setdefault(f"{prefix}log_loss", []).append(float(log_loss(y, p)))
            self.found.setdefault(f"{prefix}AUC", []).append(float(roc_auc_score(y, p)))


def make_tasks(make, fields_of=lambda X, **options: {}):
    """The tasks ``quality``, ``predict`` and ``cross_validate``.

    Parameters
    ----------
    make : function of the options ``model``, ``epochs``, ``threads``, ``seed`` and ``settings``
        Returns an estimator that trains so many epochs.
    fields_of : function of X and these options
        Returns what ``fit`` of the task ``quality`` takes beside X and y.
    """

    def quality(parts, *, epochs, **options):
        X, y = parts["train"]
        fields = fields_of(X, **options)
        scores = Scores(parts)
        for number in epochs:
            start = time.perf_counter()
            estimator = make(epochs=number, **options).fit(X, y, **fields)
            seconds = time.perf_counter() - start
            scores.add(seconds, lambda part, X, fitted=estimator: fitted.predict_proba(X)[:, 1])
        return scores.found

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
    return clocked(function, *arguments)["fit_seconds"]


def clocked(function, *arguments):
    """Seconds that a fit takes, and those of all cores together."""
    start, cpu_start = time.perf_counter(), time.process_time()
    function(*arguments)
    return {"fit_seconds": time.perf_counter() - start, "fit_cpu_seconds": time.process_time() - cpu_start}


def choose_class(module, model):
    """Classifier of a module for the benchmarks' name of a model."""
    return getattr(module, f"{MODELS[model]}Classifier")
