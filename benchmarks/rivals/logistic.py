"""scikit-learn's LogisticRegression."""

import sklearn
from sklearn.linear_model import LogisticRegression

from benchmarks.rivals import answer
from benchmarks.rivals.estimators import make_tasks


def make(*, model, seed, threads, settings, epochs=None):
    """Estimator; `model` is of no meaning here."""
    return LogisticRegression(max_iter=epochs or 1000, **settings)


if __name__ == "__main__":
    answer(sklearn.__version__, *make_tasks(make))
