"""modern-fm (Rust)."""

from functools import partial

import modern_fm

from benchmarks.rivals import answer
from benchmarks.rivals.estimators import choose_class, clocked, make_tasks
from benchmarks.rivals.fields import field_of_columns


def make(*, model, seed, threads, settings, epochs=None):
    """Estimator; its default number of epochs where none is given."""
    limit = {} if epochs is None else {"max_iter": epochs}
    return choose_class(modern_fm, model)(**limit, **settings, n_jobs=threads, random_state=seed)


def fields_of(X, *, model, **options):
    """What ``fit`` takes to know the fields."""
    return {} if model == "fm" else {"field_ids": field_of_columns(X)}


def train(parts, *, epochs, batch_sizes, settings, **options):
    """Fit with each batch size and keep the fastest; an epoch is the difference between many and one."""
    X, y = parts["train"]
    fields = fields_of(X, **options)
    best = None
    for batch_size in batch_sizes:
        tried = settings | {"batch_size": batch_size}
        one, many = (
            clocked(partial(make(epochs=n, settings=tried, **options).fit, X, y, **fields))
            for n in (1, 1 + epochs)
        )
        seconds = (many["fit_seconds"] - one["fit_seconds"]) / epochs
        if best is None or seconds < best["epoch_seconds"][0]:
            best = many | {"epoch_seconds": [seconds], "batch_size": batch_size}
    return best


if __name__ == "__main__":
    answer(modern_fm.__version__, train, *make_tasks(make, fields_of))
