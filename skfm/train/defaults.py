"""What "auto" means: the one place where parameters are resolved from the data."""

from __future__ import annotations

# L-BFGS works on the whole data set in float64: exact, deterministic, and fast while it is small.
_FULL_BATCH_ROWS = 2_000
_FULL_BATCH_ENTRIES = 3_000_000
_EARLY_STOPPING_ROWS = 2_000
_ENOUGH_HELD_OUT = 2_000
_RATES = {"adagrad": 0.1, "adam": 0.001, "ftrl": 0.1, "sgd": 0.01, "lbfgs": 1.0}
_RATES_OF_NETWORKS = _RATES | {"adagrad": 0.05}
# The penalty of factors, in units of a standard normal prior, falls from this where few rows touch a column
# to 1 where many do. A label says less than a number.
_NARROWEST_PRIOR, _NARROWEST_PRIOR_OF_LABELS = 20.0, 60.0
_ENOUGH_EVIDENCE = 1_500.0
# Without a linear term all that a model learns goes through products of penalised weights: under the
# narrowest prior none of them leaves 0, the sooner the fewer rows there are.
_NARROWEST_PRIOR_OF_PRODUCTS, _NARROWEST_PRIOR_OF_FEW_PRODUCTS = 12.0, 6.0
# Where the prior is at least twice as narrow as this one, this one is tried too, from larger factors.
_WIDE_PRIOR = 3.0
_WIDE_START = 0.1


def solver_name(solver, n_samples: int, nnz: int, *, kind: str, l1_linear: float, needs_steps: bool):
    """The solver that "auto" stands for.

    Parameters
    ----------
    kind : "convex", "factors" or "deep"
    needs_steps : whether L-BFGS is out: the fit must go on later (`partial_fit`), or the model is noisy
    """
    if not (isinstance(solver, str) and solver == "auto"):
        return solver
    if l1_linear > 0:
        return "ftrl" if kind == "convex" else "adagrad"
    small = n_samples <= _FULL_BATCH_ROWS or (kind == "convex" and nnz <= _FULL_BATCH_ENTRIES)
    if small and not needs_steps:
        return "lbfgs"
    return "adagrad"


def batch_size(value, n_samples: int) -> int:
    """Rows of a batch: about 100 steps an epoch, between 256 and 4096 rows."""
    if value != "auto":
        return int(value)
    size = 256
    while size < 4096 and size * 100 < n_samples:
        size *= 2
    return size


def learning_rate(value, solver, kind: str) -> float:
    """The rate that "auto" stands for; an optax transformation has its own, which this scales."""
    if value != "auto":
        return float(value)
    rates = _RATES_OF_NETWORKS if kind == "deep" else _RATES
    return rates[solver] if isinstance(solver, str) else 1.0


def early_stopping(value, solver, n_samples: int) -> bool:
    """Whether to hold rows out: from 2,000 rows on, and not for L-BFGS, where the penalty decides."""
    if value != "auto":
        return bool(value)
    return solver != "lbfgs" and n_samples > _EARLY_STOPPING_ROWS


def validation_fraction(value, n_samples: int | None = None) -> float:
    """Share of the rows to hold out; None where their number is not known yet.

    What is held out is lost to training, and some thousand rows tell one epoch from another. Of many rows
    more are held out, as their error falls.
    """
    if value != "auto":
        return float(value)
    if n_samples is None:
        return 0.1
    return min(0.1, max(_ENOUGH_HELD_OUT, 5 * n_samples**0.5) / n_samples)


def penalties(
    values: dict,
    weight_sum: float,
    evidence: float,
    n_components: int,
    *,
    has_linear_term: bool,
    is_classifier: bool,
) -> dict[str, float]:
    """The penalties that "auto" stands for.

    Linear weights have a standard normal prior, 1 / (sum of the sample weights), which is
    LogisticRegression's C=1. Factors and dense weights, many more, have a narrower one where few rows touch a
    column; the pieces of a mixture share these rows. With so few rows that none are held out, the prior alone
    guards against overfitting: it is as narrow as it gets, and narrow for a mixture's linear weights too. A
    model without a linear term never has the narrowest.

    Parameters
    ----------
    values : dict with the keys "l2_linear", "l2_factors" and "l2_dense"
    evidence : mean sample weight of the rows that touch a column
    n_components : pieces of a mixture, 0 for other models
    """
    few = weight_sum <= _EARLY_STOPPING_ROWS
    enough = _ENOUGH_EVIDENCE * max(n_components, 1)
    if has_linear_term:
        strongest = _NARROWEST_PRIOR_OF_LABELS if is_classifier and not few else _NARROWEST_PRIOR
    else:
        strongest = _NARROWEST_PRIOR_OF_FEW_PRODUCTS if few else _NARROWEST_PRIOR_OF_PRODUCTS
    narrowest = few or evidence * strongest <= enough
    strength = strongest if narrowest else max(enough / evidence, 1.0)
    linear = strength / 2 if few and n_components else 1.0
    auto = {"l2_linear": linear, "l2_factors": strength, "l2_dense": strength}
    return {
        name: auto[name] / weight_sum if isinstance(value, str) else float(value)
        for name, value in values.items()
    }


def wide_start(values: dict, resolved: dict[str, float], weight_sum: float, init_scale: float) -> dict | None:
    """What a second attempt changes of the penalties and of the first factors, or None where there is none.

    The narrow prior is right where interactions are few or small. Where they are all there is, factors under
    it never leave 0, while the linear weights overfit; which of the two it is, held-out rows tell.

    Parameters
    ----------
    values : the penalties as they were given
    resolved : what `penalties` makes of them
    """
    narrow = resolved["l2_factors"] >= 2 * _WIDE_PRIOR / weight_sum
    if values["l2_factors"] != "auto" or init_scale == 0 or not narrow:
        return None
    changed = {"l2_factors": _WIDE_PRIOR / weight_sum, "init_scale": max(init_scale, _WIDE_START)}
    if values["l2_dense"] == "auto":
        changed["l2_dense"] = changed["l2_factors"]
    return changed
