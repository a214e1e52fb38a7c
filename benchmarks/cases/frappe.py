"""Frappe (app usage, 10 fields, 5,382 columns): test AUC and log loss at embedding size 10.

Trained on train_rebuilt, stopped on valid, reported on test. For each of the two measures every setting of
the estimator's grid is fitted once (with the first seed), stopped by that measure; the setting that is best
on valid by that measure is then fitted with every seed. No test row has a part in the choice.
"""

import time

from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import ParameterGrid

from benchmarks import datasets, report, runner

EMBEDDING = {"n_factors": 10}
COMMON = {"early_stopping": True, "max_iter": 100}
MACHINE = EMBEDDING | {"solver": "adagrad"}
DEEP = EMBEDDING | {
    "solver": "adam",
    "batch_size": 4096,
    "dropout": 0.2,
    "l2_dense": 0.0,
    "n_iter_no_change": 2,
    "max_iter": 25,
}
NETWORK = DEEP | {"hidden_layer_sizes": (400, 400), "batch_norm": True}
STRONG = [{"l2_factors": [l2], "l2_linear": [l2]} for l2 in (0.05, 0.15)]
EMBEDDED = [{"l2_factors": [0.05, 0.15]}]

# The stated grid: what is fixed for an estimator, and what is chosen on valid (ParameterGrid's dicts).
# What is not named has its default.
SETTINGS = {
    "LinearClassifier": {
        "fixed": {"solver": "lbfgs", "n_iter_no_change": 10},
        "grid": [{"l2_linear": [1e-6, 5e-6]}],
    },
    "FMClassifier": {
        "fixed": MACHINE,
        "grid": [{"l2_factors": [2e-6, 3e-6, 5e-6]}],
    },
    "MixtureFMClassifier": {
        "fixed": MACHINE | {"n_components": 4},
        "grid": [{"l2_factors": [3e-6, 5e-6]}],
    },
    "DeepFMClassifier": {"fixed": NETWORK, "grid": STRONG},
    "HOFMClassifier": {"fixed": MACHINE | {"degree": 3}, "grid": [{"l2_factors": [3e-6, 1e-5]}]},
    "FFMClassifier": {"fixed": MACHINE, "grid": [{"l2_factors": [3e-6, 1e-5]}]},
    "FwFMClassifier": {"fixed": MACHINE, "grid": [{"l2_factors": [2e-6, 5e-6]}]},
    "NFMClassifier": {"fixed": NETWORK, "grid": [{"l2_factors": [0.0002, 0.001], "l2_linear": [0.05]}]},
    "AFMClassifier": {
        "fixed": DEEP | {"dropout": 0.0, "learning_rate": 0.005, "max_iter": 40},
        "grid": [{"l2_factors": [3e-6, 1e-5], "l2_linear": [1e-5]}],
    },
    "WideDeepClassifier": {"fixed": NETWORK, "grid": STRONG},
    "FNNClassifier": {"fixed": NETWORK, "grid": STRONG},
    "PNNClassifier": {"fixed": NETWORK, "grid": EMBEDDED},
    "DeepCrossingClassifier": {"fixed": NETWORK, "grid": EMBEDDED},
    "DCNClassifier": {"fixed": NETWORK, "grid": EMBEDDED},
    "DCNv1Classifier": {"fixed": NETWORK | {"version": 1}, "grid": EMBEDDED},
    "XDeepFMClassifier": {"fixed": NETWORK, "grid": STRONG},
    "FinalMLPClassifier": {"fixed": NETWORK, "grid": EMBEDDED},
}
# Names here of models that are another class's.
CLASSES = {"HOFMClassifier": "FMClassifier", "DCNv1Classifier": "DCNClassifier"}
FEW = ("LinearClassifier", "FMClassifier", "MixtureFMClassifier", "DeepFMClassifier")
MEASURES = {"AUC": "roc_auc", "log_loss": "loss"}  # what is reported -> ``scoring``, which stops the fit
BETTER = {"AUC": max, "log_loss": min}
TARGETS = {
    ("LinearClassifier", "AUC"): 0.937,
    ("FMClassifier", "AUC"): 0.9750,
    ("FMClassifier", "log_loss"): 0.1800,
    ("DeepFMClassifier", "AUC"): 0.9842,
    ("DeepFMClassifier", "log_loss"): 0.1482,
}
PUBLISHED = {  # the BARS leaderboard's Frappe_x1, embedding size 10; its training negatives are others
    ("LinearClassifier", "AUC"): 0.9356,
    ("LinearClassifier", "log_loss"): 0.3076,
    ("FMClassifier", "AUC"): 0.9671,
    ("FMClassifier", "log_loss"): 0.2065,
    ("DeepFMClassifier", "AUC"): 0.9842,
    ("DeepFMClassifier", "log_loss"): 0.1482,
} | {
    (f"{stem}Classifier", measure): value
    for stem, row in {
        "HOFM": (0.9742, 0.2073),
        "FFM": (0.9786, 0.1860),
        "FwFM": (0.9776, 0.2030),
        "NFM": (0.9804, 0.2058),
        "AFM": (0.9697, 0.2264),
        "WideDeep": (0.9841, 0.1490),
        "FNN": (0.9833, 0.1622),
        "PNN": (0.9841, 0.1540),
        "DCN": (0.9845, 0.1491),
        "DCNv1": (0.9839, 0.1527),
        "XDeepFM": (0.9845, 0.1466),
        "FinalMLP": (0.9861, 0.1484),
    }.items()
    for measure, value in zip(("AUC", "log_loss"), row, strict=True)
}


