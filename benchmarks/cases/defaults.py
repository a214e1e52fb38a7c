"""Default estimators against LogisticRegression or Ridge on the same input, twelve data sets.

Each estimator has default parameters but ``random_state``; the baseline is LogisticRegression(max_iter=1000)
or Ridge(). A value is the mean over folds and seeds. An estimator loses or wins where it differs from the
baseline by more than 0.002 in AUC, 0.01 in accuracy, or 1 % in RMSE; a loss is flagged FAIL, and so is a fit
that is worse than the best constant on its fold (in log loss or RMSE).
"""

import time
import warnings

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score, root_mean_squared_error

from benchmarks import datasets, report, runner

STEMS = (
    "Linear", "FM", "MixtureFM", "FFM", "FwFM", "DeepFM", "WideDeep", "NFM", "FNN", "PNN", "DCN",
    "DeepCrossing", "FinalMLP",
)  # fmt: skip
# xDeepFM and AFM take minutes on some of these sets: they are run where they are asked for.
SLOW = ("XDeepFM", "AFM")
METRICS = {"binary": "AUC", "multiclass": "accuracy", "regression": "RMSE"}
MARGINS = {"AUC": 0.002, "accuracy": 0.01, "RMSE": 0.01}
BASELINE, CONSTANT = "baseline", "constant"


def add_arguments(parser):
    """Options that restrict the comparison."""
    every = list(datasets.LOADERS)
    parser.add_argument("--datasets", type=runner.names_among(every), default=every, help="such as adult,a9a")
    stems = runner.names_among(STEMS + SLOW, parse_stem)
    parser.add_argument("--estimators", type=stems, default=list(STEMS), help="such as FMClassifier,DeepFM")
    parser.set_defaults(seeds=[0])


def parse_stem(name):
    """``FM`` of ``FMClassifier``, ``FMRegressor`` or ``FM``."""
    return name.removesuffix("Classifier").removesuffix("Regressor")


def make_estimator(stem, task, seed):
    """An skfm estimator with default parameters, the linear baseline of the task, or the best constant."""
    if stem == CONSTANT:
        return DummyRegressor() if task == "regression" else DummyClassifier(strategy="prior")
    if stem == BASELINE:
        return Ridge() if task == "regression" else LogisticRegression(max_iter=1000)
    import skfm

    suffix = "Regressor" if task == "regression" else "Classifier"
    return getattr(skfm, stem + suffix)(random_state=seed)


def score(estimator, task, X, y):
    """The task's metric, and the log loss of a classifier."""
    if task == "regression":
        return {"RMSE": root_mean_squared_error(y, estimator.predict(X))}
    proba = estimator.predict_proba(X)
    scores = {"log_loss": log_loss(y, proba, labels=estimator.classes_)}
    if task == "binary":
        return {"AUC": roc_auc_score(y, proba[:, 1])} | scores
    return {"accuracy": accuracy_score(y, estimator.classes_[proba.argmax(axis=1)])} | scores


def evaluate(stem, task, splits, seeds):
    """Fit on every split with every seed.

    Returns
    -------
    dict
        Lists of one value a fit: the metric, ``log_loss`` (of classifiers) and ``fit_seconds`` (the first
        one's includes compiling); ``warnings``, the categories raised; or ``error`` where a fit failed.
    """
    runs, warned = [], set()
    for seed in seeds:
        for X_train, y_train, X_test, y_test in splits:
            estimator = make_estimator(stem, task, seed)
            start = time.perf_counter()
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    estimator.fit(X_train, y_train)
                seconds = time.perf_counter() - start
                warned.update(warning.category.__name__ for warning in caught)
                runs.append(score(estimator, task, X_test, y_test) | {"fit_seconds": seconds})
            except Exception as error:  # one broken estimator must not end a run of an hour
                return {"task": task, "error": f"{type(error).__name__}: {error}"}
    return {"task": task, "warnings": sorted(warned)} | {
        name: [run[name] for run in runs] for name in runs[0]
    }


