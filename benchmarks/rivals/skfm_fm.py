"""skfm's own factorization machine, measured as its rivals are."""

import json
import time

import skfm
from benchmarks.rivals import read_arguments


def main():
    """Fit once; the first epoch, which compiles, is left out."""
    X, y, options = read_arguments()
    estimator = skfm.FMClassifier(
        n_factors=options["n_factors"],
        solver="adagrad",
        max_iter=options["epochs"] + 1,
        early_stopping=False,
        random_state=options["seed"],
    )
    start = time.perf_counter()
    estimator.fit(X, y)
    seconds = time.perf_counter() - start
    epochs = [float(value) for value in estimator.history_["time"][1:]]
    print(json.dumps({"version": skfm.__version__, "epoch_seconds": epochs, "fit_seconds": seconds}))


if __name__ == "__main__":
    main()
