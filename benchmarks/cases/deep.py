"""Rows a second of DeepFM with Adam beside DeepCTR-Torch and plain PyTorch, at 4x10^4 and 10^6 columns.

39 one-hot fields, 8 factors, hidden layers of 256 and 128, batches of 4096, without dropout and batch
normalisation. All libraries get the same rows and threads and are measured in turn, each in a fresh process;
a figure is the median over the rounds of the median epoch, epochs that compile left out. skfm's Adam updates
the rows of the tables that a batch touches; DeepCTR-Torch and PyTorch with dense gradients update whole
tables. Plain PyTorch is tried with dense and with sparse gradients, and the faster counts.
"""

import os

import numpy as np

from benchmarks import report, rivals, synthetic

TARGETS = {"deepctr": 4.0, "plain_torch": 3.0}
RIVALS = ("deepctr", "plain_torch")
COLUMNS = (4 * 10**4, 10**6)
COMMON = {"n_factors": 8, "batch_size": 4096}
SETTINGS = {
    "skfm": COMMON | {"hidden_layer_sizes": [256, 128], "solver": "adam"},
    "deepctr": COMMON | {"model": {"dnn_hidden_units": [256, 128]}},
    "plain_torch": COMMON | {"hidden_layer_sizes": [256, 128]},
}


def add_arguments(parser):
    """Sizes, and whom to measure."""
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=2)
    rivals.add_arguments(parser, RIVALS)


def run(options, results, save):
    """Measure everybody in turn at each column count."""
    n_rows, epochs, rounds = (
        (10_000, 1, 1) if options.quick else (options.rows, options.epochs, options.rounds)
    )
    common = {"model": "deepfm", "epochs": epochs, "threads": os.cpu_count(), "seed": options.seeds[0]}
    for n_columns in COLUMNS:
        problem = synthetic.make_power_law_rows(n_rows, n_columns, random_state=options.seeds[0])
        with rivals.problem_file(train=problem) as path:

            def measure_one(adapter, path=path):
                found = rivals.measure(adapter, "train", path, **common, settings=SETTINGS[adapter])
                return found | {"rows": n_rows}

            rivals.in_turn(rivals.chosen(options, RIVALS), rounds, measure_one, results, f"{n_columns}", save)


def render(results):
    """One row a library and column count."""
    rows = []
    for n_columns in COLUMNS:
        entries = {name: results.get(f"{name} {n_columns}") for name in ("skfm", *RIVALS)}
        if entries["skfm"] is None:
            continue
        ours = rivals.rounds_of(entries["skfm"], "epoch_seconds")
        for name, entry in entries.items():
            if entry is None:
                continue
            seconds = rivals.rounds_of(entry, "epoch_seconds")
            speed = int(entry["rounds"][0]["rows"] / np.median(seconds))
            compared = [None] * 3 if name == "skfm" else report.compare(seconds, ours, TARGETS[name])
            kind = entry["rounds"][0].get("gradients")
            called = rivals.title(name, entry) + (f", {kind} gradients" if kind else "")
            peak = float(np.median(rivals.rounds_of(entry, "peak_mb")))
            rows.append([called, n_columns, speed, *compared, peak])
    header = ["library", "columns", "rows / s", "ours is times as fast", "rounds", "target", "peak MB"]
    return report.format_table(header, rows)
