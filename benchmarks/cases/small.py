"""Five folds of small data in a fresh process: breast cancer and Adult, default parameters.

`cross_val_score` of an FM is run twice in one process. "Cold" is from the start of Python to the end of the
first, imports and compilation included; "warm" is the second. skfm is measured without a cache of compiled
programs, and with one that an earlier process has filled (`SKFM_CACHE`). modern-fm trains its
default number of epochs, 100, without stopping early; its time with early stopping, as skfm has by default,
is shown as well, and so are LightGBM and LogisticRegression.
"""

import os
import tempfile

import numpy as np

from benchmarks import datasets, report, rivals

DATA = ("breast_cancer", "adult")
VARIANTS = {
    "skfm": ("skfm", {}),
    "skfm, cache": ("skfm", {}),
    "modern_fm": ("modern_fm", {}),
    "modern_fm, stopping": ("modern_fm", {"early_stopping": True}),
    "lightgbm": ("lightgbm", {}),
    "logistic": ("logistic", {}),
}
RIVALS = ("modern_fm", "lightgbm", "logistic")
# Seconds over modern-fm's time, from the start of the process to the end of the first five folds.
MOST_OVER = {"skfm": 3.0, "skfm, cache": 1.0}


def add_arguments(parser):
    """Whom to measure, and on what."""
    parser.add_argument("--datasets", nargs="*", choices=DATA, default=list(DATA))
    rivals.add_arguments(parser, RIVALS, rounds=2)


def run(options, results, save):
    """Measure every variant in turn on each data set."""
    data = datasets.find_data(options.data) if "adult" in options.datasets else None
    names = rivals.chosen(options, RIVALS)
    rounds = 1 if options.quick else options.rounds
    for name in options.datasets:
        X, y = read(name, data)
        if options.quick:
            X, y = X[:2000], y[:2000]
        with rivals.problem_file(train=(X, y)) as path, tempfile.TemporaryDirectory() as cache:

            def measure_one(variant, path=path, cache=cache):
                adapter, settings = VARIANTS[variant]
                kept = {"cache": cache} if variant == "skfm, cache" else {}
                common = {"model": "fm", "threads": os.cpu_count(), "seed": options.seeds[0]}
                if kept and not os.listdir(cache):
                    rivals.measure(adapter, "cross_validate", path, **common, **kept, settings=settings)
                found = rivals.measure(adapter, "cross_validate", path, **common, **kept, settings=settings)
                first, *later = found.pop("seconds")
                cold = found.pop("process_seconds") - sum(later)
                return found | {"cold": cold, "first": first, "warm": later}

            variants = [variant for variant, (adapter, _) in VARIANTS.items() if adapter in names]
            rivals.in_turn(variants, rounds, measure_one, results, name, save)


def read(name, data):
    """Encoded rows and targets 0 and 1 of a data set."""
    found = datasets.LOADERS[name](data)
    y = np.unique(found.y, return_inverse=True)[1]
    return found.encoder.fit_transform(found.X), y


def render(results):
    """One row a library and data set."""
    rows = []
    for data in DATA:
        entries = {variant: results.get(f"{variant} {data}") for variant in VARIANTS}
        theirs = entries["modern_fm"]
        for variant, entry in entries.items():
            if entry is None:
                continue
            cold, warm = (float(np.median(rivals.rounds_of(entry, part))) for part in ("cold", "warm"))
            compile_share = float(np.median(rivals.rounds_of(entry, "first"))) - warm
            judged = [None, None]
            if theirs is not None and variant in MOST_OVER:
                cold_limit = np.median(rivals.rounds_of(theirs, "cold")) + MOST_OVER[variant]
                warm_limit = np.median(rivals.rounds_of(theirs, "warm"))
                judged = [
                    report.format_target(cold, cold_limit, at_least=False),
                    report.format_target(warm, warm_limit, at_least=False),
                ]
            adapter, *rest = variant.split(",")
            name = ",".join([rivals.title(adapter, entry), *rest])
            rows.append(
                [name, data, entry["rounds"][0]["AUC"], cold, judged[0], compile_share, warm, judged[1]]
            )
    header = ["library", "data", "AUC", "cold s", "target", "first less warm s", "warm s", "target"]
    return report.format_table(header, rows)