def run(options, results, save):
    """Measure the data sets and estimators of the options; a result's key is ``data set/estimator``."""
    data = datasets.find_data(options.data)
    for name in options.datasets:
        dataset = datasets.LOADERS[name](data)
        splits = list(dataset.encoded_splits())
        if options.quick:
            splits = [shorten(split) for split in splits[:1]]
        for stem in [CONSTANT, BASELINE, *options.estimators]:
            seeds = options.seeds[:1] if stem in (CONSTANT, BASELINE) else options.seeds
            entry = evaluate(stem, dataset.task, splits, seeds)
            results[f"{name}/{stem}"] = entry
            metric = METRICS[dataset.task]
            value = (
                entry.get("error")
                or f"{metric} {np.mean(entry[metric]):.4f} in {sum(entry['fit_seconds']):.1f} s"
            )
            report.log(f"{name}: {stem}: {value}")
            save()


def shorten(split, n_rows=500):
    """Some rows of a split, for a smoke run."""
    X_train, y_train, X_test, y_test = split
    rng = np.random.default_rng(0)
    train, test = (rng.permutation(len(y))[:n_rows] for y in (y_train, y_test))
    return X_train[train], y_train[train], X_test[test], y_test[test]


def judge(metric, value, baseline):
    """Compare with the baseline.

    Returns
    -------
    difference : float
        More is better: of AUC and accuracy the plain difference, of RMSE the share saved.
    verdict : {"win", "tie", "FAIL"}
    """
    difference = (baseline - value) / baseline if metric == "RMSE" else value - baseline
    if difference < -MARGINS[metric]:
        return difference, "FAIL"
    return difference, "win" if difference > MARGINS[metric] else "tie"


def report_rows(results):
    """One row for every data set and estimator, and the verdicts of each estimator."""
    rows, verdicts = [], {}
    for key, entry in results.items():
        name, _, stem = key.partition("/")
        metric = METRICS[entry["task"]]
        baseline = results.get(f"{name}/{BASELINE}", {})
        if stem in (CONSTANT, BASELINE) or metric not in baseline:
            continue
        if "error" in entry:
            difference, verdict, value = None, "FAIL", None
        else:
            value = float(np.mean(entry[metric]))
            difference, verdict = judge(metric, value, float(np.mean(baseline[metric])))
        verdicts.setdefault(stem, []).append(verdict)
        losses = [mean_or_none(e, "log_loss") for e in (baseline, entry)]
        seconds = mean_or_none(entry, "fit_seconds")
        values = [float(np.mean(baseline[metric])), value, difference]
        note = entry.get("error", ", ".join(entry.get("warnings", [])))[:60]
        n_worse = worse_than_constant(entry, results.get(f"{name}/{CONSTANT}", {}))
        if n_worse:
            verdict = verdicts[stem][-1] = "FAIL"
            note = f"{n_worse} fits worse than a constant"
        rows.append([name, metric, stem, *values, *losses, seconds, verdict, note])
    return rows, verdicts


def worse_than_constant(entry, constant):
    """How many fits, a row of folds a seed, have a larger error than the best constant of their fold."""
    name = "log_loss" if "log_loss" in entry else "RMSE"
    if name not in entry or name not in constant:
        return 0
    by_seed = np.reshape(entry[name], (-1, len(constant[name])))
    return int((by_seed > np.array(constant[name])).sum())


def mean_or_none(entry, name):
    """Mean of an entry's list; None where it has no such list."""
    return float(np.mean(entry[name])) if name in entry else None


def render(results):
    """The table of comparisons and the totals of each estimator."""
    rows, verdicts = report_rows(results)
    header = [
        "data set", "metric", "estimator", "baseline", "value", "difference",
        "baseline log loss", "log loss", "fit s", "verdict", "note",
    ]  # fmt: skip
    totals = [[stem, *(v.count(kind) for kind in ("win", "tie", "FAIL"))] for stem, v in verdicts.items()]
    everything = [verdict for each in verdicts.values() for verdict in each]
    totals.append(["all", *(everything.count(kind) for kind in ("win", "tie", "FAIL"))])
    return "\n\n".join(
        [
            report.format_table(header, rows),
            report.format_table(["estimator", "wins", "ties", "losses"], totals),
        ]
    )
