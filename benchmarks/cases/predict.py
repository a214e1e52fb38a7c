"""Seconds of predict_proba beside modern-fm: 10^6 rows of 39 one-hot fields at 10^6 columns, and one row.

FM with 16 factors, trained for one epoch on the first rows. Libraries are measured in turn, each in a fresh
process; a figure is the median over the rounds of the median call. The first call of a process, which
compiles, is shown apart.
"""

import os

import numpy as np

from benchmarks import report, rivals, synthetic

LEAST_RATIO, MOST_ROW_MS = 2.0, 0.3
RIVALS = ("modern_fm",)
N_COLUMNS, N_TRAIN = 10**6, 100_000


def add_arguments(parser):
    """Sizes, and whom to measure."""
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=4)
    rivals.add_arguments(parser, RIVALS)


def run(options, results, save):
    """Measure everybody in turn."""
    n_rows, rounds = (20_000, 1) if options.quick else (options.rows, options.rounds)
    X, y = synthetic.make_power_law_rows(n_rows, N_COLUMNS, random_state=options.seeds[0])
    with rivals.problem_file(train=(X[:N_TRAIN], y[:N_TRAIN]), test=(X, y)) as path:

        def measure_one(adapter):
            found = rivals.measure(
                adapter,
                "predict",
                path,
                model="fm",
                repeats=options.repeats,
                threads=os.cpu_count(),
                seed=options.seeds[0],
                settings={"n_factors": 16},
            )
            first, *later = found.pop("seconds")
            return found | {"first": first, "seconds": later, "rows": n_rows}

        rivals.in_turn(rivals.chosen(options, RIVALS), rounds, measure_one, results, "k=16", save)


def render(results):
    """One row a library."""
    rows = []
    ours = rivals.rounds_of(results["skfm k=16"], "seconds")
    for name in ("skfm", *RIVALS):
        entry = results.get(f"{name} k=16")
        if entry is None:
            continue
        seconds = rivals.rounds_of(entry, "seconds")
        first = float(np.median(rivals.rounds_of(entry, "first")))
        row_ms = 1000 * float(np.median(rivals.rounds_of(entry, "row_seconds")))
        if name == "skfm":
            compared = [None] * 3 + [report.format_target(row_ms, MOST_ROW_MS, at_least=False)]
        else:
            compared = [*report.compare(seconds, ours, LEAST_RATIO), None]
        speed = int(entry["rounds"][0]["rows"] / np.median(seconds))
        rows.append(
            [
                rivals.title(name, entry),
                float(np.median(seconds)),
                first,
                speed,
                *compared[:3],
                row_ms,
                compared[3],
            ]
        )
    header = [
        "library", "seconds", "first call", "rows / s", "ours is times as fast", "rounds", "target",
        "one row, ms", "target",
    ]  # fmt: skip
    return report.format_table(header, rows)