def add_arguments(parser):
    """Options that restrict the case."""
    names = list(SETTINGS)
    parser.add_argument(
        "--estimators", type=runner.names_among(names), default=[*FEW], help="such as FMClassifier"
    )
    parser.add_argument("--all", action="store_const", const=names, dest="estimators", help="all estimators")
    measures = list(MEASURES)
    parser.add_argument(
        "--measures", type=runner.names_among(measures), default=measures, help="AUC, log_loss or both"
    )


def fit_and_score(name, measure, parameters, parts, seed):
    """Fit one estimator, stopped on valid by the measure, and score it on valid and test.

    Parameters
    ----------
    name : str
        A name of `SETTINGS`.
    measure : {"AUC", "log_loss"}
    parameters : dict
    parts : dict of str to (X, y)
        train_rebuilt, valid and test.
    seed : int

    Returns
    -------
    dict
        ``valid`` and ``test``, each with AUC and log_loss; ``seed``, ``epochs`` and ``fit_seconds``.
    """
    import skfm

    estimator = getattr(skfm, CLASSES.get(name, name))(
        **parameters, scoring=MEASURES[measure], random_state=seed
    )
    X_valid, y_valid = parts["valid"]
    start = time.perf_counter()
    estimator.fit(*parts["train_rebuilt"], X_val=X_valid, y_val=y_valid)
    run = {"seed": seed, "epochs": int(estimator.n_iter_), "fit_seconds": time.perf_counter() - start}
    for part in ("valid", "test"):
        X, y = parts[part]
        proba = estimator.predict_proba(X)[:, 1]
        run[part] = {"AUC": float(roc_auc_score(y, proba)), "log_loss": float(log_loss(y, proba))}
    return run


def describe(parameters, run):
    """One progress line."""
    scores = ", ".join(
        f"{part} AUC {run[part]['AUC']:.4f} log loss {run[part]['log_loss']:.4f}"
        for part in ("valid", "test")
    )
    return f"  seed {run['seed']} {parameters}: {scores}, {run['epochs']} epochs, {run['fit_seconds']:.0f} s"


def search(name, measure, parts, seeds, overrides, shorten):
    """Choose a setting on valid, then repeat it over the seeds.

    Returns
    -------
    dict
        ``fixed`` and ``chosen`` parameters, ``search`` (every setting tried, with its scores) and ``runs``
        (the chosen one's, one a seed; the first is the one of the search).
    """
    fixed = COMMON | SETTINGS[name]["fixed"] | overrides
    candidates = list(ParameterGrid(SETTINGS[name]["grid"]))
    tried = []
    for candidate in candidates[:1] if shorten else candidates:
        run = fit_and_score(name, measure, fixed | candidate, parts, seeds[0])
        report.log(describe(candidate, run))
        tried.append({"parameters": candidate, "run": run})
    best = BETTER[measure](tried, key=lambda trial: trial["run"]["valid"][measure])
    chosen = best["parameters"]
    runs = [best["run"]]
    for seed in seeds[1:]:
        runs.append(fit_and_score(name, measure, fixed | chosen, parts, seed))
        report.log(describe(chosen, runs[-1]))
    return {"fixed": fixed, "chosen": chosen, "search": tried, "runs": runs}


def run(options, results, save):
    """Measure each estimator by each measure; a result's key is ``estimator/measure``."""
    data = datasets.find_data(options.data)
    parts = {part: datasets.load_frappe(data, part) for part in ("train_rebuilt", "valid", "test")}
    overrides = {}
    if options.quick:
        parts = {part: (X[:20_000], y[:20_000]) for part, (X, y) in parts.items()}
        overrides = {"max_iter": 2}
    for name in options.estimators:
        for measure in options.measures:
            report.log(f"{name}, chosen and stopped by {measure}")
            seeds = options.seeds[:1] if options.quick else options.seeds
            results[f"{name}/{measure}"] = search(name, measure, parts, seeds, overrides, options.quick)
            save()


def render(results):
    """One row an estimator and measure: test score over the seeds, target and published figure."""
    rows = []
    means = {}
    for key, entry in results.items():
        name, measure = key.split("/")
        scores = [run["test"][measure] for run in entry["runs"]]
        means[name, measure] = mean = report.summarize(scores)["mean"]
        published = PUBLISHED.get((name, measure))
        target, strict = TARGETS.get((name, measure), published), ""
        if name == "MixtureFMClassifier":
            target, strict = means.get(("FMClassifier", measure)), " (FM)"
        judged = report.format_target(mean, target, measure == "AUC") + strict if target else None
        epochs = " ".join(str(run["epochs"]) for run in entry["runs"])
        seconds = sum(run["fit_seconds"] for run in entry["runs"]) / len(entry["runs"])
        chosen = ", ".join(f"{k}={v}" for k, v in entry["chosen"].items())
        spread = report.format_spread(scores)
        rows.append(
            [name, measure, spread, min(scores), max(scores), judged, published, chosen, epochs, seconds]
        )
    header = [
        "estimator",
        "measure",
        "test",
        "least",
        "greatest",
        "target",
        "published",
        "chosen",
        "epochs",
        "fit s",
    ]
    return report.format_table(header, rows)
