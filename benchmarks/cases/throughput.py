"""Rows a second of FM and FFM with AdaGrad beside every rival: 39 one-hot fields, 10^6 columns.

All libraries get the same rows, factors and threads. They are measured in turn, round after round, each in
a fresh process; a figure is the median over the rounds of the median epoch, epochs that compile left out.
xLearn, modern-fm and the native kernel go through the rows one by one, without locks and on all threads;
skfm takes batches of its default size. modern-fm is given several batch sizes and the fastest counts. An
epoch of myFM is an iteration of a Gibbs sampler, which does more. The native kernel is no library but what
this machine's memory and cores can do (``benchmarks/rivals/native.cpp``). Loss curves are not compared here.
"""

import os

import numpy as np

from benchmarks import report, rivals, runner, synthetic

TARGETS = {
    "fm": {"xlearn": 3.0, "modern_fm": 15.0, "native": 0.7},
    "ffm": {"xlearn": 1.2, "modern_fm": 6.0},
}
RIVALS = ("native", "xlearn", "modern_fm", "myfm")
OF_FIELDS = ("xlearn", "modern_fm")  # rivals that have FFM
PROBLEMS = {"k=4": ("fm", 4), "k=16": ("fm", 16), "ffm k=4": ("ffm", 4)}
N_COLUMNS = 10**6
SETTINGS = {
    "skfm": {"solver": "adagrad"},
    "modern_fm": {"optimizer": "adagrad", "learning_rate": 0.1},
}


def add_arguments(parser):
    """Sizes, and whom to measure."""
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--epochs", type=int, default=4)
    every = list(PROBLEMS)
    parser.add_argument("--problems", type=runner.names_among(every), default=every, help='such as "ffm k=4"')
    rivals.add_arguments(parser, RIVALS)


def run(options, results, save):
    """Measure everybody in turn for each number of factors, and the machine itself once."""
    n_rows, epochs, rounds = (
        (20_000, 2, 1) if options.quick else (options.rows, options.epochs, options.rounds)
    )
    X, y = synthetic.make_power_law_rows(n_rows, N_COLUMNS, random_state=options.seeds[0])
    common = {"epochs": epochs, "threads": os.cpu_count(), "seed": options.seeds[0]}
    names = rivals.chosen(options, RIVALS)
    with rivals.problem_file(train=(X, y)) as path:
        for key in options.problems:
            model, n_factors = PROBLEMS[key]

            def measure_one(adapter, model=model, n_factors=n_factors):
                settings = {"n_factors": n_factors} | SETTINGS.get(adapter, {})
                tried = {"batch_sizes": [1, 512, 4096]} if adapter == "modern_fm" else {}
                found = rivals.measure(
                    adapter, "train", path, model=model, **common, **tried, settings=settings
                )
                return found | {"rows": n_rows}

            able = names if model == "fm" else ["skfm", *(name for name in names if name in OF_FIELDS)]
            rivals.in_turn(able, rounds, measure_one, results, key, save)
        if "native" in names and options.problems == list(PROBLEMS):
            try:
                # A row of the kernel's table at 16 factors: weights and sums of squares, whole cache lines.
                shape = {"width": 48, "n_columns": N_COLUMNS}
                results["machine"] = rivals.measure(
                    "native", "roofline", path, threads=os.cpu_count(), settings=shape
                )
                save()
            except rivals.UnavailableError as error:
                report.log(f"left out: {error}")


def cores(entry):
    """CPU seconds of a fit for each of its seconds; None for runs that did not count them."""
    if "fit_cpu_seconds" not in entry["rounds"][0]:
        return None
    wall, all_cores = (rivals.rounds_of(entry, name) for name in ("fit_seconds", "fit_cpu_seconds"))
    return float(np.median(np.divide(all_cores, wall)))


def render(results):
    """One row a library, model and number of factors; below, what the machine can do."""
    rows = []
    for key, (model, n_factors) in PROBLEMS.items():
        entries = {name: results.get(f"{name} {key}") for name in ("skfm", *RIVALS)}
        if entries["skfm"] is None:
            continue
        ours = rivals.rounds_of(entries["skfm"], "epoch_seconds")
        for name, entry in entries.items():
            if entry is None:
                continue
            seconds = rivals.rounds_of(entry, "epoch_seconds")
            speed = int(entry["rounds"][0]["rows"] / np.median(seconds))
            compared = (
                [None] * 3 if name == "skfm" else report.compare(seconds, ours, TARGETS[model].get(name))
            )
            peak = float(np.median(rivals.rounds_of(entry, "peak_mb")))
            rows.append([rivals.title(name, entry), model, n_factors, speed, cores(entry), *compared, peak])
    header = [
        "library",
        "model",
        "factors",
        "rows / s",
        "cores at work",
        "ours is times as fast",
        "rounds",
        "target",
        "peak MB",
    ]
    table = report.format_table(header, rows)
    machine = results.get("machine", {})
    probes = [[name, value] for name, value in machine.items() if "_per_s" in name or "flops" in name]
    return f"{table}\n\n{report.format_table(['the machine', ''], probes)}" if probes else table
