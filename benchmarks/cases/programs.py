"""Compiled programs in a long process: memory over 2,000 fits, programs of rows of 100 lengths, one row.

Fits: FM, FFM, DeepFM and linear models of random shapes (20 to 3,000 rows, 3 to 2,000 columns, 1 to 12
factors, L-BFGS and mini-batches), one after the other, each with a prediction. A figure is the highest of the
fits since the row above; the second half must not grow by more than a tenth. These programs are compiled
without optimisation, in a tenth of the time. Rows: one row of each of 100 lengths, twice; programs are what
XLA compiled, and milliseconds are the median of the second pass. One row: the median of 300 calls of
predict_proba, with FMClassifier.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks import memory, report, runner

MOST_GROWTH, MOST_PROGRAMS = 1.1, 8
MOST_MS = {"csr matrix": 1.0, "dense array": 1.0, "DataFrame": 2.0}
N_PARTS = 10


def add_arguments(parser):
    """How many fits."""
    parser.add_argument("--fits", type=int, default=2_000)
    parser.set_defaults(seeds=[0])


def run(options, results, save):
    """Measure each in a process of its own, without programs on disk."""
    n_fits = 20 if options.quick else options.fits
    environment = {name: value for name, value in os.environ.items() if "COMPILATION_CACHE" not in name}
    for what in ("fits", "lengths", "one row"):
        flags = {"XLA_FLAGS": "--xla_backend_optimization_level=0"} if what == "fits" else {}
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.cases.programs", what, str(n_fits)]
        done = subprocess.run(
            command,
            cwd=runner.REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=environment | flags,
        )
        results[what] = json.loads(done.stdout.splitlines()[-1])
        report.log(f"{what}: {results[what]}")
        save()


def count_maps():
    """Memory maps of this process; 0 where the system does not tell."""
    maps = Path("/proc/self/maps")
    return len(maps.read_text().splitlines()) if maps.exists() else 0


def make_fit(number):
    """An estimator and rows of random shape."""
    from scipy import sparse

    from skfm import DeepFMClassifier, FFMClassifier, FMClassifier, LinearClassifier

    rng = np.random.default_rng(number)
    n_rows, n_columns = int(rng.integers(20, 3_000)), int(rng.integers(3, 2_000))
    n_factors, density = int(rng.integers(1, 13)), float(rng.uniform(1, 30)) / n_columns
    X = sparse.random(n_rows, n_columns, min(density, 1), format="csr", random_state=number)
    settings = {"max_iter": 2, "random_state": 0}
    if rng.random() < 0.5:
        settings |= {"solver": "adagrad", "batch_size": int(2 ** rng.integers(4, 10))}
    fields = {"fields": np.arange(n_columns) % 3}
    makers = (
        lambda: FMClassifier(n_factors, **settings),
        lambda: FFMClassifier(n_factors, **fields, **settings),
        lambda: DeepFMClassifier(n_factors, **fields, hidden_layer_sizes=(8,), **settings),
        lambda: LinearClassifier(**settings),
    )
    return makers[number % len(makers)](), X, np.arange(n_rows) % 2


def measure_fits(n_fits):
    """The highest counts of each tenth of the fits."""
    compiled, parts, highest, began = _count_programs(), [], {"maps": 0, "MB": 0.0}, time.perf_counter()
    for number in range(n_fits):
        model, X, y = make_fit(number)
        model.fit(X, y).predict_proba(X[: 1 + number % X.shape[0]])
        now = {"maps": count_maps(), "MB": memory.read_status("VmRSS") / 1e6}
        highest = {name: max(value, now[name]) for name, value in highest.items()}
        if (number + 1) % (n_fits // N_PARTS) == 0:
            seconds = round(time.perf_counter() - began, 1)
            parts.append(highest | {"fits": number + 1, "programs": len(compiled), "seconds": seconds})
            highest = dict.fromkeys(highest, 0)
            print(parts[-1], file=sys.stderr, flush=True)
    return {"parts": parts}


def measure_lengths(_):
    """Programs and milliseconds of rows of 100 lengths."""
    from scipy import sparse

    from skfm import FFMClassifier, FMClassifier

    def row(length):
        starts = [0, length]
        return sparse.csr_array((np.ones(length), np.arange(length), starts), shape=(1, 1_000))

    compiled, found = _count_programs(), {}
    X = sparse.random(2_500, 1_000, 0.01, format="csr", random_state=0)
    for name, model in (
        ("FM", FMClassifier(max_iter=2)),
        ("FFM", FFMClassifier(max_iter=2, fields=np.arange(1_000) % 5)),
    ):
        model.fit(X, np.arange(2_500) % 2)
        compiled.clear()
        rows = [row(length) for length in range(1, 1_000, 10)]
        for one in rows:
            model.predict_proba(one)
        found[name] = {"programs": len(compiled), "ms": _median_ms(model, rows)}
    return found


def measure_one_row(_):
    """Milliseconds of one row of each container."""
    import pandas as pd
    from scipy import sparse

    from skfm import FMClassifier

    rng = np.random.default_rng(0)
    table = {f"c{i}": rng.choice([f"v{j}" for j in range(5 + i)], size=2_000) for i in range(20)}
    containers = {
        "csr matrix": sparse.random(2_000, 1_000, 0.02, format="csr", random_state=0),
        "dense array": rng.normal(size=(2_000, 30)),
        "DataFrame": pd.DataFrame(table),
    }
    found = {}
    for name, X in containers.items():
        model = FMClassifier(max_iter=2).fit(X, np.arange(2_000) % 2)
        one = X.iloc[[5]] if name == "DataFrame" else X[5:6]
        model.predict_proba(one)
        found[name] = _median_ms(model, [one] * 300)
    return found


def _median_ms(model, rows):
    seconds = []
    for row in rows:
        began = time.perf_counter()
        model.predict_proba(row)
        seconds.append(time.perf_counter() - began)
    return 1000 * float(np.median(seconds))


def _count_programs():
    """List to which an entry is added for each program that XLA compiles."""
    from jax import monitoring

    compiled = []
    monitoring.register_event_duration_secs_listener(
        lambda name, _, **__: compiled.append(name) if name.endswith("backend_compile_duration") else None
    )
    return compiled


def render(results):
    """Tables of the fits, of the lengths, and of one row."""
    parts = results["fits"]["parts"]
    middle = len(parts) // 2 - 1
    rows = []
    for number, part in enumerate(parts):
        growth = [None, None]
        if number == len(parts) - 1:
            growth = [
                report.format_target(part[name] / parts[middle][name], MOST_GROWTH, at_least=False)
                for name in ("maps", "MB")
            ]
        rows.append([part["fits"], part["programs"], part["maps"], growth[0], part["MB"], growth[1]])
    header = [
        "fits",
        "programs compiled",
        "memory maps",
        "over the second half",
        "MB",
        "over the second half",
    ]
    tables = [report.format_table(header, rows)]
    rows = [
        [
            name,
            one["programs"],
            report.format_target(one["programs"], MOST_PROGRAMS, at_least=False),
            one["ms"],
        ]
        for name, one in results["lengths"].items()
    ]
    tables.append(report.format_table(["rows of 100 lengths", "programs", "target", "ms a row"], rows))
    rows = [
        [name, ms, report.format_target(ms, MOST_MS[name], at_least=False)]
        for name, ms in results["one row"].items()
    ]
    tables.append(report.format_table(["one row of a", "ms", "target"], rows))
    return "\n\n".join(tables)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what")
    parser.add_argument("fits", type=int)
    arguments = parser.parse_args()
    measures = {"fits": measure_fits, "lengths": measure_lengths, "one row": measure_one_row}
    print(json.dumps(measures[arguments.what](arguments.fits)))
