"""modern-fm (Rust); seconds of an epoch are the difference between fits of many epochs and of one."""

import json
import time

import modern_fm

from benchmarks.rivals import read_arguments


def main():
    """Fit with each batch size and keep the fastest."""
    X, y, options = read_arguments()
    best = None
    for batch_size in options["batch_sizes"]:
        one, many = (seconds_of_fit(X, y, options, batch_size, n) for n in (1, 1 + options["epochs"]))
        seconds = (many - one) / options["epochs"]
        if best is None or seconds < best["epoch_seconds"][0]:
            best = {"epoch_seconds": [seconds], "fit_seconds": many, "batch_size": batch_size}
    print(json.dumps({"version": modern_fm.__version__} | best))


def seconds_of_fit(X, y, options, batch_size, epochs):
    """Seconds of a fit of so many epochs."""
    estimator = modern_fm.FMClassifier(
        n_factors=options["n_factors"],
        optimizer="adagrad",
        learning_rate=0.1,
        batch_size=batch_size,
        max_iter=epochs,
        n_jobs=options["threads"],
        random_state=options["seed"],
    )
    start = time.perf_counter()
    estimator.fit(X, y)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
