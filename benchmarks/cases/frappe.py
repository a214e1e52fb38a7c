"""Frappe (app usage, 10 fields, 5,382 columns): test AUC and log loss at embedding size 10.

Trained on train_rebuilt, stopped on valid, reported on test. For each of the two measures every setting of
the estimator's grid is fitted once (with the first seed), stopped by that measure; the setting that is best
on valid by that measure is then fitted with every seed. No test row has a part in the choice. Other
libraries' models of the same name are treated alike: their number of epochs is the best on valid by the
measure.
"""

import os
import time
from functools import cache, partial

from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import ParameterGrid

from benchmarks import datasets, jobs, report, rivals, runner
from benchmarks.rivals.estimators import MODELS

EMBEDDING = {"n_factors": 10}
COMMON = {"early_stopping": True, "max_iter": 100}
MACHINE = EMBEDDING | {"solver": "adagrad"}
DEEP = EMBEDDING | {
    "solver": "adam",
    "batch_size": 4096,
    "l2_dense": 0.0,
    "n_iter_no_change": 2,
    "max_iter": 40,
}
NETWORK = DEEP | {"hidden_layer_sizes": (400, 400), "batch_norm": True}
PENALTIES = (0.05, 0.1, 0.2, 0.4)
DROPOUTS = (0.2, 0.4)
EMBEDDED = [{"l2_factors": PENALTIES, "dropout": DROPOUTS}]
LINEAR_TOO = [{"l2_factors": [l2], "l2_linear": [l2], "dropout": DROPOUTS} for l2 in PENALTIES]
RATES = (0.1, 0.3)

# The stated grid: what is fixed for an estimator, and the eight settings chosen among on valid
# (ParameterGrid's dicts). What is not named has its default.
SETTINGS = {
    "LinearClassifier": {
        "fixed": {"solver": "lbfgs", "n_iter_no_change": 10},
        "grid": [{"l2_linear": [1e-6, 2e-6, 3e-6, 5e-6, 7e-6, 1e-5, 1.5e-5, 2e-5]}],
    },
    "FMClassifier": {
        "fixed": MACHINE,
        "grid": [{"l2_factors": [2e-6, 5e-6, 1e-5, 2e-5], "learning_rate": RATES}],
    },
    "MixtureFMClassifier": {
        "fixed": MACHINE | {"n_components": 4},
        "grid": [{"l2_factors": [2e-6, 5e-6, 1e-5, 2e-5], "learning_rate": RATES}],
    },
    "DeepFMClassifier": {"fixed": NETWORK, "grid": LINEAR_TOO},
    "HOFMClassifier": {
        "fixed": MACHINE | {"degree": 3},
        "grid": [{"l2_factors": [3e-6, 1e-5, 2e-5, 4e-5], "learning_rate": RATES}],
    },
    "FFMClassifier": {
        "fixed": MACHINE,
        "grid": [{"l2_factors": [5e-6, 1e-5, 2e-5, 4e-5], "learning_rate": [0.3, 0.5]}],
    },
    "FwFMClassifier": {
        "fixed": MACHINE,
        "grid": [{"l2_factors": [2e-6, 5e-6, 1e-5, 2e-5], "learning_rate": RATES}],
    },
    "NFMClassifier": {
        "fixed": NETWORK
        | {"l2_linear": 0.05, "learning_rate": 0.003, "max_iter": 100, "n_iter_no_change": 6},
        "grid": [{"l2_factors": [0.0005, 0.001, 0.002, 0.004], "dropout": [0.1, 0.2]}],
    },
    "AFMClassifier": {
        "fixed": DEEP | {"learning_rate": 0.01, "batch_size": 1024, "l2_linear": 1e-5},
        "grid": [{"l2_factors": [3e-6, 1e-5], "dropout": [0.0, 0.1], "n_attention": [16, 32]}],
    },
    "WideDeepClassifier": {"fixed": NETWORK, "grid": LINEAR_TOO},
    "FNNClassifier": {"fixed": NETWORK, "grid": LINEAR_TOO},
    "PNNClassifier": {"fixed": NETWORK, "grid": EMBEDDED},
    "DeepCrossingClassifier": {"fixed": NETWORK, "grid": EMBEDDED},
    "DCNClassifier": {"fixed": NETWORK, "grid": EMBEDDED},
    "DCNv1Classifier": {"fixed": NETWORK | {"version": 1}, "grid": EMBEDDED},
    "XDeepFMClassifier": {"fixed": NETWORK, "grid": LINEAR_TOO},
    "FinalMLPClassifier": {
        "fixed": NETWORK,
        "grid": [
            {
                "l2_factors": [0.1, 0.2, 0.3, 0.5],
                "hidden_layer_sizes": [(400,)],
                "second_layer_sizes": [(800,)],
                "n_heads": [10],
                "dropout": [0.4],
            },
            {"l2_factors": [0.1, 0.2, 0.3, 0.5], "gate": [None], "dropout": [0.2]},
        ],
    },
}
# Names here of models that are another class's.
CLASSES = {"HOFMClassifier": "FMClassifier", "DCNv1Classifier": "DCNClassifier"}
FEW = ("LinearClassifier", "FMClassifier", "MixtureFMClassifier", "DeepFMClassifier")
# What other libraries choose from; a rival's settings, by adapter and model.
TOWER = {"dnn_hidden_units": [400, 400], "dnn_dropout": 0.2}
NORMALIZED = TOWER | {"dnn_use_bn": True}
RIVALS = {
    ("modern_fm", model): [
        {"n_factors": 10, "optimizer": "adagrad", "learning_rate": rate, "batch_size": 512}
        for rate in (0.05, 0.1, 0.2)
    ]
    for model in ("fm", "ffm", "fwfm")
} | {("xlearn", "ffm"): [{"n_factors": 10, "lr": rate, "lambda": 2e-5} for rate in (0.2, 0.5, 2.0)]}
# DeepCTR-Torch sums the losses of a batch and penalises whole tables without the factor 1/2: its default
# penalty, one as strong as ours may be, and a tenth of that.
for _model, _settings, _penalty in (
    ("nfm", TOWER | {"bi_dropout": 0.2}, 0.001),
    ("afm", {"attention_factor": 16}, 1e-5),
    ("wide_deep", NORMALIZED, 0.1),
    ("pnn", TOWER, 0.1),
    ("dcn", NORMALIZED | {"cross_parameterization": "matrix"}, 0.1),
    ("deepfm", NORMALIZED, 0.1),
    ("xdeepfm", NORMALIZED, 0.1),
):
    RIVALS["deepctr", _model] = [
        {
            "n_factors": 10,
            "batch_size": 4096,
            "model": _settings
            | {"l2_reg_embedding": l2}
            | ({} if _model == "pnn" else {"l2_reg_linear": l2}),
        }
        for l2 in (1e-5, 4096 * _penalty / 20, 4096 * _penalty / 2)
    ]
