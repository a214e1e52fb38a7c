"""Criteo's and Avazu's samples as they are: estimators with default parameters on the raw table.

Text and whole numbers with missing values go into ``fit`` unprepared; only the split, the id and the label
are dropped. The rivals have their usual encodings: LogisticRegression(max_iter=1000) one-hot categories, rare
ones grouped, and Criteo's integers in logarithmic bins; HistGradientBoostingClassifier numbers as they are
and up to 255 categories a column. Five folds, the same for everyone.
"""

import time
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from benchmarks import datasets, report, runner
from benchmarks.cases import defaults

STEMS = ("FM", "DeepFM", "MixtureFM")
RIVALS = ("LogisticRegression", "HistGradientBoosting")
FILES = {
    "criteo": ("criteo_sample/criteo_8k.parquet", ["split", "label"]),
    "avazu": ("avazu_sample/avazu_9k.parquet", ["split", "id", "click"]),
}


def add_arguments(parser):
    """Which data sets and models."""
    for what, names in {"datasets": list(FILES), "models": [*STEMS, *RIVALS]}.items():
        parser.add_argument(f"--{what}", type=runner.names_among(names), default=names, help=",".join(names))
    parser.set_defaults(seeds=[0])


def read_raw(data, name):
    """The table as it is, without the columns that are no features."""
    file, others = FILES[name]
    return datasets.read_parquet(data, file).drop(columns=others)


def make_boosting(text, seed):
    """Boosted trees: the first `text` columns are codes of categories, rare ones under one code.

    Categories that are new at prediction are missing values.
    """
    missing = {"unknown_value": np.nan, "encoded_missing_value": np.nan}
    codes = OrdinalEncoder(min_frequency=5, max_categories=255, handle_unknown="use_encoded_value", **missing)
    encoder = make_column_transformer((codes, text), remainder="passthrough")
    trees = HistGradientBoostingClassifier(categorical_features=range(len(text)), random_state=seed)
    return make_pipeline(encoder, trees)


def make_model(model, dataset, X, seed):
    """An unfitted model and the table it takes."""
    if model == "LogisticRegression":
        return make_pipeline(clone(dataset.encoder), LogisticRegression(max_iter=1000)), dataset.X
    if model == "HistGradientBoosting":
        numbers = X.select_dtypes("number").columns
        text = X.columns.difference(numbers, sort=False).tolist()
        return make_boosting(text, seed), X.astype(dict.fromkeys(numbers, float))
    return defaults.make_estimator(model, "binary", seed), X


def evaluate(model, dataset, X, splits, seeds):
    """Lists of one value a fit: AUC, log loss and seconds (the first's include compiling); and warnings."""
    runs, warned = [], set()
    for seed in seeds:
        for train, test in splits:
            estimator, table = make_model(model, dataset, X, seed)
            start = time.perf_counter()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                estimator.fit(table.iloc[train], dataset.y[train])
            seconds = time.perf_counter() - start
            warned.update(warning.category.__name__ for warning in caught)
            scores = defaults.score(estimator, "binary", table.iloc[test], dataset.y[test])
            runs.append(scores | {"fit_seconds": seconds})
    return {name: [run[name] for run in runs] for name in runs[0]} | {"warnings": sorted(warned)}


def run(options, results, save):
    """Measure the data sets and models of the options; a result's key is ``data set/model``."""
    data = datasets.find_data(options.data)
    for name in options.datasets:
        dataset, X = datasets.LOADERS[name](data), read_raw(data, name)
        splits = dataset.splits
        if options.quick:
            splits = [(train[:500], test[:500]) for train, test in splits[:1]]
        for model in options.models:
            seeds = options.seeds[:1] if model == "LogisticRegression" else options.seeds
            entry = evaluate(model, dataset, X, splits, seeds)
            results[f"{name}/{model}"] = entry
            report.log(f"{name}: {model}: AUC {np.mean(entry['AUC']):.4f}")
            save()


def render(results):
    """One row for every data set and model."""
    rows = [
        [
            *key.split("/"),
            *(float(np.mean(entry[what])) for what in ("AUC", "log_loss", "fit_seconds")),
            ", ".join(entry["warnings"]),
        ]
        for key, entry in results.items()
    ]
    return report.format_table(["data set", "model", "AUC", "log loss", "fit s", "warnings"], rows)
