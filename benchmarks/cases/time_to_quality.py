"""Seconds of a process from CSR to a test log loss on Frappe: FM to .1830, DeepFM to .1480.

For each library a stated grid of settings is searched first: the setting and the number of epochs that reach
the target in the least seconds. That fit is then timed as a process of its own: start of Python, imports,
reading the arrays, training, prediction of the test rows; for xLearn also writing the text that
it reads; for skfm loading the programs that an earlier process has compiled and kept. In another process it
is fitted twice, and the second fit is timed as well. Libraries are measured in turn. Choosing the epochs
on the test rows favours everybody alike: what is compared is time, not quality. A library that does not
reach the target is shown with its best log loss and the time of that fit.
"""

import os
import tempfile

import numpy as np

from benchmarks import datasets, report, rivals

EPOCHS = {"fm": [1, 2, 3, 4, 5, 6, 8, 10, 15, 20], "deepfm": [4, 6, 8, 10]}
LOSS = {"fm": 0.1830, "deepfm": 0.1480}
RIVALS = {"fm": ("modern_fm", "xlearn", "logistic"), "deepfm": ("deepctr",)}
TARGETS = {
    "process_seconds": {("fm", "modern_fm"): 0.8, ("deepfm", "deepctr"): 0.3},
    "second_fit_seconds": {("fm", "modern_fm"): 0.3},
}
RATES = (0.05, 0.1, 0.2, 0.4)
# It divides each row by its norm, which asks for larger rates.
XLEARN_RATES, XLEARN_PENALTIES = (2.0, 4.0, 8.0), (2e-5, 2e-4, 5e-4)
ADAGRAD = {"n_factors": 10, "solver": "adagrad", "l2_factors": 3e-6}
TOWER = {
    "n_factors": 10,
    "solver": "adam",
    "hidden_layer_sizes": [128, 128],
    "batch_norm": True,
    "dropout": 0.1,
    "l2_dense": 0.0,
    "learning_rate_schedule": "cosine",
    "l2_factors": 0.05,
    "l2_linear": 0.05,
}
DEEPCTR = {"dnn_hidden_units": [128, 128], "dnn_use_bn": True, "dnn_dropout": 0.1}
DEEPCTR_PENALTIES = (1e-5, 1e-4)
DEEP_SIZES_AND_RATES = ((1024, 0.003), (2048, 0.004), (4096, 0.006))
GRID = {
    ("fm", "skfm"): [
        ADAGRAD | {"learning_rate": rate, "batch_size": size} for rate in (0.2, 0.4) for size in (512, 2048)
    ],
    ("fm", "modern_fm"): [
        {"n_factors": 10, "optimizer": "adagrad", "learning_rate": rate, "batch_size": 512} for rate in RATES
    ],
    ("fm", "xlearn"): [
        {"n_factors": 10, "lr": rate, "lambda": penalty}
        for rate in XLEARN_RATES
        for penalty in XLEARN_PENALTIES
    ],
    ("fm", "logistic"): [{"C": 1.0}, {"C": 10.0}],
    ("deepfm", "skfm"): [
        TOWER | {"batch_size": size, "learning_rate": rate} for size, rate in DEEP_SIZES_AND_RATES
    ],
    ("deepfm", "deepctr"): [
        {
            "n_factors": 10,
            "batch_size": size,
            "learning_rate": rate,
            "model": DEEPCTR | {"l2_reg_embedding": penalty, "l2_reg_linear": penalty},
        }
        for size, rate in DEEP_SIZES_AND_RATES
        for penalty in DEEPCTR_PENALTIES
    ],
}


def add_arguments(parser):
    """Whom to measure, and to which target."""
    parser.add_argument("--models", nargs="*", choices=list(LOSS), default=list(LOSS))
    rivals.add_arguments(parser, [name for names in RIVALS.values() for name in names])


