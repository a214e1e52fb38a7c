"""skfm itself, measured as its rivals are."""

import os

import skfm
from benchmarks.rivals import answer
from benchmarks.rivals.estimators import choose_class, clocked, make_tasks


def make(*, model, seed, threads, settings, epochs=None, cache=None):
    """Estimator without early stopping; its defaults, early stopping included, where no epochs are given."""
    os.environ["SKFM_CACHE"] = cache or "0"
    limit = {} if epochs is None else {"max_iter": epochs, "early_stopping": False}
    return choose_class(skfm, model)(**limit, **settings, random_state=seed)


def train(parts, *, epochs, **options):
    """Fit once; the first epoch, which compiles, is left out."""
    estimator = make(epochs=epochs + 1, **options)
    found = clocked(estimator.fit, *parts["train"])
    first, *later = estimator.history_["time"]
    return found | {"epoch_seconds": later, "first_epoch_seconds": first}


if __name__ == "__main__":
    answer(skfm.__version__, train, *make_tasks(make))