RIVAL_EPOCHS = {
    "modern_fm": [2, 4, 6, 8, 11, 15, 20],
    "xlearn": [2, 4, 6, 8, 10, 13, 16, 20],
    "deepctr": list(range(2, 21, 2)),
}
# What the table shows of a chosen setting: what grids differ in.
CHOSEN = (
    "l2_factors",
    "l2_linear",
    "learning_rate",
    "dropout",
    "n_attention",
    "gate",
    "lr",
    "l2_reg_embedding",
)
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
        "--estimators", type=runner.names_among([*names, "none"]), default=[*FEW], help="such as FMClassifier"
    )
    parser.add_argument("--all", action="store_const", const=names, dest="estimators", help="all estimators")
    measures = list(MEASURES)
    parser.add_argument(
        "--measures", type=runner.names_among(measures), default=measures, help="AUC, log_loss or both"
    )
    parser.add_argument(
        "--rivals",
        nargs="*",
        choices=["none", *RIVAL_EPOCHS],
        default=["none"],
        help="other libraries, all models that they have; no name for all of them",
    )
    jobs.add_argument(parser)


def load(data, quick):
    """The parts of the data, shortened for a smoke run."""
    parts = {part: datasets.load_frappe(data, part) for part in ("train_rebuilt", "valid", "test")}
    if quick:
        parts = {part: (X[:20_000], y[:20_000]) for part, (X, y) in parts.items()}
    return parts


