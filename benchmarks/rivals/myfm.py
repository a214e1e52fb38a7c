"""myFM (C++): Gibbs sampling of a Bayesian factorization machine with a probit link; one thread."""

import time

import myfm
import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.rivals import answer
from benchmarks.rivals.estimators import seconds_of


def make(*, model, seed, threads, settings):
    """Estimator."""
    return myfm.MyFMClassifier(rank=settings["n_factors"], random_seed=seed)


def train(parts, *, epochs, **options):
    """A Gibbs iteration is the difference between a fit of many and one of one."""
    X, y = parts["train"]
    X = X.astype(np.float64)
    one, many = (
        seconds_of(lambda n=n: make(**options).fit(X, y == 1, n_iter=n, n_kept_samples=1))
        for n in (1, 1 + epochs)
    )
    return {"epoch_seconds": [(many - one) / epochs], "fit_seconds": many}


def quality(parts, *, epochs, **options):
    """Scores of a fit of each number of iterations, of which the last half are kept."""
    found = {"log_loss": [], "AUC": [], "fit_seconds": []}
    X, y = parts["train"]
    X_test, y_test = parts["test"]
    X, X_test = X.astype(np.float64), X_test.astype(np.float64)
    for number in epochs:
        start = time.perf_counter()
        estimator = make(**options).fit(X, y == 1, n_iter=number, n_kept_samples=max(number // 2, 1))
        found["fit_seconds"].append(time.perf_counter() - start)
        probability = estimator.predict_proba(X_test)
        found["log_loss"].append(float(log_loss(y_test, probability)))
        found["AUC"].append(float(roc_auc_score(y_test, probability)))
    return found


if __name__ == "__main__":
    answer(myfm.__version__, train, quality)
