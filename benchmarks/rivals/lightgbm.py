"""LightGBM on the columns as they are; an epoch is a tree."""

import lightgbm

from benchmarks.rivals import answer
from benchmarks.rivals.estimators import make_tasks


def make(*, model, seed, threads, settings, epochs=None):
    """Estimator; `model` is of no meaning here."""
    limit = {} if epochs is None else {"n_estimators": epochs}
    return lightgbm.LGBMClassifier(**limit, **settings, n_jobs=threads, random_state=seed, verbosity=-1)


if __name__ == "__main__":
    answer(lightgbm.__version__, *make_tasks(make))