def fit_and_score(name, measure, parameters, seed, parts):
    """Fit one estimator, stopped on valid by the measure, and score it on valid and test.

    Parameters
    ----------
    name : str
        A name of `SETTINGS`.
    measure : {"AUC", "log_loss"}
    parameters : dict
    seed : int
    parts : dict of str to (X, y)
        train_rebuilt, valid and test.

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
    report.log(f"{name} by {measure}, {describe(parameters, run)}")
    return run


def describe(parameters, run):
    """One progress line."""
    scores = ", ".join(
        f"{part} AUC {run[part]['AUC']:.4f} log loss {run[part]['log_loss']:.4f}"
        for part in ("valid", "test")
    )
    return f"seed {run['seed']} {parameters}: {scores}, {run['epochs']} epochs, {run['fit_seconds']:.0f} s"


def search(name, measure, workers, options):
    """Choose a setting on valid, then repeat it over the seeds.

    Returns
    -------
    dict
        ``fixed`` and ``chosen`` parameters, ``search`` (every setting tried, with its scores) and ``runs``
        (the chosen one's, one a seed; the first is the one of the search).
    """
    fixed = COMMON | SETTINGS[name]["fixed"] | ({"max_iter": 2} if options.quick else {})
    candidates = list(ParameterGrid(SETTINGS[name]["grid"]))
    first, *others = options.seeds
    if options.quick:
        candidates, others = candidates[:1], []
    runs = workers.map(fit_and_score, [(name, measure, fixed | each, first) for each in candidates])
    tried = [{"parameters": each, "run": run} for each, run in zip(candidates, runs, strict=True)]
    best = BETTER[measure](tried, key=lambda trial: trial["run"]["valid"][measure])
    chosen = best["parameters"]
    repeated = workers.map(fit_and_score, [(name, measure, fixed | chosen, seed) for seed in others])
    return {"fixed": fixed, "chosen": chosen, "search": tried, "runs": [best["run"], *repeated]}


def search_rival(adapter, model, path, options):
    """The same of another library's model, which is scored after several numbers of epochs.

    Returns
    -------
    dict of measure to what `search` returns
    """
    candidates, epochs = RIVALS[adapter, model], RIVAL_EPOCHS[adapter]
    first, *others = options.seeds
    if options.quick:
        candidates, epochs, others = candidates[:1], epochs[:2], []

    @cache
    def measure_one(number, seed):
        threads = 1 if options.jobs > 1 else os.cpu_count()
        common = {"model": model, "epochs": epochs, "threads": threads, "seed": seed}
        answer = rivals.measure(adapter, "quality", path, settings=candidates[number], **common)
        runs = runs_of(answer, epochs, seed)
        best = min(runs, key=lambda run: run["valid"]["log_loss"])
        report.log(f"{adapter} {model}, {describe(candidates[number], best)}")
        return runs

    entries = {}
    for measure in options.measures:

        def best_of(runs, measure=measure):
            return BETTER[measure](runs, key=lambda run: run["valid"][measure])

        tried = [best_of(measure_one(number, first)) for number in range(len(candidates))]
        chosen = tried.index(best_of(tried))
        repeated = [best_of(measure_one(chosen, seed)) for seed in others]
        entries[measure] = {
            "fixed": {},
            "chosen": candidates[chosen],
            "search": [{"parameters": p, "run": r} for p, r in zip(candidates, tried, strict=True)],
            "runs": [tried[chosen], *repeated],
        }
    return entries


def runs_of(answer, epochs, seed):
    """An adapter's answer as one run for each number of epochs, such as `fit_and_score` returns."""
    return [
        {
            "seed": seed,
            "epochs": number,
            "fit_seconds": answer["fit_seconds"][at],
            "valid": {measure: answer[f"valid_{measure}"][at] for measure in MEASURES},
            "test": {measure: answer[measure][at] for measure in MEASURES},
        }
        for at, number in enumerate(epochs)
    ]


def run(options, results, save):
    """Measure each model by each measure; a result's key is ``estimator/measure``, of others with a title."""
    data = datasets.find_data(options.data)
    estimators = [name for name in options.estimators if name != "none"]
    if estimators:
        workers = jobs.Workers(options.jobs, load, data, options.quick)
        tasks = {
            f"{name}/{measure}": partial(search, name, measure, workers, options)
            for name in estimators
            for measure in options.measures
        }
        # A search only waits for its fits.
        for key, entry in jobs.at_once(1 if options.jobs == 1 else len(tasks), tasks):
            results[key] = entry
            save()
    names = rivals.chosen(options, list(RIVAL_EPOCHS))
    tasks = {key: partial(search_rival, *key) for key in RIVALS if key[0] in names}
    if not tasks:
        return
    parts = {part.removesuffix("_rebuilt"): rows for part, rows in load(data, options.quick).items()}
    with rivals.problem_file(**parts) as path:
        tasks = {key: partial(task, path, options) for key, task in tasks.items()}
        for (adapter, model), entries in jobs.at_once(options.jobs, tasks):
            name = f"{rivals.TITLES[adapter]}'s {MODELS[model]}Classifier"
            results.update({f"{name}/{measure}": entry for measure, entry in entries.items()})
            save()


def render(results):
    """One row an estimator and measure: test score over the seeds, target and published figure."""
    rows = []
    means = {}
    order = [f"{name}/{measure}" for name in SETTINGS for measure in MEASURES]
    order = [key for key in order if key in results] + sorted(set(results) - set(order))
    for key in order:
        entry, (name, measure) = results[key], key.split("/")
        scores = [run["test"][measure] for run in entry["runs"]]
        means[name, measure] = mean = report.summarize(scores)["mean"]
        published = PUBLISHED.get((name.rpartition(" ")[2], measure))
        target, strict = TARGETS.get((name, measure), published if name in SETTINGS else None), ""
        if name == "MixtureFMClassifier":
            target, strict = means.get(("FMClassifier", measure)), " (FM)"
        judged = report.format_target(mean, target, measure == "AUC") + strict if target else None
        epochs = " ".join(str(run["epochs"]) for run in entry["runs"])
        seconds = sum(run["fit_seconds"] for run in entry["runs"]) / len(entry["runs"])
        chosen = ", ".join(f"{k}={v}" for k, v in flat(entry["chosen"]) if k in CHOSEN)
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


def flat(settings):
    """Names and values of settings, those of nested ones too."""
    for name, value in settings.items():
        yield from flat(value) if isinstance(value, dict) else [(name, value)]