def run(options, results, save):
    """Search, then measure in turn."""
    data = datasets.find_data(options.data)
    parts = {part: datasets.load_frappe(data, part) for part in ("train_rebuilt", "test")}
    if options.quick:
        parts = {part: (X[:5000], y[:5000]) for part, (X, y) in parts.items()}
    common = {"threads": os.cpu_count(), "seed": options.seeds[0]}
    both = {"train": parts["train_rebuilt"], "test": parts["test"]}
    with rivals.problem_file(**both) as path, tempfile.TemporaryDirectory() as cache:
        for model in options.models:
            names = rivals.chosen(options, RIVALS[model])
            epochs = EPOCHS[model][:2] if options.quick else EPOCHS[model]
            found = {name: search(name, model, path, epochs, common) for name in names}

            def measure_one(adapter, model=model, found=found):
                best = found[adapter]
                kept = {"cache": cache} if adapter == "skfm" else {}

                def fit(times):
                    ends = {"epochs": [best["epochs"]] * times, "settings": best["settings"]}
                    return rivals.measure(adapter, "quality", path, model=model, **ends, **common, **kept)

                # The first process of skfm keeps its programs for the other.
                second = fit(2)["fit_seconds"][1]
                answer = fit(1)
                answer |= {"log_loss": answer["log_loss"][0], "second_fit_seconds": second}
                return answer | {"epochs": best["epochs"], "settings": best["settings"]}

            rounds = 1 if options.quick else options.rounds
            rivals.in_turn(names, rounds, measure_one, results, model, save)


def search(adapter, model, path, epochs, common):
    """The setting and number of epochs that reach the target soonest, twice, else those of the least loss."""
    trials = []
    for settings in GRID[model, adapter]:
        # Its number of epochs is a limit of iterations.
        numbers = [1000] if adapter == "logistic" else epochs
        found = rivals.measure(
            adapter, "quality", path, model=model, epochs=numbers, settings=settings, **common
        )
        for number, loss, seconds in zip(numbers, found["log_loss"], found["fit_seconds"], strict=True):
            trials.append({"settings": settings, "epochs": number, "loss": loss, "seconds": seconds})
        losses = " ".join(
            f"{number}: {loss:.4f}" for number, loss in zip(numbers, found["log_loss"], strict=True)
        )
        report.log(f"{adapter} {settings}: {losses}")
    reached = [trial for trial in trials if trial["loss"] <= LOSS[model]]
    for trial in sorted(reached, key=lambda trial: trial["seconds"]):
        # Lock-free threads give another result each time: a lucky one does not count.
        ends = {"epochs": [trial["epochs"]], "settings": trial["settings"]}
        again = rivals.measure(adapter, "quality", path, model=model, **ends, **common)
        if again["log_loss"][0] <= LOSS[model]:
            return trial
    return min(trials, key=lambda trial: trial["loss"])


def render(results):
    """One row a library and model."""
    rows = []
    for model, rival_names in RIVALS.items():
        entries = {name: results.get(f"{name} {model}") for name in ("skfm", *rival_names)}
        if entries["skfm"] is None:
            continue
        for name, entry in entries.items():
            if entry is None:
                continue
            last = entry["rounds"][-1]
            loss = float(np.median(rivals.rounds_of(entry, "log_loss")))
            reached = loss <= LOSS[model]
            row = [
                rivals.title(name, entry),
                f"{model} to {LOSS[model]}",
                loss if reached else f"not reached: {loss:.4f}",
                last["epochs"],
            ]
            for measured, targets in TARGETS.items():
                if measured not in last:
                    row += [None] * 4
                    continue
                seconds, ours = (rivals.rounds_of(one, measured) for one in (entry, entries["skfm"]))
                target = targets.get((model, name)) if reached else None
                compared = [None] * 3
                if name != "skfm":
                    compared = report.compare(seconds, ours, target, more_is_better=False)
                row += [float(np.median(seconds)), *compared]
            rows.append(row)
    header = [
        "library",
        "target",
        "test log loss",
        "epochs",
        "process s",
        "ours / theirs",
        "rounds",
        "target",
        "second fit s",
        "ours / theirs",
        "rounds",
        "target",
    ]
    return report.format_table(header, rows)
