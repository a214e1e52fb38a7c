"""Rows a second of FM with AdaGrad beside xLearn and modern-fm: 39 one-hot fields, 10^6 columns.

All libraries get the same rows, factors and threads. They are measured in turn, round after round, each in
a fresh process; a figure is the median over the epochs of all rounds, epochs that compile left out, and its
ratio to ours is the median over the rounds. xLearn and modern-fm go through the rows one by one, without
locks and on all threads; skfm takes batches of its default size. modern-fm is given several batch sizes and
the fastest counts. Loss curves are not compared here.
"""

import os

import numpy as np

from benchmarks import report, rivals, synthetic

RIVALS = {"xlearn_fm": ("xLearn", 1.5), "modern_fm_fm": ("modern-fm", 8.0)}
FACTORS = (4, 16)
N_COLUMNS = 10**6


def add_arguments(parser):
    """Sizes, and whom to measure."""
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rivals", nargs="*", choices=RIVALS, default=list(RIVALS))
    parser.set_defaults(seeds=[0])


def run(options, results, save):
    """Measure everybody in turn for each number of factors."""
    n_rows, epochs, rounds = (
        (20_000, 2, 1) if options.quick else (options.rows, options.epochs, options.rounds)
    )
    X, y = synthetic.make_power_law_rows(n_rows, N_COLUMNS, random_state=options.seeds[0])
    settings = {"epochs": epochs, "threads": os.cpu_count(), "seed": options.seeds[0]}
    with rivals.problem_file(X, y) as path:
        for n_factors in FACTORS:
            entries = {}
            for _ in range(rounds):
                for name in ["skfm_fm", *options.rivals]:
                    tried = {"batch_sizes": [1, 512, 4096]} if name == "modern_fm_fm" else {}
                    found = rivals.measure(name, path, n_factors=n_factors, **settings, **tried)
                    entry = entries.setdefault(name, found | {"rounds": [], "rows": n_rows})
                    entry["rounds"].append(found["epoch_seconds"])
                    results[f"{name} k={n_factors}"] = entry
                    seconds = np.median(found["epoch_seconds"])
                    report.log(f"{name}, k = {n_factors}: {seconds:.3f} s an epoch")
                    save()


def render(results):
    """One row a library and number of factors."""
    rows = []
    for n_factors in FACTORS:
        ours = results[f"skfm_fm k={n_factors}"]
        for name, (title, target) in {"skfm_fm": ("skfm", None), **RIVALS}.items():
            entry = results.get(f"{name} k={n_factors}")
            if entry is None:
                continue
            speed = entry["rows"] / np.median(np.concatenate(entry["rounds"]))
            ratios = [
                np.median(theirs) / np.median(own)
                for theirs, own in zip(entry["rounds"], ours["rounds"], strict=True)
            ]
            ratio = None if target is None else float(np.median(ratios))
            rows.append(
                [
                    f"{title} {entry['version']}",
                    n_factors,
                    int(speed),
                    ratio,
                    None if target is None else f"{min(ratios):.2f} to {max(ratios):.2f}",
                    None if target is None else report.format_target(ratio, target, at_least=True),
                ]
            )
    header = ["library", "factors", "rows / s", "ours is times as fast", "over the rounds", "target"]
    return report.format_table(header, rows)
