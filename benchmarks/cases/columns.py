"""Cost of a training row and peak memory at 10^4 to 10^7 columns.

Rows have 39 one-hot fields whose categories follow a power law
(``benchmarks.synthetic.make_power_law_rows``), in two structures:

- "same": the rows of the smallest column count, their categories spread over more and more columns. What
  a batch touches is the same at every count: does a step's cost depend on the number of columns?
- "grown": every column is a category, so rows touch more different columns the more there are.

Each column count runs in a process of its own: FM with 16 factors, AdaGrad, batches of 4096, float32, no
early stopping. The counts are measured in turn, three rounds of them, so that a machine that gets slower or
faster does so for all. Time is the median of the epochs after the first, over all rounds. Memory is the
peak during a fit less the resident memory just before it, when the imports, the data and a small warm-up
fit are there already. The first fit of a shape also compiles; the second shows what training itself needs.
That is compared with tables + optimizer state + packed data: columns * (k + 1) * 4 bytes, the same for
AdaGrad's state, and rows * 39 * 4 bytes of ids + rows * 8 of y and weights. Below about 10^6 columns the
arrays of one batch outweigh the tables, so the target is judged from there on.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time

import numpy as np

from benchmarks import memory, report, runner, synthetic

N_FIELDS, N_FACTORS = 39, 16
COLUMNS = (10**4, 10**5, 10**6, 10**7)
STRUCTURES = {
    "same": "The same rows, spread over more columns",
    "grown": "Every column a category: more different columns in a batch",
}
GREATEST_RATIO = 2.5
GREATEST_EXCESS = 0.2
JUDGED_FROM = 10**6


def add_arguments(parser):
    """Sizes, and the hidden option by which the case starts its own processes."""
    parser.add_argument("--columns", type=parse_sizes, default=list(COLUMNS), help="such as 10000,1000000")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.set_defaults(seeds=[0])


def parse_sizes(text):
    """Read ``1e4,1e6`` or ``10000,1000000`` as integers."""
    return [int(float(part)) for part in text.split(",")]


def run(options, results, save):
    """Measure each column count in a fresh process; a result's key is the structure and the column count."""
    n_rows, epochs = (20_000, 3) if options.quick else (options.rows, options.epochs)
    columns = [c for c in options.columns if not options.quick or c <= 10**5]
    rounds = {}
    for structure in STRUCTURES:
        n_categories = min(columns) // N_FIELDS if structure == "same" else 0
        for n_columns in columns * (1 if options.quick else options.rounds):
            arguments = [n_columns, n_categories, n_rows, epochs, options.batch_size, options.seeds[0]]
            entry = measure_apart(arguments)
            key = f"{structure} {n_columns}"
            rounds.setdefault(key, []).append(entry["epochs"])
            entry["epochs"] = rounds[key]
            later = [seconds for epochs in rounds[key] for seconds in epochs[1:]]
            entry["epoch_seconds"] = float(np.median(later))
            results[key] = entry
            peak_mb = entry["fits"][-1]["peak_mb"]
            report.log(f"{key}: {entry['epoch_seconds']:.3f} s an epoch, {peak_mb:.0f} MB")
            save()


def measure_apart(arguments):
    """What `measure` gives in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.cases.columns", *map(str, arguments)]
    # Large arrays then go back to the system as soon as they are freed: resident memory is memory in use.
    environment = dict(os.environ, MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="65536")
    answer = subprocess.run(
        command, cwd=runner.REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(answer.stdout.splitlines()[-1])


def measure(n_columns, n_categories, n_rows, epochs, batch_size, seed):
    """Fit twice in this process.

    Returns
    -------
    dict
        ``epochs`` (seconds of each, of the second fit), ``needed_mb`` and ``fits``, each with ``seconds``
        and ``peak_mb`` above the memory before it.
    """
    from skfm import FMClassifier

    def make(max_iter):
        return FMClassifier(
            n_factors=N_FACTORS,
            solver="adagrad",
            batch_size=batch_size,
            max_iter=max_iter,
            early_stopping=False,
            dtype="float32",
            random_state=seed,
        )

    X, y = synthetic.make_power_law_rows(
        n_rows, n_columns, n_fields=N_FIELDS, n_categories=n_categories or None, random_state=seed
    )
    make(1).fit(*synthetic.make_power_law_rows(2 * batch_size, 100 * N_FIELDS, random_state=seed))

    fits = []
    for _ in range(2):
        estimator = make(epochs)
        before = memory.start_peak()
        start = time.perf_counter()
        estimator.fit(X, y)
        seconds = time.perf_counter() - start
        fits.append(
            {"seconds": seconds, "peak_mb": (memory.peak() - before) / 1e6, "before_mb": before / 1e6}
        )
        seconds_of_epochs = [float(s) for s in estimator.history_["time"]]
        del estimator
        gc.collect()
    tables = n_columns * (N_FACTORS + 1) * 4
    packed = n_rows * (N_FIELDS * 4 + 8)
    return {
        "rows": n_rows,
        "epochs": seconds_of_epochs,
        "needed_mb": (2 * tables + packed) / 1e6,
        "fits": fits,
    }


def render(results):
    """A table for each structure: one row a column count, and the ratio of the largest to the smallest."""
    parts = []
    for structure, title in STRUCTURES.items():
        entries = {
            int(key.split()[1]): entry for key, entry in results.items() if key.split()[0] == structure
        }
        if entries:
            parts.append(f"{title}:\n\n{render_structure(entries)}")
    return "\n\n".join(parts)


def render_structure(entries):
    """Table of entries by column count, and the ratio."""
    rows = []
    for n_columns, entry in sorted(entries.items()):
        first, second = entry["fits"]
        excess = second["peak_mb"] / entry["needed_mb"] - 1
        judged = (
            report.format_target(excess, GREATEST_EXCESS, at_least=False)
            if n_columns >= JUDGED_FROM
            else None
        )
        cost = entry["epoch_seconds"] / entry["rows"] * 1e6
        speed = int(entry["rows"] / entry["epoch_seconds"])
        peaks = [first["peak_mb"], second["peak_mb"]]
        rows.append(
            [n_columns, entry["epoch_seconds"], cost, speed, entry["needed_mb"], *peaks, excess, judged]
        )
    header = [
        "columns", "s / epoch", "us / row", "rows / s", "needed MB",
        "peak MB, first fit", "peak MB, second", "excess", "target",
    ]  # fmt: skip
    costs = [row[2] for row in rows]
    ratio = f"largest to smallest count, cost of a row: {costs[-1] / costs[0]:.2f} (target "
    ratio += report.format_target(costs[-1] / costs[0], GREATEST_RATIO, at_least=False) + ")"
    return report.format_table(header, rows) + "\n\n" + ratio


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for argument in ("n_columns", "n_categories", "n_rows", "epochs", "batch_size", "seed"):
        parser.add_argument(argument, type=int)
    print(json.dumps(measure(**vars(parser.parse_args()))))
